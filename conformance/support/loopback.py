"""Keeps a Python program on the loopback, and remembers where else it wanted to go."""

import ipaddress
import socket

HOSTS = ("localhost", "127.0.0.1", "::1", None, "")


class Loopback:
    """While it is entered, every other address is refused as an unreachable one would be."""

    def __init__(self):
        self.strayed = []

    def __enter__(self):
        self._connect, self._lookup = socket.socket.connect, socket.getaddrinfo

        def connect(sock, address):
            if sock.family in (socket.AF_INET, socket.AF_INET6) and not is_near(address[0]):
                raise self._stray(address)
            return self._connect(sock, address)

        def lookup(host, *rest, **named):
            name = host.decode() if isinstance(host, bytes) else host
            if not is_near(name):
                raise self._stray(name)
            return self._lookup(host, *rest, **named)

        socket.socket.connect, socket.getaddrinfo = connect, lookup
        return self

    def __exit__(self, *_):
        socket.socket.connect, socket.getaddrinfo = self._connect, self._lookup

    def _stray(self, where):
        self.strayed.append(where)
        return OSError(f"the case keeps to the loopback; {where} is elsewhere")


def is_near(host):
    try:
        return host in HOSTS or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
