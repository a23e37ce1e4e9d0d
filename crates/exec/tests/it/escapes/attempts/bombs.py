"""Bombs: each asks for more than a function may have, and says what it got.

Every one is bounded, because it also runs where nothing stops it. A refusal (OSError, MemoryError,
Refused) is an answer too; the caller compares.
"""

import ctypes
import http.client
import mmap
import os
import resource
import signal
import socket
import sys
import threading
import time

from common import Refused, call, libc

MEGABYTE = 1 << 20


def processes(w):
    """Children that wait; the limit counts threads of the runtime too."""
    reader, writer = os.pipe()
    children = []
    try:
        while len(children) < 1100:
            child = os.fork()
            if child == 0:
                os.close(writer)
                os.read(reader, 1)
                os._exit(0)
            children.append(child)
    finally:
        os.close(writer)
        for child in children:
            os.waitpid(child, 0)
    return "%d processes" % len(children)


def threads(w):
    done = threading.Event()
    threading.stack_size(64 << 10)
    started = []
    try:
        while len(started) < 1100:
            thread = threading.Thread(target=done.wait)
            thread.start()
            started.append(thread)
    except RuntimeError as error:
        raise Refused("%s after more than %d00" % (error, len(started) // 100)) from None
    finally:
        done.set()
    return "%d threads" % len(started)


def filled(size):
    """Touched a page at a time, so that the kernel has to find them."""
    area = mmap.mmap(-1, size)
    for at in range(0, size, 4096):
        area[at] = 1
    return area


def memory_of_one_process(w):
    held = [filled(64 * MEGABYTE) for _ in range(6)]
    time.sleep(1)
    return "%d MB" % (len(held) * 64)


def memory_of_many_processes(w):
    reader, writer = os.pipe()
    for _ in range(5):
        if os.fork() == 0:
            area = filled(80 * MEGABYTE)
            os.write(writer, b"x")
            time.sleep(2)
            os._exit(len(area) & 1)
    os.close(writer)
    got = 0
    while got < 5 and os.read(reader, 1):
        got += 1
    time.sleep(1)
    return "%d MB" % (got * 80)


def memory_in_files_without_names(w):
    """Written, not mapped: it belongs to no process."""
    part = b"x" * MEGABYTE
    held = [os.memfd_create("part") for _ in range(6)]
    for file in held:
        for _ in range(64):
            os.write(file, part)
    time.sleep(1)
    return "%d MB" % (len(held) * 64)


def memory_shared_by_number(w):
    """Detached: it belongs to no process either."""
    libc.shmat.restype = ctypes.c_void_p
    for _ in range(6):
        segment = call("shmget", 0, 64 * MEGABYTE, 0o1600)
        address = libc.shmat(ctypes.c_int(segment), None, 0)
        if address == ctypes.c_void_p(-1).value:
            raise OSError(ctypes.get_errno(), "shmat")
        ctypes.memset(address, 1, 64 * MEGABYTE)
        libc.shmdt(ctypes.c_void_p(address))
    time.sleep(1)
    return "384 MB"


def semaphores_by_number(w):
    """Memory of the kernel's own."""
    for number in range(64):
        call("semget", 0, 32000, 0o1600)
    return "%d semaphores" % (64 * 32000)


def messages_by_number(w):
    message = ctypes.create_string_buffer(8 + 8192)
    message[0] = 1
    for _ in range(64):
        queue = call("msgget", 0, 0o1600)
        call("msgsnd", queue, message, 8192, 0)
    return "64 queues"


def all_asynchronous_requests_of_the_machine(w):
    context = ctypes.c_ulong()
    call("io_setup", 4096, ctypes.byref(context))
    return "4096 requests"


def memory_in_shared_files(w):
    place = "/dev/shm/bomb-%d" % os.getpid()
    try:
        with open(place, "wb") as file:
            for _ in range(384):
                file.write(b"x" * MEGABYTE)
    finally:
        os.unlink(place)
    return "384 MB"


def memory_in_pipes(w):
    held = []
    while len(held) < 900:
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        held += [reader, writer]
        try:
            while True:
                os.write(writer, b"x" * 65536)
        except BlockingIOError:
            pass
    return "%d full pipes" % (len(held) // 2)


def the_disk(w):
    place = "/tmp/bomb-%d" % os.getpid()
    try:
        with open(place, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, 400 * MEGABYTE)
        with open(place + "-2", "wb") as file:
            os.posix_fallocate(file.fileno(), 0, 400 * MEGABYTE)
        return "800 MB on disk"
    finally:
        for name in (place, place + "-2"):
            if os.path.exists(name):
                os.unlink(name)


def a_file_that_is_too_long(w):
    place = "/tmp/long-%d" % os.getpid()
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with open(place, "wb") as file:
            file.truncate(1 << 40)
        return "a file of a terabyte"
    finally:
        os.unlink(place)


def files_without_end(w):
    place = "/tmp/many-%d" % os.getpid()
    os.mkdir(place)
    made = 0
    try:
        while made < 66000:
            os.close(os.open("%s/%d" % (place, made), os.O_CREAT | os.O_WRONLY))
            made += 1
    finally:
        for number in range(made):
            os.unlink("%s/%d" % (place, number))
        os.rmdir(place)
    return "%d files" % made


def descriptors(w):
    held = []
    try:
        while len(held) < 3000:
            held.append(os.open("/dev/null", os.O_RDONLY))
    finally:
        for file in held:
            os.close(file)
    return "%d descriptors" % len(held)


def the_log(w):
    line = "x" * 1023 + "\n"
    for _ in range(32 * 1024):
        sys.stdout.write(line)
    return "32 MB of log"


def the_answer(w):
    return "x" * (8 * MEGABYTE)


def time_without_end(w):
    """Ignores whatever can be ignored."""
    for number in range(1, 32):
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_IGN)
    until = time.monotonic() + w.seconds
    while time.monotonic() < until:
        pass
    return "%d seconds of the processor" % w.seconds


def standing_still(w):
    """A process that is stopped cannot be asked to end."""
    os.kill(os.getpid(), signal.SIGSTOP)
    return "woke again"


def a_process_that_stays(w):
    """A daemon as by the book: its own session, its parent gone, no descriptors; then the time runs out."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            libc.prctl(15, w.daemon.encode())
            os.closerange(0, 100)
            until = time.monotonic() + 20
            while time.monotonic() < until:
                time.sleep(0.1)
        os._exit(0)
    time.sleep(w.seconds)
    return "slept"


def everything_in_sight_is_killed(w):
    if not w.jailed:
        raise Refused("this would be the machine")
    try:
        os.kill(-1, signal.SIGKILL)
    except ProcessLookupError:
        pass  # It is alone.
    os.kill(os.getpid(), signal.SIGKILL)


def the_first_process_is_killed(w):
    if not w.jailed:
        raise Refused("this would be the machine")
    for number in range(1, 32):
        if number != signal.SIGSTOP:
            try:
                os.kill(1, number)
            except OSError:
                pass
    time.sleep(0.2)
    return "the first process lives"


def api():
    host, port = os.environ["AWS_LAMBDA_RUNTIME_API"].rsplit(":", 1)
    return host, int(port)


def connections_to_its_runtime(w):
    held = []
    while len(held) < 300:
        link = socket.create_connection(api(), 5)
        link.sendall(b"GET /2018-06-01/runtime/invoc")
        held.append(link)
    return "%d connections" % len(held)


def a_request_without_end_to_its_runtime(w):
    link = socket.create_connection(api(), 5)
    link.sendall(b"POST /2018-06-01/runtime/init/error HTTP/1.1\r\nHost: x\r\nX: ")
    try:
        for _ in range(64):
            link.sendall(b"y" * MEGABYTE)
    except OSError as error:
        raise Refused("cut off: %s" % error) from None
    return "64 MB of header"


def answers_for_other_calls(w):
    """Ids of calls that are not its own, guessed and malformed."""
    seen = set()
    for identity in ("00000000-0000-4000-8000-000000000001", "x", "..", "%2e%2e", "a" * 4000):
        link = http.client.HTTPConnection(*api(), timeout=5)
        link.request("POST", "/2018-06-01/runtime/invocation/%s/response" % identity, b'"forged"')
        seen.add(link.getresponse().status)
    if seen <= {400, 404, 414, 431}:
        raise Refused("answered %s" % sorted(seen))
    return "answered %s" % sorted(seen)


def limits_are_raised(w):
    for name in ("RLIMIT_NOFILE", "RLIMIT_NPROC", "RLIMIT_FSIZE", "RLIMIT_AS", "RLIMIT_CORE"):
        _, hard = resource.getrlimit(getattr(resource, name))
        if hard != resource.RLIM_INFINITY:
            try:
                resource.setrlimit(getattr(resource, name), (hard, hard + 1))
            except ValueError as error:
                raise Refused(str(error)) from None
            return "raised " + name
    return "nothing is limited"
