"""The binary's verbs as a person or a script uses them: by pipes, and on a terminal of their own."""

import errno
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from fcntl import ioctl

from .server import REGION, binary

ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|[@-Z\\-_])")


def environment(url=None, **more):
    known = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "CRATON_"))}
    pointed = {"AWS_ENDPOINT_URL": url} if url else {}
    return {**known, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION, **pointed, **more}


def run(*arguments, url=None, said="", timeout=60, **more):
    """The verb with pipes for its ends: returncode, stdout and stderr of it."""
    return subprocess.run(
        [binary(), *arguments], input=said, text=True, capture_output=True, timeout=timeout,
        env=environment(url, **more))


class Terminal:
    """The verb on a pseudo-terminal."""

    def __init__(self, *arguments, url=None, columns=100, **more):
        environ = environment(url, TERM="xterm-256color", **more)
        self.pid, self._end = pty.fork()
        if self.pid == 0:
            os.execve(binary(), [binary(), *arguments], environ)
            sys.exit(127)
        ioctl(self._end, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        self.raw = ""
        self._read_until = 0

    @property
    def text(self):
        """All that was written so far, without the escape sequences."""
        return ESCAPES.sub("", self.raw)

    def until(self, words, timeout=20):
        """Waits until the words are written behind those that were waited for before."""
        deadline = time.monotonic() + timeout
        while True:
            found = self.text.find(words, self._read_until)
            if found >= 0:
                self._read_until = found + len(words)
                return self
            left = deadline - time.monotonic()
            assert left > 0 and self._more(left), f"{words!r} never came:\n{self.text}"

    def type(self, text):
        os.write(self._end, text.encode())
        return self

    def end(self, timeout=20):
        """The exit code, once the verb has ended by itself."""
        deadline = time.monotonic() + timeout
        while self._more(deadline - time.monotonic()):
            assert time.monotonic() < deadline, f"it does not end:\n{self.text}"
        _, status = os.waitpid(self.pid, 0)
        self.pid = None
        return os.waitstatus_to_exitcode(status)

    def close(self):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._end)

    def _more(self, within):
        ready, _, _ = select.select([self._end], [], [], max(within, 0))
        if not ready:
            return within > 0
        try:
            read = os.read(self._end, 65536)
        except OSError as error:  # Linux says so when the other end has closed.
            assert error.errno == errno.EIO
            read = b""
        self.raw += read.decode(errors="replace")
        return bool(read)
