"""The server under test, as a process of its own that may be killed."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

import boto3
from botocore.config import Config

REGION = "us-east-1"
ACCOUNT = "000000000000"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/service-role/conformance"
REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


def target():
    """Cargo's directory of what is built, where the clients' packages lie too."""
    return pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")).absolute()


def binary():
    """The binary under test: the variable CRATON, else what `cargo build` leaves behind."""
    return os.environ.get("CRATON", str(target() / "debug" / "craton"))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# Functions live in a jail: what a case and its function both look at lies in this folder.
SHARED = """
[functions.mounts]
"*" = ["shared:/mnt/shared:rw"]
"""


class Craton:
    """One server on one data directory and one port; both outlive its processes."""

    def __init__(self, home, config=""):
        self.home = pathlib.Path(home)
        self.shared = self.home / "shared"
        self.shared.mkdir(parents=True, exist_ok=True)
        self.config = self.home / "craton.toml"
        self.config.write_text(config + SHARED)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = None

    def start(self):
        log = open(self.home / "log.txt", "ab")
        self.process = subprocess.Popen(
            [
                binary(), "up",
                "--listen", f"127.0.0.1:{self.port}",
                "--data-dir", str(self.home / "data"),
                "--config", str(self.config),
            ],
            stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.home,
        )
        log.close()
        self._wait_until_it_answers()
        return self

    def _wait_until_it_answers(self):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended at once:\n{self.log()[-3000:]}")
            try:
                with urllib.request.urlopen(f"{self.url}/_craton/v1/health", timeout=1) as answer:
                    if answer.status == 200:
                        return
            except OSError:
                time.sleep(0.01)
        raise RuntimeError(f"no answer from the server:\n{self.log()[-3000:]}")

    def seen(self, path):
        """A path below `shared` as functions see it."""
        return str(pathlib.PurePosixPath("/mnt/shared", path.relative_to(self.shared)))

    def kill(self):
        """The end that no program can prepare for."""
        self.process.kill()
        self.process.wait()

    def stop(self, patience=15):
        """The end that one asks for."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(patience)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.process.returncode if self.process else None

    def log(self):
        return (self.home / "log.txt").read_text(errors="replace")

    def client(self, service, key="test", secret="test", url=None, region=REGION, **config):
        """A stock boto3 client. `config` is botocore's."""
        config.setdefault("retries", {"mode": "standard"})
        config.setdefault("connect_timeout", 5)
        config.setdefault("read_timeout", 60)
        config.setdefault("max_pool_connections", 64)
        return boto3.client(
            service,
            endpoint_url=url or self.url,
            region_name=region,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            config=Config(**config),
        )

    def tell(self, path, body=""):
        """A POST at the server's own door: its status, and the answer as JSON."""
        body = body if isinstance(body, str) else json.dumps(body)
        request = urllib.request.Request(f"{self.url}/_craton/v1{path}", body.encode(), method="POST")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def door(self, path):
        """A GET at the server's own door, as JSON."""
        with urllib.request.urlopen(f"{self.url}/_craton/v1{path}", timeout=10) as answer:
            return json.loads(answer.read())
