"""A tool server behind mapped functions. It receives Lambda events over HTTP and remembers them."""

import dataclasses
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .server import ACCOUNT, REGION


def arn(name):
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"


# Functions that the server maps to this tool server, by declared effect.
READ, KEYED, ONCE, UNDECLARED = arn("tool-read"), arn("tool-keyed"), arn("tool-once"), arn("tool-plain")


@dataclasses.dataclass
class Call:
    event: dict
    key: str
    request: str
    began: float
    ended: float = None

    @property
    def what(self):
        return self.event.get("function") or self.event.get("apiPath")

    @property
    def given(self):
        return {p["name"]: p["value"] for p in self.event.get("parameters", [])}


def answer(event, body, state=None, status=200, **attributes):
    """What a Lambda function answers, for both kinds of schema."""
    text = body if isinstance(body, str) else json.dumps(body)
    response = {"actionGroup": event["actionGroup"]}
    if "function" in event:
        inner = {"responseBody": {"TEXT": {"body": text}}}
        if state:
            inner["responseState"] = state
        response |= {"function": event["function"], "functionResponse": inner}
    else:
        response |= {
            "apiPath": event["apiPath"], "httpMethod": event["httpMethod"],
            "httpStatusCode": status, "responseBody": {"application/json": {"body": text}},
        }
        if state:
            response["responseState"] = state
    return {"messageVersion": "1.0", "response": response, **attributes}


def later(event, token, **pending):
    """What a tool answers that brings its result later."""
    return {"messageVersion": "1.0", "craton": {"pending": {"token": token, **pending}}}


class ToolServer:
    """Calls are told apart by the agent's name, so that cases never meet."""

    def __init__(self):
        self._served, self.calls, self._lock = {}, {}, threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                event = json.loads(self.rfile.read(int(self.headers["content-length"])))
                call = Call(event, self.headers.get("idempotency-key"),
                            self.headers.get("lambda-runtime-aws-request-id"), time.monotonic())
                name = event["agent"]["name"]
                with server._lock:
                    server.calls.setdefault(name, []).append(call)
                serve = server._served.get(name)
                said = serve(event) if serve else f"no tool is served for {name}"
                call.ended = time.monotonic()
                status, said = said if isinstance(said, tuple) else (200, said)
                said = said if isinstance(said, dict) and "messageVersion" in said else answer(event, said)
                body = json.dumps(said).encode()
                try:
                    self.send_response(status)
                    self.send_header("content-type", "application/json")
                    self.send_header("content-length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except (BrokenPipeError, ConnectionResetError):
                    pass

            def log_message(self, *_):
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def serve(self, agent_name, function):
        """`function(event)` gives the body as text or JSON, or a whole Lambda answer; in a tuple after a status."""
        self._served[agent_name] = function

    def calls_of(self, agent_name):
        with self._lock:
            return list(self.calls.get(agent_name, []))

    def close(self):
        self._http.shutdown()
