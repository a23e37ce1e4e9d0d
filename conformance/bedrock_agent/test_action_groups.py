"""Create/Get/List/Update/DeleteAgentActionGroup: a schema of functions or OpenAPI, and an executor."""

import json
import uuid

import pytest

from support.agents import function, refused
from support.server import ACCOUNT, REGION
from support.tools import KEYED, READ

LONG = "A description in which \"quotes\", tabs\tand umlauts (ü) have to survive."
FUNCTIONS = {"functions": [
    {"name": "get_order", "description": LONG, "requireConfirmation": "DISABLED",
     "parameters": {
         "order_id": {"type": "string", "description": "Such as A-1001", "required": True},
         "lines": {"type": "array", "description": "Which lines", "required": False},
         "count": {"type": "integer", "required": False},
         "price": {"type": "number", "required": False},
         "gift": {"type": "boolean", "required": False}}},
    {"name": "list_orders", "parameters": {}, "requireConfirmation": "DISABLED"},
]}
OPENAPI = {
    "openapi": "3.0.0", "info": {"title": "Orders", "version": "1.0.0"},
    "paths": {"/orders/{id}": {"get": {
        "operationId": "getOrder", "description": "Shows one order",
        "parameters": [{"name": "id", "in": "path", "required": True,
                        "description": "The order's number", "schema": {"type": "string"}}],
        "responses": {"200": {"description": "The order"}}}}},
}
YAML = """
openapi: 3.0.0
info: {title: Orders, version: 1.0.0}
paths:
  /orders/{id}:
    get:
      operationId: getOrder
      description: Shows one order
      parameters:
        - {name: id, in: path, required: true, schema: {type: string}}
      responses: {"200": {description: The order}}
"""


def where(agent):
    return {"agentId": agent.id, "agentVersion": "DRAFT"}


def shown(cp, agent, group):
    return cp.get_agent_action_group(**where(agent), actionGroupId=group)["agentActionGroup"]


@pytest.mark.parametrize("schema", [
    {"functionSchema": FUNCTIONS},
    {"apiSchema": {"payload": json.dumps(OPENAPI)}},
    {"apiSchema": {"payload": YAML}},
], ids=["functions", "openapi-json", "openapi-yaml"])
@pytest.mark.parametrize("executor", [{"lambda": READ}, {"customControl": "RETURN_CONTROL"}],
                         ids=["lambda", "return-control"])
def test_every_field_round_trips(cp, agent, schema, executor):
    """D2: both kinds of schema, both executors."""
    one, token = agent(), uuid.uuid4().hex + "-g"
    given = {
        "actionGroupName": "orders", "description": "Looks orders up", "clientToken": token,
        "actionGroupExecutor": executor, "actionGroupState": "ENABLED", **schema,
    }
    answer = cp.create_agent_action_group(**where(one), **given)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    made = answer["agentActionGroup"]
    seen = shown(cp, one, made["actionGroupId"])
    assert {key: seen[key] for key in given} == given
    assert (seen["agentId"], seen["agentVersion"]) == (one.id, "DRAFT")
    again = cp.create_agent_action_group(**where(one), **given)["agentActionGroup"]
    assert again["actionGroupId"] == made["actionGroupId"]


def test_an_update_replaces_all(cp, agent):
    one = agent()
    group = one.group(function("look"), executor=READ, description="old")
    given = {
        "actionGroupName": "renamed", "actionGroupState": "DISABLED",
        "actionGroupExecutor": {"lambda": KEYED}, "apiSchema": {"payload": json.dumps(OPENAPI)},
    }
    cp.update_agent_action_group(**where(one), actionGroupId=group, **given)
    seen = shown(cp, one, group)
    assert {key: seen[key] for key in given} == given
    assert "functionSchema" not in seen and "description" not in seen


def test_a_disabled_group_gives_the_model_no_tools(cp, agent, model):
    from support.model import Say
    model.turn(Say("ok"))
    one = agent()
    one.group(function("look"), executor=READ, actionGroupState="DISABLED")
    one.prepare().talk("hi")
    assert "tools" not in model.requests[0]


def test_the_list_pages(cp, agent):
    one = agent()
    made = [one.group(function(f"f{n}"), executor=READ, name=f"group-{n}") for n in range(3)]
    pages = cp.get_paginator("list_agent_action_groups").paginate(
        **where(one), PaginationConfig={"PageSize": 2})
    seen = [g for page in pages for g in page["actionGroupSummaries"]]
    assert {g["actionGroupId"] for g in seen} == set(made)
    assert {g["actionGroupName"] for g in seen} == {"group-0", "group-1", "group-2"}
    assert {g["actionGroupState"] for g in seen} == {"ENABLED"}


def test_an_enabled_group_is_in_use(cp, agent):
    one = agent()
    group = one.group(function("look"), executor=READ)
    with refused("ValidationException", "cannot be deleted when it is Enabled"):
        cp.delete_agent_action_group(**where(one), actionGroupId=group)
    cp.delete_agent_action_group(**where(one), actionGroupId=group, skipResourceInUseCheck=True)
    with refused("ResourceNotFoundException"):
        shown(cp, one, group)


def test_a_disabled_group_is_deleted(cp, agent):
    one = agent()
    group = one.group(function("look"), executor=READ, actionGroupState="DISABLED")
    answer = cp.delete_agent_action_group(**where(one), actionGroupId=group)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] in (200, 204)


def test_names_are_unique_in_an_agent(cp, agent):
    one = agent()
    one.group(function("look"), executor=READ)
    with refused("ConflictException", "shop"):
        one.group(function("look"), executor=READ)


def api(**changes):
    document = json.loads(json.dumps(OPENAPI))
    operation = document["paths"]["/orders/{id}"]["get"]
    for key, value in changes.items():
        if value is None:
            del operation[key]
        else:
            operation[key] = value
    return json.dumps(document)


def many(count):
    get = {"description": "d", "responses": {"200": {"description": "ok"}}}
    paths = {f"/p{n}": {"get": {"operationId": f"op{n}", **get}} for n in range(count)}
    return json.dumps({**OPENAPI, "paths": paths})


@pytest.mark.parametrize(("payload", "words"), [
    (api(operationId=None), "operationId"),
    ("{", ""),
    ("not: [a, document", ""),
    (json.dumps({"swagger": "2.0", "paths": {}}), "openapi"),
    (many(12), "12 .*11"),
    (api(operationId="x" * 64), "64"),
    (api(operationId="with space"), "with space"),
], ids=["no-operation-id", "no-json", "no-yaml", "swagger", "12-operations", "long-name", "bad-name"])
def test_a_schema_that_cannot_be_used_is_refused_with_the_reason(cp, agent, payload, words):
    """D2, D16: at once, not when the agent is prepared."""
    with refused("ValidationException", words):
        agent().group(executor=READ, apiSchema={"payload": payload})


def test_eleven_operations_are_taken(agent):
    """D16"""
    agent().group(executor=READ, apiSchema={"payload": many(11)})


def test_a_function_name_that_makes_the_tools_name_too_long_is_refused(agent):
    """D16: the tool's name is group and function together."""
    with refused("ValidationException", "64"):
        agent().group(function("f" * 60), executor=READ, name="a-longer-group")


@pytest.mark.parametrize(("fields", "words"), [
    ({"actionGroupExecutor": {"lambda": READ}}, "(?i)schema"),
    ({"functionSchema": {"functions": [{"name": "f"}]}}, "(?i)executor"),
    ({"actionGroupExecutor": {"lambda": READ}, "functionSchema": FUNCTIONS,
      "apiSchema": {"payload": YAML}}, "(?i)schema"),
], ids=["no-schema", "no-executor", "two-schemas"])
def test_a_group_has_one_schema_and_one_executor(cp, agent, fields, words):
    with refused("ValidationException", words):
        cp.create_agent_action_group(**where(agent()), actionGroupName="half", **fields)


@pytest.mark.parametrize("signature", [
    "AMAZON.CodeInterpreter", "ANTHROPIC.Computer", "ANTHROPIC.Bash", "ANTHROPIC.TextEditor"])
def test_built_in_groups_to_come_are_refused_by_name_unless_they_are_off(cp, agent, signature):
    """A1: set-up tools make them disabled; what they would do is refused."""
    one = agent()
    given = {"actionGroupName": "later", "parentActionGroupSignature": signature}
    with refused("ValidationException", signature):
        cp.create_agent_action_group(**where(one), **given)
    made = cp.create_agent_action_group(**where(one), **given, actionGroupState="DISABLED")
    group = made["agentActionGroup"]["actionGroupId"]
    assert shown(cp, one, group)["parentActionSignature"] == signature
    with refused("ValidationException", signature):
        cp.update_agent_action_group(**where(one), actionGroupId=group, **given)


def test_the_group_by_which_an_agent_asks_is_a_group_like_any_other(cp, agent):
    """B4: create, get, list, update, delete; a version keeps it."""
    one = agent()
    given = {"actionGroupName": "ask", "parentActionGroupSignature": "AMAZON.UserInput"}
    group = cp.create_agent_action_group(**where(one), **given)["agentActionGroup"]["actionGroupId"]
    seen = shown(cp, one, group)
    assert (seen["parentActionSignature"], seen["actionGroupState"]) == ("AMAZON.UserInput", "ENABLED")
    assert not {"actionGroupExecutor", "apiSchema", "functionSchema", "description"} & seen.keys()
    listed = cp.list_agent_action_groups(**where(one))["actionGroupSummaries"]
    assert [g["actionGroupId"] for g in listed] == [group]
    one.prepare().alias()
    cut = cp.get_agent_action_group(agentId=one.id, agentVersion="1", actionGroupId=group)
    assert cut["agentActionGroup"]["parentActionSignature"] == "AMAZON.UserInput"
    with refused("ValidationException", "cannot be deleted when it is Enabled"):
        cp.delete_agent_action_group(**where(one), actionGroupId=group)
    cp.update_agent_action_group(**where(one), actionGroupId=group, actionGroupState="DISABLED", **given)
    assert shown(cp, one, group)["actionGroupState"] == "DISABLED"
    cp.delete_agent_action_group(**where(one), actionGroupId=group)
    assert cp.list_agent_action_groups(**where(one))["actionGroupSummaries"] == []


@pytest.mark.parametrize("more", [
    {"description": "asks"}, {"apiSchema": {"payload": YAML}}, {"functionSchema": FUNCTIONS},
    {"actionGroupExecutor": {"lambda": READ}}], ids=lambda more: next(iter(more)))
def test_beside_a_signature_the_rest_stays_blank(cp, agent, more):
    """B4"""
    with refused("ValidationException", next(iter(more))):
        cp.create_agent_action_group(**where(agent()), actionGroupName="ask",
                                     parentActionGroupSignature="AMAZON.UserInput", **more)


@pytest.mark.parametrize("flag", ["ENABLED", "DISABLED"])
def test_a_confirmation_is_shown_as_it_was_asked_for(cp, agent, flag):
    """E4"""
    one = agent()
    group = one.group({"name": "pay", "requireConfirmation": flag}, executor=READ)
    assert shown(cp, one, group)["functionSchema"]["functions"][0]["requireConfirmation"] == flag


def test_an_unknown_flag_of_confirmation_is_refused(cp, agent):
    """E4: in a document the field is the writer's own text."""
    wrong = json.loads(json.dumps(OPENAPI))
    wrong["paths"]["/orders/{id}"]["get"]["x-requireConfirmation"] = "PERHAPS"
    with refused("ValidationException", "x-requireConfirmation"):
        agent().group(executor=READ, name="shop", apiSchema={"payload": json.dumps(wrong)})


def test_a_schema_in_a_bucket_is_read_when_the_group_is_made_or_changed(cp, agent, bucket):
    """D2: apiSchema.s3, of a bucket under [buckets]; shown as it was given."""
    (bucket / "schemas").mkdir(exist_ok=True)
    (bucket / "schemas" / "orders.yaml").write_text(YAML)
    place = {"s3": {"s3BucketName": "deployments", "s3ObjectKey": "schemas/orders.yaml"}}
    made = agent()
    executor = {"actionGroupExecutor": {"lambda": READ}}
    group = cp.create_agent_action_group(
        **where(made), actionGroupName="orders", apiSchema=place, **executor)["agentActionGroup"]
    assert group["apiSchema"] == place
    (bucket / "schemas" / "orders.yaml").write_text("openapi: 3.0.0\npaths: 7\n")
    shown = cp.get_agent_action_group(**where(made), actionGroupId=group["actionGroupId"])
    assert shown["agentActionGroup"]["apiSchema"] == place
    cp.prepare_agent(agentId=made.id)
    with refused("ValidationException"):
        cp.update_agent_action_group(**where(made), actionGroupId=group["actionGroupId"],
                                     actionGroupName="orders", apiSchema=place, **executor)


@pytest.mark.parametrize(("bucket_name", "key", "words"), [
    ("nobody", "a.yaml", r"nobody is not mapped.*\[buckets\]"),
    ("deployments", "none.yaml", "there is no file none.yaml"),
    ("deployments", "a/../../craton.toml", "leaves the bucket's folder"),
])
def test_a_schema_that_cannot_be_read_is_refused_with_the_reason(cp, agent, bucket, bucket_name, key, words):
    schema = {"s3": {"s3BucketName": bucket_name, "s3ObjectKey": key}}
    with refused("ValidationException", f"(?s)Failed to create OpenAPI 3 model .*{words}"):
        cp.create_agent_action_group(**where(agent()), actionGroupName="far", apiSchema=schema,
                                     actionGroupExecutor={"lambda": READ})


@pytest.mark.parametrize(("field", "value", "constraint"), [
    ("actionGroupName", "a b", "satisfy regular expression pattern"),
    ("description", "x" * 201, "length less than or equal to 200"),
    ("actionGroupState", "ON", "enum value set"),
])
def test_limits(raw_cp, agent, field, value, constraint):
    """A9"""
    given = {"actionGroupName": "limits", "actionGroupExecutor": {"lambda": READ},
             "functionSchema": FUNCTIONS, field: value}
    with refused("ValidationException", f"at '{field}' failed to satisfy constraint: .*{constraint}"):
        raw_cp.create_agent_action_group(**where(agent()), **given)


def test_an_executor_has_one_kind(craton, agent):
    """A union with two members is malformed."""
    raw = craton.client("bedrock-agent", parameter_validation=False)
    with refused("ValidationException"):
        raw.create_agent_action_group(
            **where(agent()), actionGroupName="two", functionSchema=FUNCTIONS,
            actionGroupExecutor={"lambda": READ, "customControl": "RETURN_CONTROL"})


def test_an_unknown_agent_or_group_is_not_found(cp, agent):
    one = agent()
    fields = {"actionGroupName": "x", "actionGroupExecutor": {"lambda": READ},
              "functionSchema": {"functions": [{"name": "f"}]}}
    nobody = {"agentId": "NOSUCHAGNT", "agentVersion": "DRAFT"}
    for call, given in [
        (cp.create_agent_action_group, {**nobody, **fields}),
        (cp.list_agent_action_groups, nobody),
        (cp.get_agent_action_group, {**where(one), "actionGroupId": "NOSUCHGRUP"}),
        (cp.update_agent_action_group, {**where(one), "actionGroupId": "NOSUCHGRUP", **fields}),
        (cp.delete_agent_action_group, {**where(one), "actionGroupId": "NOSUCHGRUP"}),
        (cp.list_agent_action_groups, {"agentId": one.id, "agentVersion": "9"}),
    ]:
        with refused("ResourceNotFoundException"):
            call(**given)


def test_a_function_of_another_account_is_still_only_a_name(cp, agent):
    """The executor's ARN is stored as given; whether it can be called shows when it is."""
    one = agent()
    far = f"arn:aws:lambda:{REGION}:{ACCOUNT[:-1]}9:function:far"
    assert shown(cp, one, one.group(function("f"), executor=far))["actionGroupExecutor"] == {"lambda": far}
