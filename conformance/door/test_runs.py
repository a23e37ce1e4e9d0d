"""`/_craton/v1/runs`: pages of runs, how those stand that are not over, and what operators order."""

import json
import threading
import urllib.error
import urllib.request

import pytest

from support.agents import Agent, function, hand_back, hear, result, until
from support.model import Say
from support.tools import KEYED


def post(craton, path):
    request = urllib.request.Request(f"{craton.url}/_craton/v1{path}", data=b"", method="POST")
    with urllib.request.urlopen(request, timeout=15) as answer:
        return json.loads(answer.read())


def run_of(answer):
    return answer["ResponseMetadata"]["HTTPHeaders"]["x-craton-run-id"]


def status(craton, run):
    return craton.door(f"/runs/{run}")["run"]["status"]


def test_pages_follow_each_other_without_gap(craton, agent, model):
    model.turn(Say("ok"))
    one = agent().prepare()
    ran = [run_of(one.talk("hi", session="pages").answer) for _ in range(5)]
    for path in ("session=pages", "status=answered"):
        seen, before = [], ""
        while len(seen) < 5:
            page = craton.door(f"/runs?{path}&last=2{before}")
            seen += [run["run"] for run in page["runs"]]
            before = f"&before={page['next']}" if "next" in page else None
            if before is None:
                break
        assert seen[:5] == ran[::-1]


def test_runs_are_filtered_by_how_they_stand(craton, agent, model):
    model.turn(Say("ok"), said="fine").turn(Say("no", status=402), said="bad")
    one = agent().prepare()
    one.talk("fine", session="mixed")
    with pytest.raises(Exception, match="(?i)dependency"):
        one.talk("bad", session="mixed")

    def ran(wanted):
        return [run["status"] for run in craton.door(f"/runs?session=mixed&status={wanted}")["runs"]]
    assert ran("answered") == ["answered"] and ran("failed") == ["failed"] and ran("live") == []
    assert ran("answered,failed") == ["failed", "answered"]


@pytest.mark.parametrize("query", ["status=odd", "last=0", "last=101", "last=x", "limit=3"])
def test_a_query_that_means_nothing_is_refused(craton, query):
    with pytest.raises(urllib.error.HTTPError) as caught:
        craton.door(f"/runs?{query}")
    assert caught.value.code == 400


class Held:
    """A tool that answers when it is let go. Of a keyed call the intent is durable once it is entered."""

    def __init__(self):
        self.entered, self.let_go = threading.Event(), threading.Event()

    def __call__(self, event):
        self.entered.set()
        self.let_go.wait(20)
        return "done"


def test_each_run_that_is_not_over_says_what_it_waits_for(craton, agent, model):
    """S15: a tool, its session, its client, an operator."""
    held = Held()
    model.turn(Say(calls=[("shop__look", {})]), Say("ok"), said="look") \
         .turn(Say(calls=[("desk__ask", {})]), said="ask").turn(Say("ok"))
    one = agent().serve(held)
    one.group(function("look"), executor=KEYED)
    one.group(function("ask"), name="desk")
    one.prepare()
    parked = run_of(one.talk("ask", session="stand-parked").answer)
    running = one.invoke("look", session="stand")
    assert held.entered.wait(10)
    waiting = []
    thread = threading.Thread(target=lambda: waiting.append(hear(one.invoke("later", session="stand"))))
    thread.start()
    live = lambda: {run["run"]: run for run in craton.door("/runs?status=live")["runs"]}
    until(lambda: any(run["standing"]["state"] == "waiting" for run in live().values()))
    found = live()
    standing = found[run_of(running)]["standing"]
    assert (standing["state"], standing["step"], standing["waitsFor"]) == ("running", 1, "tool shop__look")
    assert found[parked]["standing"]["state"] == "parked"
    assert "desk__ask" in found[parked]["standing"]["waitsFor"]
    queued = [run for run in found.values() if run["standing"]["state"] == "waiting"]
    assert [run["sessionId"] for run in queued] == ["stand"]
    assert queued[0]["standing"]["waitsFor"] == "its session"
    assert [r["run"] for r in craton.door("/runs?status=parked&session=stand-parked")["runs"]] == [parked]
    held.let_go.set()
    hear(running)
    thread.join(10)
    assert run_of(running) not in live() and waiting
    post(craton, f"/runs/{parked}/cancel")


def test_a_held_run_ends_what_is_under_way_and_begins_nothing(craton, agent, model):
    """S15"""
    held = Held()
    model.turn(Say(calls=[("shop__look", {})]), Say("<answer>Done.</answer>"))
    one = agent().serve(held)
    one.group(function("look"), executor=KEYED)
    answer = one.prepare().invoke("look", session="held")
    run = run_of(answer)
    assert held.entered.wait(10)
    assert post(craton, f"/runs/{run}/pause") == {"run": run, "paused": True}
    held.let_go.set()
    kinds = lambda: [e["event"]["type"] for e in craton.door(f"/runs/{run}")["events"]]
    until(lambda: "toolReturned" in kinds())
    assert len(model.requests) == 1
    listed, = craton.door("/runs?status=paused&session=held")["runs"]
    assert listed["pausedAt"] and listed["standing"]["waitsFor"].startswith("an operator")
    assert post(craton, f"/runs/{run}/resume") == {"run": run, "paused": False}
    assert hear(answer).text == "Done." and len(model.requests) == 2
    with pytest.raises(urllib.error.HTTPError) as caught:
        post(craton, f"/runs/{run}/pause")
    assert caught.value.code == 409


def test_a_held_run_stays_held_through_a_restart(fresh, model, tools):
    """S15: nor is the call that was cut off made again before it goes on."""
    held = Held()
    model.turn(Say(calls=[("shop__refund", {})]), Say("<answer>Refunded.</answer>"))
    one = Agent(fresh.client("bedrock-agent"), fresh.client("bedrock-agent-runtime"), model, tools).serve(held)
    one.group(function("refund"), executor=KEYED)
    run = run_of(one.prepare().invoke("refund"))
    assert held.entered.wait(10)
    post(fresh, f"/runs/{run}/pause")
    fresh.kill()
    held.let_go.set()
    fresh.start()
    listed, = fresh.door("/runs?status=paused")["runs"]
    assert listed["run"] == run and "tool shop__refund" in listed["standing"]["waitsFor"]
    assert len(one.calls()) == 1
    post(fresh, f"/runs/{run}/resume")
    until(lambda: status(fresh, run) == "answered")
    assert len({call.key for call in one.calls()}) == 1 and len(one.calls()) == 2


def test_a_parked_run_that_is_held_takes_its_results_and_waits(craton, agent, model):
    model.turn(Say(calls=[("desk__ask", {})]), Say("<answer>Thanks.</answer>"))
    one = agent()
    one.group(function("ask"), name="desk")
    turn = one.prepare().talk("ask", session="held-parked")
    run = run_of(turn.answer)
    post(craton, f"/runs/{run}/pause")
    answer = one.invoke(session="held-parked", **hand_back(turn.control, result(turn.control, 0, "yes")))
    assert craton.door("/runs?status=paused&session=held-parked")["runs"]
    assert len(model.requests) == 1
    post(craton, f"/runs/{run}/resume")
    assert hear(answer).text == "Thanks."


def test_totals_count_what_was_done(craton, agent, model):
    model.turn(Say(calls=[("shop__look", {})]), Say("ok"))
    one = agent().serve(lambda e: "x")
    one.group(function("look"), executor=KEYED)
    one.prepare()
    before = craton.door("/totals")
    one.talk("look")
    after = craton.door("/totals")
    grown = {name: after[name] - before[name] for name in before}
    assert grown["turnsBegun"] == grown["turnsEnded"] == grown["toolCalls"] == 1
    assert grown["modelCalls"] == 2 and grown["inputTokens"] == 22 and grown["outputTokens"] == 14
