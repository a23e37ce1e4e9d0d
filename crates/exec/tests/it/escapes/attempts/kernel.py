"""Parts of the kernel that much has been broken through: io_uring, bpf, perf, userfaultfd and such."""

import ctypes
import mmap
import os
import platform

from common import CLONE_NEWUSER, NUMBERS, COLUMN, Refused, call, libc, pack


def _uring(w):
    return call("io_uring_setup", 8, ctypes.create_string_buffer(120))


def a_ring_for_work(w):
    _uring(w)
    return "has an io_uring"


def a_ring_that_the_kernel_polls(w):
    parameters = ctypes.create_string_buffer(pack("IIII", 0, 0, 2, 0).raw + bytes(104), 120)
    call("io_uring_setup", 8, parameters)
    return "has an io_uring with a thread of the kernel"


def a_ring_is_asked_what_it_can(w):
    """Needs no ring: a registration that is blind."""
    answer = ctypes.create_string_buffer(16 + 8 * 64)
    ring = _uring(w)
    call("io_uring_register", ring, 8, answer, 64)
    return "io_uring told what it can"


PROGRAM = bytes.fromhex("b700000000000000" "9500000000000000")  # r0 = 0; exit


def a_program_for_the_kernel(w):
    code, licence = ctypes.create_string_buffer(PROGRAM, 16), ctypes.create_string_buffer(b"GPL")
    given = ctypes.create_string_buffer(pack(
        "IIQQIIQII", 1, 2, ctypes.addressof(code), ctypes.addressof(licence), 0, 0, 0, 0, 0,
    ).raw + bytes(72), 120)
    call("bpf", 5, given, 120)
    return "loaded a program into the kernel"


def a_tracing_program_for_the_kernel(w):
    code, licence = ctypes.create_string_buffer(PROGRAM, 16), ctypes.create_string_buffer(b"GPL")
    given = ctypes.create_string_buffer(pack(
        "IIQQIIQII", 5, 2, ctypes.addressof(code), ctypes.addressof(licence), 0, 0, 0, 0, 0,
    ).raw + bytes(72), 120)
    call("bpf", 5, given, 120)
    return "loaded a tracing program into the kernel"


def a_map_of_the_kernel(w):
    call("bpf", 0, ctypes.create_string_buffer(pack("IIII", 2, 4, 8, 1).raw + bytes(104), 120), 120)
    return "made a map in the kernel"


def programs_of_the_kernel_are_listed(w):
    given = ctypes.create_string_buffer(120)
    try:
        call("bpf", 11, given, 120)
    except FileNotFoundError:
        pass  # None is loaded, and this may be asked.
    return "listed the programs of the kernel"


def perf(kind, config, pid, cpu):
    size = 112
    attributes = ctypes.create_string_buffer(pack("IIQ", kind, size, config).raw + bytes(96), size)
    call("perf_event_open", attributes, pid, cpu, -1, 8)
    return "counts events"


def counters_of_itself(w):
    return perf(1, 0, 0, -1)


def counters_of_the_machine(w):
    return perf(1, 0, -1, 0)


def counters_of_the_neighbour(w):
    return perf(1, 0, w.neighbour, -1)


def faults_of_its_memory(w):
    call("userfaultfd", 0o2000000)
    return "handles faults of the kernel too"


def faults_of_its_memory_in_user_mode(w):
    call("userfaultfd", 0o2000001)
    return "handles faults"


def faults_of_its_memory_by_the_device(w):
    os.open("/dev/userfaultfd", os.O_RDWR)
    return "opened the device of faults"


def every_access_of_the_machine(w):
    call("fanotify_init", 4, os.O_RDONLY)
    return "may decide on every access to files"


def accesses_of_files(w):
    call("fanotify_init", 0x200, os.O_RDONLY)
    return "hears of accesses to files"


def a_call_by_the_other_numbers(w):
    """x86_64 knows its calls by a second set of numbers too, which a filter must not forget."""
    if platform.machine() != "x86_64":
        raise Refused("only x86_64 has them")
    number = 0x40000000 | NUMBERS["unshare"][COLUMN]
    if libc.syscall(ctypes.c_long(number), ctypes.c_long(CLONE_NEWUSER)) != 0:
        raise OSError(ctypes.get_errno(), "unshare by x32")
    return "has a new namespace"


def a_call_by_the_older_gate(w):
    """Code for 32 bits has numbers of its own: 310 is unshare there."""
    if platform.machine() != "x86_64":
        raise Refused("only x86_64 has it")
    code = bytes.fromhex("53" "b836010000" "bb00000010" "cd80" "5b" "c3")
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    done = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
    if done:
        raise OSError(-done, "unshare by the gate of 32 bits")
    return "has a new namespace"
