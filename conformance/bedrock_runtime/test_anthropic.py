"""Converse, ConverseStream and agents over a provider that speaks Anthropic's Messages API."""

import base64
import json

import pytest

from support.agents import Agent, function, hand_back, result, unique
from support.messages import Thoughtful, results, signature
from support.model import Say
from support.tools import READ

TOOLS = {"tools": [{"toolSpec": {
    "name": "add", "description": "Adds two numbers",
    "inputSchema": {"json": {"type": "object", "required": ["a", "b"], "properties": {
        "a": {"type": "number"}, "b": {"type": "number"}}}}}}, {"cachePoint": {"type": "default"}}]}


@pytest.fixture
def model(claude):
    return claude.model(unique("claude.model"))


def user(*content):
    return {"role": "user", "content": [{"text": c} if isinstance(c, str) else c for c in content]}


def test_words_in_words_out(brt, model, claude):
    """J2"""
    model.turn(Say("Hello!"))
    answer = brt.converse(
        modelId=model.id, messages=[user("Hi", {"cachePoint": {"type": "default"}})],
        system=[{"text": "Be brief."}, {"cachePoint": {"type": "default", "ttl": "1h"}}],
        inferenceConfig={"maxTokens": 100, "temperature": 0.5, "topP": 0.9, "stopSequences": ["END"]},
        additionalModelRequestFields={"top_k": 5, "thinking": {"type": "disabled"},
                                      "anthropic_beta": ["some-beta-2025-01-01"]})
    assert answer["output"]["message"] == {"role": "assistant", "content": [{"text": "Hello!"}]}
    assert answer["stopReason"] == "end_turn"
    usage = {"inputTokens": 11, "outputTokens": 7, "totalTokens": 23,
             "cacheReadInputTokens": 3, "cacheWriteInputTokens": 2}
    assert {k: answer["usage"][k] for k in usage} == usage
    assert model.requests == [{
        "model": model.id, "stream": True, "max_tokens": 100, "temperature": 0.5, "top_p": 0.9,
        "top_k": 5, "stop_sequences": ["END"], "thinking": {"type": "disabled"},
        "system": [{"type": "text", "text": "Be brief.",
                    "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        "messages": [{"role": "user", "content": [
            {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}]}],
    }]
    headers = {name.lower(): value for name, value in claude.headers[-1].items()}
    assert headers["anthropic-version"] == "2023-06-01" and headers["x-api-key"]
    assert headers["anthropic-beta"] == "some-beta-2025-01-01" and "authorization" not in headers


def test_a_tool_loop_brings_thoughts_back_as_they_were(brt, model):
    """J2: signed and redacted thoughts, two calls at once, a result that failed."""
    model.turn(Thoughtful(redacted="EmwKAhgB/+==", calls=[("add", {"a": 2, "b": 3}), ("add", {"a": 4, "b": 5})]),
               Say("It is 14."))
    messages = [user("2+3+4+5?")]
    first = brt.converse(modelId=model.id, messages=messages, toolConfig=TOOLS)
    assert first["stopReason"] == "tool_use"
    thought, redacted, one, two = first["output"]["message"]["content"]
    text = thought["reasoningContent"]["reasoningText"]
    assert text == {"text": "hm \n ü", "signature": signature("hm \n ü")}
    assert redacted["reasoningContent"]["redactedContent"] == b"EmwKAhgB/+=="
    ids = [use["toolUse"]["toolUseId"] for use in (one, two)]
    messages += [first["output"]["message"], user(
        {"toolResult": {"toolUseId": ids[0], "content": [{"json": {"sum": 5}}]}},
        {"toolResult": {"toolUseId": ids[1], "content": [{"text": "overflow"}], "status": "error"}})]
    last = brt.converse(modelId=model.id, messages=messages, toolConfig=TOOLS)
    assert last["output"]["message"]["content"] == [{"text": "It is 14."}]
    asked = model.requests[-1]
    assert asked["tools"] == [{
        "name": "add", "description": "Adds two numbers", "cache_control": {"type": "ephemeral"},
        "input_schema": TOOLS["tools"][0]["toolSpec"]["inputSchema"]["json"]}]
    assert asked["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "hm \n ü", "signature": signature("hm \n ü")},
        {"type": "redacted_thinking", "data": "EmwKAhgB/+=="},
        {"type": "tool_use", "id": ids[0], "name": "add", "input": {"a": 2, "b": 3}},
        {"type": "tool_use", "id": ids[1], "name": "add", "input": {"a": 4, "b": 5}}]
    assert results(asked) == [
        {"type": "tool_result", "tool_use_id": ids[0], "content": [{"type": "text", "text": '{"sum":5}'}]},
        {"type": "tool_result", "tool_use_id": ids[1], "content": [{"type": "text", "text": "overflow"}],
         "is_error": True}]


def test_a_stream_has_thoughts_signatures_and_words(brt, model):
    """J2"""
    model.turn(Thoughtful(pieces=["Hel", "lo"], redacted="Em/+", calls=[("add", {"a": 1, "b": 2})]))
    events = list(brt.converse_stream(modelId=model.id, messages=[user("x")], toolConfig=TOOLS)["stream"])
    deltas = [e["contentBlockDelta"] for e in events if "contentBlockDelta" in e]
    said = [(d["contentBlockIndex"], kind, value) for d in deltas for kind, value in d["delta"].items()]
    assert said[:3] == [(0, "reasoningContent", {"text": "hm \n ü"}),
                        (0, "reasoningContent", {"signature": signature("hm \n ü")}),
                        (1, "reasoningContent", {"redactedContent": b"Em/+"})]
    assert "".join(v for _, kind, v in said if kind == "text") == "Hello"
    assert json.loads("".join(v["input"] for _, kind, v in said if kind == "toolUse")) == {"a": 1, "b": 2}
    assert [e["contentBlockStop"]["contentBlockIndex"] for e in events if "contentBlockStop" in e] == [0, 1, 2, 3]
    assert events[-2]["messageStop"]["stopReason"] == "tool_use"
    assert events[-1]["metadata"]["usage"]["totalTokens"] == 23


@pytest.mark.parametrize(("choice", "sent"), [
    ({"auto": {}}, None), ({"any": {}}, {"type": "any"}),
    ({"tool": {"name": "add"}}, {"type": "tool", "name": "add"})])
def test_the_tool_choice_reaches_the_model(brt, model, choice, sent):
    """J2"""
    model.turn(Say("ok"))
    brt.converse(modelId=model.id, messages=[user("x")], toolConfig={**TOOLS, "toolChoice": choice})
    assert model.requests[0].get("tool_choice") == sent


PNG = b"\x89PNG\r\n\x1a\n\0\0\0\r"


def test_images_and_documents_reach_the_model(brt, model):
    model.turn(Say("ok"))
    brt.converse(modelId=model.id, messages=[user(
        "Compare.", {"image": {"format": "png", "source": {"bytes": PNG}}},
        {"document": {"format": "pdf", "name": "sums", "source": {"bytes": b"%PDF"}}},
        {"document": {"format": "txt", "name": "note", "source": {"bytes": b"hi"}}})])
    encoded = lambda b: base64.b64encode(b).decode()
    assert model.requests[0]["messages"][0]["content"][1:] == [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": encoded(PNG)}},
        {"type": "document", "title": "sums",
         "source": {"type": "base64", "media_type": "application/pdf", "data": encoded(b"%PDF")}},
        {"type": "document", "title": "note",
         "source": {"type": "text", "media_type": "text/plain", "data": "hi"}}]


@pytest.mark.parametrize(("finish", "reason"), [
    ("max_tokens", "max_tokens"), ("stop_sequence", "stop_sequence"), ("refusal", "content_filtered"),
    ("model_context_window_exceeded", "model_context_window_exceeded")])
def test_the_stop_reason_is_the_models(brt, model, finish, reason):
    """J2"""
    model.turn(Say("x", finish=finish))
    assert brt.converse(modelId=model.id, messages=[user("x")])["stopReason"] == reason


@pytest.mark.parametrize(("status", "code", "seen"), [
    (400, "ModelErrorException", 424), (401, "ModelErrorException", 424), (413, "ValidationException", 400),
    (429, "ThrottlingException", 429), (529, "ServiceUnavailableException", 503)])
def test_a_refusal_names_the_provider(craton, model, status, code, seen):
    """A 401 of the provider is never a 401 or 403 of ours."""
    model.turn(Say("the provider's words", status=status))
    brt = craton.client("bedrock-runtime", retries={"total_max_attempts": 1})
    with pytest.raises(brt.exceptions.ClientError, match="claude.*the provider's words") as caught:
        brt.converse(modelId=model.id, messages=[user("x")])
    error = caught.value.response
    assert (error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]) == (code, seen)


@pytest.mark.parametrize("streamed", [False, True])
def test_an_agent_keeps_its_thoughts_over_steps_hand_offs_and_turns(cp, rt, model, tools, streamed):
    """J2: the API refuses every altered thought, here and in the real one."""
    agent = Agent(cp, rt, model, tools)
    agent.group(function("look", x="integer required"), executor=READ, name="here")
    agent.group(function("ask", x="integer required"), name="there")
    agent.serve(lambda call: {"seen": call["parameters"][0]["value"]})
    model.turn(Thoughtful(thought="first \n look", calls=[("here__look", {"x": 1})]),
               Thoughtful(thought="then ask", redacted="Em//==", calls=[("there__ask", {"x": 2})]),
               Thoughtful(thought="", pieces=["<answer>three", "</answer>"]), said="count")
    model.turn(Say("<answer>four</answer>"), said="again")
    session, streaming = unique("session"), {"streamingConfigurations": {"streamFinalResponse": streamed}}
    agent.prepare()
    handed = agent.talk("count", session, **streaming)
    answer = agent.talk(None, session, **streaming, **hand_back(handed.control, result(handed.control, 0, "two")))
    assert answer.text == "three"
    assert agent.talk("again", session, **streaming).text == "four"
    asked = model.requests[-1]
    thoughts = [b for m in asked["messages"] for b in m["content"] if "thinking" in b["type"]]
    assert thoughts == [
        {"type": "thinking", "thinking": "first \n look", "signature": signature("first \n look")},
        {"type": "thinking", "thinking": "then ask", "signature": signature("then ask")},
        {"type": "redacted_thinking", "data": "Em//=="},
        {"type": "thinking", "thinking": "", "signature": signature("")}]
    assert asked["thinking"] == {"type": "enabled", "budget_tokens": 1024}
    assert asked["max_tokens"] > 1024
    assert len(results(asked)) == 2
