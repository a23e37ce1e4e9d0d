"""Descriptors that the server has open, with and without intent, when it starts a function."""

import errno
import os
import select
import signal
import socket
import stat

from common import CLONE_NEWNET, Refused, answers, call, first, secret_in


def inherited(wanted):
    found = []
    for name in os.listdir("/proc/self/fd"):
        number = int(name)
        try:
            if number > 2 and wanted(number, os.readlink("/proc/self/fd/" + name)):
                found.append(number)
        except OSError:
            pass  # The listing's own, closed by now.
    return found


def a_file_of_the_server(w):
    files = inherited(lambda fd, _: stat.S_ISREG(os.fstat(fd).st_mode))
    return first(files, lambda fd: secret_in(w, os.pread(fd, 4096, 0)))


def a_file_of_the_server_is_written(w):
    files = inherited(lambda fd, to: to.startswith(w.dir) and stat.S_ISREG(os.fstat(fd).st_mode))
    return first(files, lambda fd: os.pwrite(fd, b"", 0) == 0 and "could write")


def a_directory_of_the_server(w):
    folders = inherited(lambda fd, _: stat.S_ISDIR(os.fstat(fd).st_mode))
    name = os.path.basename(w.secret)
    return first(folders, lambda fd: secret_in(w, os.read(os.open(name, 0, dir_fd=fd), 4096)))


def a_directory_of_the_server_is_climbed_out_of(w):
    folders = inherited(lambda fd, _: stat.S_ISDIR(os.fstat(fd).st_mode))
    climb = "../" * 40 + w.secret.lstrip("/")
    return first(folders, lambda fd: secret_in(w, os.read(os.open(climb, 0, dir_fd=fd), 4096)))


def memory_of_the_server(w):
    shared = inherited(lambda _, to: to.startswith("/memfd:"))
    return first(shared, lambda fd: secret_in(w, os.pread(fd, 4096, 0)))


def a_pipe_of_the_server(w):
    """The last in and out of a function are pipes too, but hold no secret."""
    def drained(fd):
        if not select.select([fd], [], [], 0)[0]:
            raise Refused("nothing in it")
        return secret_in(w, os.read(fd, 4096))
    pipes = inherited(lambda fd, to: to.startswith("pipe:"))
    return first(pipes, drained)


def a_connection_of_the_server(w):
    def heard(fd):
        link = socket.socket(fileno=os.dup(fd))
        return secret_in(w, link.recv(400, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    with answers(errno.EAGAIN, "its own connection, and silent"):
        return first(inherited(lambda _, to: to.startswith("socket:")), heard)


def a_listener_of_the_server(w):
    def listens(fd):
        link = socket.socket(fileno=os.dup(fd))
        if not link.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise Refused("it does not listen")
        return "could accept in the server's place"
    return first(inherited(lambda _, to: to.startswith("socket:")), listens)


def a_namespace_of_the_server(w):
    spaces = inherited(lambda _, to: to.startswith("net:["))
    return first(spaces, lambda fd: call("setns", fd, CLONE_NEWNET) == 0 and "entered it")


def a_process_of_the_server(w):
    held = inherited(lambda _, to: "pidfd" in to)
    return first(held, lambda fd: call("pidfd_send_signal", fd, signal.SIGCONT, None, 0) == 0
                 and "signalled it")


def a_watch_of_the_server(w):
    watches = inherited(lambda _, to: "inotify" in to)
    return first(watches, lambda fd: "holds the server's watch")


def an_event_of_the_server(w):
    """Counters that wake the server."""
    events = inherited(lambda _, to: "eventfd" in to)
    return first(events, lambda fd: os.write(fd, (1).to_bytes(8, "little")) and "woke the server")


def a_root_that_is_still_open(w):
    """A directory outside this root, through which the old one is seen again."""
    folders = inherited(lambda fd, _: stat.S_ISDIR(os.fstat(fd).st_mode))
    def escape(fd):
        os.fchdir(fd)
        os.chroot(".")
        return "has the machine's directory as its root"
    return first(folders, escape)


def descriptors_of_the_parent(w):
    """The runtime's own process must not have what its children do not."""
    place = "/proc/%d/fd" % os.getppid()
    def reads(name):
        to = os.readlink(place + "/" + name)
        if to.startswith("/") and os.path.isfile(place + "/" + name):
            with open(place + "/" + name, "rb") as file:
                return secret_in(w, file.read(4096))
    return first(os.listdir(place), reads)
