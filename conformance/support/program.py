"""A client in another language: a process that speaks with its case in lines of JSON.

What the case gives it stands in the variable CASE. Each line it writes is one value that the case
hears; a line that the case tells reaches it on standard input. Its standard error is shown when it
fails. Clients find the server by the variables that AWS's SDKs read, and by nothing else.
"""

import json
import os
import queue
import subprocess
import threading

from .server import REGION

PATIENCE = 60
_ENDED = object()


class Program:
    def __init__(self, command, url, given=None, **variables):
        environment = {
            "PATH": os.environ.get("PATH", ""), "AWS_ENDPOINT_URL": url, "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "CASE": json.dumps(given or {}),
        }
        self._process = subprocess.Popen(
            command, env=environment | variables, text=True, encoding="utf-8",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        self._lines, self._complaints = queue.Queue(), []
        self._readers = [threading.Thread(target=each, daemon=True)
                         for each in (self._read_lines, self._read_complaints)]
        for reader in self._readers:
            reader.start()

    def _read_lines(self):
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(_ENDED)

    def _read_complaints(self):
        self._complaints.extend(self._process.stderr)

    def hear(self):
        """The next value that the program says."""
        try:
            line = self._lines.get(timeout=PATIENCE)
        except queue.Empty:
            self.close()
            raise AssertionError(f"the client said nothing for {PATIENCE} s{self._why()}") from None
        assert line is not _ENDED, f"the client ended without a word{self._why()}"
        return json.loads(line)

    def tell(self, value):
        self._process.stdin.write(json.dumps(value) + "\n")
        self._process.stdin.flush()

    def result(self):
        """The one value that is left to say; then the program must end well."""
        value = self.hear()
        try:
            code = self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.close()
            raise AssertionError(f"the client did not end{self._why()}") from None
        assert code == 0, f"the client ended with {code}{self._why()}"
        left = self._lines.get(timeout=PATIENCE)
        assert left is _ENDED, f"the client said more: {left}"
        return value

    def close(self):
        self._process.kill()
        self._process.wait()

    def _why(self):
        if self._process.poll() is not None:
            self._readers[1].join(PATIENCE)
        return ":\n" + "".join(self._complaints)[-4000:]
