"""InvokeAgent, the turn: plan, act, observe, answer, and what of it the client is shown."""

import json
import re
import threading
import time

import pytest

from support.agents import function, refused
from support.model import Say, text_of, tool_results
from support.tools import ONCE, READ, answer

GET_ORDER = function("get_order", "Looks one order up", order_id=("string required", "its number"))
GET_PARCEL = function("get_parcel", "Where a parcel is", parcel=("string required", "its number"))


def test_the_loop_runs_until_the_model_answers(agent, model):
    """B1: two tool turns make two executions; the trace shows why, what, and what came of it."""
    model.turn(
        Say("First the order.", [("shop__get_order", {"order_id": "A-1"})]),
        Say("Now its parcel.", [("shop__get_parcel", {"parcel": "P-9"})]),
        Say("<answer>It is in Ghent.</answer>"),
    )
    one = agent().serve(lambda e: {"parcel": "P-9"} if e["function"] == "get_order" else "Ghent")
    one.group(GET_ORDER, GET_PARCEL, executor=READ)
    turn = one.prepare().talk("Where is order A-1?", session="loop")
    assert turn.text == "It is in Ghent."
    assert [(call.what, call.given) for call in one.calls()] == [
        ("get_order", {"order_id": "A-1"}), ("get_parcel", {"parcel": "P-9"})]
    step = ["modelInvocationInput", "modelInvocationOutput", "rationale", "invocationInput",
            "observation ACTION_GROUP"]
    last = ["modelInvocationInput", "modelInvocationOutput", "observation FINISH"]
    assert turn.steps() == step * 2 + last
    assert turn.order.index("chunk") > turn.order.index("trace")
    assert [r["text"] for r in turn.all("rationale")] == ["First the order.", "Now its parcel."]
    assert tool_results(model.requests[2]) == [json.dumps({"parcel": "P-9"}), "Ghent"]


def test_a_trace_part_tells_what_happened(agent, model):
    """P1: which agent, when, what was called with what, what it took. P8: one id joins them."""
    model.turn(Say("Looking.", [("shop__get_order", {"order_id": "A-1"})]), Say("Done."))
    one = agent().serve(lambda e: "shipped")
    one.group(GET_ORDER, executor=READ)
    turn = one.prepare().talk("Where is A-1?", session="traced")
    for part in turn.parts:
        assert part["agentId"] == one.id
        assert part["agentAliasId"] == "TSTALIASID" and part["agentVersion"] == "DRAFT"
        assert part["sessionId"] == "traced"
        caller, = part["callerChain"]
        assert caller["agentAliasArn"].endswith(f":agent-alias/{one.id}/TSTALIASID")
        assert abs(part["eventTime"].timestamp() - time.time()) < 60
    asked, = turn.all("invocationInput")
    group = asked["actionGroupInvocationInput"]
    assert asked["invocationType"] == "ACTION_GROUP"
    assert group["actionGroupName"] == "shop" and group["function"] == "get_order"
    assert group["parameters"] == [{"name": "order_id", "type": "string", "value": "A-1"}]
    seen, finish = turn.all("observation")
    assert seen["actionGroupInvocationOutput"]["text"] == "shipped"
    assert finish["finalResponse"]["text"] == "Done."
    output = turn.all("modelInvocationOutput")[0]
    assert output["metadata"]["usage"] == {"inputTokens": 11, "outputTokens": 7}
    assert output["metadata"]["totalTimeMs"] >= 0
    assert "Where is A-1?" in turn.all("modelInvocationInput")[0]["text"]
    ids = [next(iter(t["orchestrationTrace"].values()))["traceId"] for t in turn.traces]
    run = turn.answer["ResponseMetadata"]["HTTPHeaders"]["x-craton-run-id"]
    assert all(id.startswith(run) for id in ids), (run, ids)


def test_calls_side_by_side_have_a_trace_id_each(agent, model):
    """P1: whichever ends first, a client can tell which call's end it sees, while others still run."""
    first = threading.Event()
    model.turn(
        Say(calls=[("shop__get_order", {"order_id": n}) for n in "ab"]), Say("Both."))
    one = agent().serve(lambda e: first.wait(10) and "slow" if e["parameters"][0]["value"] == "a" else "fast")
    one.group(GET_ORDER, executor=READ)
    began, ended = {}, []
    for event in one.prepare().invoke("Compare a and b", enableTrace=True)["completion"]:
        step = event.get("trace", {}).get("trace", {}).get("orchestrationTrace", {})
        if "invocationInput" in step:
            given = step["invocationInput"]["actionGroupInvocationInput"]["parameters"]
            began[step["invocationInput"]["traceId"]] = given[0]["value"]
        output = step.get("observation", {}).get("actionGroupInvocationOutput")
        if output:
            ended.append((began[step["observation"]["traceId"]], output["text"]))
            first.set()
    assert sorted(began.values()) == ["a", "b"]
    assert ended == [("b", "fast"), ("a", "slow")]


def test_a_run_is_found_by_its_id_afterwards(craton, agent, model):
    """P8: the header names the run, and Craton's own door shows the same trace."""
    model.turn(Say("Done."))
    turn = agent().prepare().talk("Hi", session="found")
    run = turn.answer["ResponseMetadata"]["HTTPHeaders"]["x-craton-run-id"]
    assert turn.answer["ResponseMetadata"]["RequestId"] == run
    shown = json.dumps(craton.door(f"/runs/{run}"))
    assert run in shown and "found" in shown


def test_without_trace_only_the_answer_comes(agent, model):
    model.turn(Say("Done."))
    turn = agent().prepare().talk("Hi", trace=False)
    assert (turn.order, turn.text) == (["chunk"], "Done.")


def test_the_answers_head_names_session_and_type(agent, model):
    model.turn(Say("Done."))
    turn = agent().prepare().talk("Hi", session="head")
    assert turn.answer["sessionId"] == "head"
    assert turn.answer["contentType"] == "application/json"


def test_tools_of_one_reply_run_side_by_side(agent, model):
    """B5: each of three tools waits for the other two; one after the other they would never end."""
    together = threading.Barrier(3, timeout=10)
    model.turn(
        Say(calls=[("shop__get_order", {"order_id": n}) for n in "abc"]), Say("All three."))
    one = agent().serve(lambda e: f"number {together.wait()}")
    one.group(GET_ORDER, executor=READ)
    turn = one.prepare().talk("Compare a, b and c")
    assert turn.text == "All three."
    calls = one.calls()
    assert max(c.began for c in calls) < min(c.ended for c in calls)
    assert len(tool_results(model.requests[1])) == 3


def test_results_reach_the_model_in_the_order_it_asked(agent, model):
    """B5: whatever ends first."""
    first = threading.Event()

    def serve(event):
        if event["parameters"][0]["value"] == "a":
            assert first.wait(10)
        else:
            first.set()
        return event["parameters"][0]["value"]

    model.turn(Say(calls=[("shop__get_order", {"order_id": n}) for n in "ab"]), Say("ok"))
    one = agent().serve(serve)
    one.group(GET_ORDER, executor=READ)
    one.prepare().talk("go")
    assert tool_results(model.requests[1]) == ["a", "b"]


def test_calls_that_depend_on_each_other_stay_in_order(agent, model):
    """B5: a later reply's call begins after the earlier reply's call has ended."""
    model.turn(Say(calls=[("shop__get_order", {"order_id": "a"})]),
               Say(calls=[("shop__get_order", {"order_id": "b"})]), Say("ok"))
    one = agent().serve(lambda e: "x")
    one.group(GET_ORDER, executor=READ)
    one.prepare().talk("go")
    a, b = one.calls()
    assert a.ended <= b.began


def test_the_number_of_model_calls_is_capped(agent, model):
    """B3: the call after the last never happens; the trace says why, and the user is told."""
    model.turn(lambda request: Say(calls=[("shop__get_order", {"order_id": str(len(request["messages"]))})]))
    one = agent().serve(lambda e: "again")
    one.group(GET_ORDER, executor=READ)
    turn = one.prepare().talk("forever")
    assert len(model.requests) == 20
    assert turn.steps()[-1] == "failureTrace"
    assert "limit" in turn.traces[-1]["failureTrace"]["failureReason"]
    assert len(turn.text) > 20


def test_a_wrong_argument_is_repaired_by_the_model(agent, model):
    """B8: no call is made, the model is told what was wrong, the second attempt runs."""
    scale = function("scale", "Sets a port", port="integer required")
    model.turn(Say(calls=[("shop__scale", {"port": "eighty"})]),
               Say(calls=[("shop__scale", {"port": 80})]), Say("Done."))
    one = agent().serve(lambda e: "scaled")
    one.group(scale, executor=ONCE)
    turn = one.prepare().talk("Set the port to eighty", session="repair")
    assert [call.given for call in one.calls()] == [{"port": "80"}]
    kinds = [o["type"] for o in turn.all("observation")]
    assert kinds == ["REPROMPT", "ACTION_GROUP", "FINISH"]
    assert "port" in turn.all("observation")[0]["repromptResponse"]["text"]
    assert "port" in tool_results(model.requests[1])[0]
    model.turn(Say("Still here."))
    assert one.talk("Set the port to eighty", session="repair").text


@pytest.mark.parametrize(("call", "words"), [
    (("shop__no_such_tool", {}), "no_such_tool"),
    (("shop__get_order", {}), "order_id"),
    (("shop__get_order", {"order_id": "1", "color": "red"}), "color"),
    (("shop__get_order", "{not json"), "JSON|json"),
])
def test_what_cannot_be_called_goes_back_to_the_model(agent, model, call, words):
    """B8: invented tools, missing and surplus arguments, broken JSON."""
    model.turn(Say(calls=[call]), Say("Sorry."))
    one = agent().serve(lambda e: "x")
    one.group(GET_ORDER, executor=READ)
    turn = one.prepare().talk("go")
    assert turn.text == "Sorry." and one.calls() == []
    assert turn.all("observation")[0]["type"] == "REPROMPT"
    assert re.search(words, tool_results(model.requests[1])[0])


def test_a_model_that_cannot_be_repaired_is_stopped(agent, model):
    """B8: up to a limit."""
    model.turn(lambda request: Say(calls=[("shop__nothing", {})]))
    one = agent()
    one.group(GET_ORDER, executor=READ)
    turn = one.prepare().talk("go")
    assert "failureTrace" in turn.steps()
    assert len(model.requests) < 10 and turn.text


def test_a_second_turn_recalls_the_first(agent, model):
    """G1: the same session has the same context, another session has none of it."""
    model.turn(Say("Noted: blue."), said="colour is").turn(Say("x"))
    one = agent().prepare()
    one.talk("My colour is blue", session="recall")
    one.talk("What is it?", session="recall")
    one.talk("What is it?", session="another")
    words = [[(m["role"], text_of(m["content"])) for m in r["messages"] if m["role"] != "system"]
             for r in model.requests]
    assert words[1] == [("user", "My colour is blue"), ("assistant", "Noted: blue."),
                        ("user", "What is it?")]
    assert words[2] == [("user", "What is it?")]


def test_an_ended_session_is_forgotten(agent, model):
    """G1: endSession answers, and the next turn under the same id begins afresh."""
    model.turn(Say("ok"))
    one = agent().prepare()
    one.talk("remember me", session="over")
    assert one.talk("", session="over", endSession=True).text
    one.talk("who am I?", session="over")
    assert "remember me" not in json.dumps(model.requests[-1]["messages"])


def test_a_session_belongs_to_one_alias(agent, model):
    """Two aliases never share a conversation under one session id."""
    model.turn(Say("ok"))
    one = agent().prepare()
    prod = one.alias()
    one.talk("secret of the draft", session="shared")
    one.talk("hello", session="shared", alias=prod)
    assert "secret of the draft" not in json.dumps(model.requests[-1]["messages"])


def test_attributes_reach_the_tool_and_come_back(agent, model):
    """G2: session attributes persist, prompt attributes last one turn; a tool may change both."""
    model.turn(Say(calls=[("shop__get_order", {"order_id": "1"})]), Say("ok"))

    def serve(event):
        changed = {**event["sessionAttributes"], "tier": "gold"}
        return answer(event, "x", sessionAttributes=changed)

    one = agent().serve(serve)
    one.group(GET_ORDER, executor=READ)
    one.prepare()
    one.talk("first", session="attributes", sessionState={
        "sessionAttributes": {"customer": "c-7"}, "promptSessionAttributes": {"today": "Friday"}})
    one.talk("second", session="attributes")
    first, second = (call.event for call in one.calls())
    assert first["sessionAttributes"] == {"customer": "c-7"}
    assert first["promptSessionAttributes"] == {"today": "Friday"}
    assert second["sessionAttributes"] == {"customer": "c-7", "tier": "gold"}
    assert second["promptSessionAttributes"] == {}
    system = [text_of(r["messages"][0]["content"]) for r in model.requests]
    assert "Friday" in system[0] and "Friday" not in system[-1]
    assert "c-7" not in json.dumps(model.requests[0]["messages"])


def test_a_history_can_be_brought_along(agent, model):
    model.turn(Say("ok"))
    one = agent().prepare()
    one.talk("and now?", sessionState={"conversationHistory": {"messages": [
        {"role": "user", "content": [{"text": "I am Ada"}]},
        {"role": "assistant", "content": [{"text": "Hello Ada"}]}]}})
    words = [text_of(m["content"]) for m in model.requests[0]["messages"] if m["role"] != "system"]
    assert words == ["I am Ada", "Hello Ada", "and now?"]


def test_many_at_once_on_one_session_are_one_conversation(craton, agent, model):
    """B11: 50 concurrent invocations; each request holds all earlier turns, whole and in order."""
    model.turn(lambda request: Say(f"answer to {text_of(request['messages'][-1]['content'])}"))
    one = agent().prepare()
    answers = {}

    def talk(number):
        answers[number] = one.talk(f"question {number}", session="busy", trace=False).text

    threads = [threading.Thread(target=talk, args=(n,)) for n in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers == {n: f"answer to question {n}" for n in range(50)}
    histories = sorted(([text_of(m["content"]) for m in r["messages"] if m["role"] != "system"]
                        for r in model.requests), key=len)
    assert [len(h) for h in histories] == list(range(1, 100, 2))
    longest = histories[-1]
    assert all(history == longest[:len(history)] for history in histories)
    assert all(a == f"answer to {q}" for q, a in zip(longest[0::2], longest[1::2]))


def test_a_model_that_is_not_mapped_is_named_with_the_line_to_add(tmp_path, settings):
    from support.agents import Agent
    from support.server import Craton
    narrow = settings.replace('match = "*"', 'match = "known.*"')
    server = Craton(tmp_path / "narrow", narrow).start()
    try:
        one = Agent(server.client("bedrock-agent"), server.client("bedrock-agent-runtime"), None,
                    None, foundationModel="unknown.model").prepare()
        with refused("ResourceNotFoundException", r"\[\[models\]\]"):
            one.talk("hi")
    finally:
        server.stop()


@pytest.mark.parametrize(("status", "code"), [
    (401, "DependencyFailedException"), (400, "DependencyFailedException"),
    (429, "ThrottlingException"),
])
def test_a_providers_refusal_is_an_exception_of_the_stream(agent, model, status, code):
    """Never something that the client takes for its own credentials, or repeats blindly."""
    model.turn(Say("words of the provider", status=status))
    with refused(code, "words of the provider|test"):
        agent().prepare().talk("hi")


def test_a_failed_turn_leaves_the_session_usable(agent, model):
    model.turn(Say("broken", status=400), said="fail$").turn(Say("fine"))
    one = agent().prepare()
    with refused("DependencyFailedException"):
        one.talk("please fail", session="after")
    assert one.talk("and now?", session="after").text == "fine"


@pytest.mark.parametrize(("fields", "words"), [
    ({"sessionId": "x"}, "'sessionId' failed to satisfy constraint: .*length greater than or equal to 2"),
    ({"sessionId": "x" * 101}, "'sessionId' failed to satisfy constraint: .*less than or equal to 100"),
    ({"sessionId": "white space"}, "'sessionId' failed to satisfy constraint: .*pattern"),
    ({"memoryId": "x"}, "'memoryId' failed to satisfy constraint"),
    ({"agentAliasId": "x" * 11}, "'agentAliasId' failed to satisfy constraint"),
])
def test_limits(raw_rt, agent, fields, words):
    """A9"""
    given = {"agentId": agent().id, "agentAliasId": "TSTALIASID", "sessionId": "limits",
             "inputText": "hi", **fields}
    with refused("ValidationException", words):
        raw_rt.invoke_agent(**given)


@pytest.mark.parametrize(("fields", "word"), [
    ({"memoryId": "customer-7"}, "memoryId"),
    ({"sourceArn": "arn:aws:lambda:us-east-1:123456789012:function:caller"}, "sourceArn"),
    ({"sessionState": {"files": [{"name": "a", "source": {"sourceType": "S3"}, "useCase": "CHAT"}]}},
     "files"),
])
def test_features_to_come_are_refused_by_name(agent, model, fields, word):
    """A1"""
    model.turn(Say("ok"))
    with refused("ValidationException", word):
        agent().prepare().talk("hi", **fields)


def test_an_input_is_needed(agent, model):
    with refused("ValidationException", "inputText"):
        agent().prepare().talk()


def test_what_does_not_exist_is_not_found(agent, model, rt):
    one = agent().prepare()
    for ids in ({"agentId": "NOSUCHAGNT", "agentAliasId": "TSTALIASID"},
                {"agentId": one.id, "agentAliasId": "NOSUCHALIA"}):
        with refused("ResourceNotFoundException"):
            rt.invoke_agent(**ids, sessionId="none", inputText="hi")


def test_a_draft_that_was_never_prepared_cannot_run(agent, model):
    """A2, A3"""
    with pytest.raises(agent().rt.exceptions.ClientError, match="(?i)prepare"):
        agent().talk("hi")


@pytest.fixture(scope="module")
def tight(tmp_path_factory, settings):
    """A server with narrow limits of its own."""
    from support.server import Craton
    limits = "\n[limits.turn]\nmodel_calls = 2\n\n[limits.engine]\nwaiting_per_session = 1\n"
    server = Craton(tmp_path_factory.mktemp("tight"), settings + limits).start()
    yield server
    server.stop()


@pytest.fixture
def narrow(tight, model, tools):
    from support.agents import Agent
    return Agent(tight.client("bedrock-agent"),
                 tight.client("bedrock-agent-runtime", retries={"total_max_attempts": 1}), model, tools)


def test_the_cap_is_the_operators(narrow, model):
    """B3: `limits.turn.model_calls`."""
    model.turn(lambda request: Say(calls=[("shop__get_order", {"order_id": str(len(request["messages"]))})]))
    narrow.serve(lambda e: "again").group(GET_ORDER, executor=READ)
    turn = narrow.prepare().talk("forever")
    assert len(model.requests) == 2 and turn.steps()[-1] == "failureTrace"


def test_a_session_takes_so_many_waiting_turns(narrow, model):
    """B11: the queue of a session is bounded; the turn past its end is a conflict."""
    entered, let_go = threading.Event(), threading.Event()

    def hold():
        entered.set()
        let_go.wait(10)

    model.turn(Say("ok", before=hold))
    narrow.prepare()
    texts = []
    first = threading.Thread(target=lambda: texts.append(narrow.talk("one", session="full").text))
    first.start()
    assert entered.wait(10)
    second = narrow.invoke("two", session="full")
    with refused("ConflictException", "full"):
        narrow.talk("three", session="full")
    let_go.set()
    first.join(10)
    assert b"ok" in b"".join(e["chunk"]["bytes"] for e in second["completion"])
    assert texts == ["ok"]


def recalling(agent, model, **configurations):
    """The messages of a fourth turn, after three of which one thought aloud."""
    model.turn(Say("<answer>Noted.</answer>"))
    model.turn(Say("<thinking>blue, I see</thinking><answer>Blue.</answer>"), said="blue")
    model._turns.reverse()
    one = agent().prepare()
    for words in ("I am Ada", "I like blue", "I live in Ghent"):
        one.talk(words, session="recall")
    one.talk("What do you know?", session="recall", promptCreationConfigurations=configurations)
    return [(m["role"], m["content"]) for m in model.requests[3]["messages"][1:]]


@pytest.mark.parametrize(("turns", "heard"), [
    (0, ["What do you know?"]),
    (1, ["I live in Ghent", "What do you know?"]),
    (2, ["I like blue", "I live in Ghent", "What do you know?"]),
    (9, ["I am Ada", "I like blue", "I live in Ghent", "What do you know?"]),
])
def test_a_request_says_how_many_earlier_turns_its_prompt_has(agent, model, turns, heard):
    """promptCreationConfigurations.previousConversationTurnsToInclude, of this turn alone."""
    said = recalling(agent, model, previousConversationTurnsToInclude=turns)
    assert [text for role, text in said if role == "user"] == heard


def test_what_a_prompt_left_out_is_still_in_the_session(agent, model):
    model.turn(Say("ok"))
    one = agent().prepare()
    one.talk("I am Ada", session="left-out")
    one.talk("hi", session="left-out",
             promptCreationConfigurations={"previousConversationTurnsToInclude": 0})
    one.talk("Who am I?", session="left-out")
    assert "I am Ada" not in str(model.requests[1]["messages"])
    assert "I am Ada" in str(model.requests[2]["messages"])


@pytest.mark.parametrize("without", [True, False])
def test_a_request_says_whether_earlier_thoughts_are_in_its_prompt(agent, model, without):
    """promptCreationConfigurations.excludePreviousThinkingSteps."""
    said = recalling(agent, model, excludePreviousThinkingSteps=without)
    assert ("I see" not in str(said)) == without and "Blue." in str(said)
