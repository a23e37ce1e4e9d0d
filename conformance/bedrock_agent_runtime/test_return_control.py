"""Return of control: the stream ends with `returnControl`; the client's results let the turn go on."""

import json

import pytest

from support.agents import function, hand_back, refused, result
from support.model import Say, tool_results
from support.tools import READ

PAY = function("pay", "Pays", amount="number required", to="string")
ASK = function("ask", "Asks a person", question="string")


@pytest.fixture
def parked(agent, model):
    """A turn that has handed `count` calls over; gives (agent, its turn so far)."""
    def make(count=1, *extra, **fields):
        model.turn(Say(calls=[("desk__pay", {"amount": n, "to": "Ada"}) for n in range(count)] + list(extra)),
                   Say("All done."))
        one = agent().serve(lambda e: "looked up")
        one.group(PAY, ASK, name="desk")
        one.group(function("look"), executor=READ, name="shop")
        return one, one.prepare().talk("Pay Ada", session="parked", **fields)
    return make


def test_one_call_goes_out_and_comes_back(parked, model):
    """E1"""
    one, turn = parked()
    assert turn.order[-1] == "returnControl" and turn.text == ""
    given, = turn.control["invocationInputs"]
    assert given == {"functionInvocationInput": {
        "agentId": one.id, "actionGroup": "desk", "actionInvocationType": "RESULT", "function": "pay",
        "parameters": given["functionInvocationInput"]["parameters"]}}
    parameters = given["functionInvocationInput"]["parameters"]
    assert sorted((p["name"], p["type"], p["value"]) for p in parameters) == [
        ("amount", "number", "0"), ("to", "string", "Ada")]
    rest = one.talk(session="parked", **hand_back(turn.control, result(turn.control, 0, "paid")))
    assert rest.text == "All done."
    assert tool_results(model.requests[1]) == ["paid"]
    assert "ACTION_GROUP" in [o["type"] for o in rest.all("observation")]


def test_an_openapi_call_goes_out_and_comes_back(agent, model):
    """E1: with apiPath, httpMethod and requestBody."""
    api = json.dumps({
        "openapi": "3.0.0", "info": {"title": "t", "version": "1"},
        "paths": {"/pay/{to}": {"post": {
            "operationId": "pay", "description": "Pays",
            "parameters": [{"name": "to", "in": "path", "required": True, "schema": {"type": "string"}}],
            "requestBody": {"content": {"application/json": {"schema": {
                "type": "object", "properties": {"amount": {"type": "number"}}}}}},
            "responses": {"200": {"description": "ok"}}}}}})
    model.turn(Say(calls=[("post__desk__pay", {"to": "Ada", "amount": 5})]), Say("Paid."))
    one = agent()
    one.group(name="desk", apiSchema={"payload": api})
    turn = one.prepare().talk("Pay", session="api")
    given = turn.control["invocationInputs"][0]["apiInvocationInput"]
    assert (given["apiPath"], given["httpMethod"]) == ("/pay/{to}", "POST")
    assert given["parameters"] == [{"name": "to", "type": "string", "value": "Ada"}]
    assert given["requestBody"]["content"]["application/json"]["properties"] == [
        {"name": "amount", "type": "number", "value": "5"}]
    rest = one.talk(session="api", **hand_back(turn.control, result(turn.control, 0, {"ok": True})))
    assert rest.text == "Paid."
    assert json.loads(tool_results(model.requests[1])[0]) == {"ok": True}


@pytest.mark.parametrize("count", [2, 3, 5])
def test_several_calls_go_out_and_come_back_together(parked, model, count):
    """E2"""
    one, turn = parked(count)
    assert len(turn.control["invocationInputs"]) == count
    results = [result(turn.control, n, f"paid {n}") for n in range(count)]
    rest = one.talk(session="parked", **hand_back(turn.control, *results))
    assert rest.text == "All done."
    assert tool_results(model.requests[1]) == [f"paid {n}" for n in range(count)]


def test_five_are_the_most_and_the_surplus_goes_back_to_the_model(parked, model):
    """E2"""
    one, turn = parked(6)
    assert len(turn.control["invocationInputs"]) == 5
    one.talk(session="parked", **hand_back(
        turn.control, *[result(turn.control, n, f"paid {n}") for n in range(5)]))
    told = tool_results(model.requests[1])
    assert told[:5] == [f"paid {n}" for n in range(5)] and len(told) == 6 and told[5] != "paid 5"


def test_lambda_tools_of_the_reply_run_first(parked, model):
    """E1: then the turn waits with the calls that are the client's."""
    one, turn = parked(1, ("shop__look", {}))
    assert [call.what for call in one.calls()] == ["look"]
    assert len(turn.control["invocationInputs"]) == 1
    one.talk(session="parked", **hand_back(turn.control, result(turn.control, 0, "paid")))
    assert tool_results(model.requests[1]) == ["paid", "looked up"]
    assert len(one.calls()) == 1


def wrong(name):
    def spoil(control):
        right = [result(control, n, "paid") for n in range(2)]
        other = result(control, 0, "paid")
        if name == "partial" or name == "missing":
            given = hand_back(control, right[0])
            if name == "missing":
                del given["sessionState"]["returnControlInvocationResults"]
            return given
        if name == "duplicate":
            return hand_back(control, *right, right[0])
        if name == "unknown function":
            other["functionResult"]["function"] = "steal"
            return hand_back(control, right[0], other)
        if name == "another group":
            other["functionResult"]["actionGroup"] = "shop"
            return hand_back(control, right[0], other)
        return hand_back({**control, "invocationId": "11111111-2222-3333-4444-555555555555"}, *right)
    return spoil


@pytest.mark.parametrize("name", ["partial", "missing", "duplicate", "unknown function",
                                  "another group", "another invocation"])
def test_results_that_do_not_fit_are_refused_and_nothing_is_lost(parked, model, name):
    """E2: the right results still let the turn go on."""
    one, turn = parked(2)
    with refused("ValidationException"):
        one.talk(session="parked", **wrong(name)(turn.control))
    results = [result(turn.control, n, "paid") for n in range(2)]
    assert one.talk(session="parked", **hand_back(turn.control, *results)).text == "All done."


def test_input_text_beside_results_is_ignored(parked, model):
    """E1"""
    one, turn = parked()
    rest = one.talk("something else entirely", session="parked",
                    **hand_back(turn.control, result(turn.control, 0, "paid")))
    assert rest.text == "All done."
    assert "something else" not in json.dumps(model.requests[1]["messages"])


def test_results_that_nobody_waits_for_are_refused(parked):
    one, turn = parked()
    given = hand_back(turn.control, result(turn.control, 0, "paid"))
    one.talk(session="parked", **given)
    with refused("ValidationException"):
        one.talk(session="parked", **given)


def test_new_input_calls_the_hand_off_off(parked, model):
    """The history stays valid: the open call is closed with a result that says so."""
    one, turn = parked()
    model.turn(Say("fine"))
    model._turns.insert(0, model._turns.pop())
    assert one.talk("Never mind", session="parked").text == "fine"
    messages = model.requests[-1]["messages"]
    asked = [c["id"] for m in messages for c in m.get("tool_calls") or []]
    closed = [m["tool_call_id"] for m in messages if m["role"] == "tool"]
    assert sorted(asked) == sorted(closed)
    with refused("ValidationException"):
        one.talk(session="parked", **hand_back(turn.control, result(turn.control, 0, "paid")))


def test_a_result_may_be_a_failure_or_a_reprompt(parked, model):
    """E1: responseState of a result has the meaning that it has for a function."""
    one, turn = parked()
    rest = one.talk(session="parked", **hand_back(
        turn.control, result(turn.control, 0, "which Ada?", responseState="REPROMPT")))
    assert rest.text == "All done." and "which Ada?" in tool_results(model.requests[1])[0]
    one, turn = parked()
    with refused("DependencyFailedException", "no money"):
        one.talk(session="parked", **hand_back(
            turn.control, result(turn.control, 0, "no money", responseState="FAILURE")))


def test_attributes_can_be_set_with_the_results(parked, model):
    """G2"""
    one, turn = parked()
    one.talk(session="parked", **hand_back(
        turn.control, result(turn.control, 0, "paid"), sessionAttributes={"paid": "yes"}))
    model._turns.clear()
    model.turn(Say(calls=[("shop__look", {})]), Say("x"))
    one.talk("look", session="parked")
    assert one.calls()[-1].event["sessionAttributes"] == {"paid": "yes"}


def test_a_hand_off_waits_through_a_restart(fresh, models, tools, model):
    """E1: nothing of it lives in memory alone."""
    from support.agents import Agent
    model.turn(Say(calls=[("desk__pay", {"amount": 620})]), Say("Paid."))
    one = Agent(fresh.client("bedrock-agent"), fresh.client("bedrock-agent-runtime"), model, tools)
    one.group(PAY, name="desk")
    turn = one.prepare().talk("Pay 620", session="long")
    fresh.kill()
    fresh.start()
    assert one.talk(session="long", **hand_back(
        turn.control, result(turn.control, 0, "approved"))).text == "Paid."
    assert len(model.requests) == 2 and tool_results(model.requests[1]) == ["approved"]
