"""An answer that its model spoiled: a stop reason of Converse, and an error wherever there is no word for it."""

import json
import types

import pytest

from support.agents import Agent, refused
from support.server import Craton

REASONS = ["malformed_tool_use", "malformed_model_output"]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    home = tmp_path_factory.mktemp("malformed")
    rules = [{"when": {"said": reason}, "reply": {"text": "I try.", "stop": reason}} for reason in REASONS]
    (home / "script.json").write_text(json.dumps({"rules": rules}))
    one = Craton(home, f'[providers.script]\nkind = "scripted"\nfile = "{home / "script.json"}"\n'
                       '[[models]]\nmatch = "*"\nprovider = "script"\n').start()
    yield one
    one.stop()


@pytest.fixture
def brt(server):
    return server.client("bedrock-runtime", retries={"total_max_attempts": 1})


@pytest.mark.parametrize("reason", REASONS)
def test_converse_says_so_in_the_stop_reason(brt, reason):
    """AWS: API reference, `StopReason`."""
    asked = {"modelId": "any.model", "messages": [{"role": "user", "content": [{"text": reason}]}]}
    answer = brt.converse(**asked)
    assert answer["stopReason"] == reason and answer["output"]["message"]["content"] == [{"text": "I try."}]
    events = list(brt.converse_stream(**asked)["stream"])
    assert [event["messageStop"]["stopReason"] for event in events if "messageStop" in event] == [reason]


def test_a_native_body_of_a_family_without_a_word_for_it_is_an_error(brt):
    """Nova has Converse's own; a Messages document would have to call it the end of a turn."""
    said = [{"role": "user", "content": [{"text": REASONS[0]}]}]
    nova = {"schemaVersion": "messages-v1", "messages": said}
    answer = brt.invoke_model(modelId="amazon.nova-lite-v1:0", body=json.dumps(nova))
    assert json.loads(answer["body"].read())["stopReason"] == REASONS[0]
    claude = json.dumps({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9,
                         "messages": [{"role": "user", "content": REASONS[0]}]})
    with refused("ModelErrorException", f"gave up: {REASONS[0]}"):
        brt.invoke_model(modelId="anthropic.claude-3-haiku-20240307-v1:0", body=claude)
    stream = brt.invoke_model_with_response_stream(modelId="anthropic.claude-3-haiku-20240307-v1:0", body=claude)
    with refused("ModelStreamErrorException", f"gave up: {REASONS[0]}"):
        list(stream["body"])


def test_an_agent_has_nothing_to_go_on_with(server, tools):
    cp, rt = server.client("bedrock-agent"), server.client("bedrock-agent-runtime")
    one = Agent(cp, rt, types.SimpleNamespace(id="any.model"), tools).prepare()
    with refused("DependencyFailedException", f"gave up: {REASONS[0]}"):
        one.talk(REASONS[0])
