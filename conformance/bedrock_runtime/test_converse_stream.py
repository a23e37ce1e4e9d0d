"""ConverseStream: POST /model/{modelId}/converse-stream."""

import json
import threading

import pytest

from support.agents import refused
from support.model import Say

USER = [{"role": "user", "content": [{"text": "x"}]}]


def test_the_events_come_in_order(brt, model):
    """J1"""
    model.turn(Say(pieces=["Hel", "lo"], calls=[("add", {"a": 1})]))
    events = list(brt.converse_stream(modelId=model.id, messages=USER)["stream"])
    kinds = [next(iter(event)) for event in events]
    assert kinds[0] == "messageStart" and kinds[-2:] == ["messageStop", "metadata"]
    assert events[0]["messageStart"] == {"role": "assistant"}
    deltas = [e["contentBlockDelta"] for e in events if "contentBlockDelta" in e]
    text = "".join(d["delta"].get("text", "") for d in deltas)
    given = "".join(d["delta"].get("toolUse", {}).get("input", "") for d in deltas)
    assert text == "Hello" and json.loads(given) == {"a": 1}
    start, = [e["contentBlockStart"] for e in events if "contentBlockStart" in e]
    assert start["start"]["toolUse"]["name"] == "add"
    assert [e["contentBlockStop"]["contentBlockIndex"] for e in events if "contentBlockStop" in e] == [0, 1]
    assert events[-2]["messageStop"]["stopReason"] == "tool_use"
    assert events[-1]["metadata"]["usage"]["totalTokens"] == 18


def test_words_arrive_while_the_model_speaks(brt, model):
    """J1: the model goes on only once the client has heard its first word."""
    heard, late = threading.Event(), []
    model.turn(Say(pieces=["one ", "two"], between=lambda: late.append(not heard.wait(10))))
    for event in brt.converse_stream(modelId=model.id, messages=USER)["stream"]:
        if "contentBlockDelta" in event:
            heard.set()
    assert late == [False]


def cut():
    raise ConnectionResetError


def test_an_answer_that_breaks_off_ends_in_an_exception_of_the_stream(brt, model):
    """What was said before stands; the last event is no messageStop."""
    model.turn(Say(pieces=["one ", "two"], between=cut))
    heard = []
    with refused("ModelStreamErrorException"):
        for event in brt.converse_stream(modelId=model.id, messages=USER)["stream"]:
            heard.append(event)
    assert "".join(e["contentBlockDelta"]["delta"]["text"] for e in heard if "contentBlockDelta" in e) == "one "
    assert not [e for e in heard if "messageStop" in e or "metadata" in e]


@pytest.mark.parametrize("status", [429, 503])
def test_a_throttle_before_the_first_word_is_retried_in_here(craton, model, status):
    """The client hears of it only as time."""
    left = [Say("busy", status=status), Say("busy", status=status), Say("hello")]
    model.turn(lambda _: left.pop(0))
    brt = craton.client("bedrock-runtime", retries={"total_max_attempts": 1})
    events = list(brt.converse_stream(modelId=model.id, messages=USER)["stream"])
    assert [next(iter(event)) for event in events] == [
        "messageStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata"]
    assert len(model.requests) == 3


@pytest.mark.parametrize(("status", "code"), [
    (400, "ModelErrorException"), (401, "ModelErrorException"), (429, "ThrottlingException"),
    (500, "ServiceUnavailableException")])
def test_a_provider_that_keeps_failing_is_an_error_before_the_stream(craton, model, status, code):
    model.turn(Say("no", status=status))
    brt = craton.client("bedrock-runtime", retries={"total_max_attempts": 1})
    with refused(code):
        brt.converse_stream(modelId=model.id, messages=USER)
