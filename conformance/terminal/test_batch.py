"""`craton batch`: requests from a file, at a rate, over kills and errors."""

import json
import signal
import subprocess
import time

import pytest

from support.server import binary
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
