"""A tool server that does what it is asked and then, as often as it is told to, drops the connection.

It counts what took effect, by idempotency key, so that a case can compare what a server says with
what happened. `keep` recognises its keys, `pay` and `charge` do not; `status` says what became of a
call of its own key.
"""

import json
import random
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .tools import answer, arn

SHOP = arn("unreliable-shop")

# Retries without a pause, and no breaker: the cases are about what is repeated, not about when.
EAGER = "retry = { base_seconds = 0.0 }, breaker = { least_calls = 1000000, loop_calls = 1000000 }"


def settings(server, models):
    """craton.toml of a server whose agents shop here."""
    return f"""
[providers.test]
kind = "openai"
base_url = "{models.url}"

[[models]]
match = "*"
provider = "test"

[functions.map]
"{SHOP}" = "{server.url}"

[tools]
"{SHOP}:look" = {{ effect = "read", {EAGER} }}
"{SHOP}:status" = {{ effect = "read", {EAGER} }}
"{SHOP}:keep" = {{ effect = "keyed", {EAGER} }}
"{SHOP}:pay" = {{ {EAGER} }}
"{SHOP}:charge" = {{ effect = "compensable", probe = "status", undo = "refund", {EAGER} }}
"{SHOP}:refund" = {{ effect = "keyed", {EAGER} }}
"{SHOP}:sign" = {{ on_unknown = "park", {EAGER} }}
"""


class Unreliable:
    def __init__(self, share=0.0, seed=1):
        self.share, self._dice = share, random.Random(seed)
        # By key: how often it took effect, and whether each reply was lost.
        self.effects, self.lost, self.lock = {}, {}, threading.Lock()
        # By what the case calls the call: the keys that came with it, in the event and the header.
        self.keys, self.attempts = {}, {}
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                event = json.loads(self.rfile.read(int(self.headers["content-length"])))
                said = server.serve(event, self.headers.get("idempotency-key"))
                if said is None:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                body = json.dumps(answer(event, said)).encode()
                try:
                    self.send_response(200)
                    self.send_header("content-type", "application/json")
                    self.send_header("content-length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except (BrokenPipeError, ConnectionResetError):
                    pass

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_):
                """A client that was killed in the middle of its request."""

        self._http = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def serve(self, event, header):
        """What is answered; None where the reply is lost."""
        tool, key = event["function"], event["idempotencyKey"]
        given = {p["name"]: p["value"] for p in event.get("parameters", [])}
        with self.lock:
            if tool == "status":
                done = self.effects.get(key, 0) > 0
                return {"outcome": "done" if done else "not_done", "result": f"charge {given['n']}"}
            call = (tool, given["n"])
            self.keys.setdefault(call, set()).update({key, header})
            self.attempts[call] = self.attempts.get(call, 0) + 1
            if tool == "keep":
                self.effects[key] = 1
            elif tool != "look":
                self.effects[key] = self.effects.get(key, 0) + 1
            lost = self._dice.random() < self.share
            self.lost[key] = lost
        return None if lost else f"{tool} {given['n']}"

    def effects_of(self, key):
        with self.lock:
            return self.effects.get(key, 0)

    def close(self):
        self._http.shutdown()
