"""What only a privileged process may do."""

import ctypes
import errno
import os
import resource
import struct
import time

from common import Refused, answers, call, libc, pack, passes

NOBODY_ELSE = "no such user exists here"

def to_be_the_administrator(w):
    """From another user, as whom the server may run, back to root."""
    with answers(errno.EINVAL, NOBODY_ELSE):
        os.setuid(0)
    return "is root"


def to_be_another_user(w):
    with answers(errno.EINVAL, NOBODY_ELSE):
        os.setresuid(12345, 12345, 12345)
    return "became 12345"


def to_be_in_another_group(w):
    with answers(errno.EINVAL, NOBODY_ELSE):
        os.setresgid(12345, 12345, 12345)
    return "is in the group 12345"


def to_be_in_more_groups(w):
    with answers(errno.EINVAL, NOBODY_ELSE):
        os.setgroups([4, 6, 42])
    return "is in the groups of logs, disks and passwords"


def to_act_on_files_as_another(w):
    libc.setfsuid(12345)
    if libc.setfsuid(-1) != 12345:
        raise PermissionError(errno.EPERM, "the identity stays")
    return "acts on files as 12345"


def every_capability(w):
    """Holds more than nothing, or gives itself more."""
    header, data = pack("Ii", 0x20080522, 0), pack("6I", 0xFFFFFFFE, 0x1FE, 0, 0, 0, 0)
    call("capget", header, data)
    effective, permitted = struct.unpack("6I", data.raw)[0:2]
    if not permitted:
        call("capset", pack("Ii", 0x20080522, 0), pack("6I", 1 << 21, 1 << 21, 0, 0, 0, 0))
    return "has capabilities %x" % (effective or permitted)


def a_capability_that_survives_programs(w):
    call("capset", pack("Ii", 0x20080522, 0), pack("6I", 1 << 7, 1 << 7, 1 << 7, 0, 0, 0))
    if libc.prctl(47, 2, 7, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    return "keeps a capability in whatever it starts"


def bits_that_secure_capabilities(w):
    if libc.prctl(28, 0x2F, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    return "set the bits"


def a_file_is_given_away(w):
    place = "/tmp/given-%d" % os.getpid()
    open(place, "w").close()
    try:
        with answers(errno.EINVAL, NOBODY_ELSE):
            os.chown(place, 12345, 12345)
        return "gave a file to 12345"
    finally:
        os.unlink(place)


def a_file_of_another_user_is_changed(w):
    os.chmod(w.unreadable, 0o000)
    return "changed the mode of another user's file"


def the_clock(w):
    now = time.clock_gettime(time.CLOCK_REALTIME)
    call("clock_settime", 0, pack("qq", int(now), int(now % 1 * 1e9)))
    return "set the clock"


def the_pace_of_the_clock(w):
    """Sets the frequency that it has."""
    now = ctypes.create_string_buffer(512)
    call("adjtimex", now)
    call("adjtimex", ctypes.create_string_buffer(struct.pack("I", 2) + now.raw[4:], 512))
    return "set the pace of the clock"


def to_restart_the_machine(w):
    """The magic numbers are wrong, and looked at after the right."""
    return passes({errno.EINVAL}, "reboot", 1, 2, 3, None)


def memory_on_disk(w):
    return passes({errno.ENOENT, errno.EINVAL}, "swapon", b"/no/such/file", 0)


def no_memory_on_disk(w):
    return passes({errno.ENOENT, errno.EINVAL}, "swapoff", b"/no/such/file")


def accounts_of_processes(w):
    return passes({errno.ENOENT, errno.EACCES}, "acct", b"/no/such/file")


def quotas(w):
    return passes({errno.ENOENT, errno.ENODEV, errno.ENOTBLK, errno.ESRCH}, "quotactl", 0x80000300,
                  w.disk.encode(), 0, ctypes.create_string_buffer(256))


def to_hang_the_terminal_up(w):
    call("vhangup")
    return "hung the terminal up"


def the_kernels_log(w):
    call("syslog", 3, ctypes.create_string_buffer(4096), 4096)
    return "read the kernel's log"


def the_kernels_log_is_emptied_of_noise(w):
    return passes({errno.EINVAL}, "syslog", 8, None, 99)


def to_come_before_others(w):
    os.setpriority(os.PRIO_PROCESS, 0, os.getpriority(os.PRIO_PROCESS, 0) - 5)
    return "comes before others"


def to_come_before_all_others(w):
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
    return "runs in real time"


def a_deadline_of_the_scheduler(w):
    call("sched_setattr", 0, pack("IIQiIQQQ", 48, 6, 0, 0, 0, 10**6, 10**7, 10**7), 0)
    return "has a deadline"


def a_place_before_others_at_the_disk(w):
    call("ioprio_set", 1, 0, 1 << 13 | 4)
    return "comes first at the disk"


def memory_that_is_never_on_disk(w):
    size = 64 << 20
    area = ctypes.create_string_buffer(size)
    with answers(errno.ENOMEM, "more than its limit"):
        if libc.mlock(area, ctypes.c_size_t(size)):
            raise OSError(ctypes.get_errno(), "mlock")
    return "holds 64 MB of the machine's memory"


def higher_limits(w):
    """Above what the process began with."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard + 1))
    except ValueError as error:
        raise Refused(str(error)) from None
    return "raised a limit"


def ports_of_the_processor(w):
    call("iopl", 3)
    return "speaks to ports"


def some_ports_of_the_processor(w):
    call("ioperm", 0x80, 1, 1)
    return "speaks to a port"


def a_module_of_the_kernel(w):
    return passes({errno.ENOEXEC, errno.EFAULT, errno.EINVAL}, "init_module",
                  ctypes.create_string_buffer(64), 64, b"")


def a_module_of_the_kernel_from_a_file(w):
    with open("/proc/self/exe", "rb") as file:
        return passes({errno.ENOEXEC, errno.EINVAL}, "finit_module", file.fileno(), b"", 0)


def a_module_of_the_kernel_goes(w):
    return passes({errno.ENOENT}, "delete_module", b"no_such_module", 0)


def a_table_of_segments(w):
    entry = pack("IIII", 0, 0, 0xFFFFF, 0x51)
    call("modify_ldt", 1, entry, 16)
    return "wrote a table of the processor"


def another_personality(w):
    call("personality", 0x0040000)
    return "has its addresses in order"


def a_task_of_another_is_bound(w):
    os.sched_setaffinity(w.neighbour, {0})
    return "chose where the neighbour runs"
