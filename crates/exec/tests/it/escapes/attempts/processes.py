"""Other processes: tracing, reading, stopping and stealing from them."""

import ctypes
import errno
import fcntl
import os
import resource
import signal
import struct

from common import Refused, answers, call, first, libc, others, pack, proof

TRACEME, ATTACH, SEIZE, DETACH = 0, 16, 0x4206, 17


def the_neighbour_is_attached_to(w):
    call("ptrace", ATTACH, w.neighbour, 0, 0)
    os.waitpid(w.neighbour, 0x40000000)
    call("ptrace", DETACH, w.neighbour, 0, 0)
    return "attached to the neighbour"


def the_neighbour_is_seized(w):
    call("ptrace", SEIZE, w.neighbour, 0, 0)
    return "seized the neighbour"


def any_process_is_seized(w):
    return first([pid for pid in others() if pid != os.getpid()],
                 lambda pid: call("ptrace", SEIZE, pid, 0, 0) == 0 and "seized %d" % pid)


def the_first_process_is_seized(w):
    call("ptrace", SEIZE, 1, 0, 0)
    return "seized the first process"


def its_parent_is_seized(w):
    call("ptrace", SEIZE, os.getppid(), 0, 0)
    return "seized its parent"


def its_own_child_is_traced(w):
    child = os.fork()
    if child == 0:
        try:
            call("ptrace", TRACEME, 0, 0, 0)
        except OSError as error:
            os._exit(error.errno)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        raise Refused("the child was ended for it")
    if os.WEXITSTATUS(status):
        raise OSError(os.WEXITSTATUS(status), "ptrace")
    return "a child is traced"


def _vectors(w):
    here = ctypes.create_string_buffer(4096)
    mine = pack("QQ", ctypes.addressof(here), 4096)
    return here, mine, pack("QQ", w.neighbour_address, 4096)


def the_memory_of_the_neighbour_is_read(w):
    here, mine, theirs = _vectors(w)
    call("process_vm_readv", w.neighbour, mine, 1, theirs, 1, 0)
    return proof(w, here.raw)


def the_memory_of_the_neighbour_is_written(w):
    here, _, _ = _vectors(w)
    mine = pack("QQ", ctypes.addressof(here), 8)
    call("process_vm_writev", w.neighbour, mine, 1, pack("QQ", w.neighbour_spare, 8), 1, 0)
    return "wrote into the neighbour"


def the_memory_of_the_first_process_is_read(w):
    """No right to it answers EPERM; an address that is wrong answers EFAULT."""
    here, mine, _ = _vectors(w)
    try:
        call("process_vm_readv", 1, mine, 1, pack("QQ", 4096, 8), 1, 0)
    except OSError as error:
        if error.errno != errno.EFAULT:
            raise
    return "may read the first process"


def the_neighbour_is_signalled(w):
    os.kill(w.neighbour, signal.SIGCONT)
    return "signalled the neighbour"


def the_group_of_the_neighbour_is_signalled(w):
    os.killpg(w.neighbour_group, signal.SIGCONT)
    return "signalled the neighbour's group"


def a_thread_of_the_neighbour_is_signalled(w):
    call("tgkill", w.neighbour, w.neighbour, signal.SIGCONT)
    return "signalled a thread of the neighbour"


def a_signal_is_queued_for_the_neighbour(w):
    info = ctypes.create_string_buffer(struct.pack("iii", signal.SIGCONT, 0, -1) + bytes(116), 128)
    call("rt_sigqueueinfo", w.neighbour, signal.SIGCONT, info)
    return "queued a signal"


def the_server_is_signalled(w):
    os.kill(w.server, 0)
    return "may signal the server"


def the_server_s_session_is_signalled(w):
    os.killpg(w.server_group, 0)
    return "may signal the server's group"


def the_neighbour_by_a_descriptor(w):
    process = call("pidfd_open", w.neighbour, 0)
    call("pidfd_send_signal", process, signal.SIGCONT, None, 0)
    return "signalled the neighbour by a descriptor"


def a_descriptor_of_the_neighbour_is_taken(w):
    process = call("pidfd_open", w.neighbour, 0)
    taken = call("pidfd_getfd", process, w.neighbour_file, 0)
    return proof(w, os.pread(taken, 4096, 0))


def a_signal_through_a_file(w):
    """The owner of a file is told when there is something to read."""
    reader, writer = os.pipe()
    fcntl.fcntl(reader, fcntl.F_SETOWN, w.neighbour)
    fcntl.fcntl(reader, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    fcntl.fcntl(reader, 10, signal.SIGCONT)
    os.write(writer, b"x")
    return "the neighbour was signalled through a file"


def the_neighbour_is_compared(w):
    call("kcmp", os.getpid(), w.neighbour, 0, 0, 0)
    return "compared itself with the neighbour"


def the_pages_of_the_neighbour_are_moved(w):
    call("move_pages", w.neighbour, 1, pack("Q", w.neighbour_address), None, pack("i", 0), 0)
    return "learned where the neighbour's pages are"


def the_pages_of_the_neighbour_migrate(w):
    call("migrate_pages", w.neighbour, 64, pack("Q", 1), pack("Q", 1))
    return "moved the neighbour's pages"


def the_memory_of_the_neighbour_is_advised(w):
    process = call("pidfd_open", w.neighbour, 0)
    call("process_madvise", process, pack("QQ", w.neighbour_address & ~4095, 4096), 1, 20, 0)
    return "pushed the neighbour's memory out"


def the_limits_of_the_neighbour(w):
    before = resource.prlimit(w.neighbour, resource.RLIMIT_CORE)
    resource.prlimit(w.neighbour, resource.RLIMIT_CORE, before)
    return "set the neighbour's limits"


def the_priority_of_the_neighbour(w):
    os.setpriority(os.PRIO_PROCESS, w.neighbour, 1)
    return "slowed the neighbour down"


def the_scheduling_of_the_neighbour(w):
    os.sched_setscheduler(w.neighbour, os.SCHED_BATCH, os.sched_param(0))
    return "changed how the neighbour is scheduled"


def the_group_of_the_neighbour_is_joined(w):
    """Only within one session, which the neighbour shares with the control's server."""
    os.getpgid(w.neighbour)
    return "saw the neighbour's group"


def the_session_of_the_neighbour_is_asked(w):
    os.getsid(w.neighbour)
    return "saw the neighbour's session"


def the_time_of_the_neighbour(w):
    """The clock of another process, which tells how much it works."""
    clock = ~w.neighbour << 3 | 2
    spent = pack("qq", 0, 0)
    with answers(errno.EINVAL, "no such process exists here"):
        if libc.clock_gettime(ctypes.c_int(clock), spent):
            raise OSError(ctypes.get_errno(), "clock_gettime")
    return "saw how long the neighbour ran"
