"""InvokeInlineAgent: a turn of an agent that comes with the request."""

import json
import uuid

import pytest

from support.agents import (
    DRAFT_ALIAS, INSTRUCTION, dry, function, hand_back, hear, refused, result, unique,
)
from support.model import Say, tool_names, tool_results
from support.server import ACCOUNT, REGION
from support.tools import KEYED, READ

CONTROL = {"customControl": "RETURN_CONTROL"}
PAY = function("pay", "Pays", amount="number required", to="string")
LOOK = function("look", "Looks an order up", order_id="string required")


def group(*functions, executor=READ, name="shop", **fields):
    given = executor if isinstance(executor, dict) else {"lambda": executor}
    if functions:
        fields["functionSchema"] = {"functions": list(functions)}
    return {"actionGroupName": name, "actionGroupExecutor": given, **fields}


class Inline:
    """An agent as its caller describes it, again with each request."""

    def __init__(self, rt, model, tools, **fields):
        self.rt, self.model, self.tools = rt, model, tools
        self.name = fields.setdefault("agentName", unique("inline"))
        self.fields = {"foundationModel": model.id, "instruction": INSTRUCTION, **fields}

    def invoke(self, text=None, session=None, **fields):
        if text is not None:
            fields["inputText"] = text
        session = session or str(uuid.uuid4())
        return self.rt.invoke_inline_agent(**{"sessionId": session, **self.fields, **fields})

    def talk(self, text=None, session=None, trace=True, **fields):
        return hear(self.invoke(text, session, enableTrace=trace, **fields))

    def serve(self, tool):
        self.tools.serve(self.name, tool)
        return self

    def calls(self):
        return self.tools.calls_of(self.name)


@pytest.fixture
def inline(rt, model, tools):
    return lambda **fields: Inline(rt, model, tools, **fields)


def back(control, *results, **state):
    """What `hand_back` gives, under the name that this operation has for it."""
    return {"inlineSessionState": hand_back(control, *results, **state)["sessionState"]}


def test_an_agent_answers_without_having_been_created(inline, model, cp):
    """The head names content type and session; the model hears the instruction and the words."""
    model.turn(Say("<answer>Good day.</answer>"))
    before = cp.list_agents(maxResults=1000)["agentSummaries"]
    one = inline()
    turn = one.talk("Hello", session="inline-1")
    assert turn.text == "Good day." and turn.order[-1] == "chunk"
    assert turn.answer["contentType"] == "application/json"
    assert turn.answer["sessionId"] == "inline-1"
    system = model.requests[0]["messages"][0]
    assert system["role"] == "system" and INSTRUCTION in system["content"]
    assert cp.list_agents(maxResults=1000)["agentSummaries"] == before


def test_a_function_gets_the_event_that_an_agent_sends(inline, model):
    model.turn(Say(calls=[("shop__look", {"order_id": "ORD-1"})]), Say("It is on its way."))
    one = inline(actionGroups=[group(LOOK, description="Orders")]).serve(lambda e: "shipped")
    turn = one.talk("Where is ORD-1?", session="inline-event",
                    inlineSessionState={"sessionAttributes": {"tier": "gold"},
                                        "promptSessionAttributes": {"today": "Monday"}})
    assert turn.text == "It is on its way." and tool_results(model.requests[1]) == ["shipped"]
    event = one.calls()[0].event
    assert event["agent"] == {"name": one.name, "id": "INLINE_AGENT", "alias": DRAFT_ALIAS,
                              "version": "DRAFT"}
    assert (event["sessionId"], event["actionGroup"], event["function"]) == (
        "inline-event", "shop", "look")
    assert event["sessionAttributes"] == {"tier": "gold"}
    assert event["promptSessionAttributes"] == {"today": "Monday"}


def test_an_openapi_schema_from_the_request_or_from_a_bucket(inline, model, bucket):
    api = json.dumps({
        "openapi": "3.0.0", "info": {"title": "t", "version": "1"},
        "paths": {"/orders/{id}": {"get": {
            "operationId": "getOrder", "description": "Shows an order",
            "parameters": [{"name": "id", "in": "path", "required": True,
                            "schema": {"type": "string"}}],
            "responses": {"200": {"description": "ok"}}}}}})
    (bucket / "inline.json").write_text(api)
    places = {"payload": api}, {"s3": {"s3BucketName": "deployments", "s3ObjectKey": "inline.json"}}
    model.turn(Say(calls=[("get__shop__getOrder", {"id": "7"})]), Say("Found."))
    for place in places:
        one = inline(actionGroups=[group(apiSchema=place)]).serve(lambda e: {"id": "7"})
        assert one.talk("Order 7?").text == "Found."
        assert (one.calls()[0].event["apiPath"], one.calls()[0].event["httpMethod"]) == (
            "/orders/{id}", "GET")


def test_the_trace_has_the_steps_of_an_agent_and_none_of_its_names(inline, model):
    """`InlineAgentTracePart` has no agentId, alias or version; the caller chain has an ARN."""
    model.turn(Say("I look.", [("shop__look", {"order_id": "1"})]), Say("Done."))
    one = inline(actionGroups=[group(LOOK)]).serve(lambda e: "x")
    turn = one.talk("Look", session="inline-trace")
    assert turn.steps() == [
        "modelInvocationInput", "modelInvocationOutput", "rationale", "invocationInput",
        "observation ACTION_GROUP", "modelInvocationInput", "modelInvocationOutput",
        "observation FINISH"]
    arn = f"arn:aws:bedrock:{REGION}:{ACCOUNT}:agent-alias/INLINE_AGENT/{DRAFT_ALIAS}"
    for part in turn.parts:
        assert part["callerChain"] == [{"agentAliasArn": arn}]
        assert part["sessionId"] == "inline-trace"
        assert not {"agentId", "agentAliasId", "agentVersion"} & set(part)
    assert one.talk("Look", trace=False).parts == []


def test_a_header_makes_it_a_dry_run(craton, model, tools):
    """S6: what reads is called, what pays is not, and the session is what it was."""
    model.turn(Say(calls=[("shop__look", {"order_id": "A-1"}), ("cash__pay", {"amount": 5})]), Say("Paid."))
    one = Inline(dry(craton.client("bedrock-agent-runtime")), model, tools, actionGroups=[
        group(LOOK), group(PAY, executor=KEYED, name="cash")]).serve(lambda e: "shipped")
    turn = one.talk("Pay for A-1.", session="inline-dry")
    headers = turn.answer["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-craton-dry-run"] == "true" and "x-craton-run-id" not in headers
    assert turn.text == "Paid." and turn.parts
    assert [call.event["function"] for call in one.calls()] == ["look"]
    assert craton.door("/effects?session=inline-dry")["effects"] == []
    # A live turn of that session knows nothing of it.
    Inline(craton.client("bedrock-agent-runtime"), model, tools).talk("Hi.", session="inline-dry")
    assert "Hi." in str(model.requests[-1]) and "Pay for" not in str(model.requests[-1])


def test_control_returns_and_the_turn_goes_on_with_what_it_began_with(inline, model):
    """The second request describes its agent again; other tools in it are for the turn after."""
    model.turn(Say(calls=[("desk__pay", {"amount": 5, "to": "Ada"})]), Say("Paid."))
    one = inline(actionGroups=[group(PAY, executor=CONTROL, name="desk")])
    turn = one.talk("Pay Ada", session="inline-roc")
    given = turn.control["invocationInputs"][0]["functionInvocationInput"]
    assert (given["agentId"], given["actionGroup"], given["actionInvocationType"]) == (
        "INLINE_AGENT", "desk", "RESULT")
    done = result(turn.control, 0, "paid", agentId="INLINE_AGENT")
    other = inline(agentName=one.name, actionGroups=[group(LOOK)])
    rest = other.talk("ignored beside results", session="inline-roc", **back(turn.control, done))
    assert rest.text == "Paid." and tool_results(model.requests[1]) == ["paid"]
    assert tool_names(model.requests[1]) == ["desk__pay"]
    model.turn(Say("Bye."), said="bye")
    model._turns.reverse()
    assert other.talk("bye", session="inline-roc").text == "Bye."
    assert tool_names(model.requests[2]) == ["shop__look"]


def test_results_need_an_agent_and_have_to_fit(inline, model, raw_rt):
    model.turn(Say(calls=[("desk__pay", {"amount": 5})]), Say("Paid."))
    one = inline(actionGroups=[group(PAY, executor=CONTROL, name="desk")])
    turn = one.talk("Pay", session="inline-fit")
    done = back(turn.control, result(turn.control, 0, "paid"))
    with refused("ValidationException", "foundationModel"):
        raw_rt.invoke_inline_agent(sessionId="inline-fit", **done)
    with refused("ValidationException"):
        one.talk(session="inline-fit", **back({**turn.control, "invocationId": "other"},
                                              result(turn.control, 0, "paid")))
    assert one.talk(session="inline-fit", **done).text == "Paid."


def test_a_session_goes_on_whatever_its_agent_becomes(inline, model):
    """One session of the same id, though the second request has another instruction and a tool."""
    model.turn(Say("Noted, ORD-9."), said="ORD-9")
    model.turn(Say("You spoke of ORD-9."), said="which")
    inline().talk("My order is ORD-9", session="inline-chat",
                  inlineSessionState={"sessionAttributes": {"tier": "gold"}})
    later = inline(instruction="You answer in French only, politely and with few words, always.",
                   actionGroups=[group(LOOK)])
    assert later.talk("which one?", session="inline-chat").text == "You spoke of ORD-9."
    said = [m["content"] for m in model.requests[1]["messages"]]
    assert "French" in said[0] and any("ORD-9" in text for text in said[1:])
    assert "French" not in model.requests[0]["messages"][0]["content"]


def test_a_session_of_an_inline_agent_is_none_of_an_agents(inline, agent, model):
    model.turn(Say("x"))
    inline().talk("Remember the blue one", session="inline-apart")
    agent().prepare().talk("hi", session="inline-apart")
    assert "blue" not in json.dumps(model.requests[1]["messages"])


def test_end_session_forgets(inline, model):
    model.turn(Say("ok"))
    one = inline()
    one.talk("The code is 4711", session="inline-end")
    ended = one.talk(session="inline-end", endSession=True)
    assert "endSession" in ended.text and len(model.requests) == 1
    one.talk("hi", session="inline-end")
    assert "4711" not in json.dumps(model.requests[1]["messages"])


def test_the_conversation_so_far_may_come_along(inline, model):
    model.turn(Say("x"))
    told = [{"role": "user", "content": [{"text": "I am Ada"}]},
            {"role": "assistant", "content": [{"text": "Hello Ada"}]}]
    inline().talk("Who am I?", inlineSessionState={"conversationHistory": {"messages": told}})
    heard = [m["content"] for m in model.requests[0]["messages"][1:]]
    assert heard[:2] == ["I am Ada", "Hello Ada"]


def test_a_file_that_comes_with_the_question_reaches_the_model(inline, model):
    """inlineSessionState.files, for CHAT."""
    model.turn(Say("It says 4711."))
    attached = {"name": "note.txt", "useCase": "CHAT", "source": {
        "sourceType": "BYTE_CONTENT", "byteContent": {"mediaType": "text/plain", "data": b"The code is 4711."}}}
    turn = inline().talk("What does it say?", inlineSessionState={"files": [attached]})
    assert turn.text == "It says 4711."
    assert "The code is 4711." in json.dumps(model.requests[0]["messages"][-1]["content"])


def test_a_prompt_may_have_less_of_the_conversation(inline, model):
    model.turn(Say("ok"))
    one = inline()
    one.talk("I am Ada", session="inline-recall")
    one.talk("Who am I?", session="inline-recall",
             promptCreationConfigurations={"previousConversationTurnsToInclude": 0})
    assert "Ada" not in str(model.requests[1]["messages"])


def test_the_answer_streams_where_it_is_asked_for(inline, model):
    model.turn(Say(pieces=["<answer>The parcel", " is in", " Ghent.</answer>"]))
    turn = inline().talk("Where?", trace=False,
                         streamingConfigurations={"streamFinalResponse": True})
    assert turn.text == "The parcel is in Ghent." and len(turn.chunks) > 1


def test_defaults_in_full_are_taken(inline, model):
    """As AWS's own inline-agent SDK and code samples send them."""
    model.turn(Say("fine"))
    turn = inline().talk(
        "hi", idleSessionTTLInSeconds=60, agentCollaboration="DISABLED", orchestrationType="DEFAULT",
        bedrockModelConfigurations={"performanceConfig": {"latency": "standard"}},
        streamingConfigurations={"streamFinalResponse": False}, actionGroups=[], knowledgeBases=[],
        promptCreationConfigurations={"excludePreviousThinkingSteps": False})
    assert turn.text == "fine"


def own(kind, system="$instruction$", user="$question$", **fields):
    """A prompt of the caller's own, as AWS writes one."""
    text = json.dumps({
        "anthropic_version": "bedrock-2023-05-31", "system": system,
        "messages": [{"role": "user", "content": [{"type": "text", "text": user}]},
                     {"role": "assistant", "content": "$agent_scratchpad$"}]})
    return {"promptType": kind, "promptCreationMode": "OVERRIDDEN", "promptState": "ENABLED",
            "basePromptTemplate": text, **fields}


def test_a_prompt_of_ones_own_is_what_the_model_reads(inline, model):
    model.turn(Say("<answer>Aye.</answer>"))
    one = inline(promptOverrideConfiguration={"promptConfigurations": [own(
        "ORCHESTRATION", "Speak like a pirate. $instruction$", "Asked: $question$",
        inferenceConfiguration={"temperature": 0.25, "maximumLength": 77})]})
    turn = one.talk("Where is it?")
    asked = model.requests[0]
    assert asked["messages"][0]["content"].startswith(f"Speak like a pirate. {INSTRUCTION}")
    assert "Asked: Where is it?" in str(asked["messages"][-1]["content"])
    assert asked["temperature"] == 0.25
    shown, = turn.all("modelInvocationInput")
    assert shown["promptCreationMode"] == "OVERRIDDEN" and "pirate" in shown["text"]


def test_stages_that_are_switched_on_ask_the_model(inline, model):
    """PRE_PROCESSING and POST_PROCESSING, each with its part of the trace."""
    replies = iter(["<thinking>fine</thinking><category>D</category>", "<answer>Yes.</answer>",
                    "<final_response>Yes, dear customer.</final_response>"])
    model.turn(lambda request: Say(next(replies)))
    stages = [{"promptType": kind, "promptState": "ENABLED"} for kind in ("PRE_PROCESSING", "POST_PROCESSING")]
    turn = inline(promptOverrideConfiguration={"promptConfigurations": stages}).talk("Is it there?")
    assert turn.text == "Yes, dear customer." and len(model.requests) == 3
    kinds = [next(iter(trace)) for trace in turn.traces]
    assert [k for at, k in enumerate(kinds) if at == 0 or kinds[at - 1] != k] == [
        "preProcessingTrace", "orchestrationTrace", "postProcessingTrace", "orchestrationTrace"]
    assert turn.steps()[-1] == "observation FINISH"


@pytest.mark.parametrize(("configurations", "match"), [
    ([{"promptState": "ENABLED"}], "promptType must be set"),
    ([own("ORCHESTRATION"), own("ORCHESTRATION")], "twice"),
    ([own("ORCHESTRATION", basePromptTemplate="{")], "ORCHESTRATION"),
    ([own("ORCHESTRATION", "$no_such_placeholder$")], "no_such_placeholder"),
    ([own("ORCHESTRATION", parserMode="OVERRIDDEN")], "overrideLambda"),
    ([{"promptType": "MEMORY_SUMMARIZATION"}], "promptType"),
])
def test_prompts_that_cannot_be_used_are_refused(inline, model, raw_rt, configurations, match):
    one = inline(promptOverrideConfiguration={"promptConfigurations": configurations})
    one.rt = raw_rt
    with refused("ValidationException", match):
        one.talk("hi")
    assert model.requests == []


KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{uuid.UUID(int=1)}"


@pytest.mark.parametrize("field, value, match", [
    ("knowledgeBases", [{"knowledgeBaseId": "KB1", "description": "faq"}], "knowledgeBases.*knowledge bases"),
    ("guardrailConfiguration", {"guardrailIdentifier": "g1", "guardrailVersion": "1"},
     "guardrailConfiguration.*guardrails"),
    ("orchestrationType", "CUSTOM_ORCHESTRATION", "orchestrationType.*custom orchestration"),
    ("customOrchestration", {"executor": {"lambda": READ}}, "customOrchestration"),
    ("customerEncryptionKeyArn", KEY, "customerEncryptionKeyArn.*encryption"),
    ("bedrockModelConfigurations", {"performanceConfig": {"latency": "optimized"}}, "latency"),
])
def test_a_feature_that_is_not_here_is_refused_by_name(inline, model, field, value, match):
    with refused("ValidationException", match):
        inline().talk("hi", **{field: value})
    assert model.requests == []


@pytest.mark.parametrize("fields, match", [
    ({"instruction": "Too short."}, "instruction"),
    ({"foundationModel": None}, "foundationModel"),
    ({"idleSessionTTLInSeconds": 59}, "idleSessionTTLInSeconds"),
    ({"idleSessionTTLInSeconds": 3601}, "idleSessionTTLInSeconds"),
    ({"sessionId": "!"}, "sessionId"),
    ({"agentName": "no spaces"}, "agentName"),
    ({"agentCollaboration": "MAYBE"}, "agentCollaboration"),
    ({"actionGroups": [{"actionGroupName": "shop"}]}, "shop.*needs an actionGroupExecutor"),
    ({"actionGroups": [group(name="shop")]}, "shop.*needs"),
    ({"actionGroups": [group(LOOK), group(PAY)]}, "two action groups named shop"),
    ({"actionGroups": [group(LOOK, LOOK)]}, "look"),
    ({"actionGroups": [group(LOOK, apiSchema={"payload": "{}"})]}, "not both"),
    ({"actionGroups": [group(apiSchema={"payload": "nonsense"})]}, "shop"),
    ({"actionGroups": [group(apiSchema={"s3": {"s3BucketName": "nowhere", "s3ObjectKey": "k"}})]},
     "nowhere/k"),
    ({"inputText": None}, "inputText"),
    ({"inlineSessionState": {"returnControlInvocationResults": [
        {"functionResult": {"actionGroup": "a", "function": "f"}}]}}, "invocationId"),
    ({"inlineSessionState": {"conversationHistory": {"messages": [
        {"role": "assistant", "content": [{"text": "hi"}]}]}}}, "alternate"),
])
def test_bad_input_is_refused_by_name(inline, model, raw_rt, fields, match):
    one = inline(**{"inputText": "hi", **fields})
    one.fields = {name: value for name, value in one.fields.items() if value is not None}
    one.rt = raw_rt
    with refused("ValidationException", match):
        one.talk()
    assert model.requests == []


def test_too_many_action_groups_are_refused(inline):
    groups = [group(LOOK, name=f"g{n}") for n in range(21)]
    with refused("ServiceQuotaExceededException", "actionGroups"):
        inline(actionGroups=groups).talk("hi")


def test_a_repeated_request_joins_its_first_turn(craton, model):
    """An SDK's retry of one call is one turn, as of InvokeAgent."""
    model.turn(Say("once"))
    client = craton.client("bedrock-agent-runtime")
    client.meta.events.register(
        "before-send.bedrock-agent-runtime.InvokeInlineAgent",
        lambda request, **_: request.headers.__setitem__("amz-sdk-invocation-id", "inline-repeat"))
    for _ in range(2):
        answer = client.invoke_inline_agent(
            sessionId="inline-repeat", foundationModel=model.id, instruction=INSTRUCTION,
            inputText="hi")
        assert hear(answer).text == "once"
    assert len(model.requests) == 1


def test_a_hand_off_waits_through_a_restart(fresh, model, tools):
    """The configuration is kept with the turn, nowhere else."""
    model.turn(Say(calls=[("desk__pay", {"amount": 620})]), Say("Paid."))
    one = Inline(fresh.client("bedrock-agent-runtime"), model, tools,
                 actionGroups=[group(PAY, executor=CONTROL, name="desk")])
    turn = one.talk("Pay 620", session="inline-long")
    fresh.kill()
    fresh.start()
    rest = one.talk(session="inline-long", **back(turn.control, result(turn.control, 0, "approved")))
    assert rest.text == "Paid." and len(model.requests) == 2
