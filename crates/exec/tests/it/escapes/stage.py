"""The world outside the jail, made so that every attempt has something to reach.

`python3 stage.py USER DIRECTORY PROGRAM ARGUMENT…` enters namespaces of its own (mount, network, ipc,
host name), so that controls, which succeed, do not touch the machine. It puts a secret into files,
memory, keys, queues and descriptors; gives its loopback the addresses of metadata services and
listens there; starts a neighbour of the server's user, and then becomes that user and the program.
"""

import ctypes
import fcntl
import hashlib
import json
import os
import secrets
import selectors
import socket
import struct
import sys

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
ARM = os.uname().machine == "aarch64"
NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWNET = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x40000000
ADDRESS, ADDRESS6, STRANGER = "198.51.100.7", "2001:db8::7", 4242
NAMES = {"metadata.google.internal": "169.254.169.254"}
OUTSIDE = ["169.254.169.254", "169.254.169.253", "169.254.169.123", "169.254.170.2",
           "169.254.170.23", "100.100.100.200", "168.63.129.16", "192.0.0.192", ADDRESS,
           "fd00:ec2::254", ADDRESS6]


def checked(result):
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def enter():
    """Namespaces, in which an ordinary user has rights too."""
    user, group, root = os.getuid(), os.getgid(), os.geteuid() == 0
    if not root:
        checked(libc.unshare(NEWUSER))
        for name, text in (("setgroups", "deny"), ("uid_map", "0 %d 1" % user),
                           ("gid_map", "0 %d 1" % group)):
            with open("/proc/self/" + name, "w") as file:
                file.write(text)
    checked(libc.unshare(NEWNS | NEWUTS | NEWIPC | NEWNET))
    checked(libc.mount(b"none", b"/", None, 1 << 18 | 1 << 14, None))
    checked(libc.mount(b"none", b"/dev/shm", b"tmpfs", 0, b"mode=1777"))
    return root


def furnish_network():
    link = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    fcntl.ioctl(link, 0x8914, struct.pack("16sH14s", b"lo", 0x49, b""))
    route = socket.socket(16, socket.SOCK_RAW, 0)
    for address in OUTSIDE:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        raw = socket.inet_pton(family, address)
        one, same = struct.pack("HH", 4 + len(raw), 2) + raw, struct.pack("HH", 4 + len(raw), 1) + raw
        body = struct.pack("BBBBI", family, len(raw) * 8, 2, 0, 1) + one + same
        head = struct.pack("IHHII", 16 + len(body), 20, 0x405, 1, 0)
        route.send(head + body)
        error = struct.unpack_from("i", route.recv(4096), 16)[0]
        if error:
            raise OSError(-error, "adding " + address)


def bound(family, kind, address):
    made = socket.socket(family, kind)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    made.bind(address)
    if kind != socket.SOCK_DGRAM:
        made.listen(64)
    return made


def listeners(where, abstract):
    """All that listens outside, by what its visitors are counted as."""
    six, stream, packet = socket.AF_INET6, socket.SOCK_STREAM, socket.SOCK_DGRAM
    main, quiet = bound(six, stream, ("::", 0)), bound(six, stream, ("::", 0))
    port, quiet_port = main.getsockname()[1], quiet.getsockname()[1]
    found = {"connection": main, "quiet connection": quiet,
             "datagram": bound(six, packet, ("::", port)),
             "metadata": bound(six, stream, ("::", 80)), "name": bound(six, packet, ("::", 53)),
             "name by connection": bound(six, stream, ("::", 53)),
             "time": bound(six, packet, ("::", 123)),
             "socket": bound(socket.AF_UNIX, stream, where),
             "abstract": bound(socket.AF_UNIX, stream, "\0" + abstract),
             "abstract datagram": bound(socket.AF_UNIX, packet, "\0" + abstract + "-datagrams"),
             "abstract sequence": bound(socket.AF_UNIX, socket.SOCK_SEQPACKET,
                                        "\0" + abstract + "-sequence")}
    os.chmod(where, 0o666)
    return {"port": port, "quiet_port": quiet_port}, found


def resolved(asked):
    labels, at = [], 12
    while asked[at]:
        labels.append(asked[at + 1:at + 1 + asked[at]].decode())
        at += 1 + asked[at]
    kind = asked[at + 1:at + 3]
    answer = b""
    if kind == b"\0\1":
        address = socket.inet_aton(NAMES.get(".".join(labels), ADDRESS))
        answer = b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4" + address
    head = asked[:2] + b"\x81\x80\0\1" + (b"\0\1" if answer else b"\0\0") + bytes(4)
    return head + asked[12:at + 5] + answer


def tend(found, secret, log):
    """Tells every visitor the secret and counts it, until the program ends."""
    null = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(null, standard)
    select = selectors.DefaultSelector()
    # A signal at the parent's death is not sent to root by one who is not.
    select.register(os.pidfd_open(os.getppid()), selectors.EVENT_READ, None)
    for name, listener in found.items():
        select.register(listener, selectors.EVENT_READ, name)
    while True:
        for key, _ in select.select():
            if key.data is None:
                return
            try:
                visit(key.fileobj, key.data, secret)
            except OSError:
                pass  # It left before it was told.
            os.write(log, (key.data + "\n").encode())


def visit(listener, name, secret):
    if listener.type == socket.SOCK_DGRAM:
        asked, sender = listener.recvfrom(2048)
        listener.sendto(resolved(asked) if name == "name" else secret, sender)
        return
    visitor, _ = listener.accept()
    visitor.settimeout(1)
    if name.startswith("name"):
        asked = resolved(visitor.recv(2048)[2:])
        visitor.sendall(struct.pack(">H", len(asked)) + asked)
    elif name == "metadata":
        visitor.recv(2048)
        visitor.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + secret)
    else:
        visitor.sendall(secret)
    visitor.close()


def child(act):
    """A process beside this one, which ends with it."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        act(writer)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        return pid, told.readline().strip()


# Holds the secret in every way that a process can.
NEIGHBOUR = """
import ctypes, os, signal
libc = ctypes.CDLL(None)
os.setpgid(0, 0)
libc.prctl(1, 9)
libc.prctl(15, b"neighbour")
held = ctypes.create_string_buffer(os.environ["SECRET"].encode(), 4096)
spare = ctypes.create_string_buffer(64)
file = os.open("secret.txt", os.O_RDONLY)
pipe = os.pipe()
print(ctypes.addressof(held), ctypes.addressof(spare), file, flush=True)
os.close(1)
while True:
    signal.pause()
"""


def neighbour(secret, where, python):
    def act(writer):
        os.chdir(where)
        os.dup2(writer, 1)
        os.execve(python, [python, "-I", "-S", "-c", NEIGHBOUR, secret.decode()],
                  {"SECRET": secret.decode()})
    pid, told = child(act)
    address, spare, file = map(int, told.split())
    return {"neighbour": pid, "neighbour_group": pid, "neighbour_address": address,
            "neighbour_spare": spare, "neighbour_file": file, "comm": "neighbour"}


def keys(secret):
    add = 217 if ARM else 248
    def added(name, held):
        kept = ctypes.create_string_buffer(held)
        key = libc.syscall(ctypes.c_long(add), b"user", name.encode(), kept,
                           ctypes.c_long(len(held)), ctypes.c_long(-4))
        control = 219 if ARM else 250
        libc.syscall(ctypes.c_long(control), ctypes.c_long(5), ctypes.c_long(key),
                     ctypes.c_long(0x3F3F0000))
        return key
    name = "attempts-%d" % os.getpid()
    return {"key_name": name, "key": added(name, secret), "spare_key": added(name + "-spare", b"x")}


def shared(secret):
    """Memory, semaphores and messages of System V, a queue of POSIX and a file in /dev/shm."""
    number = 0x5EC4E7
    segment = checked(libc.shmget(number, 4096, 0o1600))
    libc.shmat.restype = ctypes.c_void_p
    ctypes.memmove(libc.shmat(segment, None, 0), secret, len(secret))
    checked(libc.semget(number, 1, 0o1600))
    queue = checked(libc.msgget(number, 0o1600))
    message = ctypes.create_string_buffer(struct.pack("l", 1) + secret)
    checked(libc.msgsnd(queue, message, ctypes.c_size_t(len(secret)), 0))
    name = "attempts-%d" % os.getpid()
    attributes = struct.pack("8l", 0, 4, 1024, 0, 0, 0, 0, 0)
    posix = libc.syscall(ctypes.c_long(180 if ARM else 240), name.encode(),
                         ctypes.c_long(os.O_RDWR | os.O_CREAT), ctypes.c_long(0o600), attributes)
    send = 182 if ARM else 242
    checked(libc.syscall(ctypes.c_long(send), ctypes.c_long(checked(posix)), secret,
                         ctypes.c_long(len(secret)), ctypes.c_long(0), None))
    with open("/dev/shm/" + name, "wb") as file:
        file.write(secret)
    return {"ipc_key": number, "queue": name, "shared": name}


def descriptors(secret, where, abstract, pid):
    """What a server may have open without close-on-exec; it stays open through the program's start."""
    memory = os.memfd_create("secret", 0)
    os.write(memory, secret)
    reader, writer = os.pipe()
    os.write(writer, secret)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind("")
    listener.listen(1)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect("\0" + abstract)
    held = [memory, reader, listener.detach(), connection.detach(),
            os.open(where + "/secret.txt", os.O_RDWR), os.open(where, os.O_RDONLY),
            os.open("/proc/self/ns/net", os.O_RDONLY), os.pidfd_open(pid), os.eventfd(0),
            libc.inotify_init()]
    for one in held:
        os.set_inheritable(one, True)


def files(where, secret, user):
    os.makedirs(where + "/writable")
    for name in ("secret.txt", "victim.txt", "unreadable.txt"):
        with open(where + "/" + name, "wb") as file:
            os.chmod(file.fileno(), 0o600)
            file.write(secret)
    os.mkfifo(where + "/fifo", 0o600)
    for name in ("", "/writable", "/secret.txt", "/victim.txt", "/fifo"):
        os.chown(where + name, user, user)
    try:
        os.chown(where + "/unreadable.txt", STRANGER, STRANGER)
    except OSError:
        pass  # No other user exists here.


def handle(path):
    held = ctypes.create_string_buffer((128).to_bytes(4, "little") + bytes(132), 136)
    mount = ctypes.c_int()
    number = 264 if ARM else 303
    done = libc.syscall(ctypes.c_long(number), ctypes.c_long(-100), path.encode(), held,
                        ctypes.byref(mount), ctypes.c_long(0))
    size = int.from_bytes(held.raw[:4], "little")
    return held.raw[:8 + size].hex() if done == 0 else bytes(24).hex()


def disk():
    """What / lies on."""
    with open("/proc/self/mounts") as mounts:
        for line in mounts:
            device, place, kind = line.split()[:3]
            if place == "/" and device.startswith("/dev/"):
                number = os.stat(device).st_rdev
                return {"disk": device, "disk_type": kind,
                        "disk_number": [os.major(number), os.minor(number)]}
    return {"disk": "/dev/vda", "disk_type": "ext4", "disk_number": [254, 0]}


def usable(python, user):
    """Whether the user can run it: an interpreter in somebody's home is none for others."""
    pid = os.fork()
    if pid == 0:
        os.setuid(user)
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 2)
        try:
            os.execv(python, [python, "-I", "-c", "import ctypes, socket"])
        finally:
            os._exit(1)
    return os.waitpid(pid, 0)[1] == 0


def main():
    user, base, program = sys.argv[1], sys.argv[2], sys.argv[3:]
    user = 65534 if enter() and user == "nobody" else 0
    furnish_network()
    secret = secrets.token_hex(8)
    mark = "craton-" + secret[:8] + "-"
    secret = (mark + secrets.token_hex(8)).encode()
    where, abstract = base + "/outside", "attempts-%d" % os.getpid()
    files(where, secret, user)
    with open(base + "/resolv.conf", "w") as file:
        file.write("nameserver %s\n" % ADDRESS)
    os.chmod(base + "/resolv.conf", 0o644)
    checked(libc.mount((base + "/resolv.conf").encode(), b"/etc/resolv.conf", None, 4096, None))
    ports, found = listeners(where + "/socket", abstract)
    log = os.open(base + "/visitors", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def act(writer):
        os.write(writer, b"ready\n")
        os.close(writer)
        tend(found, secret, log)
    child(act)
    os.close(log)
    for listener in found.values():
        listener.close()
    python = next(one for one in (os.path.realpath(sys.executable), "/usr/bin/python3")
                  if usable(one, user))
    os.chown(base, user, user)
    if user:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
        libc.prctl(4, 1)
    world = {
        "dir": where, "secret": where + "/secret.txt", "victim": where + "/victim.txt",
        "unreadable": where + "/unreadable.txt", "writable": where + "/writable",
        "fifo": where + "/fifo", "socket": where + "/socket", "abstract": abstract, **ports,
        "address": ADDRESS, "address6": ADDRESS6, "mark": mark, "server": os.getpid(),
        "server_group": os.getpgrp(), "digest": hashlib.sha256(secret).hexdigest(),
        "handle": handle(where + "/secret.txt"), **disk(), **neighbour(secret, where, python),
        **keys(secret), **shared(secret),
    }
    descriptors(secret, where, abstract, world["neighbour"])
    variables = {name: os.environ[name] for name in ("PATH", "CRATON_LONG", "RUST_BACKTRACE")
                 if name in os.environ}
    stage = {"base": base, "python": python, "secret": secret.decode(), "world": world}
    os.execve(program[0], program, {**variables, "CRATON_STAGE": json.dumps(stage)})


main()
