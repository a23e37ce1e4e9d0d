"""Files of the server, of other functions and of the machine."""

import ctypes
import errno
import os
import shutil
import stat
import sys

from common import AT_FDCWD, Refused, call, created, first, libc, opened, pack, proof, read


def the_servers_secret_by_its_path(w):
    return proof(w, read(w.secret))


def the_servers_secret_through_dots(w):
    return proof(w, read("../" * 40 + w.secret.lstrip("/")))


def the_servers_secret_through_a_symbolic_link(w):
    link = "/tmp/link-%d" % os.getpid()
    os.symlink(w.secret, link)
    try:
        return proof(w, read(link))
    finally:
        os.unlink(link)


def the_servers_secret_through_a_hard_link(w):
    link = "/tmp/hard-%d" % os.getpid()
    os.link(w.secret, link)
    try:
        return proof(w, read(link))
    finally:
        os.unlink(link)


def the_servers_secret_relative_to_the_root(w):
    root = os.open("/", os.O_PATH | os.O_DIRECTORY)
    for _ in range(10):
        root = os.open("..", os.O_PATH | os.O_DIRECTORY, dir_fd=root)
    file = os.open(w.secret.lstrip("/"), os.O_RDONLY, dir_fd=root)
    return proof(w, os.read(file, 4096))


def the_servers_secret_out_of_a_second_root(w):
    """The oldest way out of chroot: keep a directory outside the new root and climb."""
    os.makedirs("/tmp/inner", exist_ok=True)
    outside = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    os.chroot("/tmp/inner")
    os.fchdir(outside)
    for _ in range(40):
        os.chdir("..")
    os.chroot(".")
    return proof(w, read(w.secret))


def the_servers_secret_by_its_file_handle(w):
    """A handle needs no path: any open directory of the same file system will do."""
    handle = ctypes.create_string_buffer(bytes.fromhex(w.handle))
    for place in ("/", "/tmp", "/var/task", os.environ["LAMBDA_TASK_ROOT"], "/etc"):
        if not os.path.isdir(place):
            continue
        directory = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
        try:
            file = call("open_by_handle_at", directory, handle, os.O_RDONLY)
            return proof(w, os.read(file, 4096))
        except OSError as error:
            if error.errno != errno.ESTALE:
                raise
    raise Refused("no directory here is of its file system")


def a_handle_of_a_file(w):
    handle = ctypes.create_string_buffer((128).to_bytes(4, "little") + bytes(132))
    mount = ctypes.c_int()
    call("name_to_handle_at", AT_FDCWD, w.secret.encode(), handle, ctypes.byref(mount), 0)
    return "a handle of the secret"


def the_directory_of_the_server_is_listed(w):
    return os.listdir(w.dir)


def the_code_of_other_functions(w):
    found = [name for name in os.listdir(w.code)
             if name not in os.environ["LAMBDA_TASK_ROOT"] and not name.startswith(".")]
    return proof(w, b"".join(read(os.path.join(w.code, name, "main.py")) for name in found))


def a_file_in_the_servers_directory(w):
    return created(w.writable)


def a_file_in_the_servers_directory_is_removed(w):
    os.unlink(w.victim)
    open(w.victim, "w").close()
    return "removed a file of the server"


def a_file_in_the_servers_directory_is_renamed(w):
    os.rename(w.secret, w.secret + ".moved")
    os.rename(w.secret + ".moved", w.secret)
    return "renamed the secret"


def the_servers_secret_is_opened_for_writing(w):
    return opened(w.secret)


def the_servers_secret_gets_another_mode(w):
    os.chmod(w.secret, 0o600)
    return "chmod of the secret"


def the_pipe_of_the_server_is_written(w):
    return opened(w.fifo, os.O_RDWR)


def a_file_beside_its_own_code(w):
    return created(os.environ["LAMBDA_TASK_ROOT"])


def its_own_handler_is_rewritten(w):
    place = os.path.join(os.environ["LAMBDA_TASK_ROOT"], "main.py")
    mode = os.stat(place).st_mode
    os.chmod(place, 0o644)
    try:
        return opened(place, os.O_WRONLY | os.O_APPEND)
    finally:
        os.chmod(place, mode)


def its_own_handler_is_rewritten_through_a_magic_link(w):
    place = os.path.join(os.environ["LAMBDA_TASK_ROOT"], "main.py")
    file = os.open(place, os.O_PATH)
    os.chmod("/proc/self/fd/%d" % file, 0o644)
    try:
        return opened("/proc/self/fd/%d" % file, os.O_WRONLY | os.O_APPEND)
    finally:
        os.chmod("/proc/self/fd/%d" % file, 0o444)


def a_file_beside_the_bootstrap(w):
    return created(os.environ["LAMBDA_RUNTIME_DIR"])


def a_module_in_the_standard_library(w):
    return created(os.path.dirname(os.__file__))


def a_program_in_the_path(w):
    return created(os.path.dirname(os.path.realpath(sys.executable)))


def a_program_among_the_system_s(w):
    return created("/usr/bin")


def a_file_in_the_root(w):
    return created("/")


def a_file_in_etc(w):
    return created("/etc")


def the_hosts_file_is_written(w):
    return opened("/etc/hosts", os.O_WRONLY | os.O_APPEND)


def the_account_file_is_written(w):
    return opened("/etc/passwd", os.O_WRONLY | os.O_APPEND)


def the_passwords_of_the_machine(w):
    return "read the passwords" if b"root:" in read("/etc/shadow") else None


def the_home_of_the_administrator(w):
    """Folders on the way to the interpreter may stand there, and nothing else."""
    needed = os.path.realpath(sys.base_prefix).split("/")
    return [name for name in os.listdir("/root") if name not in needed]


def a_file_that_belongs_to_another_user(w):
    return proof(w, read(w.unreadable))


def a_program_that_takes_another_user_s_place(w):
    """A set-user-ID program, on a mount that honours it and without the bit that forbids it."""
    def honoured(place):
        status, mount = os.stat(place), os.statvfs(place)
        if not status.st_mode & 0o4000 or mount.f_flag & os.ST_NOSUID:
            raise Refused("not honoured there")
        return place
    place = first(["/usr/bin/su", "/usr/bin/mount", "/usr/bin/passwd", "/bin/su"], honoured)
    if libc.prctl(39, 0, 0, 0, 0):
        raise Refused("no_new_privs is set")
    return "%s would run as root" % place


def _set_id(set_mode, bits=stat.S_ISUID):
    """A file in /tmp that gets the bits; on a shared folder they would count outside. What did not
    take them, such as a kernel that ignores the bits here, did nothing."""
    place = "/tmp/set-id-%d" % os.getpid()
    try:
        set_mode(place)
        if not os.stat(place).st_mode & bits:
            raise Refused("the bits were not taken")
        return "a set-ID file was made"
    finally:
        if os.path.exists(place):
            os.unlink(place)


def _at(place):
    return place.encode()


def _empty(place):
    open(place, "w").close()
    return place


def a_set_user_id_program_by_chmod(w):
    return _set_id(lambda place: call("chmod", _at(_empty(place)), 0o4755))


def a_set_group_id_program_by_chmod(w):
    return _set_id(lambda place: call("chmod", _at(_empty(place)), 0o2755), stat.S_ISGID)


def a_set_user_id_program_by_fchmod(w):
    def by_descriptor(place):
        with open(place, "w") as file:
            os.fchmod(file.fileno(), 0o4755)
    return _set_id(by_descriptor)


def a_set_user_id_program_by_fchmodat(w):
    return _set_id(lambda place: os.chmod(_empty(place), 0o4755))


def a_set_user_id_program_by_fchmodat2(w):
    return _set_id(lambda place: call("fchmodat2", AT_FDCWD, _at(_empty(place)), 0o4755, 0))


def a_set_user_id_program_by_open(w):
    return _set_id(lambda place: os.close(call("open", _at(place), os.O_CREAT | os.O_RDWR, 0o4755)))


def a_set_user_id_program_by_openat(w):
    return _set_id(lambda place: os.close(os.open(place, os.O_CREAT | os.O_RDWR, 0o4755)))


def a_set_user_id_program_by_openat2(w):
    how = pack("QQQ", os.O_CREAT | os.O_RDWR, 0o4755, 0)
    return _set_id(lambda place: os.close(call("openat2", AT_FDCWD, _at(place), how, 24)))


def a_set_user_id_program_without_a_name(w):
    file = os.open("/tmp", os.O_TMPFILE | os.O_RDWR, 0o4755)
    mode = os.fstat(file).st_mode
    os.close(file)
    if not mode & stat.S_ISUID:
        raise Refused("the bit was not taken")
    return "a set-ID file was made, to be linked"


def a_set_user_id_program_by_creat(w):
    return _set_id(lambda place: os.close(call("creat", _at(place), 0o4755)))


def a_set_user_id_program_by_mknod(w):
    return _set_id(lambda place: call("mknod", _at(place), stat.S_IFREG | 0o4755, 0))


def a_set_user_id_program_by_mknodat(w):
    return _set_id(lambda place: os.mknod(place, stat.S_IFREG | 0o4755))


def extended_attributes_of_the_trusted_kind(w):
    place = "/tmp/trusted-%d" % os.getpid()
    open(place, "w").close()
    try:
        os.setxattr(place, "trusted.attempt", b"1")
        return "set trusted.attempt"
    finally:
        os.unlink(place)


def capabilities_given_to_a_file(w):
    place = "/tmp/capable-%d" % os.getpid()
    shutil.copy("/bin/true", place)
    try:
        every = bytes.fromhex("01000002" + "ffffffff" * 4)
        os.setxattr(place, "security.capability", every)
        return "a file has every capability"
    finally:
        os.unlink(place)
