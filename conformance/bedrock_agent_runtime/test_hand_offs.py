"""Hand-offs beyond a plain return of control: the user's word on an action, a question to the user,
and new input in place of either."""

import json

import pytest

from support.agents import Agent, function, hand_back, refused, result
from support.model import Say, tool_names, tool_results
from support.tools import ONCE

PAY = {**function("pay", "Pays", amount="number required", to="string"), "requireConfirmation": "ENABLED"}
LOOK = function("look", "Looks a balance up")


def api(flag="ENABLED"):
    """One operation that pays, with its flag of confirmation."""
    return json.dumps({
        "openapi": "3.0.0", "info": {"title": "t", "version": "1"},
        "paths": {"/pay/{to}": {"post": {
            "operationId": "pay", "description": "Pays", "x-requireConfirmation": flag,
            "parameters": [{"name": "to", "in": "path", "required": True, "schema": {"type": "string"}}],
            "requestBody": {"content": {"application/json": {"schema": {
                "type": "object", "properties": {"amount": {"type": "number"}}}}}},
            "responses": {"200": {"description": "ok"}}}}}})


def word(control, place, state, **extra):
    """The user's word on one input, and nothing else."""
    given = result(control, place, "", confirmationState=state, **extra)
    (kind, inner), = given.items()
    del inner["responseBody"]
    return given


@pytest.fixture
def asked(agent, model):
    """A turn that asks for the user's word; gives (agent, turn)."""
    def make(executor=ONCE, calls=(("bank__pay", {"amount": 620, "to": "Ada"}),), functions=(PAY, LOOK), **fields):
        model.turn(Say(calls=list(calls)), Say("All done."))
        one = agent().serve(lambda event: f"paid {event['parameters'][0]['value']}")
        one.group(*functions, executor=executor, name="bank", **fields)
        return one, one.prepare().talk("Pay Ada", session="bank")
    return make


def kinds(turn):
    return [next(iter(i.values()))["actionInvocationType"] for i in turn.control["invocationInputs"]]


def test_a_function_is_called_after_the_user_agrees(asked, model):
    """E4: USER_CONFIRMATION; what the user saw is what the function gets."""
    one, turn = asked()
    assert kinds(turn) == ["USER_CONFIRMATION"] and one.calls() == []
    shown = turn.control["invocationInputs"][0]["functionInvocationInput"]
    rest = one.talk(session="bank", **hand_back(turn.control, word(turn.control, 0, "CONFIRM")))
    call, = one.calls()
    by_name = {p["name"]: p["value"] for p in shown["parameters"]}
    assert call.given == by_name == {"amount": "620", "to": "Ada"}
    assert rest.text == "All done." and tool_results(model.requests[1]) == ["paid 620"]
    assert [i["actionGroupInvocationInput"]["executionType"] for i in rest.all("invocationInput")] == ["LAMBDA"]


def test_a_function_that_the_user_denies_is_not_called_and_the_model_is_told(asked, model):
    """E4"""
    one, turn = asked()
    rest = one.talk(session="bank", **hand_back(turn.control, word(turn.control, 0, "DENY")))
    assert rest.text == "All done." and one.calls() == []
    told, = tool_results(model.requests[1])
    assert "did not agree" in told and "not performed" in told
    assert "did not agree" in rest.all("observation")[0]["actionGroupInvocationOutput"]["text"]


def test_a_function_of_the_client_needs_the_word_and_the_result(asked, model):
    """E4: USER_CONFIRMATION_AND_RESULT"""
    one, turn = asked(executor=None)
    assert kinds(turn) == ["USER_CONFIRMATION_AND_RESULT"]
    given = result(turn.control, 0, "paid by hand", confirmationState="CONFIRM")
    assert one.talk(session="bank", **hand_back(turn.control, given)).text == "All done."
    assert tool_results(model.requests[1]) == ["paid by hand"]


def test_a_client_that_denies_may_say_why(asked, model):
    """E4: the words that clients of AWS send along reach the model."""
    one, turn = asked(executor=None)
    given = result(turn.control, 0, "Access Denied to this function.", confirmationState="DENY")
    one.talk(session="bank", **hand_back(turn.control, given))
    told, = tool_results(model.requests[1])
    assert "did not agree" in told and told.endswith("Access Denied to this function.")


@pytest.mark.parametrize("state", ["CONFIRM", "DENY"])
def test_an_operation_asks_for_the_word_like_a_function(agent, model, state):
    """E4: x-requireConfirmation of an OpenAPI document."""
    model.turn(Say(calls=[("post__bank__pay", {"to": "Ada", "amount": 5})]), Say("Done."))
    one = agent().serve(lambda event: {"paid": True})
    one.group(executor=ONCE, name="bank", apiSchema={"payload": api()})
    turn = one.prepare().talk("Pay", session="api")
    given = turn.control["invocationInputs"][0]["apiInvocationInput"]
    assert (given["actionInvocationType"], given["apiPath"]) == ("USER_CONFIRMATION", "/pay/{to}")
    one.talk(session="api", **hand_back(turn.control, word(turn.control, 0, state)))
    assert [call.what for call in one.calls()] == (["/pay/{to}"] if state == "CONFIRM" else [])


def test_an_operation_without_the_flag_is_called_at_once(agent, model):
    """E4: DISABLED is the default by another name."""
    model.turn(Say(calls=[("post__bank__pay", {"to": "Ada", "amount": 5})]), Say("Done."))
    one = agent().serve(lambda event: {"paid": True})
    one.group(executor=ONCE, name="bank", apiSchema={"payload": api("DISABLED")})
    assert one.prepare().talk("Pay").text == "Done." and len(one.calls()) == 1


def test_words_and_results_go_back_together(agent, model):
    """E2, E4: one of each kind in one hand-off; what needs nobody runs first."""
    model.turn(Say(calls=[("bank__pay", {"amount": 1}), ("desk__sign", {"paper": "x"}), ("bank__look", {}),
                          ("bank__pay", {"amount": 2})]), Say("All done."))
    one = agent().serve(lambda event: event["function"])
    one.group(PAY, LOOK, executor=ONCE, name="bank")
    one.group(function("sign", "Signs", paper="string"), name="desk")
    turn = one.prepare().talk("All of it", session="all")
    assert kinds(turn) == ["USER_CONFIRMATION", "RESULT", "USER_CONFIRMATION"]
    assert [call.what for call in one.calls()] == ["look"]
    control = turn.control
    one.talk(session="all", **hand_back(
        control, word(control, 0, "DENY"), result(control, 1, "signed"), word(control, 2, "CONFIRM")))
    assert [(c.what, c.given.get("amount")) for c in one.calls()] == [("look", None), ("pay", "2")]
    told = tool_results(model.requests[1])
    assert "did not agree" in told[0] and told[1:] == ["signed", "look", "pay"]


def test_nothing_stands_for_a_word_that_is_missing_or_not_asked_for(asked):
    """E4: refused by name, nothing is called, and the right word still does."""
    one, turn = asked()
    control = turn.control
    with refused("ValidationException", "confirmationState"):
        one.talk(session="bank", **hand_back(control, result(control, 0, "paid")))
    with refused("ValidationException"):
        one.talk(session="bank", **hand_back(control, word(control, 0, "CONFIRM"), word(control, 0, "CONFIRM")))
    with refused("ValidationException", "AAAAAAAAAA"):
        one.talk(session="bank", **hand_back(control, word(control, 0, "CONFIRM", agentId="AAAAAAAAAA")))
    assert one.calls() == []
    right = word(control, 0, "CONFIRM", agentId=one.id)
    assert one.talk(session="bank", **hand_back(control, right)).text == "All done."
    assert len(one.calls()) == 1


def test_a_word_on_a_plain_return_of_control_is_refused(asked):
    """E4: RESULT asks for no word."""
    one, turn = asked(executor=None, functions=(function("pay", "Pays", amount="number"),),
                      calls=(("bank__pay", {"amount": 1}),))
    assert kinds(turn) == ["RESULT"]
    with refused("ValidationException", "RESULT"):
        one.talk(session="bank", **hand_back(
            turn.control, result(turn.control, 0, "paid", confirmationState="CONFIRM")))
    assert one.talk(session="bank", **hand_back(turn.control, result(turn.control, 0, "paid"))).text == "All done."


def test_an_unknown_word_is_refused(raw_rt, asked):
    """E4: an enum of the model."""
    one, turn = asked()
    with refused("ValidationException"):
        one.talk(session="bank", rt=raw_rt, **hand_back(turn.control, word(turn.control, 0, "PERHAPS")))


def test_new_input_instead_of_the_word_calls_nothing(asked, model):
    """E4: the hand-off is called off by the user and the session goes on."""
    one, turn = asked()
    model.turn(Say("As you wish."), said="Never mind")
    model._turns.insert(0, model._turns.pop())
    assert one.talk("Never mind", session="bank").text == "As you wish."
    assert one.calls() == []
    assert "cancelled: by the user" in tool_results(model.requests[-1])[0]
    with refused("ValidationException"):
        one.talk(session="bank", **hand_back(turn.control, word(turn.control, 0, "CONFIRM")))


def test_a_word_after_a_kill_calls_the_function_once(fresh, models, tools, model):
    """E4, G10: between the question and the word the server is killed."""
    model.turn(Say(calls=[("bank__pay", {"amount": 620})]), Say("Paid."))
    one = Agent(fresh.client("bedrock-agent"), fresh.client("bedrock-agent-runtime"), model, tools)
    one.serve(lambda event: "paid").group(PAY, executor=ONCE, name="bank")
    turn = one.prepare().talk("Pay 620", session="long")
    fresh.kill()
    fresh.start()
    assert one.talk(session="long", **hand_back(turn.control, word(turn.control, 0, "CONFIRM"))).text == "Paid."
    assert len(one.calls()) == 1


def test_an_id_without_results_is_refused_and_the_hand_off_stays(asked):
    """E1: text beside it would have called the hand-off off."""
    one, turn = asked()
    with refused("ValidationException", "returnControlInvocationResults"):
        one.talk("and now?", session="bank", sessionState={"invocationId": turn.control["invocationId"]})
    assert one.talk(session="bank", **hand_back(turn.control, word(turn.control, 0, "CONFIRM"))).text == "All done."


def test_the_model_reads_the_status_of_an_operation_that_did_not_succeed(agent, model):
    """E1: httpStatusCode of an apiResult."""
    model.turn(Say(calls=[("post__bank__pay", {"to": "Ada", "amount": 5})]), Say("Done."))
    one = agent()
    one.group(name="bank", apiSchema={"payload": api("DISABLED")})
    turn = one.prepare().talk("Pay", session="api")
    given = result(turn.control, 0, "no such account")
    given["apiResult"]["httpStatusCode"] = 404
    one.talk(session="api", **hand_back(turn.control, given))
    assert tool_results(model.requests[1]) == ["HTTP 404: no such account"]


@pytest.fixture
def asking(agent, model):
    """An agent that may ask its user, and what it has heard so far."""
    def make(state="ENABLED"):
        one = agent().serve(lambda event: "A-1 is on its way")
        one.group(function("track", order="string required"), executor=ONCE, name="shop")
        one.cp.create_agent_action_group(
            agentId=one.id, agentVersion="DRAFT", actionGroupName="ask",
            parentActionGroupSignature="AMAZON.UserInput", actionGroupState=state)
        return one.prepare()
    return make


def test_a_question_ends_the_turn_and_the_answer_is_the_next_input(asking, model):
    """B2, B4: ASK_USER; the history is one that a model's service accepts."""
    model.turn(Say(calls=[("user__askuser", {"question": "Which order?"})]), said="where is it")
    model.turn(Say(calls=[("shop__track", {"order": "A-1"})]), Say("On its way."), said="A-1")
    one = asking()
    turn = one.talk("Where is it?", session="ask")
    assert turn.text == "Which order?" and turn.order[-1] == "chunk" and turn.control is None
    last = turn.all("observation")[-1]
    assert (last["type"], last["finalResponse"]["text"]) == ("ASK_USER", "Which order?")
    assert one.talk("A-1", session="ask").text == "On its way."
    assert "user__askuser" in tool_names(model.requests[0])
    messages = model.requests[1]["messages"]
    assert [m["role"] for m in messages if m["role"] != "system"] == ["user", "assistant", "tool", "assistant", "user"]
    assert messages[-2]["content"] == "Which order?"


def test_a_question_is_streamed_like_an_answer(asking, model):
    """B2"""
    model.turn(Say(calls=[("user__askuser", {"question": "Which order?"})]))
    turn = asking().talk("Where is it?", streamingConfigurations={"streamFinalResponse": True})
    assert turn.text == "Which order?"


def test_without_the_group_the_model_has_no_such_tool(asking, model):
    """B4: a disabled group is as good as none."""
    model.turn(Say(calls=[("user__askuser", {"question": "Which order?"})]), Say("I cannot tell."))
    one = asking("DISABLED")
    turn = one.talk("Where is it?")
    assert "user__askuser" not in tool_names(model.requests[0])
    assert turn.text == "I cannot tell." and turn.all("observation")[0]["type"] == "REPROMPT"


def test_what_is_asked_for_beside_a_question_is_done_first(asking, model):
    """B2"""
    model.turn(Say(calls=[("user__askuser", {"question": "And the other?"}), ("shop__track", {"order": "A-1"})]))
    one = asking()
    turn = one.talk("Where are they?", session="both")
    assert turn.text == "And the other?" and len(one.calls()) == 1
