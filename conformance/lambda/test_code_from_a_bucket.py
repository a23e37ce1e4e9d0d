"""CreateFunction and UpdateFunctionCode from S3Bucket and S3Key: a folder under [buckets]."""

import base64
import hashlib
import json

import pytest

from support.agents import package, refused, unique
from support.server import ROLE

SAYS = "def handler(event, context): return {word!r}"


def create(lam, **code):
    name = unique("from-a-bucket")
    lam.create_function(FunctionName=name, Runtime="python3.12", Role=ROLE, Handler="main.handler",
                        Code=code)
    return name


def said(lam, name):
    return json.loads(lam.invoke(FunctionName=name)["Payload"].read())


def test_code_is_read_when_it_is_named_and_not_later(lam, bucket):
    (bucket / "builds").mkdir(exist_ok=True)
    object = bucket / "builds" / "orders.zip"
    object.write_bytes(package(main=SAYS.format(word="first")))
    place = {"S3Bucket": "deployments", "S3Key": "builds/orders.zip"}
    name = create(lam, **place)
    assert said(lam, name) == "first"
    object.write_bytes(package(main=SAYS.format(word="second")))
    assert said(lam, name) == "first", "a later change of the object needs an update"
    updated = lam.update_function_code(FunctionName=name, **place)
    digest = hashlib.sha256(object.read_bytes()).digest()
    assert updated["CodeSha256"] == base64.b64encode(digest).decode()
    assert said(lam, name) == "second"
    object.unlink()
    assert said(lam, name) == "second"


@pytest.mark.parametrize(("code", "words"), [
    ({"S3Bucket": "nobody", "S3Key": "a.zip"}, r"NoSuchBucket.*\[buckets\] in craton.toml"),
    ({"S3Bucket": "deployments", "S3Key": "none.zip"}, "NoSuchKey.*The specified key does not exist"),
    # Which folder is missing is the operator's to know: it stands in the log.
    ({"S3Bucket": "gone", "S3Key": "a.zip"}, "InternalError(?!.*not-there).*its log says why"),
    ({"S3Bucket": "deployments", "S3Key": "../craton.toml"}, "AccessDenied"),
    ({"S3Bucket": "deployments", "S3Key": "link.toml"}, "AccessDenied"),
    ({"S3Bucket": "deployments", "S3Key": "text.zip"}, "Could not unzip"),
    ({"S3Bucket": "deployments", "S3Key": "text.zip", "S3ObjectVersion": "7"}, "S3ObjectVersion"),
    ({"S3Bucket": "deployments", "S3Key": "text.zip", "ZipFile": b"x"}, "when providing a ZipFile"),
    ({"S3Bucket": "deployments"}, "provide a source"),
])
def test_what_cannot_be_read_is_refused_with_the_reason(lam, bucket, code, words):
    (bucket / "text.zip").write_text("not a zip")
    link = bucket / "link.toml"
    link.is_symlink() or link.symlink_to("../craton.toml")
    with refused("InvalidParameterValueException", f"(?s){words}"):
        create(lam, **code)
