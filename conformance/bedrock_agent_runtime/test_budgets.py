"""Budgets: no call beyond them, a run that is stopped keeps its state and goes on, and alerts reach a signed webhook."""

import hashlib
import hmac
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from support.agents import Agent, function, unique, until
from support.model import Say, text_of
from support.server import Craton
from support.tools import READ

SECRET = "a secret of the cases"


class Sink:
    """A receiver of alerts that fails as often as it is told to."""

    def __init__(self):
        self.failing, self.seen = {}, []    # how often to fail what has a word in it
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                sink.seen.append((dict(self.headers), body))
                word = next((word for word in sink.failing if word and word.encode() in body), "")
                sink.failing[word] = sink.failing.get(word, 0) - 1
                self.send_response(503 if sink.failing[word] >= 0 else 204)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/alerts"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def of(self, kind, about=""):
        told = [json.loads(body) for _, body in self.seen]
        return [alert for alert in told if alert["type"] == kind and about in json.dumps(alert)]

    def close(self):
        self._http.shutdown()


@pytest.fixture(scope="module")
def sink():
    sink = Sink()
    yield sink
    sink.close()


@pytest.fixture(scope="module")
def capped(tmp_path_factory, settings, sink):
    """A server whose runs have 12,000 tokens each, unless an agent's tags give less."""
    home = tmp_path_factory.mktemp("capped")
    (home / "alerts-secret").write_text(SECRET + "\n")
    server = Craton(home, f"""
{settings}
[budgets]
run = {{ tokens = 12_000 }}

[alerts]
url = "{sink.url}"
secret = "file:{home}/alerts-secret"
""").start()
    yield server
    server.stop()


@pytest.fixture
def agent_of(capped, models, tools):
    def make(**tags):
        fields = {"tags": {f"craton:budget-{name}".replace("_", "-"): value for name, value in tags.items()}}
        name = unique("capped")
        one = Agent(
            capped.client("bedrock-agent"), capped.client("bedrock-agent-runtime"),
            models.model(name), tools, agentName=name, **(fields if tags else {}),
        )
        one.group(function("look", x=("integer", "a number")), executor=READ)
        return one.serve(lambda call: "seen").prepare()
    return make


def run_of(answer):
    return answer["ResponseMetadata"]["HTTPHeaders"]["x-craton-run-id"]


def costs(heard):
    texts = [trace["customOrchestrationTrace"]["event"]["text"]
             for trace in heard.traces if "customOrchestrationTrace" in trace]
    return [json.loads(text)["costPolicy"] for text in texts]


def test_a_run_without_room_ends_gracefully_and_goes_on_once_it_has_more(capped, agent_of, sink):
    one = agent_of(run_tokens="2500")
    one.model.turn(Say(calls=[("shop__look", {"x": 1})]), Say("It is done."))
    answer = one.invoke("Look at " + "it " * 1500, enableTrace=True)
    run = run_of(answer)
    said = "".join(e["chunk"]["bytes"].decode() for e in answer["completion"] if "chunk" in e)
    assert "the budget of this run (2500 tokens) has no room" in said and "Left undone" in said
    shown = capped.door(f"/runs/{run}")
    assert shown["run"]["status"] == "parked"
    assert one.model.requests == []
    live = capped.door("/runs?status=parked")["runs"]
    assert any(r["run"] == run and "budget" in r["standing"]["waitsFor"] for r in live)
    assert capped.tell(f"/runs/{run}/resume", {"tokens": 20000})[0] == 200
    until(lambda: capped.door(f"/runs/{run}")["run"]["status"] == "answered")
    assert capped.door(f"/runs/{run}")["answer"]["text"] == "It is done."
    until(lambda: sink.of("budget.exceeded", run))


def test_the_trace_of_a_breach_is_an_intervention_with_its_costs(agent_of):
    one = agent_of(call_tokens="300")
    one.model.turn(Say("never said"))
    heard = one.talk("a long question " * 100)
    assert [t["guardrailTrace"]["action"] for t in heard.traces if "guardrailTrace" in t] == ["INTERVENED"]
    assert costs(heard)[0]["scope"] == "call" and costs(heard)[0]["limit"] == 300
    assert one.model.requests == []


def test_the_answer_is_capped_and_near_the_end_the_model_is_told(agent_of):
    one = agent_of(run_tokens="4500")
    one.model.turn(Say("Here is what I have."), said="nearly used up")
    one.model.turn(Say("not told"))
    assert one.talk("hello").text == "Here is what I have."
    (request,) = one.model.requests
    assert 256 <= request.get("max_tokens", request.get("max_completion_tokens")) <= 4000
    assert "nearly used up" in text_of(request["messages"][-1]["content"])


def test_an_alert_is_signed_tried_again_and_told_once(capped, agent_of, sink):
    one = agent_of(session_tokens="300")
    one.model.turn(Say("never said"))
    session = unique("session")
    sink.failing[session] = 2
    for _ in range(3):
        assert "has no room" in one.talk("hello", session=session).text
    until(lambda: len(sink.of("budget.exceeded", session)) >= 3, timeout=30)
    alerts = sink.of("budget.exceeded", session)
    assert len({alert["id"] for alert in alerts}) == 1, "one alert, however often it was delivered"
    headers, body = next((h, b) for h, b in sink.seen if session.encode() in b)
    headers = {name.lower(): value for name, value in headers.items()}
    parts = dict(part.split("=", 1) for part in headers["x-craton-signature"].split(","))
    expected = hmac.new(SECRET.encode(), parts["t"].encode() + b"." + body, hashlib.sha256).hexdigest()
    assert parts["v1"] == expected
    assert headers["x-craton-alert-id"] == alerts[0]["id"]

    def listed():
        return [a for a in capped.door("/alerts")["alerts"] if a["id"] == alerts[0]["id"]]
    until(lambda: listed() and listed()[0]["state"] == "delivered")
    assert listed()[0]["attempts"] >= 1


def test_a_stopped_run_outlives_a_kill(capped, agent_of):
    one = agent_of(run_tokens="300")
    one.model.turn(Say("Done."))
    run = run_of(one.talk("hello").answer)
    capped.kill()
    capped.start()
    assert capped.door(f"/runs/{run}")["run"]["status"] == "parked"
    assert capped.tell(f"/runs/{run}/resume", {"tokens": 20000})[0] == 200
    until(lambda: capped.door(f"/runs/{run}")["run"]["status"] == "answered")


@pytest.mark.parametrize("body", ['{"dollars": -1}', '{"euros": 1}', "more"])
def test_a_raise_that_means_nothing_is_refused(capped, agent_of, body):
    one = agent_of()
    one.model.turn(Say("ok"))
    run = run_of(one.talk("hello").answer)
    assert capped.tell(f"/runs/{run}/resume", body)[0] == 400


def test_a_tag_that_is_no_cap_is_refused_by_name(capped, agent_of):
    with pytest.raises(Exception, match="craton:budget-run-euros"):
        agent_of(run_euros="5")
