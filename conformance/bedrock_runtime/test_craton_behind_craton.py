"""A Craton whose provider is Bedrock, and whose Bedrock is another Craton: signed requests go on to it,
answers and exceptions come back as they were."""

import pytest
from botocore.exceptions import ClientError

from support.agents import unique
from support.model import Say
from support.server import REGION, Craton

TOOLS = {"tools": [{"toolSpec": {"name": "add", "description": "Adds", "inputSchema": {"json": {
    "type": "object", "properties": {"a": {"type": "number"}}}}}}]}


@pytest.fixture(scope="module")
def outer(tmp_path_factory, craton):
    server = Craton(tmp_path_factory.mktemp("outer"), f"""
[providers.inner]
kind = "bedrock"
region = "{REGION}"
base_url = "{craton.url}"
access_key = "env:PATH"      # any two that are set: development takes every key
secret_key = "env:PATH"

[[models]]
match = "*"
provider = "inner"
""").start()
    yield server
    server.stop()


@pytest.fixture
def brt(outer):
    return outer.client("bedrock-runtime", retries={"max_attempts": 1})


def user(*content):
    return {"role": "user", "content": [{"text": c} if isinstance(c, str) else c for c in content]}


def test_words_and_options_reach_the_model_behind_both(brt, models):
    """J2"""
    model = models.model(unique("maker.model:1"))
    model.turn(Say("Hello!"))
    answer = brt.converse(modelId=model.id, messages=[user("Hi")], system=[{"text": "Be brief."}],
                          inferenceConfig={"maxTokens": 9, "temperature": 0.5, "stopSequences": ["END"]},
                          additionalModelRequestFields={"seed": 4})
    assert answer["output"]["message"]["content"] == [{"text": "Hello!"}]
    assert answer["stopReason"] == "end_turn" and answer["usage"]["inputTokens"] > 0
    asked, = model.requests
    assert asked["messages"][0] == {"role": "system", "content": "Be brief."}
    assert (asked["max_tokens"], asked["temperature"], asked["stop"], asked["seed"]) == (9, 0.5, ["END"], 4)


def test_a_streamed_tool_loop_goes_through_both(brt, models):
    """J2"""
    model = models.model(unique("model"))
    model.turn(Say("I add.", calls=[("add", {"a": 1})]), Say(pieces=["It ", "is ", "1."]))
    messages = [user("1?")]
    first = fold(brt.converse_stream(modelId=model.id, messages=messages, toolConfig=TOOLS))
    assert first["stopReason"] == "tool_use" and first["text"] == "I add."
    tool = first["tool"]
    messages += [{"role": "assistant", "content": [{"text": "I add."}, {"toolUse": {
        "toolUseId": tool["toolUseId"], "name": "add", "input": {"a": 1}}}]}, user({"toolResult": {
            "toolUseId": tool["toolUseId"], "content": [{"json": {"sum": 1}}]}})]
    last = fold(brt.converse_stream(modelId=model.id, messages=messages, toolConfig=TOOLS))
    assert (last["stopReason"], last["text"]) == ("end_turn", "It is 1.")
    assert last["usage"]["outputTokens"] > 0


def fold(answer):
    said = {"text": ""}
    for event in answer["stream"]:
        if "contentBlockStart" in event:
            said["tool"] = event["contentBlockStart"]["start"]["toolUse"]
        elif "contentBlockDelta" in event:
            said["text"] += event["contentBlockDelta"]["delta"].get("text", "")
        elif "messageStop" in event:
            said["stopReason"] = event["messageStop"]["stopReason"]
        elif "metadata" in event:
            said["usage"] = event["metadata"]["usage"]
    return said


@pytest.mark.parametrize("status, code", [
    (429, "ThrottlingException"), (503, "ServiceUnavailableException"), (401, "ModelErrorException")])
def test_an_exception_of_the_inner_one_is_the_outer_ones(brt, models, status, code):
    """J2"""
    model = models.model(unique("model"))
    model.turn(Say("no", status=status))
    with pytest.raises(ClientError) as refused:
        brt.converse(modelId=model.id, messages=[user("Hi")])
    assert refused.value.response["Error"]["Code"] == code
