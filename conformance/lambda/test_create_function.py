"""CreateFunction: POST /2015-03-31/functions answers 201."""

import base64
import hashlib

import pytest

from support.agents import package, refused, unique
from support.server import ACCOUNT, REGION, ROLE

HELLO = "def handler(event, context):\n    return {'hello': event}\n"


def test_every_field_round_trips(lam):
    name, code = unique("every-field"), package(main=HELLO)
    given = {
        "Runtime": "python3.12", "Role": ROLE, "Handler": "main.handler",
        "Description": "says hello", "Timeout": 17, "MemorySize": 256,
        "Environment": {"Variables": {"GREETING": "hello"}},
    }
    answer = lam.create_function(FunctionName=name, Code={"ZipFile": code}, Tags={"team": "shop"}, **given)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 201
    lam.get_waiter("function_active_v2").wait(FunctionName=name)
    shown = lam.get_function_configuration(FunctionName=name)
    assert {key: shown[key] for key in given} == given
    assert shown["FunctionName"] == name
    assert shown["FunctionArn"] == f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
    assert shown["CodeSize"] == len(code)
    assert shown["CodeSha256"] == base64.b64encode(hashlib.sha256(code).digest()).decode()
    assert (shown["State"], shown["LastUpdateStatus"]) == ("Active", "Successful")
    assert (shown["Version"], shown["PackageType"]) == ("$LATEST", "Zip")
    assert lam.get_function(FunctionName=name)["Tags"] == {"team": "shop"}
    lam.delete_function(FunctionName=name)


def test_awss_defaults_hold(lam, functions):
    made = functions(HELLO)
    assert (made["Timeout"], made["MemorySize"]) == (3, 128)


def test_a_name_is_unique(lam, functions):
    name = functions(HELLO)["FunctionName"]
    with refused("ResourceConflictException", "(?i)function already exist"):
        functions(HELLO, name=name)


@pytest.mark.parametrize(("fields", "code", "words"), [
    ({"Code": {"ZipFile": b"no zip at all"}}, "InvalidParameterValueException", "(?i)zip"),
    ({"Runtime": "java21"}, "InvalidParameterValueException", "java21"),
    ({"Code": {"S3Bucket": "bucket", "S3Key": "key"}}, "InvalidParameterValueException", "S3"),
    ({"Timeout": 901}, None, "900|Timeout|timeout"),
    ({"MemorySize": 64}, None, "128"),
    ({"Role": "nobody"}, None, "role"),
])
def test_what_cannot_be_served_is_refused_by_name(craton, fields, code, words):
    raw = craton.client("lambda", parameter_validation=False)
    given = {"FunctionName": unique("bad"), "Runtime": "python3.12", "Role": ROLE,
             "Handler": "main.handler", "Code": {"ZipFile": package(main=HELLO)}, **fields}
    with pytest.raises(raw.exceptions.ClientError, match=words) as caught:
        raw.create_function(**given)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    got = caught.value.response["Error"]["Code"]
    assert got == code if code else got in ("InvalidParameterValueException", "ValidationException")


def test_a_path_that_leaves_the_package_is_refused(lam):
    import io
    import zipfile
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("../../escape.py", "boom")
    with refused("InvalidParameterValueException", "(?i)zip|path"):
        lam.create_function(FunctionName=unique("slip"), Runtime="python3.12", Role=ROLE,
                            Handler="main.handler", Code={"ZipFile": packed.getvalue()})
