"""Model providers that misbehave, over the real binary: each call ends in one of AWS's exceptions
within its time, and the session of an agent that met one goes on with its next turn."""

import socketserver
import threading
import time

import pytest
from botocore.exceptions import ClientError, EventStreamError

from support.agents import Agent, unique
from support.model import Say
from support.server import Craton

HEAD = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: "
EVENTS = HEAD + b"text/event-stream\r\n\r\n"
JSON = HEAD + b"application/json\r\n\r\n"
WORD = b'data: {"choices": [{"index": 0, "delta": {"content": "Hel"}}]}\n\n'

# What a model of this name does once it has read its request, and what Converse says of it.
PEERS = {
    "hangs": (lambda s: s.recv(1), "ModelTimeoutException"),
    "head-only": (lambda s: (s.sendall(EVENTS), s.recv(1)), "ModelTimeoutException"),
    "closes": (lambda s: None, "ServiceUnavailableException"),
    "cut": (lambda s: s.sendall(EVENTS + WORD), "ModelErrorException"),
    "cut-within": (lambda s: s.sendall(EVENTS + WORD[:20]), "ModelErrorException"),
    "garbage": (lambda s: s.sendall(JSON + b'{"choi'), "ModelErrorException"),
    "page": (lambda s: s.sendall(HEAD + b"text/html\r\n\r\n<html>log in</html>"), "ModelErrorException"),
    "nothing": (lambda s: s.sendall(JSON), "ModelErrorException"),
    "error-inside": (lambda s: s.sendall(JSON + b'{"error": {"code": 503, "message": "loading"}}'),
                     "ServiceUnavailableException"),
    "storm": (lambda s: s.sendall(b"HTTP/1.1 429 No\r\nconnection: close\r\n\r\n"), "ThrottlingException"),
    "wait": (lambda s: s.sendall(b"HTTP/1.1 429 No\r\nconnection: close\r\nretry-after: 900\r\n\r\n"),
             "ThrottlingException"),
    "busy": (lambda s: s.sendall(b"HTTP/1.1 529 Overloaded\r\nconnection: close\r\n\r\n"),
             "ServiceUnavailableException"),
    "stranger": (lambda s: s.sendall(b"SSH-2.0-OpenSSH_9.6\r\n"), "ServiceUnavailableException"),
    "giant": (lambda s: s.sendall(JSON + b" " * (20 << 20)), "ModelErrorException"),
}


class Peer(socketserver.BaseRequestHandler):
    def handle(self):
        asked = b""
        while b'"model"' not in asked or not asked.rstrip().endswith(b"}"):
            more = self.request.recv(65536)
            if not more:
                return
            asked += more
        name = asked.split(b'"model":"')[1].split(b'"')[0].decode()
        try:
            PEERS[name.removeprefix("bad.")][0](self.request)
        except OSError:
            pass      # the server has hung up, which is what it should do


@pytest.fixture(scope="module")
def bad(tmp_path_factory, settings):
    """A server of its own: models `bad.NAME` misbehave, all others are the cases' own."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Peer) as peers:
        peers.daemon_threads = True
        threading.Thread(target=peers.serve_forever, daemon=True).start()
        port = peers.server_address[1]
        entry = f"""
[providers.bad]
kind = "openai"
base_url = "http://127.0.0.1:{port}"
first_byte_timeout_seconds = 2
idle_timeout_seconds = 2
timeout_seconds = 10

[[models]]
match = "bad.*"
provider = "bad"
"""
        server = Craton(tmp_path_factory.mktemp("bad"), entry + settings).start()
        yield server
        server.stop()
        peers.shutdown()


def ask(name):
    return {"modelId": f"bad.{name}", "messages": [{"role": "user", "content": [{"text": "Hi"}]}]}


@pytest.mark.parametrize("name", PEERS)
def test_converse_ends_in_one_of_its_exceptions(bad, name):
    brt = bad.client("bedrock-runtime")
    began = time.monotonic()
    with pytest.raises(ClientError) as refused:
        brt.converse(**ask(name))
    assert refused.value.response["Error"]["Code"] == PEERS[name][1]
    assert time.monotonic() - began < 20


def test_a_stream_without_a_word_is_refused_before_it_begins(bad):
    with pytest.raises(ClientError) as refused:
        bad.client("bedrock-runtime").converse_stream(**ask("head-only"))
    assert refused.value.response["Error"]["Code"] == "ModelTimeoutException"


def test_a_stream_that_began_ends_in_an_exception_of_the_stream(bad):
    stream = bad.client("bedrock-runtime").converse_stream(**ask("cut"))["stream"]
    heard = []
    with pytest.raises(EventStreamError) as broken:
        for event in stream:
            heard.append(next(iter(event)))
    assert "modelStreamErrorException" in str(broken.value)
    assert heard == ["messageStart", "contentBlockDelta"]


@pytest.mark.parametrize("name", ["garbage", "cut", "hangs"])
def test_a_session_goes_on_after_its_model_misbehaved(bad, models, name):
    """The turn fails by an exception; the session takes the next one, from a model that works."""
    cp, rt = bad.client("bedrock-agent"), bad.client("bedrock-agent-runtime")
    agent = Agent(cp, rt, models.model(unique("good")), None)
    agent.model.turn(Say("Here I am."))
    agent.prepare()
    good = agent.model.id
    session = unique("session")
    agent.update(foundationModel=f"bad.{name}")
    agent.prepare()
    with pytest.raises((ClientError, EventStreamError)) as failed:
        agent.talk("Are you there?", session=session)
    assert "dependencyfailed" in str(failed.value).lower()
    agent.update(foundationModel=good)
    agent.prepare()
    assert agent.talk("And now?", session=session).text == "Here I am."
