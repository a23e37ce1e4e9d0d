"""/proc: other processes, the kernel's switches, and what both tell."""

import errno
import os
import re

from common import Refused, first, opened, others, proof, read, secret_in


def environments_of_other_processes(w):
    return first(others(), lambda pid: secret_in(w, read("/proc/%d/environ" % pid)))


def command_lines_of_other_processes(w):
    return first(others(), lambda pid: secret_in(w, read("/proc/%d/cmdline" % pid)))


def memory_of_other_processes(w):
    def search(pid):
        with open("/proc/%d/maps" % pid) as maps, open("/proc/%d/mem" % pid, "rb", 0) as memory:
            for line in maps:
                begin, end, mode = re.match(r"(\w+)-(\w+) (\S+)", line).groups()
                begin, size = int(begin, 16), int(end, 16) - int(begin, 16)
                if mode.startswith("rw") and size < 64 << 20 and "[v" not in line:
                    memory.seek(begin)
                    found = secret_in(w, memory.read(size))
                    if found:
                        return found
    return first([w.neighbour] + others(), search)


def roots_of_other_processes(w):
    return first(others(), lambda pid: secret_in(w, read("/proc/%d/root%s" % (pid, w.secret))))


def the_root_of_the_first_process(w):
    return proof(w, read("/proc/1/root" + w.secret))


def the_roots_of_its_own_threads(w):
    return first(os.listdir("/proc/self/task"),
                 lambda task: proof(w, read(os.path.join("/proc/self/task", task, "root") + w.secret)))


def working_directories_of_other_processes(w):
    name = os.path.basename(w.secret)
    return first(others(), lambda pid: secret_in(w, read("/proc/%d/cwd/%s" % (pid, name))))


def descriptors_of_other_processes(w):
    def search(pid):
        for name in os.listdir("/proc/%d/fd" % pid):
            place = "/proc/%d/fd/%s" % (pid, name)
            if os.path.isfile(place) and (found := secret_in(w, read(place))):
                return found
    return first(others(), search)


def the_pipe_of_another_process(w):
    def search(pid):
        for name in os.listdir("/proc/%d/fd" % pid):
            place = "/proc/%d/fd/%s" % (pid, name)
            if os.readlink(place).startswith("pipe:"):
                return opened(place, os.O_RDONLY | os.O_NONBLOCK)
    return first([w.neighbour, os.getppid()] if w.neighbour in others() else others(), search)


def the_program_of_another_process_is_written(w):
    """Through its magic link; text that is busy would be written as soon as it is not."""
    def search(pid):
        held = os.open("/proc/%d/exe" % pid, os.O_PATH)
        try:
            return opened("/proc/self/fd/%d" % held, os.O_WRONLY)
        except OSError as error:
            if error.errno != errno.ETXTBSY:
                raise
            return "only its running keeps the program of %d from being written" % pid
    return first([1] + others(), search)


def the_neighbour_is_seen(w):
    return first(os.listdir("/proc"), lambda name: name.isdigit()
                 and read("/proc/%s/comm" % name).strip().decode() == w.comm and "saw " + w.comm)


def core_dumps_go_to_a_program(w):
    return opened("/proc/sys/kernel/core_pattern")


def the_kernels_helper_program(w):
    return opened("/proc/sys/kernel/modprobe") if os.path.exists("/proc/sys/kernel/modprobe") \
        else opened("/proc/sys/kernel/poweroff_cmd")


def the_kernels_request_key(w):
    return opened("/proc/sysrq-trigger")


def the_kernels_memory_policy(w):
    return opened("/proc/sys/vm/overcommit_memory")


def the_kernels_caches_are_dropped(w):
    return opened("/proc/sys/vm/drop_caches")


def the_kernels_panic_switch(w):
    return opened("/proc/sys/kernel/panic")


def the_kernels_address_randomisation(w):
    return opened("/proc/sys/kernel/randomize_va_space")


def the_host_name_through_its_switch(w):
    return opened("/proc/sys/kernel/hostname")


def forwarding_between_networks(w):
    return opened("/proc/sys/net/ipv4/ip_forward")


def the_limit_of_user_namespaces(w):
    return opened("/proc/sys/user/max_user_namespaces")


def formats_of_programs(w):
    return opened("/proc/sys/fs/binfmt_misc/register")


def addresses_of_the_kernel(w):
    lines = read("/proc/kallsyms").splitlines()[:50]
    if any(int(line.split()[0], 16) for line in lines):
        return "read addresses of the kernel"
    raise Refused("every address is zero")


def the_kernels_log_through_its_file(w):
    return opened("/proc/kmsg", os.O_RDONLY | os.O_NONBLOCK)


def the_kernels_allocations(w):
    return opened("/proc/vmallocinfo", os.O_RDONLY)


def the_kernels_memory_as_a_file(w):
    return opened("/proc/kcore", os.O_RDONLY)


def frames_of_pages(w):
    page = bytearray(os.urandom(1 << 16))
    address = int(re.search(rb"(\w+)-\w+ rw.* \[stack\]", read("/proc/self/maps")).group(1), 16)
    with open("/proc/self/pagemap", "rb", 0) as pagemap:
        pagemap.seek((address >> 12) * 8)
        entries = pagemap.read(8 * 64)
    frames = [int.from_bytes(entries[at:at + 8], "little") & (1 << 55) - 1
              for at in range(0, len(entries), 8)]
    if any(frames) and page:
        return "saw which frames hold its pages"
    raise Refused("every frame is hidden")


def listeners_of_the_machine(w):
    if (":%04X " % w.quiet_port).encode() in read("/proc/net/tcp") + read("/proc/net/tcp6"):
        return "saw the listener of the machine"
    raise Refused("the listener is not told")


def unix_sockets_of_the_machine(w):
    if w.abstract.encode() in read("/proc/net/unix"):
        return "saw the abstract socket of the machine"
    raise Refused("the socket is not told")


def shared_memory_of_the_machine(w):
    if re.search(rb"^ *%d " % w.ipc_key, read("/proc/sysvipc/shm"), re.M):
        return "saw the shared memory of the machine"
    raise Refused("the segment is not told")


def keys_of_the_machine(w):
    if w.key_name.encode() in read("/proc/keys"):
        return "saw the key of the machine"
    raise Refused("the key is not told")


def the_device_table_of_the_bus(w):
    return opened("/proc/bus/pci/devices", os.O_RDONLY)


def its_own_memory_score(w):
    """A lower score would make the kernel end the server first."""
    with open("/proc/%d/oom_score_adj" % os.getppid()) as score:
        now = int(score.read())
    with open("/proc/self/oom_score_adj", "w") as score:
        score.write(str(now - 500))
    return "made itself dearer to the kernel"


def the_stack_of_another_process(w):
    return first([w.neighbour] + others(), lambda pid: read("/proc/%d/stack" % pid) and "read it")


def what_another_process_waits_for(w):
    return first([w.neighbour], lambda pid: read("/proc/%d/syscall" % pid) and "read it")


def accounts_of_other_users_io(w):
    return first([w.neighbour], lambda pid: read("/proc/%d/io" % pid) and "read it")


def the_user_map_of_another_process(w):
    return first([1, w.neighbour], lambda pid: opened("/proc/%d/uid_map" % pid))


def the_timing_of_another_process(w):
    return first([w.neighbour], lambda pid: opened("/proc/%d/timens_offsets" % pid))
