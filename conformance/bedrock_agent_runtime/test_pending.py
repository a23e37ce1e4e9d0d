"""Tools that answer later, and turns that are started and looked at later."""

import json
import threading

import pytest

from support.agents import DRAFT_ALIAS, Agent, function, hand_back, hear, refused, result, until
from support.model import Say, tool_results
from support.team import Team, tell
from support.tools import ONCE, READ, answer, later

BOOK = function("book", "Books a seat", seat="string required")


@pytest.fixture
def booking(agent, model):
    """An agent whose tool answers later; `tool` may be another one."""
    def make(tool=lambda event: later(event, "job-1"), make=agent, **fields):
        model.turn(Say(calls=[("seats__book", {"seat": "4A"})]), Say("It is booked."))
        one = make(**fields).serve(tool)
        one.group(BOOK, executor=ONCE, name="seats")
        return one.prepare()
    return make


def aside(what):
    """Runs beside the case; `.join()` gives what came of it."""
    box = []
    thread = threading.Thread(target=lambda: box.append(what()), daemon=True)
    thread.start()

    class Aside:
        def join(self):
            thread.join(30)
            return box[0]
    return Aside()


def parked(craton, session):
    def look():
        runs = craton.door(f"/runs?session={session}")["runs"]
        return runs and runs[0]["status"] == "parked" and runs[0]["run"]
    return until(look)


def test_a_callback_ends_the_turn_that_its_client_still_listens_to(craton, booking, model):
    """B12"""
    one = booking()
    turn = aside(lambda: one.talk("Book 4A", session="late-1"))
    run = parked(craton, "late-1")
    status, said = craton.tell(f"/runs/{run}/calls/job-1", "seat 4A is yours")
    assert (status, said) == (200, {"run": run, "token": "job-1", "taken": True})
    assert turn.join().text == "It is booked."
    assert tool_results(model.requests[1]) == ["seat 4A is yours"]
    call, = one.calls()
    assert call.request == run, "the tool knows the run that it answers to"


def test_a_callback_may_be_a_functions_own_answer(craton, booking, model):
    """B12: attributes and states of the answer count as if it had come at once."""
    one = booking()
    turn = aside(lambda: one.talk("Book 4A", session="late-2"))
    run = parked(craton, "late-2")
    event = one.calls()[0].event
    body = answer(event, "yours", sessionAttributes={"seat": "4A"})
    assert craton.tell(f"/runs/{run}/calls/job-1", body)[0] == 200
    assert turn.join().text == "It is booked." and tool_results(model.requests[1]) == ["yours"]
    shown = craton.door(f"/runs/{run}")
    assert shown["answer"] == {"text": "It is booked."}


def test_a_callback_after_a_kill_ends_the_turn(fresh, models, tools, model):
    """B12, G10"""
    model.turn(Say(calls=[("seats__book", {"seat": "4A"})]), Say("It is booked."))
    one = Agent(fresh.client("bedrock-agent"), fresh.client("bedrock-agent-runtime"), model, tools)
    one.serve(lambda event: later(event, "job-1")).group(BOOK, executor=ONCE, name="seats")
    one.prepare()
    status, begun = fresh.tell("/invocations", {
        "agentId": one.id, "agentAliasId": DRAFT_ALIAS, "sessionId": "long", "inputText": "Book 4A"})
    assert status == 202
    run = parked(fresh, "long")
    assert run == begun["run"]
    fresh.kill()
    fresh.start()
    assert fresh.tell(f"/runs/{run}/calls/job-1", "yours")[0] == 200
    until(lambda: fresh.door(f"/runs/{run}").get("answer") == {"text": "It is booked."})
    assert len(one.calls()) == 1 and tool_results(model.requests[1]) == ["yours"]


def test_a_result_is_taken_once(craton, booking, model):
    """B12: the same may come again, another not; a wrong token is told from a late result."""
    one = booking()
    turn = aside(lambda: one.talk("Book 4A", session="late-3"))
    run = parked(craton, "late-3")
    assert craton.tell(f"/runs/{run}/calls/job-2", "x")[0] == 404
    assert craton.tell("/runs/no-such-run/calls/job-1", "x")[0] == 404
    assert craton.tell(f"/runs/{run}/calls/job-1?state=PERHAPS", "x")[0] == 400
    assert craton.tell(f"/runs/{run}/calls/job-1", {"messageVersion": "1.0", "response": {}})[0] == 400
    assert craton.tell(f"/runs/{run}/calls/job-1", "y" * 26_000)[0] == 400
    assert [craton.tell(f"/runs/{run}/calls/job-1", body)[0] for body in ("yours", "yours", "lost")] == [200, 200, 409]
    assert turn.join().text == "It is booked." and tool_results(model.requests[1]) == ["yours"]


@pytest.mark.parametrize(("state", "told"), [("ERROR", "tool_failed: no seats"), ("REPROMPT", "no seats")])
def test_a_result_may_be_an_error_or_a_reprompt(craton, booking, model, state, told):
    """B12"""
    one = booking()
    turn = aside(lambda: one.talk("Book 4A", session=f"late-{state}"))
    run = parked(craton, f"late-{state}")
    assert craton.tell(f"/runs/{run}/calls/job-1?state={state}", "no seats")[0] == 200
    turn.join()
    assert tool_results(model.requests[1])[0].endswith(told)


def test_a_result_may_end_the_turn(craton, booking):
    """B12"""
    one = booking()

    def talk():
        with refused("DependencyFailedException", "no seats"):
            one.talk("Book 4A", session="late-failure")
        return True
    turn = aside(talk)
    run = parked(craton, "late-failure")
    assert craton.tell(f"/runs/{run}/calls/job-1?state=FAILURE", "no seats")[0] == 200
    assert turn.join()


def test_a_tool_is_asked_again_until_it_has_a_result(booking, model):
    """B12: with the same key and its token."""
    seen = []

    def tool(event):
        seen.append(event.get("craton"))
        return later(event, "job-1", pollSeconds=1) if len(seen) < 3 else "yours"
    one = booking(tool)
    assert one.talk("Book 4A").text == "It is booked."
    assert seen == [None] + [{"pending": {"token": "job-1"}}] * 2
    assert len({call.key for call in one.calls()}) == 1
    assert tool_results(model.requests[1]) == ["yours"]


def test_a_result_that_never_comes_is_told_as_unknown(craton, booking, model):
    """B12: the deadline is the tool's own, or the server's."""
    one = booking(lambda event: later(event, "job-1", deadlineSeconds=1))
    turn = one.talk("Book 4A", session="never")
    assert turn.text == "It is booked." and "unknown_outcome" in tool_results(model.requests[1])[0]
    run = craton.door("/runs?session=never")["runs"][0]["run"]
    assert craton.tell(f"/runs/{run}/calls/job-1", "yours")[0] == 409


def test_new_input_calls_off_what_is_pending(craton, booking, model):
    """B12: its outcome is unknown, so an identical call is refused until a person has looked."""
    one = booking()
    model.turn(Say(calls=[("seats__book", {"seat": "4A"})]), Say("I cannot tell."), said="again")
    model._turns.insert(0, model._turns.pop())

    def talk():
        with refused("ConflictException", "by the user"):
            one.talk("Book 4A", session="off")
        return True
    turn = aside(talk)
    run = parked(craton, "off")
    assert one.talk("Book it again", session="off").text == "I cannot tell."
    assert turn.join() and len(one.calls()) == 1
    assert all("unknown_outcome" in told for told in tool_results(model.requests[-1]))
    assert craton.tell(f"/runs/{run}/calls/job-1", "yours")[0] == 409


def test_an_answer_that_names_what_is_unknown_is_no_result(booking, model):
    """B12: a slip in the extension is never taken for a promise: the tool may be at work."""
    one = booking(lambda event: {"messageVersion": "1.0", "craton": {"pending": {"tokn": "job-1"}}})
    assert one.talk("Book 4A").text == "It is booked."
    assert "unknown_outcome" in tool_results(model.requests[1])[0]


def test_a_turn_is_started_and_looked_at_later(craton, agent, model):
    """B12"""
    model.turn(Say("Hello to you."))
    one = agent().prepare()
    status, begun = craton.tell("/invocations", {
        "agentId": one.id, "agentAliasId": DRAFT_ALIAS, "sessionId": "started", "inputText": "Hello"})
    assert status == 202 and begun["sessionId"] == "started"
    shown = until(lambda: (found := craton.door(f"/runs/{begun['run']}")).get("answer") and found)
    assert (shown["answer"], shown["run"]["status"]) == ({"text": "Hello to you."}, "answered")


def test_a_started_turn_hands_off_and_goes_on(craton, agent, model):
    """B12, E1: results come by the same way."""
    model.turn(Say(calls=[("desk__sign", {"paper": "x"})]), Say("Signed."))
    one = agent()
    one.group(function("sign", paper="string"), name="desk")
    one.prepare()
    base = {"agentId": one.id, "agentAliasId": DRAFT_ALIAS, "sessionId": "started-roc"}
    run = craton.tell("/invocations", {**base, "inputText": "Sign x"})[1]["run"]
    control = until(lambda: craton.door(f"/runs/{run}").get("answer"))["returnControl"]
    status, more = craton.tell("/invocations", {**base, **hand_back(control, result(control, 0, "signed"))})
    assert (status, more["run"]) == (202, run)
    until(lambda: craton.door(f"/runs/{run}").get("answer") == {"text": "Signed."})


@pytest.mark.parametrize(("change", "status"), [
    ({"agentId": "AAAAAAAAAA"}, 404), ({"sessionId": "!"}, 400), ({"inputText": 7}, 400), ({"inputText": ""}, 400),
    ({"agentAliasId": None}, 400), ({"endSession": True}, 400)], ids=lambda value: json.dumps(value))
def test_what_invoke_agent_refuses_is_refused_here(craton, agent, change, status):
    """B12"""
    one = agent().prepare()
    asked = {"agentId": one.id, "agentAliasId": DRAFT_ALIAS, "sessionId": "wrong", "inputText": "Hello", **change}
    assert craton.tell("/invocations", {k: v for k, v in asked.items() if v is not None})[0] == status


def test_a_pending_call_that_only_reads_may_be_made_again(craton, agent, model):
    """B12: called off, it leaves nothing unknown."""
    model.turn(Say(calls=[("shop__look", {"x": 1})]), Say("Here."), said="first")
    model.turn(Say(calls=[("shop__look", {"x": 1})]), Say("Here."), said="second")
    one = agent().serve(lambda event: later(event, "job-1") if event["inputText"] == "first" else "found")
    one.group(function("look", x="integer"), executor=READ, name="shop")
    one.prepare()
    stream = one.invoke("first", session="read")
    parked(craton, "read")
    assert one.talk("second", session="read").text == "Here." and len(one.calls()) == 2
    with refused("ConflictException"):
        hear(stream)


def test_a_collaborators_tool_may_answer_later(craton, agent, models, cp, model):
    """B12, I1: the whole team waits, and the result finds its way down."""
    def set_up(one):
        one.serve(lambda event: later(event, "job-1"))
        one.group(BOOK, executor=ONCE, name="seats")
    team = Team(agent, models, cp, seats=set_up)
    team.models["seats"].turn(Say(calls=[("seats__book", {"seat": "4A"})]), Say("<answer>Seat 4A.</answer>"))
    model.turn(Say(calls=tell(("seats", "book 4A"))), Say("<answer>Booked.</answer>"))
    turn = aside(lambda: team.talk("Book 4A", session="team"))
    run = parked(craton, "team")
    event = team.members["seats"].calls()[0].event
    assert [craton.tell(f"/runs/{run}/calls/job-1", answer(event, "yours"))[0] for _ in "12"] == [200, 200]
    assert turn.join().text == "Booked."
    assert tool_results(team.models["seats"].requests[1]) == ["yours"]
    assert tool_results(model.requests[1]) == ["Seat 4A."]
