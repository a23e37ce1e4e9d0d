"""The shop's payment desk: a small server of its own, with a ledger that outlives everybody.

It stands for the system outside that an agent must not trick into paying twice. A refund is booked
and committed first, and answered afterwards. A request that carries an Idempotency-Key is booked
once, however often it comes. What the demo claims about refunds is read from this ledger.

    python payments.py --ledger ledger.db --port 4800
"""

import argparse
import json
import sqlite3
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

TABLE = """
CREATE TABLE IF NOT EXISTS refund (
    number INTEGER PRIMARY KEY, order_id TEXT NOT NULL, cents INTEGER NOT NULL,
    reason TEXT, approved_by TEXT, key TEXT UNIQUE
)"""


class Ledger:
    def __init__(self, path):
        self._lock = threading.Lock()
        self._rows = sqlite3.connect(path, check_same_thread=False)
        self._rows.row_factory = sqlite3.Row
        self._rows.execute(TABLE)

    def book(self, order_id, amount, reason=None, approved_by=None, key=None):
        """One refund; a key that is known already books nothing."""
        with self._lock, self._rows:
            if key:
                known = self._rows.execute("SELECT * FROM refund WHERE key = ?", (key,)).fetchone()
                if known:
                    return shown(known)
            cursor = self._rows.execute(
                "INSERT INTO refund (order_id, cents, reason, approved_by, key) VALUES (?,?,?,?,?)",
                (order_id, round(float(amount) * 100), reason, approved_by, key),
            )
            number = cursor.lastrowid
        return self.all("number = ?", number)[0]

    def all(self, where="1", *values):
        rows = self._rows.execute(f"SELECT * FROM refund WHERE {where} ORDER BY number", values)
        return [shown(row) for row in rows.fetchall()]


def shown(row):
    return {
        "refund_id": f"R-{row['number']}", "order_id": row["order_id"],
        "amount": row["cents"] / 100, "status": "paid",
        **({"approved_by": row["approved_by"]} if row["approved_by"] else {}),
    }


def handler(ledger):
    hold = {"seconds": 0.0}

    class Desk(BaseHTTPRequestHandler):
        def do_GET(self):
            url = urlparse(self.path)
            order = parse_qs(url.query).get("order_id")
            found = ledger.all("order_id = ?", order[0]) if order else ledger.all()
            self.reply(200, {"count": len(found), "refunds": found})

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
            if self.path == "/hold":
                hold["seconds"] = body["seconds"]
                return self.reply(200, hold)
            refund = ledger.book(**body, key=self.headers.get("Idempotency-Key"))
            time.sleep(hold["seconds"])  # The money is gone already; only the word is late.
            self.reply(200, refund)

        def reply(self, status, value):
            body = json.dumps(value).encode()
            try:
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except (BrokenPipeError, ConnectionResetError):
                pass  # Whoever asked is gone. The refund stays booked.

        def log_message(self, *_):
            pass

    return Desk


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ledger", default="ledger.db")
    parser.add_argument("--port", type=int, default=4800)
    given = parser.parse_args()
    server = ThreadingHTTPServer(("127.0.0.1", given.port), handler(Ledger(given.ledger)))
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
