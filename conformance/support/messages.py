"""The cases' model behind Anthropic's Messages API: the same words as `model.py` gives, another wire.

A `Thoughtful` is a `Say` with what the model thought first. The server signs it, and answers 400 to a
request that brings a thought back in any other form, as the real API does.
"""

import dataclasses
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .model import Model, Say


@dataclasses.dataclass
class Thoughtful(Say):
    """A reply that begins with a thought and, on the wire of some models, with one nobody may read."""

    thought: str = "hm \n ü"
    redacted: str = None


class MessagesServer:
    def __init__(self):
        self.models = {}
        self.headers = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                request = json.loads(self.rfile.read(int(self.headers["content-length"])))
                server.headers.append(dict(self.headers))
                assert self.path == "/v1/messages", self.path
                model = server.models.get(request["model"])
                if model is None:
                    return self._refuse(404, "not_found_error", f"model: {request['model']}")
                say = model.reply(spoken(request))
                model.requests[-1] = request
                if say.before:
                    say.before()
                if say.status != 200:
                    return self._refuse(say.status, KINDS[say.status], say.text)
                altered = next(altered_thoughts(request), None)
                if altered:
                    return self._refuse(400, "invalid_request_error", altered)
                try:
                    self._stream(say, request)
                except (BrokenPipeError, ConnectionResetError):
                    pass

            def _refuse(self, status, kind, message):
                body = json.dumps({"type": "error", "error": {"type": kind, "message": message}}).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                if status == 429:
                    self.send_header("retry-after", "0")
                self.end_headers()
                self.wfile.write(body)

            def _stream(self, say, request):
                assert request["stream"] is True
                self.send_response(200)
                self.send_header("content-type", "text/event-stream; charset=utf-8")
                self.send_header("connection", "close")
                self.end_headers()
                self.close_connection = True
                usage = {"input_tokens": 11, "cache_read_input_tokens": 3,
                         "cache_creation_input_tokens": 2, "output_tokens": 1}
                self._event("message_start", message={"type": "message", "role": "assistant",
                                                      "content": [], "usage": usage})
                for index, (block, deltas) in enumerate(blocks(say, request)):
                    self._event("content_block_start", index=index, content_block=block)
                    self._event("ping")
                    for place, delta in enumerate(deltas):
                        self._event("content_block_delta", index=index, delta=delta)
                        if place == 0 and block["type"] == "text" and say.between:
                            say.between()
                    self._event("content_block_stop", index=index)
                reason = say.finish or ("tool_use" if say.calls else "end_turn")
                self._event("message_delta", delta={"stop_reason": reason}, usage={"output_tokens": 7})
                self._event("message_stop")

            def _event(self, kind, **members):
                data = json.dumps({"type": kind, **members})
                self.wfile.write(f"event: {kind}\ndata: {data}\n\n".encode())
                self.wfile.flush()

            def log_message(self, *_):
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def model(self, name):
        return self.models.setdefault(name, Model(name))

    def close(self):
        self._http.shutdown()


KINDS = {400: "invalid_request_error", 401: "authentication_error", 413: "request_too_large",
         429: "rate_limit_error", 500: "api_error", 529: "overloaded_error"}


def signature(thought):
    return f"EqQB{len(thought)}/+=={thought.encode().hex()}"


def blocks(say, request):
    """The blocks of a reply as they begin, and the deltas that fill them."""
    if isinstance(say, Thoughtful):
        yield ({"type": "thinking", "thinking": "", "signature": ""},
               [{"type": "thinking_delta", "thinking": say.thought},
                {"type": "signature_delta", "signature": signature(say.thought)}])
        if say.redacted:
            yield {"type": "redacted_thinking", "data": say.redacted}, []
    pieces = say.pieces or ([say.text] if say.text else [])
    if pieces:
        yield ({"type": "text", "text": ""}, [{"type": "text_delta", "text": p} for p in pieces])
    said = sum(m["role"] == "assistant" for m in request["messages"])
    for place, (name, given) in enumerate(say.calls):
        text = given if isinstance(given, str) else json.dumps(given)
        half = len(text) // 2
        yield ({"type": "tool_use", "id": f"toolu_{said}_{place}", "name": name, "input": {}},
               [{"type": "input_json_delta", "partial_json": p} for p in (text[:half], text[half:])])


def spoken(request):
    """The request as `Model.reply` reads one: a message of nothing but results is no new question."""
    return {"messages": [
        m for m in request["messages"]
        if m["role"] == "assistant" or any(b["type"] == "text" for b in m["content"])
    ]}


def altered_thoughts(request):
    for message in request["messages"]:
        for block in message["content"] if message["role"] == "assistant" else []:
            if block["type"] == "thinking" and block["signature"] != signature(block["thinking"]):
                yield "Invalid `signature` in `thinking` block"


def results(request):
    """The tool results of a request, in order."""
    blocks = [b for m in request["messages"] if m["role"] == "user" for b in m["content"]]
    return [b for b in blocks if b["type"] == "tool_result"]
