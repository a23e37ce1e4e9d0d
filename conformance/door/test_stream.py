"""`/_craton/v1/runs/{id}/stream`: a client that lost its stream takes it up again by the run's id."""

import threading
import time
import urllib.error

import pytest

from support.agents import Agent, function, hand_back, hear, result
from support.model import Say
from support.sse import listen, names, text
from support.tools import KEYED, READ

STREAM = {"streamingConfigurations": {"streamFinalResponse": True}}


def run_of(answer):
    return answer["ResponseMetadata"]["HTTPHeaders"]["x-craton-run-id"]


def test_the_stream_of_a_run_that_is_over_is_invoke_agents(craton, agent, model):
    """S15: the same events with the same JSON, numbered."""
    model.turn(Say("I look.", [("shop__look", {})]), Say("<answer>It is there.</answer>"))
    one = agent().serve(lambda e: "x")
    one.group(function("look"), executor=READ)
    turn = one.prepare().talk("Where?")
    heard = list(listen(craton, run_of(turn.answer)))
    assert names(heard) == turn.order + ["end"] and heard[-1].data == {"status": "answered"}
    assert text(heard) == turn.text == "It is there."
    parts = [h.data for h in heard if h.name == "trace"]
    for ours, theirs in zip(parts, turn.parts, strict=True):
        assert ours["trace"].keys() == theirs["trace"].keys()
        assert ours["agentId"] == theirs["agentId"] and ours["sessionId"] == theirs["sessionId"]
        assert abs(ours["eventTime"] - theirs["eventTime"].timestamp()) < 0.001
    ids = [h.id for h in heard]
    assert len(set(ids[:-1])) == len(ids) - 1


def test_from_every_position_comes_exactly_the_rest(craton, agent, model):
    """S15: no event lost or doubled, by `from` and by `Last-Event-ID`."""
    model.turn(Say("I look.", [("shop__look", {}), ("shop__find", {})]), Say("<answer>There.</answer>"))
    one = agent().serve(lambda e: "x")
    one.group(function("look"), function("find"), executor=READ)
    run = run_of(one.prepare().talk("Where?").answer)
    all_heard = list(listen(craton, run))
    assert len(all_heard) > 8
    for place, heard in enumerate(all_heard[:-1]):
        assert list(listen(craton, run, heard.id)) == all_heard[place + 1:]
        # A browser repeats the address that it began with.
        assert list(listen(craton, run, "0", last_event_id=heard.id)) == all_heard[place + 1:]


def test_a_client_that_loses_its_stream_inside_the_answer_hears_the_rest_live(craton, agent, model):
    """S15: the position is an event and a byte; the model goes on only once the words were heard twice."""
    lost, late = threading.Event(), []
    model.turn(Say(pieces=["<answer>The parcel", " is in", " Ghent.</answer>"],
                   between=lambda: late.append(not lost.wait(10))))
    answer = agent().prepare().invoke("Where is it?", enableTrace=True, **STREAM)
    run = run_of(answer)
    first = []
    for heard in listen(craton, run):
        first.append(heard)
        if heard.name == "chunk":
            break
    answer["completion"].close()
    assert "." in first[-1].id
    lost.set()
    rest = list(listen(craton, run, first[-1].id))
    assert late == [False]
    assert text(first) == "The parcel" and text(first + rest) == "The parcel is in Ghent."
    over = list(listen(craton, run))
    assert text(over) == text(first + rest)
    assert names(over).count("trace") == names(first + rest).count("trace")


def test_after_a_crash_inside_the_answer_its_words_are_void(fresh, model, tools):
    """S15: `reset` names the event whose words come again; the sum is the answer."""
    killed = threading.Event()
    model.turn(Say(pieces=["<answer>The parcel", " is in Ghent.</answer>"], between=lambda: killed.wait(10)))
    one = Agent(fresh.client("bedrock-agent"), fresh.client("bedrock-agent-runtime"), model, tools).prepare()
    answer = one.invoke("Where is it?", enableTrace=True, **STREAM)
    run, first = run_of(answer), []
    for heard in listen(fresh, run):
        first.append(heard)
        if heard.name == "chunk":
            break
    fresh.kill()
    killed.set()
    model._turns.clear()
    model.turn(Say("<answer>It is lost.</answer>"))
    fresh.start()
    rest = list(listen(fresh, run, first[-1].id))
    assert rest[0].name == "reset"
    assert text(first) == "The parcel" and text(first + rest) == "It is lost."
    assert names(first + rest).count("trace") == names(list(listen(fresh, run))).count("trace")


def test_a_stream_goes_on_over_a_crash_inside_a_tool(fresh, model, tools):
    """S15: events heard before the crash stand, and are not told again."""
    entered, let_go = threading.Event(), threading.Event()

    def hold(event):
        entered.set()
        let_go.wait(20)
        return "refunded"

    model.turn(Say(calls=[("shop__refund", {})]), Say("<answer>Refunded.</answer>"))
    one = Agent(fresh.client("bedrock-agent"), fresh.client("bedrock-agent-runtime"), model, tools).serve(hold)
    one.group(function("refund"), executor=KEYED)
    run, first = run_of(one.prepare().invoke("refund", enableTrace=True)), []
    assert entered.wait(10)
    for heard in listen(fresh, run):
        first.append(heard)
        if "invocationInput" in heard.data.get("trace", {}).get("orchestrationTrace", {}):
            break
    fresh.kill()
    let_go.set()
    fresh.start()
    rest = list(listen(fresh, run, first[-1].id))
    assert first + rest == list(listen(fresh, run))
    assert text(rest) == "Refunded."


def test_a_run_that_waits_for_its_client_says_so_and_goes_on_with_it(craton, agent, model):
    model.turn(Say(calls=[("desk__ask", {})]), Say("<answer>Thanks.</answer>"))
    one = agent()
    one.group(function("ask"), name="desk")
    turn = one.prepare().talk("ask", session="stream-parked")
    run = run_of(turn.answer)
    heard = list(listen(craton, run))
    assert names(heard)[-2:] == ["returnControl", "parked"]
    assert heard[-1].data["invocationId"] == turn.control["invocationId"] == heard[-2].data["invocationId"]
    one.talk(session="stream-parked", **hand_back(turn.control, result(turn.control, 0, "yes")))
    rest = list(listen(craton, run, heard[-1].id))
    assert text(rest) == "Thanks." and rest[-1].name == "end" and "returnControl" not in names(rest)


def test_a_failed_run_ends_its_stream_with_the_exception(craton, agent, model):
    model.turn(Say("no more credit", status=402))
    answer = agent().prepare().invoke("hi")
    with pytest.raises(Exception, match="(?i)dependencyFailed"):
        hear(answer)
    heard = list(listen(craton, run_of(answer)))
    assert names(heard) == ["dependencyFailedException", "end"]
    assert "no more credit" in heard[0].data["message"] and heard[1].data == {"status": "failed"}


def test_traces_are_there_for_whoever_wants_them(craton, agent, model):
    """The client asked for none; an operator may."""
    model.turn(Say("<answer>Hi.</answer>"))
    run = run_of(agent().prepare().talk("hi", trace=False).answer)
    assert names(listen(craton, run)) == ["chunk", "end"]
    assert "trace" in names(listen(craton, run, trace="true"))


def test_silence_is_broken_each_second(craton, agent, model):
    """A keep-alive goes out while a tool runs."""
    import urllib.request
    done = threading.Event()
    model.turn(Say(calls=[("shop__look", {})]), Say("ok"))
    one = agent().serve(lambda e: done.wait(10) and "x")
    one.group(function("look"), executor=READ)
    run = run_of(one.prepare().invoke("look"))
    with urllib.request.urlopen(f"{craton.url}/_craton/v1/runs/{run}/stream", timeout=5) as answer:
        assert answer.readline() == b": keep-alive\n"
        done.set()


@pytest.mark.parametrize("query, code", [
    ("from=x", 400), ("from=99999", 400), ("trace=maybe", 400), ("until=3", 400), ("from=1&from=2", 400)])
def test_a_position_that_is_none_is_refused(craton, agent, model, query, code):
    model.turn(Say("ok"))
    run = run_of(agent().prepare().talk("hi").answer)
    with pytest.raises(urllib.error.HTTPError) as caught:
        craton.door(f"/runs/{run}/stream?{query}")
    assert caught.value.code == code


def test_a_run_that_is_not_there_is_not_found(craton):
    with pytest.raises(urllib.error.HTTPError) as caught:
        craton.door("/runs/nothing/stream")
    assert caught.value.code == 404


def test_the_first_event_comes_while_the_model_still_thinks(craton, agent, model):
    """J11: a trace part within 200 ms of the request, before the model has said anything."""
    heard = threading.Event()
    late = []
    model.turn(Say("<answer>At last.</answer>", before=lambda: late.append(not heard.wait(10))))
    one = agent().prepare()
    began = time.monotonic()
    answer = one.invoke("hi", enableTrace=True)
    stream = iter(answer["completion"])
    first = next(stream)
    took = time.monotonic() - began
    heard.set()
    assert "modelInvocationInput" in first["trace"]["trace"]["orchestrationTrace"]
    assert took < 0.2 and late != [True]
    assert b"".join(e["chunk"]["bytes"] for e in stream if "chunk" in e) == b"At last."
    assert late == [False]
