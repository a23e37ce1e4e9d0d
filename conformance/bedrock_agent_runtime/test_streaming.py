"""InvokeAgent with streamingConfigurations.streamFinalResponse."""

import threading

from support.agents import function
from support.model import Say
from support.tools import READ

STREAM = {"streamingConfigurations": {"streamFinalResponse": True}}


def test_the_first_words_arrive_before_the_model_has_finished(agent, model):
    """B6: the model goes on only once the client has its first words."""
    heard, late = threading.Event(), []
    model.turn(Say(pieces=["<answer>The parcel", " is in", " Ghent.</answer>"],
                   between=lambda: late.append(not heard.wait(10))))
    one = agent().prepare()
    chunks = []
    for event in one.invoke("Where is it?", **STREAM)["completion"]:
        chunks.append(event["chunk"]["bytes"].decode())
        heard.set()
    assert late == [False]
    assert len(chunks) > 1 and "".join(chunks) == "The parcel is in Ghent."


def test_words_before_a_tool_call_are_not_the_answer(agent, model):
    """B6: only the final response streams; the reason for a call goes to the trace."""
    model.turn(Say("I look it up.", [("shop__look", {})]), Say(pieces=["<answer>It is", " there.</answer>"]))
    one = agent().serve(lambda e: "x")
    one.group(function("look"), executor=READ)
    turn = one.prepare().talk("Where?", **STREAM)
    assert turn.text == "It is there."
    assert [r["text"] for r in turn.all("rationale")] == ["I look it up."]


def test_an_answer_without_tags_comes_whole(agent, model):
    model.turn(Say(pieces=["No ", "tags ", "here."]))
    assert agent().prepare().talk("hi", **STREAM).text == "No tags here."


def test_without_streaming_the_answer_is_one_chunk(agent, model):
    model.turn(Say(pieces=["<answer>one ", "two ", "three</answer>"]))
    turn = agent().prepare().talk("hi")
    assert turn.chunks == [b"one two three"]


def test_the_trace_of_a_streamed_turn_is_complete(agent, model):
    model.turn(Say(pieces=["<answer>a", "b</answer>"]))
    turn = agent().prepare().talk("hi", **STREAM)
    assert turn.steps() == ["modelInvocationInput", "modelInvocationOutput", "observation FINISH"]
    assert turn.all("observation")[0]["finalResponse"]["text"] == "ab"


def test_a_provider_that_breaks_midway_is_an_exception_of_the_stream(agent, model):
    """Words that went out stay out; the end says that it is none."""
    import pytest
    from botocore.exceptions import EventStreamError

    def break_off():
        raise ConnectionResetError

    model.turn(Say(pieces=["<answer>half an ans", "wer</answer>"], between=break_off))
    with pytest.raises(EventStreamError):
        agent().prepare().talk("hi", **STREAM)
