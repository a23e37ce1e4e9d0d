"""GetFunction, GetFunctionConfiguration, ListFunctions, UpdateFunctionCode,
UpdateFunctionConfiguration, DeleteFunction."""

import json

import pytest

from support.agents import package, refused, unique
from support.server import ROLE

HELLO = "import os\ndef handler(event, context):\n    return os.environ.get('WORD', 'hello')\n"


def said(lam, name):
    return json.loads(lam.invoke(FunctionName=name)["Payload"].read())


@pytest.mark.parametrize("form", ["name", "arn", "partial", "qualified"])
def test_a_function_has_several_names(lam, functions, form):
    made = functions(HELLO)
    name, arn = made["FunctionName"], made["FunctionArn"]
    called = {"name": name, "arn": arn, "partial": ":".join(arn.split(":")[4:]), "qualified": arn + ":$LATEST"}
    assert lam.get_function(FunctionName=called[form])["Configuration"]["FunctionName"] == name


def test_a_function_is_shown_with_its_code_and_tags(lam, functions):
    name = functions(HELLO, Tags={"a": "b"})["FunctionName"]
    shown = lam.get_function(FunctionName=name)
    assert shown["Configuration"]["FunctionName"] == name
    assert shown["Tags"] == {"a": "b"} and "Code" in shown


def test_new_code_is_what_runs(lam, functions):
    made = functions(HELLO)
    name = made["FunctionName"]
    assert said(lam, name) == "hello"
    changed = lam.update_function_code(
        FunctionName=name, ZipFile=package(main="def handler(e, c): return 'changed'"))
    assert changed["CodeSha256"] != made["CodeSha256"]
    lam.get_waiter("function_updated_v2").wait(FunctionName=name)
    assert said(lam, name) == "changed"


def test_a_new_configuration_is_what_runs(lam, functions):
    name = functions(HELLO)["FunctionName"]
    given = {"Description": "d", "Timeout": 9, "MemorySize": 512, "Handler": "main.handler",
             "Environment": {"Variables": {"WORD": "configured"}}}
    lam.update_function_configuration(FunctionName=name, **given)
    shown = lam.get_function_configuration(FunctionName=name)
    assert {key: shown[key] for key in given} == given
    assert said(lam, name) == "configured"


def test_what_an_update_leaves_out_stays(lam, functions):
    name = functions(HELLO, Description="stays", Timeout=8)["FunctionName"]
    lam.update_function_configuration(FunctionName=name, MemorySize=256)
    shown = lam.get_function_configuration(FunctionName=name)
    assert (shown["Description"], shown["Timeout"], shown["MemorySize"]) == ("stays", 8, 256)


def test_the_list_pages(craton):
    lam = craton.client("lambda", key="333344445555")
    names = {f"list-{n}" for n in range(5)}
    for name in names:
        lam.create_function(
            FunctionName=name, Runtime="python3.12", Handler="main.handler",
            Role=ROLE.replace("000000000000", "333344445555"), Code={"ZipFile": package(main=HELLO)})
    pages = list(lam.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 2}))
    assert len(pages) == 3
    assert {f["FunctionName"] for page in pages for f in page["Functions"]} == names


def test_a_deleted_function_is_gone(lam, functions):
    name = functions(HELLO)["FunctionName"]
    assert lam.delete_function(FunctionName=name)["ResponseMetadata"]["HTTPStatusCode"] in (200, 204)
    with refused("ResourceNotFoundException", name):
        lam.get_function(FunctionName=name)


def test_an_unknown_function_is_not_found(lam):
    name = unique("never")
    for call, fields in [
        (lam.get_function, {}), (lam.get_function_configuration, {}), (lam.delete_function, {}),
        (lam.update_function_code, {"ZipFile": package(main=HELLO)}),
        (lam.update_function_configuration, {"Timeout": 5}),
        (lam.invoke, {}), (lam.get_policy, {}),
        (lam.add_permission, {"StatementId": "s", "Action": "lambda:InvokeFunction", "Principal": "bedrock.amazonaws.com"}),
        (lam.remove_permission, {"StatementId": "s"}),
    ]:
        with refused("ResourceNotFoundException"):
            call(FunctionName=name, **fields)
