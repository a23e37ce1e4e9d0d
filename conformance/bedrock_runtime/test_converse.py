"""Converse: POST /model/{modelId}/converse, over the same providers as agents."""

import json

import pytest

from support.agents import refused
from support.model import Say

TOOLS = {"tools": [{"toolSpec": {
    "name": "add", "description": "Adds two numbers",
    "inputSchema": {"json": {"type": "object", "required": ["a", "b"], "properties": {
        "a": {"type": "number"}, "b": {"type": "number"}}}}}}]}


def user(text):
    return {"role": "user", "content": [{"text": text}]}


def test_words_in_words_out(brt, model):
    model.turn(Say("Hello!"))
    answer = brt.converse(modelId=model.id, messages=[user("Hi")], system=[{"text": "Be brief."}],
                          inferenceConfig={"maxTokens": 100, "temperature": 0.5, "topP": 0.9,
                                           "stopSequences": ["END"]})
    assert answer["output"]["message"] == {"role": "assistant", "content": [{"text": "Hello!"}]}
    assert answer["stopReason"] == "end_turn"
    assert answer["usage"] == {"inputTokens": 11, "outputTokens": 7, "totalTokens": 18} | {
        k: v for k, v in answer["usage"].items() if k.startswith("cache")}
    assert answer["metrics"]["latencyMs"] >= 0
    request = model.requests[0]
    assert request["messages"] == [{"role": "system", "content": "Be brief."},
                                   {"role": "user", "content": "Hi"}]
    assert (request["max_tokens"], request["temperature"], request["top_p"], request["stop"]) == (
        100, 0.5, 0.9, ["END"])


def test_a_plain_while_loop_over_converse_runs_an_agent(brt, model):
    """J1: as AWS documents it."""
    model.turn(Say("I add.", [("add", {"a": 2, "b": 3}), ("add", {"a": 4, "b": 5})]),
               Say(calls=[("add", {"a": 5, "b": 9})]), Say("It is 14."))
    messages = [user("2+3+4+5?")]
    while True:
        answer = brt.converse(modelId=model.id, messages=messages, toolConfig=TOOLS)
        message = answer["output"]["message"]
        messages.append(message)
        if answer["stopReason"] != "tool_use":
            break
        results = []
        for block in message["content"]:
            if "toolUse" in block:
                use = block["toolUse"]
                results.append({"toolResult": {
                    "toolUseId": use["toolUseId"],
                    "content": [{"json": {"sum": use["input"]["a"] + use["input"]["b"]}}]}})
        messages.append({"role": "user", "content": results})
    assert message["content"] == [{"text": "It is 14."}]
    tools = [json.loads(m["content"])["sum"] for m in model.requests[-1]["messages"] if m["role"] == "tool"]
    assert tools == [5, 9, 14]


@pytest.mark.parametrize(("choice", "sent"), [
    ({"auto": {}}, "auto"), ({"any": {}}, "required"),
    ({"tool": {"name": "add"}}, {"type": "function", "function": {"name": "add"}}),
])
def test_the_tool_choice_reaches_the_model(brt, model, choice, sent):
    """J1"""
    model.turn(Say("ok"))
    brt.converse(modelId=model.id, messages=[user("x")], toolConfig={**TOOLS, "toolChoice": choice})
    assert model.requests[0].get("tool_choice", "auto") == sent


@pytest.mark.parametrize(("finish", "reason"), [
    ("length", "max_tokens"), ("content_filter", "content_filtered"), ("stop", "end_turn")])
def test_the_stop_reason_is_the_models(brt, model, finish, reason):
    model.turn(Say("x", finish=finish))
    assert brt.converse(modelId=model.id, messages=[user("x")])["stopReason"] == reason


@pytest.mark.parametrize(("status", "code"), [
    (400, None), (401, None), (404, None), (429, "ThrottlingException")])
def test_a_providers_refusal_names_the_provider(craton, model, status, code):
    """A 401 of the provider is never a 401 or 403 of ours, and nothing is repeated blindly."""
    model.turn(Say("the provider's words", status=status))
    brt = craton.client("bedrock-runtime", retries={"total_max_attempts": 1})
    with pytest.raises(brt.exceptions.ClientError, match="test") as caught:
        brt.converse(modelId=model.id, messages=[user("x")])
    error = caught.value.response
    assert error["ResponseMetadata"]["HTTPStatusCode"] == (424 if code is None else 429)
    assert error["Error"]["Code"] == (code or "ModelErrorException")


@pytest.mark.parametrize(("fields", "words"), [
    ({"messages": [{"role": "robot", "content": []}]}, "role"),
    ({"messages": [user("x")], "inferenceConfig": {"temperature": 1.5}}, "temperature"),
    ({"messages": [user("x")], "inferenceConfig": {"maxTokens": 0}}, "maxTokens"),
    ({"messages": [user("x")], "toolConfig": {"tools": []}}, "tools"),
])
def test_limits(craton, model, fields, words):
    """A9"""
    model.turn(Say("x"))
    raw = craton.client("bedrock-runtime", parameter_validation=False)
    with refused("ValidationException", words):
        raw.converse(modelId=model.id, **fields)
    assert model.requests == []


@pytest.mark.parametrize(("tool", "words"), [
    ({"name": "add", "inputSchema": {"json": {}}}, "toolSpec.inputSchema.json.type must be one of"),
    ({"name": "add", "inputSchema": {"json": []}}, "Provide a json object"),
])
def test_a_tool_takes_an_object(brt, model, tool, words):
    """As on AWS."""
    with refused("ValidationException", words):
        brt.converse(modelId=model.id, messages=[user("x")], toolConfig={"tools": [{"toolSpec": tool}]})


@pytest.mark.parametrize(("config", "words"), [
    ({**TOOLS, "toolChoice": {"tool": {"name": "sub"}}}, "'sub' at 'toolConfig.toolChoice.tool.name'"),
    ({"tools": TOOLS["tools"] * 2}, "two tools named 'add'"),
    ({"tools": [{"systemTool": {"name": "nova_grounding"}}]}, "toolConfig.tools.systemTool"),
])
def test_tools_that_make_no_sense_are_refused(brt, model, config, words):
    with refused("ValidationException", words):
        brt.converse(modelId=model.id, messages=[user("x")], toolConfig=config)


def test_a_feature_to_come_is_refused_by_name(brt, model):
    """A1"""
    with refused("ValidationException", "guardrailConfig"):
        brt.converse(modelId=model.id, messages=[user("x")],
                     guardrailConfig={"guardrailIdentifier": "abc", "guardrailVersion": "1"})


def test_request_metadata_stays_here(brt, model):
    """L9: it says who pays, and no model sees it."""
    model.turn(Say("ok"))
    brt.converse(modelId=model.id, messages=[user("x")], requestMetadata={"team": "shop", "craton:user": "ada"})
    assert "shop" not in str(model.requests[0]) and "ada" not in str(model.requests[0])


@pytest.mark.parametrize("metadata", [{}, {f"k{n}": "v" for n in range(17)}, {"k": "v" * 257}, {"k{": "v"}])
def test_request_metadata_has_limits(craton, model, metadata):
    raw = craton.client("bedrock-runtime", parameter_validation=False)
    with refused("ValidationException", "requestMetadata"):
        raw.converse(modelId=model.id, messages=[user("x")], requestMetadata=metadata)


def test_what_is_asked_of_a_call_stands_in_its_answer(brt, model):
    model.turn(Say("ok"))
    asked = {"serviceTier": {"type": "default"}, "performanceConfig": {"latency": "standard"}}
    answer = brt.converse(modelId=model.id, messages=[user("x")], **asked)
    assert {name: answer[name] for name in asked} == asked
    last = list(brt.converse_stream(modelId=model.id, messages=[user("x")], **asked)["stream"])[-1]["metadata"]
    assert {name: last[name] for name in asked} == asked


@pytest.mark.parametrize(("path", "words"), [("stop_sequence", "no JSON Pointer"), ("/a~2", "no JSON Pointer")])
def test_a_field_of_the_native_answer_is_named_by_a_pointer(brt, model, path, words):
    with refused("ValidationException", words):
        brt.converse(modelId=model.id, messages=[user("x")], additionalModelResponseFieldPaths=[path])


@pytest.mark.parametrize("streamed", [False, True])
def test_the_stop_sequence_that_was_met_is_told(brt, model, streamed):
    model.turn(Say("one", met="END"))
    asked = {"inferenceConfig": {"stopSequences": ["END"]}, "additionalModelResponseFieldPaths": ["/stop_sequence"]}
    if streamed:
        events = list(brt.converse_stream(modelId=model.id, messages=[user("x")], **asked)["stream"])
        answer, = [e["messageStop"] for e in events if "messageStop" in e]
    else:
        answer = brt.converse(modelId=model.id, messages=[user("x")], **asked)
    assert answer["stopReason"] == "stop_sequence"
    assert answer["additionalModelResponseFields"] == {"stop_sequence": "END"}


@pytest.mark.parametrize("schema", ["{", "[]"])
def test_an_answer_is_held_to_a_json_schema_or_to_none(brt, model, schema):
    structure = {"jsonSchema": {"name": "order", "schema": schema}}
    with refused("ValidationException", "outputConfig.textFormat.structure.jsonSchema.schema"):
        brt.converse(modelId=model.id, messages=[user("x")],
                     outputConfig={"textFormat": {"type": "json_schema", "structure": structure}})
