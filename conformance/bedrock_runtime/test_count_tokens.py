"""CountTokens: the provider's own count, else an estimate that a header marks as one."""

import json

from support.agents import refused

TEXT = [{"role": "user", "content": [{"text": "hello world"}]}]


def count(brt, model, **request):
    answer = brt.count_tokens(modelId=model.id, input=request)
    return answer["inputTokens"], answer["ResponseMetadata"]["HTTPHeaders"].get("x-craton-token-count")


def test_an_estimate_says_that_it_is_one(brt, model):
    tokens, mark = count(brt, model, converse={"messages": TEXT})
    assert (tokens, mark) == (8, "estimate")
    assert not model.requests


def test_system_tools_and_every_message_count(brt, model):
    bare, _ = count(brt, model, converse={"messages": TEXT})
    system, _ = count(brt, model, converse={"messages": TEXT, "system": [{"text": "Be brief."}]})
    tool = {"toolSpec": {"name": "look", "description": "Looks around",
                         "inputSchema": {"json": {"type": "object"}}}}
    tools, _ = count(brt, model, converse={"messages": TEXT, "toolConfig": {"tools": [tool]}})
    longer, _ = count(brt, model, converse={"messages": [
        *TEXT, {"role": "assistant", "content": [{"text": "Hello."}]}, *TEXT]})
    assert bare < system and bare < tools and bare < longer


def test_a_native_body_counts_as_the_same_conversation(brt, model):
    body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9,
            "messages": [{"role": "user", "content": "hello world"}]}
    assert count(brt, model, invokeModel={"body": json.dumps(body)})[0] == 8


def test_what_a_conversation_or_a_body_must_not_be_is_refused(brt, model):
    with refused("ValidationException", "must start with a user message"):
        count(brt, model, converse={"messages": [{"role": "assistant", "content": [{"text": "x"}]}]})
    with refused("ValidationException", "Malformed input request"):
        count(brt, model, invokeModel={"body": b"{"})
