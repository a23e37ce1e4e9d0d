"""promptOverrideConfiguration of agents: what is kept and shown, and what is refused where."""

import copy
import json

import pytest

from support.agents import refused, unique
from support.tools import READ

KINDS = ("PRE_PROCESSING", "ORCHESTRATION", "KNOWLEDGE_BASE_RESPONSE_GENERATION",
         "POST_PROCESSING", "MEMORY_SUMMARIZATION")
PLAIN = json.dumps({"system": "S", "messages": [{"role": "user", "content": "$question$"}]})
FULL = {
    "promptConfigurations": [
        {"promptType": "ORCHESTRATION", "promptCreationMode": "OVERRIDDEN", "promptState": "ENABLED",
         "basePromptTemplate": PLAIN, "parserMode": "OVERRIDDEN",
         "inferenceConfiguration": {"temperature": 0.5, "topP": 0.25, "topK": 7,
                                    "maximumLength": 512, "stopSequences": ["a", "b"]},
         "foundationModel": "anthropic.claude-3-5-haiku-20241022-v1:0",
         "additionalModelRequestFields": {"reasoning_config": {"budget_tokens": 1024}}},
        {"promptType": "KNOWLEDGE_BASE_RESPONSE_GENERATION", "promptCreationMode": "OVERRIDDEN",
         "basePromptTemplate": "Answer $query$ from $search_results$"},
        {"promptType": "MEMORY_SUMMARIZATION", "promptState": "DISABLED"},
    ],
    "overrideLambda": READ,
}


def test_what_was_given_is_shown_of_agent_and_version(cp, agent):
    one = agent(promptOverrideConfiguration=FULL).prepare()
    assert cp.get_agent(agentId=one.id)["agent"]["promptOverrideConfiguration"] == FULL
    alias = one.alias()
    version = one.show_alias(alias)["routingConfiguration"][0]["agentVersion"]
    shown = cp.get_agent_version(agentId=one.id, agentVersion=version)["agentVersion"]
    assert shown["promptOverrideConfiguration"] == FULL


def test_an_update_without_prompts_goes_back_to_the_defaults(cp, agent, model):
    one = agent(promptOverrideConfiguration=FULL)
    fields = {k: v for k, v in one.fields.items() if k != "promptOverrideConfiguration"}
    cp.update_agent(agentId=one.id, agentName=one.name, **fields)
    shown = cp.get_agent(agentId=one.id)["agent"]["promptOverrideConfiguration"]
    assert {p["promptCreationMode"] for p in shown["promptConfigurations"]} == {"DEFAULT"}


def test_default_templates_are_shown_and_can_be_handed_back(cp, agent):
    """AWS: GetAgent shows each step's default template, to be changed."""
    one = agent()
    shown = cp.get_agent(agentId=one.id)["agent"]["promptOverrideConfiguration"]
    states = {p["promptType"]: p["promptState"] for p in shown["promptConfigurations"]}
    assert set(states) == set(KINDS)
    assert [kind for kind in KINDS if states[kind] == "DISABLED"] == [
        "PRE_PROCESSING", "POST_PROCESSING"]
    one.update(promptOverrideConfiguration=shown)
    own = copy.deepcopy(shown)
    for prompt in own["promptConfigurations"]:
        prompt |= {"promptCreationMode": "OVERRIDDEN", "promptState": "ENABLED"}
    one.update(promptOverrideConfiguration=own)
    one.prepare()


def with_one(**fields):
    return {"promptConfigurations": [{"promptType": "ORCHESTRATION", **fields}]}


@pytest.mark.parametrize(("given", "match"), [
    (with_one(promptCreationMode="OVERRIDDEN"), "no basePromptTemplate"),
    (with_one(basePromptTemplate=PLAIN), "needs promptCreationMode OVERRIDDEN"),
    (with_one(promptCreationMode="DEFAULT", basePromptTemplate=PLAIN), "needs promptCreationMode"),
    (with_one(promptCreationMode="DEFAULT", inferenceConfiguration={"temperature": 0.5}),
     "needs promptCreationMode OVERRIDDEN"),
    (with_one(parserMode="OVERRIDDEN"), "no overrideLambda"),
    (with_one() | {"overrideLambda": READ}, "parserMode OVERRIDDEN"),
    ({"promptConfigurations": [{"promptState": "ENABLED"}]}, "promptType must be set"),
    ({"promptConfigurations": [{"promptType": "ORCHESTRATION"}] * 2}, "ORCHESTRATION is set twice"),
])
def test_a_combination_that_cannot_be_is_refused_at_once(cp, agent, given, match):
    with refused("ValidationException", match):
        cp.create_agent(agentName=unique("wrong"), promptOverrideConfiguration=given)
    one = agent()
    before = cp.get_agent(agentId=one.id)["agent"]
    with refused("ValidationException", match):
        one.update(promptOverrideConfiguration=given)
    assert cp.get_agent(agentId=one.id)["agent"] == before


@pytest.mark.parametrize(("field", "value"), [
    ("temperature", 1.5), ("topP", -0.5), ("topK", 501), ("maximumLength", -1),
    ("stopSequences", ["a", "b", "c", "d", "e"]),
])
def test_inference_parameters_out_of_range_are_refused(raw_cp, field, value):
    given = with_one(promptCreationMode="OVERRIDDEN", basePromptTemplate=PLAIN,
                     inferenceConfiguration={field: value})
    with refused("ValidationException", field):
        raw_cp.create_agent(agentName=unique("range"), promptOverrideConfiguration=given)


@pytest.mark.parametrize(("kind", "text", "match"), [
    ("ORCHESTRATION", PLAIN.replace("$question$", "$quesiton$"), r"\$quesiton\$.*\$question\$"),
    ("ORCHESTRATION", PLAIN.replace("$question$", "$search_results$"), r"\$search_results\$"),
    ("PRE_PROCESSING", '{"system": "S", "messages": [', "Invalid JSON in the prompt"),
    ("POST_PROCESSING", '{"system": "S"}', "'messages' must be a list"),
    ("ORCHESTRATION", '{"messages": [{"role": "robot", "content": "x"}]}', "robot"),
    ("MEMORY_SUMMARIZATION", "Sum $conversations$ up", r"\$conversations\$"),
])
def test_a_template_that_is_none_fails_when_the_agent_is_prepared(cp, agent, kind, text, match):
    """It is told with stage and placeholder; what ran before runs on."""
    one = agent().prepare()
    given = {"promptType": kind, "promptCreationMode": "OVERRIDDEN", "basePromptTemplate": text}
    one.update(promptOverrideConfiguration={"promptConfigurations": [given]})
    before = cp.get_agent(agentId=one.id)["agent"]
    with refused("ValidationException", f"{kind} prompt type.*{match}"):
        cp.prepare_agent(agentId=one.id)
    assert cp.get_agent(agentId=one.id)["agent"] == before


def test_claude_takes_json_and_older_models_plain_text(cp, agent):
    """AWS: Claude 3 and later have templates in the form of the Messages API."""
    prompt = {"promptType": "ORCHESTRATION", "promptCreationMode": "OVERRIDDEN",
              "basePromptTemplate": "\n\nHuman: $question$\n\nAssistant: $agent_scratchpad$"}
    own = {"promptOverrideConfiguration": {"promptConfigurations": [prompt]}}
    one = agent(foundationModel="anthropic.claude-3-haiku-20240307-v1:0", **own)
    with refused("ValidationException", "Invalid JSON in the prompt"):
        cp.prepare_agent(agentId=one.id)
    agent(foundationModel="anthropic.claude-v2:1", **own).prepare()
