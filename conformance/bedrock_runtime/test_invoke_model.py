"""InvokeModel and InvokeModelWithResponseStream: native bodies in, native answers out, whichever provider answers."""

import json
import re

import pytest

from support.agents import refused, unique
from support.messages import Thoughtful
from support.model import Say

HI = [{"role": "user", "content": "Hi"}]
CLAUDE = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 100, "messages": HI}

# By family: an id's beginning, a body, where the words stand in an answer, and in a chunk.
FAMILIES = [
    ("anthropic.", CLAUDE, ["content", 0, "text"], ["delta", "text"]),
    ("amazon.nova-lite-", {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]},
     ["output", "message", "content", 0, "text"], ["contentBlockDelta", "delta", "text"]),
    ("meta.llama3-", {"prompt": "Hi"}, ["generation"], ["generation"]),
    ("mistral.7b-", {"prompt": "<s>[INST] Hi [/INST]"}, ["outputs", 0, "text"], ["outputs", 0, "text"]),
    ("mistral.large-", {"messages": HI}, ["choices", 0, "message", "content"], ["choices", 0, "message", "content"]),
    ("openai.gpt-oss-", {"messages": HI}, ["choices", 0, "message", "content"], ["choices", 0, "delta", "content"]),
    ("zai.glm-", {"messages": HI}, ["choices", 0, "message", "content"], ["choices", 0, "delta", "content"]),
    ("amazon.titan-text-", {"inputText": "Hi"}, ["results", 0, "outputText"], ["outputText"]),
    ("cohere.command-r-", {"message": "Hi"}, ["text"], ["text"]),
    ("cohere.command-text-", {"prompt": "Hi"}, ["generations", 0, "text"], ["text"]),
    ("anthropic.claude-v2-", {"prompt": "\n\nHuman: Hi\n\nAssistant:", "max_tokens_to_sample": 9}, ["completion"], ["completion"]),
]


@pytest.fixture
def named(models):
    """A model whose id begins as its family's do."""
    def make(prefix):
        return models.model(unique(f"{prefix}m").lower())
    return make


def at(value, path):
    for step in path:
        if isinstance(step, str) and (not isinstance(value, dict) or step not in value):
            return None
        value = value[step]
    return value


def invoke(brt, model, body, **more):
    answer = brt.invoke_model(modelId=model.id, body=json.dumps(body), **more)
    return json.loads(answer["body"].read()), answer


def stream(brt, model, body):
    answer = brt.invoke_model_with_response_stream(modelId=model.id, body=json.dumps(body))
    return [json.loads(event["chunk"]["bytes"]) for event in answer["body"]]


@pytest.mark.parametrize(("prefix", "body", "whole", "piece"), FAMILIES)
def test_every_family_answers_and_streams_in_its_own_form(brt, named, prefix, body, whole, piece):
    model = named(prefix)
    model.turn(Say("Hello!", pieces=["Hel", "lo!"]))
    told, answer = invoke(brt, model, body)
    assert at(told, whole) == "Hello!"
    assert answer["contentType"] == "application/json"
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-amzn-bedrock-input-token-count"] == "11"
    assert headers["x-amzn-bedrock-output-token-count"] == "7"
    assert int(headers["x-amzn-bedrock-invocation-latency"]) >= 0
    assert model.requests[0]["messages"] == HI
    chunks = stream(brt, model, body)
    assert "".join(at(chunk, piece) or "" for chunk in chunks) == "Hello!"
    metrics = chunks[-1]["amazon-bedrock-invocationMetrics"]
    assert (metrics["inputTokenCount"], metrics["outputTokenCount"]) == (11, 7)
    assert not any("amazon-bedrock-invocationMetrics" in chunk for chunk in chunks[:-1])


TOOLS = [{"name": "add", "description": "Adds", "input_schema": {"type": "object", "properties": {}}}]


def test_a_tool_loop_in_messages(brt, named):
    model = named("anthropic.claude-")
    model.turn(Say(calls=[("add", {"a": 2, "b": 3})]), Say("It is 5."))
    messages = list(HI)
    told, _ = invoke(brt, model, CLAUDE | {"messages": messages, "tools": TOOLS})
    assert told["stop_reason"] == "tool_use"
    use = next(block for block in told["content"] if block["type"] == "tool_use")
    assert use["input"] == {"a": 2, "b": 3}
    messages += [{"role": "assistant", "content": told["content"]},
                 {"role": "user", "content": [{"type": "tool_result", "tool_use_id": use["id"], "content": "5"}]}]
    told, _ = invoke(brt, model, CLAUDE | {"messages": messages, "tools": TOOLS})
    assert told["content"] == [{"type": "text", "text": "It is 5."}]
    assert told["stop_reason"] == "end_turn"


def test_a_stream_of_messages_has_the_events_of_messages(brt, named):
    model = named("anthropic.claude-")
    model.turn(Say("I add.", [("add", {"a": 2})]))
    chunks = stream(brt, model, CLAUDE | {"tools": TOOLS})
    kinds = [chunk["type"] for chunk in chunks]
    assert kinds[0] == "message_start" and kinds[-2:] == ["message_delta", "message_stop"]
    starts = [chunk for chunk in chunks if chunk["type"] == "content_block_start"]
    assert [(c["index"], c["content_block"]["type"]) for c in starts] == [(0, "text"), (1, "tool_use")]
    assert sorted(c["index"] for c in chunks if c["type"] == "content_block_stop") == [0, 1]
    written = "".join(c["delta"].get("partial_json", "") for c in chunks if c["type"] == "content_block_delta")
    assert json.loads(written) == {"a": 2}
    assert chunks[-2]["delta"]["stop_reason"] == "tool_use"


def test_thoughts_go_round_signed_over_the_messages_api(brt, claude):
    """What an Anthropic provider thinks comes back as a native client would have it."""
    model = claude.model(unique("claude.m"))
    model.turn(Thoughtful("Hello!"))
    told, _ = invoke(brt, model, CLAUDE)
    thought, words = told["content"]
    assert thought["type"] == "thinking" and thought["signature"]
    assert words == {"type": "text", "text": "Hello!"}
    chunks = stream(brt, model, CLAUDE)
    pieces = [chunk["delta"] for chunk in chunks if chunk["type"] == "content_block_delta"]
    assert "".join(piece.get("signature", "") for piece in pieces) == thought["signature"]
    messages = [*HI, {"role": "assistant", "content": told["content"]}, *HI]
    invoke(brt, model, CLAUDE | {"messages": messages})
    assert model.requests[-1]["messages"][1]["content"][0] == thought


@pytest.mark.parametrize(("prefix", "body", "words"), [
    ("anthropic.", {"messages": HI}, "required key [anthropic_version] not found"),
    ("anthropic.", CLAUDE | {"model": "x"}, "extraneous key [model] is not permitted"),
    ("anthropic.", CLAUDE | {"max_tokens": "1"}, "#/max_tokens: expected type: Integer, found: String"),
    ("amazon.titan-text-", {"prompt": "x"}, "required key [inputText] not found"),
    ("meta.llama3-", {"prompt": "x", "max_tokens": 1}, "extraneous key [max_tokens] is not permitted"),
    ("nobody.knows-", {"prompt": "x"}, "craton knows no native body of model"),
])
def test_a_malformed_body_is_refused_in_the_words_of_aws(brt, named, prefix, body, words):
    model = named(prefix)
    with refused("ValidationException", re.escape(words)):
        invoke(brt, model, body)
    with refused("ValidationException", re.escape(words)):
        stream(brt, model, body)
    assert not model.requests


def test_what_is_no_json_is_refused(brt, named):
    with refused("ValidationException", "Malformed input request"):
        brt.invoke_model(modelId=named("anthropic.").id, body=b"{")


def test_a_guardrail_is_refused_by_name(brt, named):
    with refused("ValidationException", "guardrails of models"):
        invoke(brt, named("anthropic."), CLAUDE, guardrailIdentifier="gr123", guardrailVersion="1")


def test_embeddings_do_not_stream(brt, named):
    with refused("ValidationException", "unsupported for streaming"):
        stream(brt, named("amazon.titan-embed-text-v2:0"), {"inputText": "x"})


@pytest.mark.parametrize(("status", "code"), [(429, "ThrottlingException"), (400, "ModelErrorException")])
def test_a_providers_refusal_is_a_typed_exception(craton, named, status, code):
    model = named("meta.llama3-")
    model.turn(Say("the provider's words", status=status))
    brt = craton.client("bedrock-runtime", retries={"total_max_attempts": 1})
    with refused(code):
        invoke(brt, model, {"prompt": "x"})


def test_asynchronous_invocations_are_refused_by_type(craton):
    brt = craton.client("bedrock-runtime", retries={"total_max_attempts": 1})
    with refused("NotImplementedException", "StartAsyncInvoke"):
        brt.start_async_invoke(modelId="amazon.nova-reel-v1:0", modelInput={"taskType": "TEXT_VIDEO"},
                               outputDataConfig={"s3OutputDataConfig": {"s3Uri": "s3://bucket/out"}})
    with refused("NotImplementedException", "ListAsyncInvokes"):
        brt.list_async_invokes()


@pytest.mark.parametrize(("prefix", "body"), [
    ("anthropic.", {**CLAUDE, "anthropic_version": "2026-10-21",
                    "tools": [{"name": "look", "input_schema": {"type": "object"}}],
                    "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}),
    ("openai.gpt-oss-", {"messages": HI, "tools": [{"type": "function", "function": {"name": "look"}}],
                         "parallel_tool_calls": False}),
])
def test_one_tool_use_at_a_time_reaches_the_provider(brt, named, prefix, body):
    """The version is the one that Anthropic's client for JavaScript sends."""
    model = named(prefix)
    model.turn(Say("Hello!"))
    invoke(brt, model, body)
    assert model.requests[0]["parallel_tool_calls"] is False
