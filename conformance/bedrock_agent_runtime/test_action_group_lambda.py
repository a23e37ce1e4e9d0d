"""What a Lambda tool receives and what becomes of its answer, as the Bedrock user guide has it."""

import json

import pytest

from support.agents import Agent, function, refused, unique
from support.model import Say, tool_results
from support.server import Craton
from support.tools import READ, answer

REFUND = function(
    "refund", "Gives money back",
    order_id=("string required", "Such as A-1"), amount="number", lines="array", now="boolean",
    count="integer",
)
API = json.dumps({
    "openapi": "3.0.0", "info": {"title": "Orders", "version": "1"},
    "paths": {
        "/orders/{id}/refunds": {"post": {
            "operationId": "createRefund", "description": "Gives money back",
            "parameters": [
                {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}},
                {"name": "notify", "in": "query", "schema": {"type": "boolean"}}],
            "requestBody": {"required": True, "content": {"application/json": {"schema": {
                "type": "object", "required": ["amount"],
                "properties": {"amount": {"type": "number"}, "reason": {"type": "string"}}}}}},
            "responses": {"200": {"description": "done"}}}},
        "/orders/{id}": {"get": {
            "operationId": "getOrder", "description": "Shows an order",
            "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
            "responses": {"200": {"description": "done"}}}}},
})


def test_the_event_of_a_function_schema(agent, model):
    """D4, D5: to a function mapped to a URL goes exactly the Lambda event."""
    given = {"order_id": "A-1", "amount": 12.5, "lines": ["1", "2"], "now": True, "count": 3}
    model.turn(Say(calls=[("shop__refund", given)]), Say("ok"))
    one = agent().serve(lambda e: "done")
    one.group(REFUND, executor=READ)
    one.prepare().talk("Refund A-1", session="the-session", sessionState={
        "sessionAttributes": {"a": "1"}, "promptSessionAttributes": {"b": "2"}})
    call, = one.calls()
    event = dict(call.event)
    key = event.pop("idempotencyKey")
    parameters = {p["name"]: (p["type"], p["value"]) for p in event.pop("parameters")}
    assert event == {
        "messageVersion": "1.0",
        "agent": {"name": one.name, "id": one.id, "alias": "TSTALIASID", "version": "DRAFT"},
        "inputText": "Refund A-1", "sessionId": "the-session",
        "actionGroup": "shop", "function": "refund",
        "sessionAttributes": {"a": "1"}, "promptSessionAttributes": {"b": "2"},
    }
    assert {n: t for n, (t, _) in parameters.items()} == {
        "order_id": "string", "amount": "number", "lines": "array", "now": "boolean",
        "count": "integer"}
    values = {n: v for n, (_, v) in parameters.items()}
    assert all(isinstance(value, str) for value in values.values())
    assert (values["order_id"], values["amount"], values["now"], values["count"]) == (
        "A-1", "12.5", "true", "3")
    assert "1" in values["lines"] and "2" in values["lines"]
    assert key and key == call.key


def test_the_event_of_an_openapi_schema(agent, model):
    """D5: apiPath, httpMethod, parameters and requestBody."""
    model.turn(
        Say(calls=[("post__shop__createRefund",
                    {"id": "A-1", "notify": True, "amount": 12.5, "reason": "late"})]),
        Say("ok"))
    one = agent().serve(lambda e: {"refund": "R-1"})
    one.group(executor=READ, apiSchema={"payload": API})
    turn = one.prepare().talk("Refund A-1")
    event = one.calls()[0].event
    assert (event["apiPath"], event["httpMethod"]) == ("/orders/{id}/refunds", "POST")
    assert "function" not in event
    assert event["parameters"] == [{"name": "id", "type": "string", "value": "A-1"},
                                   {"name": "notify", "type": "boolean", "value": "true"}]
    body = event["requestBody"]["content"]["application/json"]["properties"]
    assert body == [{"name": "amount", "type": "number", "value": "12.5"},
                    {"name": "reason", "type": "string", "value": "late"}]
    assert json.loads(tool_results(model.requests[1])[0]) == {"refund": "R-1"}
    shown = turn.all("invocationInput")[0]["actionGroupInvocationInput"]
    assert (shown["apiPath"], shown["verb"].upper()) == ("/orders/{id}/refunds", "POST")


HANDLER = """
def handler(event, context):
    agent = event['agent']
    actionGroup = event['actionGroup']
    function = event['function']
    parameters = event.get('parameters', [])
    print('called', function)
    # The template that the Bedrock console generates, with its responseCode.
    responseBody = {"TEXT": {"body": "The function {} was called with {}!".format(
        function, sorted((p['name'], p['value']) for p in parameters))}}
    action_response = {
        'actionGroup': actionGroup,
        'function': function,
        'functionResponse': {'responseBody': responseBody, 'responseCode': 200}
    }
    return {'response': action_response, 'messageVersion': event['messageVersion']}
"""


def test_an_ordinary_python_handler_runs_unmodified(agent, model, functions):
    """D5, D6: the handler reads actionGroup, function and parameters; surplus members are borne."""
    arn = functions(HANDLER)["FunctionArn"]
    model.turn(Say(calls=[("shop__refund", {"order_id": "A-1"})]), Say("ok"))
    one = agent()
    one.group(REFUND, executor=arn)
    one.prepare().talk("Refund A-1")
    assert tool_results(model.requests[1]) == [
        "The function refund was called with [('order_id', 'A-1')]!"]


def test_failure_ends_the_turn(agent, model):
    """D6: responseState FAILURE is a DependencyFailedException."""
    model.turn(Say(calls=[("shop__refund", {"order_id": "A-1"})]), Say("never said"))
    one = agent().serve(lambda e: answer(e, "the ledger is closed", state="FAILURE"))
    one.group(REFUND, executor=READ)
    with refused("DependencyFailedException", "the ledger is closed"):
        one.prepare().talk("Refund A-1")
    assert len(model.requests) == 1


@pytest.mark.parametrize("schema", ["function", "api"])
def test_reprompt_goes_back_to_the_model(agent, model, schema):
    """D6: responseState REPROMPT."""
    tool, given = (("shop__refund", {"order_id": "A-1"}) if schema == "function"
                   else ("get__shop__getOrder", {"id": "A-1"}))
    model.turn(Say(calls=[(tool, given)]), Say("Which amount?"))
    one = agent().serve(lambda e: answer(e, "amount is missing", state="REPROMPT"))
    one.group(*([REFUND] if schema == "function" else []), executor=READ,
              **({} if schema == "function" else {"apiSchema": {"payload": API}}))
    turn = one.prepare().talk("Refund A-1")
    assert turn.text == "Which amount?"
    assert turn.all("observation")[0]["type"] == "REPROMPT"
    assert "amount is missing" in tool_results(model.requests[1])[0]


def test_a_structured_error_reaches_the_model_as_it_is(agent, model):
    """D7"""
    said = "order_not_found: no order matches 4471; ask the user to re-check the ID"
    model.turn(Say(calls=[("shop__refund", {"order_id": "4471"})]), Say("Please check the number."))
    one = agent().serve(lambda e: said)
    one.group(REFUND, executor=READ)
    one.prepare().talk("Refund 4471")
    assert tool_results(model.requests[1]) == [said]


@pytest.mark.parametrize(("handler", "words"), [
    ("def handler(event, context):\n    raise KeyError('order 4471')", "KeyError.*4471"),
    ("import nothing_like_this\ndef handler(e, c): pass", "nothing_like_this"),
    ("def handler(event, context):\n    return 'just text'", "response"),
    ("def handler(event, context):\n    return {'messageVersion': '1.0', 'response': {"
     "'actionGroup': 'other', 'function': 'refund'}}", "actionGroup"),
], ids=["raises", "import-error", "no-envelope", "wrong-group"])
def test_no_stack_trace_reaches_the_model(agent, model, functions, handler, words):
    """D7: what a broken tool says is one short line."""
    import re
    arn = functions(handler)["FunctionArn"]
    model.turn(Say(calls=[("shop__refund", {"order_id": "4471"})]), Say("It failed."))
    one = agent()
    one.group(REFUND, executor=arn)
    turn = one.prepare().talk("Refund 4471")
    assert turn.text == "It failed."
    told, = tool_results(model.requests[1])
    assert re.search(words, told, re.S)
    assert "Traceback" not in told and "File " not in told and "\n" not in told and len(told) < 600


def test_an_answer_past_25_kb_is_a_short_error(agent, model):
    """D16"""
    model.turn(Say(calls=[("shop__refund", {"order_id": "1"})]), Say("Too much."))
    one = agent().serve(lambda e: "x" * 26_000)
    one.group(REFUND, executor=READ)
    one.prepare().talk("go")
    told, = tool_results(model.requests[1])
    assert "too_large" in told and len(told) < 600


def test_an_operator_may_allow_larger_answers(tmp_path, settings, models, tools):
    """D16: AWS's 25 KB are a default; Lambda's own 6 MB stay."""
    server = Craton(tmp_path, settings + "\n[limits.turn]\ntool_answer_bytes = 100000\n").start()
    try:
        model = models.model(unique("test.model"))
        cp, rt = server.client("bedrock-agent"), server.client("bedrock-agent-runtime")
        answers = iter(["x" * 90_000, "x" * 110_000])
        one = Agent(cp, rt, model, tools).serve(lambda event: next(answers))
        one.group(REFUND, executor=READ)
        one.prepare()
        for size, told in ((90_000, "x" * 90_000), (110_000, "too_large")):
            model.turn(Say(calls=[("shop__refund", {"order_id": str(size)})]), Say("Read."))
            one.talk("go")
            assert told in tool_results(model.requests[-1])[0]
    finally:
        server.stop()


def test_a_tools_time_out_is_told_in_words(agent, model, functions):
    """A function that overruns its own time-out: nobody knows what it did."""
    arn = functions("import time\ndef handler(e, c): time.sleep(30)", Timeout=1)["FunctionArn"]
    model.turn(Say(calls=[("shop__refund", {"order_id": "1"})]), Say("It took too long."))
    one = agent()
    one.group(REFUND, executor=arn)
    assert one.prepare().talk("go").text == "It took too long."
    assert "unknown" in tool_results(model.requests[1])[0]


def test_a_function_that_is_not_there_is_told_in_words(agent, model):
    model.turn(Say(calls=[("shop__refund", {"order_id": "1"})]), Say("Not there."))
    one = agent()
    one.group(REFUND, executor=READ.replace("tool-read", "never-created"))
    assert one.prepare().talk("go").text == "Not there."
    assert "never-created" in tool_results(model.requests[1])[0]


def test_three_groups_one_choice(agent, model):
    """D1: billing, subscription and notifications; the model sees all and picks across them."""
    model.turn(Say(calls=[("billing__get_invoice", {}), ("notifications__send", {})]), Say("ok"))
    one = agent().serve(lambda e: e["actionGroup"])
    for group, name in (("billing", "get_invoice"), ("subscription", "cancel"), ("notifications", "send")):
        one.group(function(name), executor=READ, name=group)
    one.prepare().talk("Invoice me")
    from support.model import tool_names
    assert sorted(tool_names(model.requests[0])) == [
        "billing__get_invoice", "notifications__send", "subscription__cancel"]
    assert tool_results(model.requests[1]) == ["billing", "notifications"]


def test_what_the_developer_wrote_reaches_the_model_byte_for_byte(agent, model):
    """D3: descriptions, required and optional, enums; nothing is trimmed, escaped twice or lost."""
    said = 'Says "hi",\ttabs, back\\slashes, ümläuts, emoji 🧾 and two  spaces.'
    schema = json.loads(API)
    get = schema["paths"]["/orders/{id}"]["get"]
    get["description"] = said
    get["parameters"].append({"name": "view", "in": "query", "description": said + " view",
                              "schema": {"type": "string", "enum": ["short", "läng", "a b"]}})
    model.turn(Say("ok"))
    one = agent()
    one.group(function("look", said, where=("string required", said + " where"), why="string"),
              executor=READ)
    one.group(executor=READ, name="api", apiSchema={"payload": json.dumps(schema)})
    one.prepare().talk("hi")
    tools = {t["function"]["name"]: t["function"] for t in model.requests[0]["tools"]}
    look = tools["shop__look"]
    assert look["description"] == said
    assert look["parameters"]["properties"]["where"]["description"] == said + " where"
    assert look["parameters"]["required"] == ["where"]
    got = tools["get__api__getOrder"]
    assert got["description"] == said
    assert got["parameters"]["properties"]["view"]["enum"] == ["short", "läng", "a b"]
    assert got["parameters"]["properties"]["view"]["description"] == said + " view"
    assert got["parameters"]["required"] == ["id"]
    raw = model.requests[0]["_raw"].decode()
    assert json.dumps(said, ensure_ascii=False)[1:-1] in raw


def test_an_identical_call_after_an_unknown_outcome_is_refused(agent, model, functions):
    """An undeclared tool is never dispatched twice once nobody knows what it did."""
    arn = functions("import os\ndef handler(e, c): os._exit(3)")["FunctionArn"]
    model.turn(Say(calls=[("shop__refund", {"order_id": "1"})]),
               Say(calls=[("shop__refund", {"order_id": "1"})]), Say("A person has to look."))
    one = agent()
    one.group(REFUND, executor=arn)
    turn = one.prepare().talk("refund")
    assert turn.text == "A person has to look."
    first, second = tool_results(model.requests[2])
    assert "unknown" in first and "unknown" in second
    assert len([s for s in turn.steps() if s == "invocationInput"]) == 1
