"""What examples/ ships, run as its readme says: `craton deploy`, then a conversation."""

import sqlite3

from .agents import unique
from .server import REPOSITORY
from .terminal import run

EXAMPLES = REPOSITORY / "examples"


class Example:
    """One folder of examples/, deployed on a server, with a ledger of its own."""

    def __init__(self, name, server, file="agent.yaml", **environment):
        self.folder, self.name, self.server = EXAMPLES / name, name, server
        self.ledger = server.shared / f"{unique('ledger')}.db"
        done = run("deploy", str(self.folder / file), "--yes", url=server.url,
                   LEDGER=server.seen(self.ledger), **environment)
        assert done.returncode == 0, done.stderr

    def talk(self):
        """The conversation of talk.txt: each answer, and what was called in between."""
        return self._chat(said=(self.folder / "talk.txt").read_text())

    def ask(self, words):
        return self._chat("--message", words)

    def _chat(self, *arguments, said=""):
        done = run("chat", self.name, *arguments, url=self.server.url, said=said)
        assert done.returncode == 0, done.stderr
        calls = [line.split(" ms ", 1)[1] for line in done.stderr.splitlines() if " → " in line]
        return done.stdout.splitlines(), calls

    def rows(self, query):
        with sqlite3.connect(self.ledger) as ledger:
            return ledger.execute(query).fetchall()
