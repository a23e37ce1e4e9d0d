"""PublishVersion, ListVersionsByFunction, and Create/Get/List/Update/DeleteAlias."""

import json

import pytest

from support.agents import function, package, refused, zipped
from support.model import Say, tool_results

WHO = """
def handler(event, context):
    return ["{word}", context.function_version, context.invoked_function_arn.split(":")[7:]]
"""

NODE = """
export const handler = async (event, context) => ({
  messageVersion: "1.0",
  response: {
    actionGroup: event.actionGroup, function: event.function,
    functionResponse: { responseBody: { TEXT: {
      body: `refunded ${event.parameters[0].value} by version ${context.functionVersion}` } } },
  },
});
"""


@pytest.fixture
def made(lam, functions):
    """A function whose version 1 says one, version 2 two, and $LATEST three."""
    name = functions(WHO.format(word="one"))["FunctionName"]
    assert lam.publish_version(FunctionName=name, Description="the first")["Version"] == "1"
    for word in ("two", "three"):
        lam.update_function_code(FunctionName=name, ZipFile=package(main=WHO.format(word=word)))
        if word == "two":
            assert lam.publish_version(FunctionName=name)["Version"] == "2"
    return name


def run(lam, name, **qualifier):
    answer = lam.invoke(FunctionName=name, **qualifier)
    return answer["ExecutedVersion"], json.loads(answer["Payload"].read())


def test_a_version_is_published_and_never_changes(lam, made):
    assert run(lam, made, Qualifier="1") == ("1", ["one", "1", ["1"]])
    assert run(lam, made) == ("$LATEST", ["three", "$LATEST", []])
    first = lam.get_function_configuration(FunctionName=made, Qualifier="1")
    assert (first["Version"], first["Description"]) == ("1", "the first")
    assert first["FunctionArn"].endswith(f":{made}:1") and first["State"] == "Active"


def test_publishing_without_a_change_makes_no_version(lam, made):
    third = lam.publish_version(FunctionName=made, Description="the third")
    assert third["ResponseMetadata"]["HTTPStatusCode"] == 201 and third["Version"] == "3"
    assert lam.publish_version(FunctionName=made)["Version"] == "3"
    lam.update_function_configuration(FunctionName=made, Timeout=9)
    assert lam.publish_version(FunctionName=made)["Version"] == "4"


def test_a_version_is_cut_of_what_the_client_has_seen(lam, made):
    with refused("InvalidParameterValueException", "different from current CodeSHA256"):
        lam.publish_version(FunctionName=made, CodeSha256="AP8Q")
    with refused("PreconditionFailedException"):
        lam.publish_version(FunctionName=made, RevisionId="stale")
    seen = lam.get_function_configuration(FunctionName=made)
    lam.publish_version(FunctionName=made, CodeSha256=seen["CodeSha256"], RevisionId=seen["RevisionId"])


def test_versions_are_listed_in_order_and_by_pages(lam, made):
    pages = lam.get_paginator("list_versions_by_function").paginate(
        FunctionName=made, PaginationConfig={"PageSize": 2})
    pages = [[version["Version"] for version in page["Versions"]] for page in pages]
    assert pages == [["$LATEST", "1"], ["2"]]
    [latest, *_] = lam.list_versions_by_function(FunctionName=made)["Versions"]
    assert latest["FunctionArn"].endswith(f":{made}:$LATEST")
    with refused("ResourceNotFoundException"):
        lam.list_versions_by_function(FunctionName="nobody")


def test_an_alias_leads_to_its_version_until_it_is_moved(lam, made):
    alias = lam.create_alias(FunctionName=made, Name="prod", FunctionVersion="1", Description="live")
    assert alias["AliasArn"].endswith(f":function:{made}:prod")
    assert (alias["FunctionVersion"], alias["Description"]) == ("1", "live")
    assert run(lam, made, Qualifier="prod") == ("1", ["one", "1", ["prod"]])
    moved = lam.update_alias(FunctionName=made, Name="prod", FunctionVersion="2")
    assert (moved["FunctionVersion"], moved["Description"]) == ("2", "live")
    assert moved["RevisionId"] != alias["RevisionId"]
    assert run(lam, alias["AliasArn"]) == ("2", ["two", "2", ["prod"]])
    lam.update_alias(FunctionName=made, Name="prod", FunctionVersion="$LATEST")
    assert run(lam, f"{made}:prod") == ("$LATEST", ["three", "$LATEST", ["prod"]])
    shown = lam.get_alias(FunctionName=made, Name="prod")
    assert shown["FunctionVersion"] == "$LATEST"
    lam.delete_alias(FunctionName=made, Name="prod")
    lam.delete_alias(FunctionName=made, Name="prod")
    with refused("ResourceNotFoundException"):
        lam.invoke(FunctionName=made, Qualifier="prod")
    with refused("ResourceNotFoundException", "Cannot find alias arn"):
        lam.get_alias(FunctionName=made, Name="prod")


def test_aliases_are_listed_by_version_and_by_pages(lam, made):
    for name, version in (("a", "1"), ("b", "2"), ("c", "1")):
        lam.create_alias(FunctionName=made, Name=name, FunctionVersion=version)
    pages = lam.get_paginator("list_aliases").paginate(
        FunctionName=made, PaginationConfig={"PageSize": 2})
    assert [[alias["Name"] for alias in page["Aliases"]] for page in pages] == [["a", "b"], ["c"]]
    of_one = lam.list_aliases(FunctionName=made, FunctionVersion="1")["Aliases"]
    assert [alias["Name"] for alias in of_one] == ["a", "c"]


def test_what_an_alias_cannot_be_is_refused(lam, made):
    lam.create_alias(FunctionName=made, Name="prod", FunctionVersion="1")
    with refused("ResourceConflictException", "Alias already exists"):
        lam.create_alias(FunctionName=made, Name="prod", FunctionVersion="2")
    with refused("ResourceNotFoundException"):
        lam.create_alias(FunctionName=made, Name="test", FunctionVersion="9")
    with refused("ResourceNotFoundException"):
        lam.create_alias(FunctionName="nobody", Name="test", FunctionVersion="$LATEST")
    with refused("InvalidParameterValueException", "RoutingConfig"):
        lam.create_alias(FunctionName=made, Name="test", FunctionVersion="1",
                         RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}})
    with refused("PreconditionFailedException"):
        lam.update_alias(FunctionName=made, Name="prod", Description="x", RevisionId="stale")
    with refused("ResourceConflictException", "alias prod"):
        lam.delete_function(FunctionName=made, Qualifier="1")
    with refused("InvalidParameterValueException", "alias"):
        lam.delete_function(FunctionName=made, Qualifier="prod")
    lam.delete_function(FunctionName=made)
    with refused("ResourceNotFoundException"):
        lam.get_alias(FunctionName=made, Name="prod")


def test_an_agents_tool_may_be_an_alias_of_a_node_function(lam, functions, model, agent):
    """An action group's executor is often the ARN of an alias."""
    name = functions({"index.mjs": NODE}, Runtime="nodejs20.x", Handler="index.handler")["FunctionName"]
    lam.publish_version(FunctionName=name)
    lam.update_function_code(FunctionName=name, ZipFile=zipped({"index.mjs": "not loaded"}))
    arn = lam.create_alias(FunctionName=name, Name="prod", FunctionVersion="1")["AliasArn"]
    model.turn(Say(calls=[("shop__refund", {"order_id": "A-1"})]), Say("ok"))
    one = agent()
    one.group(function("refund", order_id="string required"), executor=arn)
    one.prepare().talk("Refund A-1")
    assert tool_results(model.requests[1]) == ["refunded A-1 by version 1"]
