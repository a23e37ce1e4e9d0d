"""`/_craton/v1/runs/{id}`: the whole trace in one call, with what each model was sent; and two runs compared."""

import itertools
import json
import urllib.error
import urllib.request

import pytest

from support.agents import function, hand_back, result
from support.model import Say, text_of, tool_results
from support.team import Team, tell
from support.terminal import run
from support.tools import READ

STREAM = {"streamingConfigurations": {"streamFinalResponse": True}}


def run_of(turn):
    return turn.answer["ResponseMetadata"]["HTTPHeaders"]["x-craton-run-id"]


def steps(craton, run, kind=None):
    found = craton.door(f"/runs/{run}")["steps"]
    return [step for step in found if kind in (None, step["kind"])]


def texts(prompt):
    """All texts of a prompt's messages, in order."""
    for message in prompt["messages"]:
        for block in message["content"]:
            if "text" in block:
                yield block["text"]
            for part in block.get("toolResult", {}).get("content", []):
                yield part["text"]


def sent(request):
    """The same of what the provider got."""
    return [text_of(m["content"]) for m in request["messages"]
            if m["role"] != "system" and m.get("content")]


@pytest.mark.parametrize("fields", [{}, STREAM])
def test_the_prompt_shown_is_what_the_provider_got(craton, agent, model, fields):
    """P1: system, messages and tools, byte for byte, at every step of every turn."""
    model.turn(Say("I look.", [("shop__look", {"id": "A-1 <é>"})]), Say("<answer>There.</answer>"))
    one = agent().serve(lambda e: "in Ghent\n\"é\"")
    one.group(function("look", id="string required"), executor=READ)
    one.prepare()
    shown = []
    for _ in range(2):
        turn = one.talk("Where is it?", session=f"bytes-{one.id}", trace=False, **fields)
        shown += steps(craton, run_of(turn), "model")
    assert len(shown) == len(model.requests) == 4
    for step, request in zip(shown, model.requests, strict=True):
        assert step["digest"]["verdict"] == "ok" and len(step["digest"]["sha256"]) == 64
        prompt = step["prompt"]
        assert "\n\n".join(prompt["system"]) == text_of(request["messages"][0]["content"])
        assert list(texts(prompt)) == sent(request)
        assert [(t["name"], t["description"], t["schema"]) for t in prompt["tools"]] == [
            (t["function"]["name"], t["function"]["description"], t["function"]["parameters"])
            for t in request["tools"]]
        assert step["provider"] == "test" and step["model"] == model.id
        assert step["usage"] == {"inputTokens": 11, "outputTokens": 7}


def test_every_step_has_its_arguments_result_and_times(craton, agent, model):
    model.turn(Say(calls=[("shop__look", {"id": "1"}), ("desk__ask", {})]), Say("<answer>Thanks.</answer>"))
    one = agent().serve(lambda e: "found")
    one.group(function("look", id="string required"), executor=READ)
    one.group(function("ask"), name="desk")
    turn = one.prepare().talk("go", session=f"steps-{one.id}")
    one.talk(session=f"steps-{one.id}", **hand_back(turn.control, result(turn.control, 0, "yes")))
    found = steps(craton, run_of(turn))
    assert [(s["kind"], s["name"], s["outcome"]) for s in found] == [
        ("model", model.id, "answered"), ("tool", "shop__look", "answered"),
        ("wait", "the client", "resumed"), ("model", model.id, "answered")]
    _, look, wait, _ = found
    assert (look["input"], look["output"]) == ({"id": "1"}, "found")
    assert wait["input"]["calls"] == [{"tool": "desk__ask", "input": {}}]
    assert wait["output"] == [{"body": "yes", "state": "success"}]
    for one, next in itertools.pairwise(found):
        assert one["begunAt"] <= one["endedAt"] and one["event"] < next["event"]


def test_two_runs_that_differ_in_one_result_part_there(craton, agent, model):
    """S4"""
    model.turn(Say(calls=[("shop__look", {"id": "1"})]),
               lambda request: Say(f"<answer>It is {tool_results(request)[-1]}.</answer>"))
    states = iter(["open", "open", "closed"])
    one = agent().serve(lambda e: next(states))
    one.group(function("look", id="string required"), executor=READ)
    one.prepare()
    a, b, c = (run_of(one.talk("Where?")) for _ in range(3))
    assert craton.door(f"/runs/{a}/diff/{b}") == {"a": a, "b": b, "same": True}
    diff = craton.door(f"/runs/{b}/diff/{c}")
    assert diff["same"] is False and diff["divergence"] == {
        "cause": "toolResult", "at": "step 2, tool shop__look", "field": "output",
        "a": '"open"', "b": '"closed"'}


def test_the_cause_is_what_parts_first(craton, agent, model):
    """S4: what the client asked, the agent's configuration, the prompt, the reply, the arguments."""
    model.turn(Say("one"), said="first").turn(Say("two"), said="second")
    one = agent().prepare()

    def ran(text, **fields):
        return run_of(one.talk(text, **fields))

    def cause(a, b):
        found = craton.door(f"/runs/{a}/diff/{b}")["divergence"]
        return found["cause"], found["at"], found["field"]

    first = ran("first")
    assert cause(first, ran("second")) == ("input", "the request", "inputText")
    session = f"cause-{one.id}"
    ran("first", session=session)
    later = ran("first", session=session)
    assert cause(first, later)[:2] == ("prompt", f"step 1, model {model.id}")
    model._turns.clear()
    model.turn(Say("another"))
    assert cause(first, ran("first"))[0] == "reply"
    one.update(instruction="You answer in verse, always, whatever the question may be about.")
    one.prepare()
    assert cause(first, ran("first"))[::2] == ("configuration", "instruction")


def test_a_run_that_is_not_there_cannot_be_compared(craton, agent, model):
    model.turn(Say("ok"))
    run = run_of(agent().prepare().talk("hi"))
    for path in (f"/runs/{run}/diff/nobody", f"/runs/nobody/diff/{run}"):
        with pytest.raises(urllib.error.HTTPError) as caught:
            craton.door(path)
        assert caught.value.code == 404 and "nobody" in json.loads(caught.value.read())["message"]


def test_a_collaborators_steps_stand_inside_its_own(craton, agent, models, cp, model):
    """P1: whoever looks at the run sees the whole tree, each prompt proven."""
    one = Team(agent, models, cp, billing=None)
    one.models["billing"].turn(Say("<answer>Refunded.</answer>"))
    model.turn(Say(calls=tell(("billing", "refund 7"))), Say("<answer>All is done.</answer>"))
    turn = one.talk("Refund charge 7")
    found = steps(craton, run_of(turn))
    assert [(s["kind"], s["outcome"]) for s in found] == [
        ("model", "answered"), ("collaborator", "answered"), ("model", "answered")]
    member = found[1]
    assert (member["name"], member["input"], member["output"]) == ("billing", "refund 7", "Refunded.")
    inner, = member["steps"]
    request, = one.models["billing"].requests
    assert inner["kind"] == "model" and list(texts(inner["prompt"])) == sent(request)
    for step in (found[0], inner, found[2]):
        assert step["digest"]["verdict"] == "ok", step["digest"]
    shown = run("trace", run_of(turn), url=craton.url).stdout
    assert "task     for billing: refund 7" in shown and "billing > answer   Refunded." in shown


@pytest.mark.parametrize("stage", ["PRE_PROCESSING", "POST_PROCESSING"])
def test_the_prompt_of_each_stage_is_shown_as_it_was_sent(craton, agent, model, stage):
    """P1: what stands around the orchestration too."""
    verdict = "<thinking>It is fine.</thinking><category>D</category>"
    model.turn(lambda request: Say(verdict if b"<category>" in request["_raw"] else "<answer>Hi.</answer>"))
    override = {"promptConfigurations": [{
        "promptType": stage, "promptState": "ENABLED", "promptCreationMode": "DEFAULT", "parserMode": "DEFAULT"}]}
    one = agent(promptOverrideConfiguration=override).prepare()
    found = steps(craton, run_of(one.talk("Hello?")), "model")
    assert len(found) == len(model.requests) == 2
    for step, request in zip(found, model.requests, strict=True):
        assert step["digest"]["verdict"] == "ok", step
        assert list(texts(step["prompt"])) == sent(request)
