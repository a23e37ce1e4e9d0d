"""Devices, the kernel's own file systems, and memory that processes share by number or name."""

import ctypes
import os
import stat

from common import AT_FDCWD, call, first, libc, opened, proof


def the_disk_of_the_machine(w):
    disk = os.open(w.disk, os.O_RDONLY)
    return "read %d bytes of the disk" % len(os.read(disk, 4096))


def node(name, kind, major, minor, flags):
    place = "/tmp/%s-%d" % (name, os.getpid())
    call("mknodat", AT_FDCWD, place.encode(), kind | 0o600, os.makedev(major, minor))
    try:
        return opened(place, flags)
    finally:
        os.unlink(place)


def a_node_of_the_disk(w):
    return node("disk", stat.S_IFBLK, *w.disk_number, os.O_RDONLY)


def a_node_of_the_kernels_log(w):
    return node("log", stat.S_IFCHR, 1, 11, os.O_RDONLY | os.O_NONBLOCK)


def a_node_of_zeroes(w):
    """Even a harmless one."""
    return node("zero", stat.S_IFCHR, 1, 5, os.O_RDWR)


def the_kernels_log(w):
    return opened("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)


def the_kernels_log_is_written(w):
    return opened("/dev/kmsg", os.O_WRONLY)


def the_memory_of_the_machine(w):
    return opened("/dev/mem", os.O_RDONLY)


def the_hypervisor(w):
    return opened("/dev/kvm", os.O_RDWR)


def file_systems_of_its_own(w):
    return opened("/dev/fuse", os.O_RDWR)


def network_devices_of_its_own(w):
    return opened("/dev/net/tun", os.O_RDWR)


def disks_of_its_own(w):
    return opened("/dev/loop-control", os.O_RDWR)


def the_socket_of_the_hypervisor(w):
    return opened("/dev/vsock", os.O_RDONLY)


def the_console(w):
    return opened("/dev/console", os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)


def the_serial_line(w):
    return opened("/dev/ttyS0", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)


def the_screen(w):
    return opened("/dev/vcs", os.O_RDONLY)


def a_virtual_console(w):
    return opened("/dev/tty1", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)


def a_disk_in_memory(w):
    return opened("/dev/zram0", os.O_RDONLY)


def the_generator_of_the_machine(w):
    return opened("/dev/hwrng", os.O_RDONLY | os.O_NONBLOCK)


def the_graphics_arbiter(w):
    return opened("/dev/vga_arbiter", os.O_RDWR)


def the_sleep_of_the_processor(w):
    return opened("/dev/cpu_dma_latency", os.O_RDWR)


def the_registers_of_the_processor(w):
    return first(["/dev/cpu/0/msr", "/dev/cpu/0/cpuid"], lambda place: opened(place, os.O_RDONLY))


def volumes_of_the_machine(w):
    return opened("/dev/btrfs-control", os.O_RDWR)


def shared_files_of_the_machine(w):
    with open("/dev/shm/" + w.shared, "rb") as file:
        return proof(w, file.read())


def objects_of_the_kernel_are_written(w):
    """uevent_helper starts a program as root; any writable object will do."""
    def writable(place):
        return opened(place, os.O_WRONLY)
    return first(["/sys/kernel/uevent_helper", "/sys/kernel/uevent_seqnum", "/sys/power/state",
                  "/sys/kernel/profiling", "/sys/kernel/mm/transparent_hugepage/enabled"], writable)


def the_machines_power(w):
    return opened("/sys/power/state")


def the_kernels_traces(w):
    return os.listdir("/sys/kernel/tracing")


def the_machines_devices(w):
    return os.listdir("/sys/class/net")


def the_machines_disks(w):
    return os.listdir("/sys/block")


def the_machines_firmware(w):
    return os.listdir("/sys/firmware")


def shared_memory_by_its_number(w):
    segment = call("shmget", w.ipc_key, 4096, 0)
    libc.shmat.restype = ctypes.c_void_p
    address = libc.shmat(ctypes.c_int(segment), None, 0o10000)
    if address in (None, ctypes.c_void_p(-1).value):
        raise OSError(ctypes.get_errno(), "shmat")
    return proof(w, ctypes.string_at(address, 256))


def semaphores_by_their_number(w):
    found = call("semget", w.ipc_key, 1, 0)
    return "has semaphores %d" % found


def a_message_by_its_number(w):
    queue = call("msgget", w.ipc_key, 0)
    message = ctypes.create_string_buffer(8 + 256)
    call("msgrcv", queue, message, 256, 0, 0o4000 | 0o40000)
    return proof(w, message.raw[8:])


def a_message_by_its_name(w):
    queue = call("mq_open", w.queue.encode(), os.O_RDONLY | os.O_NONBLOCK, 0, None)
    message = ctypes.create_string_buffer(8192)
    call("mq_timedreceive", queue, message, 8192, None, None)
    return proof(w, message.raw)
