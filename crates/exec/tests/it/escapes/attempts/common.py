"""What the attempts share: raw system calls, and the proof that something outside was reached.

An attempt is a function of one argument, the world: what lies outside and where (stage.py makes it).
It returns what it could do, as words; it raises OSError or Refused where it was kept from it. Any
other exception is a defect of the attempt.
"""

import contextlib
import ctypes
import errno
import hashlib
import os
import platform
import re
import stat
import struct

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long

CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC = 0x20000, 0x2000000, 0x4000000, 0x8000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWTIME = 0x10000000, 0x20000000, 0x40000000, 0x80
AT_FDCWD = -100

# x86_64 and aarch64, from the kernel's tables.
NUMBERS = {
    "acct": (163, 89), "add_key": (248, 217), "adjtimex": (159, 171), "bpf": (321, 280),
    "capget": (125, 90), "capset": (126, 91), "chmod": (90, None), "chroot": (161, 51),
    "clock_settime": (227, 112), "creat": (85, None),
    "clone": (56, 220), "clone3": (435, 435), "delete_module": (176, 106),
    "fanotify_init": (300, 262), "fchmodat2": (452, 452), "finit_module": (313, 273), "fsconfig": (431, 431),
    "fsmount": (432, 432), "fsopen": (430, 430), "init_module": (175, 105), "io_setup": (206, 0),
    "io_uring_register": (427, 427), "io_uring_setup": (425, 425), "ioperm": (173, None),
    "iopl": (172, None), "ioprio_set": (251, 30), "kcmp": (312, 272), "keyctl": (250, 219),
    "migrate_pages": (256, 238), "mknod": (133, None), "mknodat": (259, 33), "modify_ldt": (154, None),
    "mount": (165, 40), "mount_setattr": (442, 442), "move_mount": (429, 429),
    "move_pages": (279, 239), "mq_open": (240, 180), "mq_timedreceive": (243, 183),
    "msgget": (68, 186), "msgrcv": (70, 188), "msgsnd": (69, 189),
    "name_to_handle_at": (303, 264), "open": (2, None), "open_by_handle_at": (304, 265), "openat2": (437, 437), "open_tree": (428, 428),
    "perf_event_open": (298, 241), "personality": (135, 92), "pidfd_getfd": (438, 438),
    "pidfd_open": (434, 434), "pidfd_send_signal": (424, 424), "pivot_root": (155, 41),
    "process_madvise": (440, 440), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "ptrace": (101, 117), "quotactl": (179, 60),
    "reboot": (169, 142), "request_key": (249, 218), "rt_sigqueueinfo": (129, 138),
    "sched_setattr": (314, 274), "semget": (64, 190), "setdomainname": (171, 162),
    "sethostname": (170, 161), "setns": (308, 268), "shmget": (29, 194), "swapoff": (168, 225),
    "swapon": (167, 224), "syslog": (103, 116), "tgkill": (234, 131), "umount2": (166, 39),
    "unshare": (272, 97), "userfaultfd": (323, 282), "vhangup": (153, 58),
}
COLUMN = ("x86_64", "aarch64").index(platform.machine())


class Refused(Exception):
    """Kept from it, though no system call said so."""


def call(name, *given):
    number = NUMBERS[name][COLUMN]
    if number is None:
        raise OSError(errno.ENOSYS, "not a system call of this processor")
    passed = [ctypes.c_long(one) if isinstance(one, int) else one for one in given]
    result = libc.syscall(ctypes.c_long(number), *passed)
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)
    return result


def passes(expected, name, *given):
    """The kernel asks for the right first: an error that comes later says that it was granted."""
    try:
        call(name, *given)
    except OSError as error:
        if error.errno not in expected:
            raise
        return "%s got as far as %s" % (name, errno.errorcode[error.errno])
    return "%s went through" % name


@contextlib.contextmanager
def answers(number, meaning):
    """An errno that says no more than that there is no such thing here."""
    try:
        yield
    except OSError as error:
        if error.errno != number:
            raise
        raise Refused(meaning) from None


def secret_in(w, data):
    """The secret if it is in the data. It is known here by its beginning and its digest alone, so
    that nothing finds it in this very process."""
    text = data if isinstance(data, bytes) else str(data).encode()
    for found in re.findall(w.mark.encode() + rb"[0-9a-f]{16}", text):
        if hashlib.sha256(found).hexdigest() == w.digest:
            return "read " + found.decode()
    return None


def proof(w, data):
    found = secret_in(w, data)
    if not found:
        raise Refused("the secret is not in what was read")
    return found


def read(path):
    with open(path, "rb") as file:
        return file.read(1 << 20)


def opened(path, flags=os.O_WRONLY):
    """Opening is enough: nothing is written, for the control is a real machine."""
    file = os.open(path, flags | os.O_CLOEXEC)
    null, found = os.stat(os.devnull), os.fstat(file)
    os.close(file)
    if stat.S_ISCHR(found.st_mode) and found.st_rdev == null.st_rdev:
        raise Refused("/dev/null stands in its place")
    return "%s can be opened" % path


def created(directory):
    """A file appears there, and goes again."""
    place = os.path.join(directory, "made-by-an-attempt-%d" % os.getpid())
    os.close(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    os.unlink(place)
    return "a file was made in %s" % directory


def first(things, attempt):
    """What the first thing gives that gives something; else the last refusal."""
    last = Refused("there is nothing to try it on")
    for thing in things:
        try:
            found = attempt(thing)
        except (OSError, Refused) as refusal:
            last = refusal
            continue
        if found:
            return found
    raise last


def others():
    """The processes that can be seen and are not this one's own line of parents."""
    own, pid = set(), os.getpid()
    while pid > 1:
        own.add(pid)
        pid = int(read("/proc/%d/stat" % pid).rpartition(b")")[2].split()[1])
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return [pid for pid in pids if pid not in own]


def pack(layout, *fields):
    return ctypes.create_string_buffer(struct.pack(layout, *fields), struct.calcsize(layout))
