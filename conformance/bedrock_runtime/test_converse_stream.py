"""ConverseStream: POST /model/{modelId}/converse-stream."""

import json
import threading

import pytest

from support.model import Say

from botocore.exceptions import ClientError

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


def test_a_refusal_before_the_first_word_is_an_ordinary_error(craton, model):
    model.turn(Say("no", status=400))
    brt = craton.client("bedrock-runtime", retries={"total_max_attempts": 1})
    with pytest.raises(ClientError):
        list(brt.converse_stream(modelId=model.id, messages=USER)["stream"])
