"""CreatePrompt, CreatePromptVersion, GetPrompt, ListPrompts, UpdatePrompt, DeletePrompt."""

import uuid

import pytest

from support.agents import refused, unique
from support.server import ACCOUNT, REGION

MODEL = "anthropic.claude-3-haiku-20240307-v1:0"
TOOL = {"toolSpec": {"name": "look", "description": "Looks it up", "strict": True,
                     "inputSchema": {"json": {"type": "object", "properties": {"q": {"type": "string"}}}}}}


def text(words="Sing of {{topic}}.", **fields):
    template = {"text": words, "inputVariables": [{"name": "topic"}], "cachePoint": {"type": "default"}}
    return {"name": "one", "modelId": MODEL, "templateType": "TEXT",
            "templateConfiguration": {"text": template}, **fields}


def chat(**fields):
    return {"name": "two", "modelId": MODEL, "templateType": "CHAT", "templateConfiguration": {"chat": {
        "system": [{"text": "You sing."}, {"cachePoint": {"type": "default"}}],
        "messages": [{"role": "user", "content": [{"text": "Hello {{who}}"}]},
                     {"role": "assistant", "content": [{"text": "Hello."}, {"cachePoint": {"type": "default"}}]}],
        "inputVariables": [{"name": "who"}],
        "toolConfiguration": {"tools": [TOOL], "toolChoice": {"tool": {"name": "look"}}}, **fields}}}


@pytest.fixture
def prompt(cp):
    made = []

    def make(**fields):
        fields = {"name": unique("prompt"), "variants": [text()], **fields}
        made.append(cp.create_prompt(**fields))
        return made[-1]

    yield make
    for one in made:
        try:
            cp.delete_prompt(promptIdentifier=one["id"])
        except cp.exceptions.ResourceNotFoundException:
            pass


FULL = {"inferenceConfiguration": {"text": {"temperature": 0.5, "topP": 0.25, "maxTokens": 9, "stopSequences": ["END"]}},
        "metadata": [{"key": "team", "value": "shop"}], "additionalModelRequestFields": {"top_k": 5}}


@pytest.mark.parametrize("variant", [text(**FULL), {**chat(), **FULL}], ids=["text", "chat"])
def test_every_field_round_trips(cp, prompt, variant):
    fields = {"name": unique("prompt"), "description": "about songs", "defaultVariant": variant["name"],
              "variants": [variant]}
    made = prompt(**fields, tags={"team": "shop"})
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    arn = f"arn:aws:bedrock:{REGION}:{ACCOUNT}:prompt/{made['id']}"
    assert (made["version"], made["arn"]) == ("DRAFT", arn)
    assert made["createdAt"] == made["updatedAt"]
    assert cp.list_tags_for_resource(resourceArn=arn)["tags"] == {"team": "shop"}
    for identifier in (made["id"], arn):
        shown = cp.get_prompt(promptIdentifier=identifier)
        assert {name: shown[name] for name in fields} == fields
    told = cp.get_prompt(promptIdentifier=made["id"], includedData="METADATA_ONLY")
    assert "variants" not in told and told["name"] == fields["name"]


def test_a_version_is_a_snapshot(cp, prompt):
    """Editing the draft changes no version; numbers count up from 1."""
    made = prompt(description="the draft")
    first = cp.create_prompt_version(promptIdentifier=made["id"], description="the first", tags={"stage": "prod"})
    assert first["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert (first["version"], first["arn"]) == ("1", made["arn"] + ":1")
    assert cp.list_tags_for_resource(resourceArn=first["arn"])["tags"] == {"stage": "prod"}
    renamed = unique("prompt")
    edited = cp.update_prompt(promptIdentifier=made["arn"], name=renamed, variants=[chat()])
    assert (edited["version"], edited["name"], "description" in edited) == ("DRAFT", renamed, False)
    assert edited["updatedAt"] > edited["createdAt"]
    assert cp.create_prompt_version(promptIdentifier=made["arn"])["version"] == "2"
    for identifier in ({"promptIdentifier": made["id"], "promptVersion": "1"}, {"promptIdentifier": first["arn"]}):
        shown = cp.get_prompt(**identifier)
        assert (shown["name"], shown["description"]) == (made["name"], "the first")
        assert shown["variants"] == [text()]
    listed = cp.list_prompts(promptIdentifier=made["id"])["promptSummaries"]
    assert [one["version"] for one in listed] == ["DRAFT", "2", "1"]
    assert cp.delete_prompt(promptIdentifier=made["id"], promptVersion="1")["version"] == "1"
    with refused("ResourceNotFoundException"):
        cp.get_prompt(promptIdentifier=made["id"], promptVersion="1")


def test_pages_hold_every_prompt_once(craton):
    cp = craton.client("bedrock-agent", key="222233335555")
    ids = {cp.create_prompt(name=f"list-{n}")["id"]: f"list-{n}" for n in range(5)}
    pages = list(cp.get_paginator("list_prompts").paginate(PaginationConfig={"PageSize": 2}))
    assert [len(page["promptSummaries"]) for page in pages] == [2, 2, 1]
    listed = [one for page in pages for one in page["promptSummaries"]]
    assert {one["id"]: one["name"] for one in listed} == ids
    assert {one["version"] for one in listed} == {"DRAFT"}
    with refused("ValidationException", "(?i)token"):
        cp.list_prompts(nextToken="made-up")


def test_a_prompt_is_deleted_with_its_versions(cp, prompt):
    made = prompt()
    cp.create_prompt_version(promptIdentifier=made["id"])
    gone = cp.delete_prompt(promptIdentifier=made["arn"])
    assert (gone["id"], "version" in gone) == (made["id"], False)
    for call in (cp.get_prompt, cp.delete_prompt, cp.create_prompt_version):
        with refused("ResourceNotFoundException"):
            call(promptIdentifier=made["id"])
    with refused("ResourceNotFoundException"):
        cp.update_prompt(promptIdentifier=made["id"], name="x")
    with refused("ResourceNotFoundException"):
        cp.list_prompts(promptIdentifier=made["id"])
    cp.delete_prompt(promptIdentifier=prompt(name=made["name"])["id"])


def test_a_repeated_create_makes_one(cp, prompt):
    """A client token stands for one request; with other members it is a conflict."""
    fields = {"name": unique("prompt"), "clientToken": uuid.uuid4().hex + "-a"}
    made = prompt(**fields)
    assert prompt(**fields)["id"] == made["id"]
    with refused("ConflictException", "clientToken"):
        prompt(**{**fields, "description": "other"})
    cut = {"promptIdentifier": made["id"], "clientToken": uuid.uuid4().hex + "-b"}
    assert [cp.create_prompt_version(**cut)["version"] for _ in range(2)] == ["1", "1"]


def test_a_name_is_held_by_one_prompt(cp, prompt):
    first, second = prompt(), prompt()
    with refused("ConflictException", first["name"]):
        prompt(name=first["name"])
    with refused("ConflictException", first["name"]):
        cp.update_prompt(promptIdentifier=second["id"], name=first["name"])


@pytest.mark.parametrize(("fields", "words"), [
    ({"name": "no spaces allowed"}, "name"),
    ({"variants": [text(), {**text(), "name": "two"}]}, "variants"),
    ({"defaultVariant": "other"}, "'other' at 'defaultVariant'"),
    ({"variants": [{**text(), "templateType": "CHAT"}]}, "templateType CHAT"),
    ({"variants": [chat(toolConfiguration={"tools": [TOOL, TOOL]})]}, "named 'look'"),
    ({"variants": [chat(toolConfiguration={"tools": [TOOL], "toolChoice": {"tool": {"name": "b"}}})]}, "'b' at"),
    ({"variants": [chat(inputVariables=[{"name": "a"}, {"name": "a"}])]}, "'a' at 'inputVariables'"),
    ({"variants": [text(inferenceConfiguration={"text": {"temperature": 2}})]}, "temperature"),
    ({"variants": [{**text(), "genAiResource": {"agent": {"agentIdentifier":
      f"arn:aws:bedrock:{REGION}:{ACCOUNT}:agent-alias/AAAAAAAAAA/BBBBBBBBBB"}}}]}, "genAiResource"),
    ({"customerEncryptionKeyArn": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{uuid.uuid4()}"}, "customerEncryptionKeyArn"),
    ({"tags": {"craton:session-days": "7"}}, "craton:session-days"),
])
def test_what_makes_no_sense_is_refused(raw_cp, prompt, fields, words):
    with refused("ValidationException", words):
        raw_cp.create_prompt(**{"name": unique("prompt"), "variants": [text()], **fields})
    made = prompt()
    if "tags" not in fields:
        with refused("ValidationException", words):
            raw_cp.update_prompt(**{"promptIdentifier": made["id"], "name": made["name"], **fields,
                                    "variants": fields.get("variants", [text()])})


def test_a_version_is_changed_by_nothing(cp, prompt):
    made = prompt()
    one = cp.create_prompt_version(promptIdentifier=made["id"])["arn"]
    with refused("ValidationException", "names version 1"):
        cp.update_prompt(promptIdentifier=one, name=made["name"])
    with refused("ValidationException", "another version"):
        cp.get_prompt(promptIdentifier=one, promptVersion="2")


def test_a_prompt_of_elsewhere_is_not_found(craton, cp, prompt):
    made = prompt()
    for other in (made["arn"].replace(ACCOUNT, "999988887777"), made["arn"].replace(REGION, "eu-west-1")):
        with refused("ResourceNotFoundException"):
            cp.get_prompt(promptIdentifier=other)
    with refused("ResourceNotFoundException"):
        craton.client("bedrock-agent", key="222233335555").get_prompt(promptIdentifier=made["id"])


def test_tags_of_a_prompt_change(cp, prompt):
    arn = prompt(tags={"a": "1"})["arn"]
    cp.tag_resource(resourceArn=arn, tags={"b": "2"})
    cp.untag_resource(resourceArn=arn, tagKeys=["a"])
    assert cp.list_tags_for_resource(resourceArn=arn)["tags"] == {"b": "2"}
