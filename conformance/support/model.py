"""A chat-completions server whose words each case writes itself, and which remembers every request.

It stands where OpenAI, vLLM or Ollama stand in production. A case takes a model id of its own, so
the cases share one server and never each other's words. Which reply goes out depends on the request
alone (the last user text and how often the model spoke since), as a real model's would: a repeated
request, after a crash, gets the same reply.
"""

import dataclasses
import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclasses.dataclass
class Say:
    """One reply. `calls` are (tool name, arguments); arguments given as text go out unread."""

    text: str = ""
    calls: list = dataclasses.field(default_factory=list)
    pieces: list = None      # the text in these pieces, when the request streams
    before: object = None    # called before anything is sent
    between: object = None   # called after the first piece
    status: int = 200        # anything else is the provider's refusal, with `text` as its words
    finish: str = None
    met: str = None          # the stop sequence that ended the words, as vLLM tells it

    @property
    def words(self):
        return "".join(self.pieces) if self.pieces else self.text


class Model:
    """One model id: what it says, and what it was asked."""

    def __init__(self, name):
        self.id = name
        self.requests = []
        self._turns = []

    def turn(self, *replies, said=""):
        """For user words that `said` is found in: one reply per model call of the turn."""
        self._turns.append((re.compile(said, re.I | re.S), replies))
        return self

    def reply(self, request):
        self.requests.append(request)
        said, step = last_words(request["messages"])
        for pattern, replies in self._turns:
            if pattern.search(said):
                reply = replies[min(step, len(replies) - 1)]
                return reply(request) if callable(reply) else reply
        return Say(text=f"no reply is written for {said!r}", status=400)


def last_words(messages):
    """The last user text, and how often the model has spoken since."""
    said, step = "", 0
    for message in messages:
        if message["role"] == "user":
            said, step = text_of(message["content"]), 0
        elif message["role"] == "assistant":
            step += 1
    return said, step


def text_of(content):
    if isinstance(content, str) or content is None:
        return content or ""
    return "\n".join(part.get("text", "") for part in content)


def tool_results(request):
    """The tool results of a request, in order, as text."""
    return [text_of(m["content"]) for m in request["messages"] if m["role"] == "tool"]


def tool_names(request):
    return [tool["function"]["name"] for tool in request.get("tools", [])]


def embeddings(model, request):
    """A vector of each text's length, the last text's first."""
    model.requests.append(request)
    vectors = [{"index": index, "embedding": [float(len(text)), -1.0]} for index, text in enumerate(request["input"])]
    return {"data": vectors[::-1], "usage": {"prompt_tokens": 3 * len(vectors)}}


class ModelServer:
    def __init__(self):
        self.models = {}
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                request = json.loads(body)
                request["_raw"] = body
                model = server.models.get(request["model"])
                if model and self.path.endswith("/embeddings"):
                    return self._whole(200, embeddings(model, request))
                say = model.reply(request) if model else Say("there is no such model", status=404)
                if say.before:
                    say.before()
                try:
                    self._send(say, request)
                except (BrokenPipeError, ConnectionResetError):
                    pass

            def _send(self, say, request):
                if say.status != 200:
                    return self._whole(say.status, {"error": {"message": say.text}})
                if request.get("stream"):
                    return self._stream(say, request)
                if say.between:
                    say.between()
                message = {"role": "assistant", "content": say.words or None}
                if say.calls:
                    message["tool_calls"] = calls(say, request)
                self._whole(200, {
                    "id": "chatcmpl-1", "object": "chat.completion", "created": int(time.time()),
                    "model": request["model"],
                    "choices": [{"index": 0, "message": message, "finish_reason": finish(say),
                                 "stop_reason": say.met}],
                    "usage": USAGE,
                })

            def _whole(self, status, answer):
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def _stream(self, say, request):
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.send_header("connection", "close")
                self.end_headers()
                self.close_connection = True
                pieces = say.pieces or ([say.text] if say.text else [])
                for place, piece in enumerate(pieces):
                    self._event({"content": piece})
                    if place == 0 and say.between:
                        say.between()
                for index, call in enumerate(calls(say, request)):
                    self._event({"tool_calls": [{"index": index, **call}]})
                self._event({}, finish(say), say.met)
                self._line({"choices": [], "usage": USAGE, "object": "chat.completion.chunk"})
                self.wfile.write(b"data: [DONE]\n\n")

            def _event(self, delta, reason=None, met=None):
                choice = {"index": 0, "delta": delta, "finish_reason": reason, "stop_reason": met}
                self._line({"object": "chat.completion.chunk", "choices": [choice]})

            def _line(self, value):
                self.wfile.write(b"data: " + json.dumps(value).encode() + b"\n\n")
                self.wfile.flush()

            def log_message(self, *_):
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/v1"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def model(self, name):
        return self.models.setdefault(name, Model(name))

    def close(self):
        self._http.shutdown()


USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}


def calls(say, request):
    spoken = sum(m["role"] == "assistant" for m in request["messages"])
    return [
        {
            "id": f"call_{spoken}_{place}", "type": "function",
            "function": {
                "name": name,
                "arguments": given if isinstance(given, str) else json.dumps(given),
            },
        }
        for place, (name, given) in enumerate(say.calls)
    ]


def finish(say):
    return say.finish or ("tool_calls" if say.calls else "stop")
