"""Sockets: families that a function has no use for, and ways to what listens outside."""

import errno
import os
import socket
import struct

from common import Refused, answers, first, proof

ALG, NETLINK, PACKET, VSOCK, XDP, QRTR, KEY, CAN, TIPC, KCM = 38, 16, 17, 40, 44, 42, 15, 29, 30, 41


def made(family, kind, protocol=0):
    socket.socket(family, kind, protocol).close()
    return "has a socket of family %d" % family


def to_the_hypervisor(w):
    return made(VSOCK, socket.SOCK_STREAM)


def to_the_hypervisor_by_datagrams(w):
    return made(VSOCK, socket.SOCK_DGRAM)


def to_the_hypervisor_in_sequence(w):
    return made(VSOCK, socket.SOCK_SEQPACKET)


def a_listener_for_the_hypervisor(w):
    listener = socket.socket(VSOCK, socket.SOCK_STREAM)
    listener.bind((0xFFFFFFFF, 54321))
    listener.listen(1)
    return "listens to the hypervisor"


def routes_of_the_kernel(w):
    return made(NETLINK, socket.SOCK_RAW, 0)


def routes_of_the_kernel_by_datagrams(w):
    return made(NETLINK, socket.SOCK_DGRAM, 0)


def sockets_of_the_kernel(w):
    return made(NETLINK, socket.SOCK_RAW, 4)


def the_firewall_of_the_kernel(w):
    return made(NETLINK, socket.SOCK_RAW, 12)


def events_of_devices(w):
    link = socket.socket(NETLINK, socket.SOCK_RAW, 15)
    link.bind((0, 1))
    return "hears of devices"


def generic_services_of_the_kernel(w):
    return made(NETLINK, socket.SOCK_RAW, 16)


def the_audit_of_the_kernel(w):
    return made(NETLINK, socket.SOCK_RAW, 9)


def algorithms_of_the_kernel_over_netlink(w):
    return made(NETLINK, socket.SOCK_RAW, 21)


def a_socket_with_another_type_and_flags(w):
    """The type carries flags, which a filter must not mistake for another type."""
    return made(NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, 0)


def an_address_is_added(w):
    """By the older way, which needs no netlink."""
    import fcntl
    link = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    address = struct.pack("16sH2s4s8s", b"lo:9", socket.AF_INET, b"", bytes([127, 9, 9, 9]), b"")
    fcntl.ioctl(link, 0x8916, address)
    return "gave lo another address"


def an_interface_goes_down(w):
    import fcntl
    link = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    flags = struct.pack("16sH14s", b"lo", 0x49, b"")
    fcntl.ioctl(link, 0x8914, flags)
    return "set the flags of lo"


def packets_of_the_wire(w):
    return made(PACKET, socket.SOCK_RAW, socket.htons(3))


def packets_of_the_wire_without_their_head(w):
    return made(PACKET, socket.SOCK_DGRAM, socket.htons(3))


def packets_of_the_wire_by_the_older_call(w):
    return made(socket.AF_INET, 10, socket.htons(3))


def raw_packets(w):
    return made(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)


def raw_packets_with_their_head(w):
    return made(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)


def raw_segments(w):
    return made(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)


def raw_packets_of_version_6(w):
    return made(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)


def algorithms_of_the_kernel(w):
    return made(ALG, socket.SOCK_SEQPACKET)


def packets_past_the_kernel(w):
    return made(XDP, socket.SOCK_RAW)


def messages_of_modems(w):
    return made(QRTR, socket.SOCK_DGRAM)


def keys_of_networks(w):
    return made(KEY, socket.SOCK_RAW, 2)


def frames_of_cars(w):
    return made(CAN, socket.SOCK_RAW, 1)


def messages_of_clusters(w):
    return made(TIPC, socket.SOCK_RDM)


def multiplexed_messages(w):
    return made(KCM, socket.SOCK_DGRAM)


def associations(w):
    return made(socket.AF_INET, socket.SOCK_STREAM, 132)


def connections_over_many_paths(w):
    """Its own code in the kernel, with a management interface; stream sockets are TCP's."""
    return made(socket.AF_INET, socket.SOCK_STREAM, 262)


def datagrams_of_half_a_checksum(w):
    return made(socket.AF_INET, socket.SOCK_DGRAM, 136)


def reached(family, address, w):
    link = socket.socket(family, socket.SOCK_STREAM)
    link.settimeout(2)
    link.connect(address)
    return proof(w, link.recv(200))


def the_machines_listener_on_loopback(w):
    return reached(socket.AF_INET, ("127.0.0.1", w.port), w)


def the_machines_listener_on_another_loopback(w):
    return first(["127.0.0.2", "127.1.2.3", "127.255.255.254"],
                 lambda host: reached(socket.AF_INET, (host, w.port), w))


def the_machines_listener_on_no_address(w):
    return reached(socket.AF_INET, ("0.0.0.0", w.port), w)


def the_machines_listener_on_its_own_address(w):
    return reached(socket.AF_INET, (w.address, w.port), w)


def the_machines_listener_on_version_6(w):
    return reached(socket.AF_INET6, ("::1", w.port), w)


def the_machines_listener_on_a_mapped_address(w):
    return reached(socket.AF_INET6, ("::ffff:127.0.0.1", w.port), w)


def the_machines_listener_on_its_own_address_of_version_6(w):
    return reached(socket.AF_INET6, (w.address6, w.port), w)


def the_machines_listener_by_fast_open(w):
    link = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 2, 0))
    link.sendto(b"hello", 0x20000000, (w.address, w.port))
    return proof(w, link.recv(200))


def the_machines_datagrams(w):
    link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    link.settimeout(2)
    link.connect((w.address, w.port))
    link.send(b"hello")
    return proof(w, link.recv(200))


def a_broadcast(w):
    link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    link.settimeout(2)
    link.sendto(b"hello", ("127.255.255.255", w.port))
    return proof(w, link.recv(200))


def another_functions_runtime(w):
    """The Runtime API of another function: to take its next event, or to answer for it."""
    host, port = w.other_api.rsplit(":", 1)
    if (host, port) == tuple(os.environ["AWS_LAMBDA_RUNTIME_API"].rsplit(":", 1)):
        raise Refused("that is its own")
    link = socket.create_connection((host, int(port)), 2)
    link.sendall(b"GET /2018-06-01/attempt HTTP/1.1\r\nHost: x\r\n\r\n")
    return "spoke to the runtime of another function" if b"InvalidPath" in link.recv(400) else None


def a_unix_socket_by_its_path(w):
    return reached(socket.AF_UNIX, w.socket, w)


def a_unix_socket_by_its_abstract_name(w):
    return reached(socket.AF_UNIX, "\0" + w.abstract, w)


def a_unix_datagram_by_its_abstract_name(w):
    link = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    link.bind("")
    link.settimeout(2)
    link.sendto(b"hello", "\0" + w.abstract + "-datagrams")
    return proof(w, link.recv(200))


def a_sequenced_unix_socket_by_its_abstract_name(w):
    link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    link.settimeout(2)
    link.connect("\0" + w.abstract + "-sequence")
    return proof(w, link.recv(200))


def the_identity_of_another_over_a_unix_socket(w):
    """A message that says that its sender is the first process and root."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    there.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    who = struct.pack("iII", w.server, 12345, 12345)
    with answers(errno.EINVAL, "no such user exists here"):
        here.sendmsg([b"x"], [(socket.SOL_SOCKET, 2, who)])
    return "spoke as another"


def a_low_port_is_listened_on(w):
    """Of the machine's own network, where a listener could stand in for a service."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind((w.address, 81))
    return "listens on port 81 of the machine"


def an_address_that_is_not_its_own_is_bound(w):
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.IPPROTO_IP, 19, 1)
    listener.bind(("203.0.113.7", 8080))
    return "bound a foreign address"


def a_mark_on_its_packets(w):
    link = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    link.setsockopt(socket.SOL_SOCKET, 36, 7)
    return "marked its packets"


def a_device_is_chosen(w):
    link = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    link.setsockopt(socket.SOL_SOCKET, 25, b"lo\0")
    if w.jailed:
        raise Refused("lo is all there is")
    return "chose the device"
