"""Namespaces and mounts: making new ones, entering others, changing what is seen."""

import os
import signal

from common import (AT_FDCWD, CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS,
                    CLONE_NEWPID, CLONE_NEWTIME, CLONE_NEWUSER, CLONE_NEWUTS, Refused, call, first,
                    others, pack, proof, read)

MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 32, 4096, 16384, 1 << 18


def unshared(flag):
    call("unshare", flag)
    return "has a new namespace"


def a_new_user_namespace(w):
    return unshared(CLONE_NEWUSER)


def a_new_user_namespace_with_a_map(w):
    user = os.getuid()
    call("unshare", CLONE_NEWUSER)
    with open("/proc/self/uid_map", "w") as file:
        file.write("0 %d 1" % user)
    return "is %d in it" % os.getuid()


def a_new_mount_namespace(w):
    return unshared(CLONE_NEWNS)


def a_new_network_namespace(w):
    return unshared(CLONE_NEWNET)


def a_new_process_namespace(w):
    return unshared(CLONE_NEWPID)


def a_new_host_name_namespace(w):
    return unshared(CLONE_NEWUTS)


def a_new_ipc_namespace(w):
    return unshared(CLONE_NEWIPC)


def a_new_cgroup_namespace(w):
    return unshared(CLONE_NEWCGROUP)


def a_new_time_namespace(w):
    return unshared(CLONE_NEWTIME)


def a_new_user_namespace_and_all_others(w):
    return unshared(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC
                    | CLONE_NEWUTS)


def cloned(flag):
    child = call("clone", flag | signal.SIGCHLD, 0, 0, 0, 0)
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return "a child has a new namespace"


def a_child_in_a_new_user_namespace(w):
    return cloned(CLONE_NEWUSER)


def a_child_in_a_new_network_namespace(w):
    return cloned(CLONE_NEWNET)


def a_child_in_new_namespaces_by_the_newer_call(w):
    arguments = pack("11Q", CLONE_NEWUSER | CLONE_NEWNS, 0, 0, 0, signal.SIGCHLD, *[0] * 6)
    child = call("clone3", arguments, len(arguments))
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return "a child has new namespaces"


def entered(kind):
    def enter(pid):
        place = "/proc/%d/ns/%s" % (pid, kind)
        if os.readlink(place) == os.readlink("/proc/self/ns/" + kind):
            raise Refused("the same namespace")
        call("setns", os.open(place, os.O_RDONLY), 0)
        return "entered the %s namespace of %d" % (kind, pid)
    return first([1] + others(), enter)


def the_mount_namespace_of_another_process(w):
    return entered("mnt")


def the_network_namespace_of_another_process(w):
    return entered("net")


def the_host_name_namespace_of_another_process(w):
    return entered("uts")


def the_ipc_namespace_of_another_process(w):
    return entered("ipc")


def the_namespaces_of_the_neighbour_by_a_descriptor(w):
    process = call("pidfd_open", w.neighbour, 0)
    call("setns", process, CLONE_NEWNET)
    return "entered the neighbour's namespace"


def a_mount_of_memory(w):
    os.makedirs("/tmp/mounted", exist_ok=True)
    call("mount", b"none", b"/tmp/mounted", b"tmpfs", 0, None)
    return "mounted a tmpfs"


def a_mount_of_processes(w):
    os.makedirs("/tmp/mounted", exist_ok=True)
    call("mount", b"none", b"/tmp/mounted", b"proc", 0, None)
    return "mounted /proc anew"


def a_mount_of_the_kernels_objects(w):
    os.makedirs("/tmp/mounted", exist_ok=True)
    call("mount", b"none", b"/tmp/mounted", b"sysfs", 0, None)
    return "mounted /sys"


def a_mount_of_the_machines_disk(w):
    os.makedirs("/tmp/mounted", exist_ok=True)
    call("mount", w.disk.encode(), b"/tmp/mounted", w.disk_type.encode(), 0, None)
    return proof(w, read("/tmp/mounted" + w.secret))


def a_mount_of_layers(w):
    for name in ("upper", "work", "mounted"):
        os.makedirs("/tmp/layers/" + name, exist_ok=True)
    call("mount", b"none", b"/tmp/layers", b"tmpfs", 0, None)
    for name in ("upper", "work", "mounted"):
        os.makedirs("/tmp/layers/" + name)
    layers = b"lowerdir=/etc,upperdir=/tmp/layers/upper,workdir=/tmp/layers/work"
    call("mount", b"none", b"/tmp/layers/mounted", b"overlay", 0, layers)
    return "mounted an overlay"


def a_mount_of_a_groups_hierarchy(w):
    os.makedirs("/tmp/mounted", exist_ok=True)
    call("mount", b"none", b"/tmp/mounted", b"cgroup2", 0, None)
    return "mounted the control groups"


def a_second_place_of_a_directory(w):
    os.makedirs("/tmp/mounted", exist_ok=True)
    call("mount", b"/", b"/tmp/mounted", None, MS_BIND | MS_REC, None)
    return "bound / elsewhere"


def its_code_becomes_writable(w):
    place = os.environ["LAMBDA_TASK_ROOT"].encode()
    call("mount", place, place, None, MS_BIND, None)
    call("mount", None, place, None, MS_REMOUNT | MS_BIND, None)
    return "mounted its code anew"


def its_root_becomes_writable(w):
    call("mount", None, b"/", None, MS_REMOUNT | MS_BIND, None)
    return "mounted / anew"


def a_mount_propagates(w):
    call("mount", None, b"/", None, MS_REC | MS_PRIVATE, None)
    return "changed how mounts propagate"


def a_mount_is_taken_away(w):
    call("umount2", b"/proc", 2)
    return "took /proc away"


def another_root(w):
    os.makedirs("/tmp/other", exist_ok=True)
    call("mount", b"none", b"/tmp/other", b"tmpfs", 0, None)
    os.makedirs("/tmp/other/old")
    call("pivot_root", b"/tmp/other", b"/tmp/other/old")
    return "has another root"


def a_root_below_its_own(w):
    os.makedirs("/tmp/below", exist_ok=True)
    call("chroot", b"/tmp/below")
    return "has a root below its own"


def a_file_system_by_the_newer_calls(w):
    context = call("fsopen", b"tmpfs", 0)
    call("fsconfig", context, 6, None, None, 0)
    call("fsmount", context, 0, 0)
    return "made a file system"


def a_copy_of_the_tree_of_mounts(w):
    call("open_tree", AT_FDCWD, b"/", 1 | 0o2000000 | 0x8000)
    return "copied the tree of mounts"


def a_mount_is_moved_by_the_newer_call(w):
    tree = call("open_tree", AT_FDCWD, b"/etc", 1 | 0o2000000)
    os.makedirs("/tmp/moved", exist_ok=True)
    call("move_mount", tree, b"", AT_FDCWD, b"/tmp/moved", 4)
    return "moved a mount"


def a_mount_gets_other_attributes(w):
    wanted = pack("4Q", 0, 1, 0, 0)
    call("mount_setattr", AT_FDCWD, b"/proc", 0, wanted, len(wanted))
    return "cleared the read-only bit of a mount"


def another_host_name(w):
    call("sethostname", b"attempt", 7)
    return "has another host name"


def another_domain_name(w):
    call("setdomainname", b"attempt", 7)
    return "has another domain name"


def the_mounts_of_another_namespace(w):
    """Only with a right over the namespace are its mounts listed by id."""
    for line in read("/proc/self/mountinfo").decode().splitlines():
        if w.disk in line and " / / " in line:
            return "saw the disk of the machine at its root"
    raise Refused("the machine's root is not among its mounts")


def a_group_of_resources_is_changed(w):
    def writable(root):
        for folder, _, files in os.walk(root):
            for name in ("cgroup.procs", "release_agent", "memory.max"):
                if name in files and os.access(os.path.join(folder, name), os.W_OK):
                    return "could write " + os.path.join(folder, name)
            if folder.count("/") > 5:
                break
        raise Refused("nothing to write there")
    return first(["/sys/fs/cgroup"], writable)
