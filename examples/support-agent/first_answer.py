"""Measures how long a newcomer waits, from the binary alone to the first answered question.

    python first_answer.py --craton ../../target/release/craton

Each way starts from an empty home, an empty temporary directory and a copy of the binary that the
machine has not run yet. What it prints is wall-clock time on this machine.
"""

import argparse
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
QUESTION = "Where is my order A-1001?"
PATIENCE = 60


class Newcomer:
    """An empty home with the binary in it."""

    def __init__(self, binary):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="craton-newcomer-"))
        self.binary = shutil.copy(binary, self.home / "craton")
        self.env = {"PATH": os.environ["PATH"], "HOME": str(self.home), "TMPDIR": str(self.home)}

    def run(self, *arguments):
        """Seconds until the command has ended well, and what it wrote."""
        began = time.monotonic()
        done = subprocess.run([self.binary, *arguments], env=self.env, cwd=self.home, text=True,
                              capture_output=True, timeout=PATIENCE)
        if done.returncode:
            raise SystemExit(f"craton {' '.join(arguments)} failed:\n{done.stderr}")
        return time.monotonic() - began, done.stdout

    def leave(self):
        shutil.rmtree(self.home)


def answered(words):
    if "A-1001" not in words:
        raise SystemExit(f"that was no answer: {words}")


def by_demo(newcomer):
    took, words = newcomer.run("demo", "--message", QUESTION)
    answered(words)
    yield "craton demo --message …", took


def by_hand(newcomer):
    """A server that stays, the example's file, and a question."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    shutil.copytree(HERE, newcomer.home / "support-agent", ignore=shutil.ignore_patterns("__pycache__"))
    newcomer.env |= {"AWS_ENDPOINT_URL": f"http://{address}"}
    began = time.monotonic()
    server = subprocess.Popen([newcomer.binary, "up", "--listen", address], env=newcomer.env,
                              cwd=newcomer.home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until_ready(f"http://{address}/_craton/v1/health")
        yield "craton up, until it answers", time.monotonic() - began
        took, _ = newcomer.run("deploy", "--yes", "support-agent/agent.yaml")
        yield "craton deploy agent.yaml", took
        took, words = newcomer.run("chat", "support", "--message", QUESTION)
        answered(words)
        yield "craton chat support --message …", took
    finally:
        server.terminate()
        server.wait(PATIENCE)


def until_ready(url):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=1).close()
            return
        except OSError:
            time.sleep(0.005)
    raise SystemExit("the server does not answer")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--craton", required=True, help="the binary")
    given = parser.parse_args()
    for way in (by_demo, by_hand):
        newcomer, total = Newcomer(given.craton), 0
        for what, took in way(newcomer):
            total += took
            print(f"{took:7.2f} s  {what}")
        print(f"{total:7.2f} s  to the first answer\n")
        newcomer.leave()


if __name__ == "__main__":
    main()
