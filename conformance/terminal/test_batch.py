"""`craton batch`: requests from a file, at a rate, over kills and errors."""

import json
import signal
import subprocess
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from support.agents import unique
from support.model import Say
from support.server import Craton, binary
from support.terminal import environment, run

SAY = {"messages": [{"role": "user", "content": [{"text": "Hello"}]}]}


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def batch(tmp_path, plain):
    class Batch:
        file, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"

        def write(self, records):
            self.file.write_text("".join(json.dumps(record) + "\n" for record in records))

        def arguments(self, *more):
            return ["batch", str(self.file), "--out", str(self.out), *more]

        def run(self, *more, url=plain.url):
            return run(*self.arguments(*more), url=url)

    return Batch()


def test_each_record_is_answered_in_its_own_form(batch):
    """J9"""
    batch.write([
        {"recordId": "A", "modelInput": SAY},
        {"id": "B", "operation": "Converse", "input": {"modelId": "craton.rules", **SAY}},
        {"id": "C", "operation": "Converse", "input": {"messages": []}},
        {"id": "D", "operation": "DeleteAgent", "input": {}},
    ])
    done = batch.run("--model", "craton.rules", "--invocation", "Converse")
    assert done.returncode == 1, done.stderr
    assert "4 records: 2 answered, 2 errors" in done.stderr and "$0.000000" in done.stderr
    answers = {line.get("recordId", line.get("id")): line for line in lines(batch.out)}
    assert answers["A"]["modelInput"] == SAY and answers["A"]["modelOutput"]["output"]["message"]["content"]
    assert answers["B"]["output"]["stopReason"] == "end_turn"
    assert answers["C"]["error"]["code"] == "ValidationException"
    assert "DeleteAgent" in answers["D"]["error"]["message"]


def test_a_kill_loses_nothing_and_doubles_nothing(batch, plain):
    """J9: kill -9 in the middle, then --resume, twice."""
    ids = [f"r{n}" for n in range(60)]
    batch.write([{"recordId": id, "modelInput": SAY} for id in ids])
    more = ["--model", "craton.rules", "--invocation", "Converse", "--rate", "60/s"]
    for resume in [[], ["--resume"]]:
        before = batch.out.read_text().count("\n") if batch.out.exists() else 0
        going = subprocess.Popen([binary(), *batch.arguments(*more, *resume)], env=environment(plain.url),
                                 stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while not batch.out.exists() or batch.out.read_text().count("\n") < before + 10:
            assert time.monotonic() < deadline and going.poll() is None
            time.sleep(0.005)
        going.send_signal(signal.SIGKILL)
        going.wait()
    assert len(lines(batch.out)) < len(ids)
    with batch.out.open("a") as out:
        out.write('{"recordId": "r59", "modelOut')
    assert batch.run(*more, "--resume").returncode == 0
    assert sorted(line["recordId"] for line in lines(batch.out)) == sorted(ids)


def test_nothing_is_sent_of_a_file_that_is_wrong(batch):
    for wrong, why in [('{"a": 1}', "line 1 has neither"), ("{", "is no JSON")]:
        batch.file.write_text(wrong)
        done = batch.run()
        assert done.returncode == 2 and why in done.stderr
    batch.write([{"recordId": "A", "modelInput": SAY}] * 2)
    done = batch.run()
    assert done.returncode == 2 and 'two records have the id "A"' in done.stderr
    assert not batch.out.exists()


def test_answers_are_never_written_over(batch):
    batch.write([{"recordId": "A", "modelInput": SAY}])
    batch.out.write_text('{"recordId": "A", "modelInput": {}, "modelOutput": {}}\n')
    done = batch.run("--model", "craton.rules")
    assert done.returncode == 2 and "--resume" in done.stderr
    assert len(lines(batch.out)) == 1


def test_requests_keep_to_their_rate(batch):
    batch.write([{"recordId": str(n), "modelInput": SAY} for n in range(6)])
    begun = time.monotonic()
    assert batch.run("--model", "craton.rules", "--invocation", "Converse", "--rate", "10/s").returncode == 0
    assert time.monotonic() - begun >= 0.5


def test_agents_and_native_bodies_are_records_too(batch, craton, agent, model, models):
    """J9: InvokeAgent with a session of its own and with a given one, InvokeModel with its body as JSON and as text."""
    one = agent()
    one.prepare()
    model.turn(Say("Done."), said="order")
    native = models.model(unique("anthropic.claude-3-haiku")).turn(Say("Hello to you."), said="hello")
    body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 50,
            "messages": [{"role": "user", "content": "hello"}]}
    ask = {"agentId": one.id, "agentAliasId": "TSTALIASID", "inputText": "Where is my order?"}
    batch.write([
        {"id": "own", "operation": "InvokeAgent", "input": ask},
        {"id": "given", "operation": "InvokeAgent", "input": {**ask, "sessionId": "s-77"}},
        {"id": "json", "operation": "InvokeModel", "input": {"modelId": native.id, "body": body}},
        {"id": "text", "operation": "InvokeModel", "input": {"modelId": native.id, "body": json.dumps(body)}},
        {"recordId": "bedrock", "modelInput": body},
        {"id": "nobody", "operation": "InvokeAgent", "input": {**ask, "agentId": "NOSUCHAGNT"}},
    ])
    done = batch.run("--model", native.id, url=craton.url)
    assert done.returncode == 1 and "6 records: 5 answered, 1 errors" in done.stderr, done.stderr
    answers = {line.get("recordId", line.get("id")): line for line in lines(batch.out)}
    own, given = answers["own"]["output"], answers["given"]["output"]
    assert own["completion"] == given["completion"] == "Done." and own["runId"] != given["runId"]
    assert given["sessionId"] == "s-77" != own["sessionId"]
    for said in (answers["json"]["output"], answers["text"]["output"], answers["bedrock"]["modelOutput"]):
        assert said["content"] == [{"type": "text", "text": "Hello to you."}]
    assert answers["nobody"]["error"]["code"] == "ResourceNotFoundException"


def test_a_turn_that_a_kill_cut_off_goes_on_and_is_not_begun_again(batch, craton, agent, model):
    """J9: the repeated InvokeAgent joins the turn that is under way."""
    one = agent()
    one.prepare()
    asked, go_on = threading.Event(), threading.Event()
    model.turn(Say("Done.", before=lambda: (asked.set(), go_on.wait(20))), said="order")
    batch.write([{"id": "a", "operation": "InvokeAgent",
                  "input": {"agentId": one.id, "agentAliasId": "TSTALIASID", "inputText": "Where is my order?"}}])
    going = subprocess.Popen([binary(), *batch.arguments()], env=environment(craton.url), stderr=subprocess.DEVNULL)
    assert asked.wait(20)
    going.kill()
    going.wait()
    threading.Timer(0.3, go_on.set).start()
    done = batch.run("--resume", url=craton.url)
    assert done.returncode == 0, done.stderr
    answer, = lines(batch.out)
    assert answer["output"]["completion"] == "Done." and len(model.requests) == 1


class Throttling(BaseHTTPRequestHandler):
    """Converse that has no room at first, and says of each request under which invocation it came."""

    protocol_version = "HTTP/1.1"
    refusals, pause, seen = 0, None, []

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.seen.append(self.headers["amz-sdk-invocation-id"])
        if len(self.seen) <= self.refusals:
            return self.answer(429, {"message": "slow down"}, "ThrottlingException")
        content = [{"text": "Hello."}]
        self.answer(200, {"output": {"message": {"role": "assistant", "content": content}}, "stopReason": "end_turn",
                          "usage": {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}})

    def answer(self, status, body, error=None):
        body = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"content-type": "application/json", "content-length": str(len(body)),
                            **({"x-amzn-errortype": error} if error else {}),
                            **({"retry-after": self.pause} if error and self.pause else {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def throttling():
    def make(refusals, pause=None):
        handler = type("Handler", (Throttling,), {"refusals": refusals, "pause": pause, "seen": []})
        made.append(ThreadingHTTPServer(("127.0.0.1", 0), handler))
        threading.Thread(target=made[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{made[-1].server_port}", handler.seen
    made = []
    yield make
    for server in made:
        server.shutdown()
        server.server_close()


def test_a_throttled_record_is_sent_again_until_it_is_answered(batch, throttling):
    """J9: what was refused is another request, so each has an invocation of its own."""
    url, seen = throttling(2)
    batch.write([{"recordId": "A", "modelInput": SAY}])
    done = batch.run("--model", "m", "--invocation", "Converse", url=url)
    assert done.returncode == 0 and "1 answered, 0 errors" in done.stderr and "2 sent again" in done.stderr, done.stderr
    assert lines(batch.out)[0]["modelOutput"]["stopReason"] == "end_turn"
    assert len(seen) == len(set(seen)) == 3


def test_a_throttled_record_waits_as_long_as_it_is_asked_to(batch, throttling):
    """J9: without the header the first wait is half a second at most."""
    url, seen = throttling(1, pause="1")
    batch.write([{"recordId": "A", "modelInput": SAY}])
    begun = time.monotonic()
    assert batch.run("--model", "m", "--invocation", "Converse", url=url).returncode == 0
    assert time.monotonic() - begun >= 1 and len(seen) == 2


def test_a_batch_stops_before_the_request_that_might_cost_too_much(batch, tmp_path, settings, model):
    """J9: what a request may cost is held before it is sent, by the server's own prices; the rest is for --resume."""
    home = tmp_path / "craton"
    home.mkdir()
    (home / "prices.toml").write_text('as_of = "2026-11-01"\n[[models]]\nmatch = "*"\ninput = 3.0\noutput = 15.0\n')
    server = Craton(home, f'prices = "{home}/prices.toml"\n' + settings).start()
    try:
        model.turn(Say("Hello."))
        # The mock counts 11 tokens and 7.
        each, say = (11 * 3.0 + 7 * 15.0) / 1e6, {**SAY, "inferenceConfig": {"maxTokens": 100}}
        batch.write([{"recordId": str(n), "modelInput": say} for n in range(12)])
        size = len(json.dumps(say, separators=(",", ":")))
        asked = f"{server.url}/_craton/v1/cost/forecast?model={model.id}&bytes={size}&says=100"
        with urllib.request.urlopen(asked) as answer:
            most = json.load(answer)["atMost"]
        assert most >= (size * 3.0 + 100 * 15.0) / 1e6
        more = ["--model", model.id, "--invocation", "Converse", "--concurrency", "1"]
        done = batch.run(*more, "--max-cost", f"{most + 4.5 * each:.12f}", url=server.url)
        assert done.returncode == 2 and "(CR0041)" in done.stderr and "--resume" in done.stderr, done.stderr
        assert len(lines(batch.out)) == len(model.requests) == 5
        assert f"${5 * each:.6f}" in done.stderr
        done = batch.run(*more, "--resume", "--max-cost", "1", url=server.url)
        assert done.returncode == 0 and len(lines(batch.out)) == 12, done.stderr
        done = batch.run(*more, "--resume", "--max-cost", "free", url=server.url)
        assert done.returncode == 2 and "write dollars as 0.25" in done.stderr
    finally:
        server.stop()


@pytest.mark.parametrize("text, ended", [
    ("", 0), ("\n\n", 0),
    ("\ufeff" + json.dumps({"recordId": "A", "modelInput": SAY}) + "\r\n", 0),
    ("5", 2), ("[1]", 2), ("null", 2), ('{"id": {}, "operation": "Converse", "input": {}}', 2),
    ('{"id": "a", "operation": "Converse", "input": []}', 2),
    ('{"id": "a", "operation": "Converse"}', 2),
])
def test_files_of_other_hands(batch, text, ended):
    """Nothing to send is nothing wrong; Windows' marks and line ends are no part of a record; the rest is told by its line."""
    batch.file.write_text(text)
    done = batch.run("--model", "craton.rules", "--invocation", "Converse")
    assert done.returncode == ended and ("line 1 " in done.stderr) == (ended == 2), done.stderr
