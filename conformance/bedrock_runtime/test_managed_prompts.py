"""Converse and ConverseStream with the ARN of a prompt of Prompt management for a model."""

import pytest

from support.agents import refused, unique
from support.model import Say

FILLED = {"promptVariables": {"who": {"text": "{{tongue}}"}, "tongue": {"text": "Norwegian \"bokmål\""}}}


@pytest.fixture
def prompt(cp, model):
    """Makes a prompt on the case's model, with the variant's fields given."""
    made = []

    def make(**fields):
        template = {"text": {"text": "Greet {{who}} in {{tongue}}, {not} {{this one}}.",
                             "inputVariables": [{"name": "who"}, {"name": "tongue"}]}}
        variant = {"name": "v", "modelId": model.id, "templateType": "TEXT", "templateConfiguration": template, **fields}
        made.append(cp.create_prompt(name=unique("prompt"), variants=[variant]))
        return made[-1]

    yield make
    for one in made:
        cp.delete_prompt(promptIdentifier=one["id"])


def chat(**more):
    tool = {"toolSpec": {"name": "look", "inputSchema": {"json": {"type": "object"}}}}
    return {"templateType": "CHAT", "templateConfiguration": {"chat": {
        "system": [{"text": "Speak {{tongue}}."}],
        "messages": [{"role": "user", "content": [{"text": "I am {{who}}."}]},
                     {"role": "assistant", "content": [{"text": "Welcome."}]},
                     {"role": "user", "content": [{"text": "Greet me."}]}],
        "toolConfiguration": {"tools": [tool]}, **more}}}


def heard(brt, streamed, **fields):
    if not streamed:
        return brt.converse(**fields)["output"]["message"]["content"][0]["text"]
    events = brt.converse_stream(**fields)["stream"]
    return "".join(e["contentBlockDelta"]["delta"]["text"] for e in events if "contentBlockDelta" in e)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_prompt_is_filled_in_and_asks_its_own_model(brt, prompt, model, streamed):
    """Values are data: braces in one name no other variable."""
    model.turn(Say("Hei!"))
    arn = prompt(inferenceConfiguration={"text": {"maxTokens": 50, "temperature": 0.5, "topP": 0.25, "stopSequences": ["END"]}},
                 additionalModelRequestFields={"seed": 7})["arn"]
    assert heard(brt, streamed, modelId=arn, **FILLED) == "Hei!"
    request, = model.requests
    assert request["messages"] == [{
        "role": "user", "content": "Greet {{tongue}} in Norwegian \"bokmål\", {not} {{this one}}."}]
    assert (request["max_tokens"], request["temperature"], request["top_p"], request["stop"], request["seed"]) == (
        50, 0.5, 0.25, ["END"], 7)


def test_a_chat_has_system_turns_and_tools_and_the_request_goes_on_from_it(brt, prompt, model):
    model.turn(Say("Hei!"))
    more = [{"role": "user", "content": [{"text": "Loudly."}]}]
    assert heard(brt, False, modelId=prompt(**chat())["arn"], messages=more, **FILLED) == "Hei!"
    request, = model.requests
    assert [(m["role"], m["content"]) for m in request["messages"]] == [
        ("system", "Speak Norwegian \"bokmål\"."), ("user", "I am {{tongue}}."),
        ("assistant", "Welcome."), ("user", "Greet me.\nLoudly.")]
    assert [tool["function"]["name"] for tool in request["tools"]] == ["look"]


def test_a_version_is_asked_as_it_was(cp, brt, prompt, model):
    model.turn(Say("ok"))
    made = prompt()
    one = cp.create_prompt_version(promptIdentifier=made["id"])["arn"]
    variant = {**made["variants"][0], "templateConfiguration": {"text": {"text": "Nothing to fill."}}}
    cp.update_prompt(promptIdentifier=made["id"], name=made["name"], variants=[variant])
    heard(brt, False, modelId=made["arn"])
    heard(brt, False, modelId=one, **FILLED)
    assert [r["messages"][0]["content"].split()[0] for r in model.requests] == ["Nothing", "Greet"]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(("fields", "words"), [
    ({"promptVariables": {"who": {"text": "x"}}}, "no value for tongue of prompt arn:"),
    ({**FILLED, "system": [{"text": "x"}]}, "'system' cannot come with a prompt"),
    ({**FILLED, "inferenceConfig": {"maxTokens": 5}}, "'inferenceConfig' cannot"),
    ({**FILLED, "additionalModelRequestFields": {"a": 1}}, "'additionalModelRequestFields' cannot"),
    ({**FILLED, "toolConfig": {"tools": [{"toolSpec": {
        "name": "a", "inputSchema": {"json": {"type": "object"}}}}]}}, "'toolConfig' cannot"),
])
def test_what_does_not_go_with_a_prompt_is_refused(brt, prompt, model, streamed, fields, words):
    with refused("ValidationException", words):
        heard(brt, streamed, modelId=prompt()["arn"], **fields)
    assert model.requests == []


def test_a_prompt_that_is_not_there_or_has_no_model_says_so(cp, brt, prompt, model):
    made = prompt()
    with refused("ResourceNotFoundException"):
        brt.converse(modelId=made["arn"] + ":7", **FILLED)
    variant = {k: v for k, v in made["variants"][0].items() if k != "modelId"}
    cp.update_prompt(promptIdentifier=made["id"], name=made["name"], variants=[variant])
    with refused("ValidationException", "names no model"):
        brt.converse(modelId=made["arn"], **FILLED)
    cp.update_prompt(promptIdentifier=made["id"], name=made["name"])
    with refused("ValidationException", "has no variant"):
        brt.converse(modelId=made["arn"], **FILLED)


def test_variables_without_a_prompt_are_refused(brt, model):
    with refused("ValidationException", "promptVariables"):
        brt.converse(modelId=model.id, messages=[{"role": "user", "content": [{"text": "x"}]}], **FILLED)
