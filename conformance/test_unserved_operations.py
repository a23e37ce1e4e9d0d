"""Whatever is not served is refused by name, in the tongue its client reads: 501, never a made-up
success."""

import tomllib

import botocore.session
import pytest
from botocore.exceptions import ClientError

from support.server import REPOSITORY

PLAN = tomllib.loads((REPOSITORY / "models" / "operations.toml").read_text())


SESSION = "arn:aws:bedrock:us-east-1:000000000000:session/12345678-1234-1234-1234-123456789012"


def unserved(service):
    plan = PLAN[service]
    refused = [name for group in plan.get("refused", []) for name in group["operations"]]
    return plan.get("later", []) + refused


def least(shape, name="", depth=0):
    """The smallest value of a shape that gets past a client's own checks."""
    if shape.type_name == "structure":
        if getattr(shape, "is_tagged_union", False) and shape.members:
            first = next(iter(shape.members))
            return {first: least(shape.members[first], first, depth + 1)}
        return {n: least(shape.members[n], n, depth + 1) for n in shape.required_members
                if not getattr(shape.members[n], "is_event_stream", False)}
    if shape.type_name == "list":
        count = shape.metadata.get("min", 0)
        return [least(shape.member, depth=depth + 1)] * min(count, 3)
    if shape.type_name == "map":
        return {}
    if shape.type_name == "string":
        return shape.enum[0] if getattr(shape, "enum", None) else "x" * max(10, shape.metadata.get("min", 1))
    return {"blob": b"x", "boolean": True, "timestamp": 0, "float": 0.0, "double": 0.0}.get(
        shape.type_name, shape.metadata.get("min", 1))


@pytest.mark.parametrize("service", sorted(PLAN))
def test_every_unserved_operation_is_refused_by_name(craton, service):
    client = craton.client(service, parameter_validation=False, inject_host_prefix=False,
                           retries={"total_max_attempts": 1})
    model = client.meta.service_model
    methods = {api: python for python, api in client.meta.method_to_api_mapping.items()}
    wrong = []
    for name in unserved(service):
        if name not in methods:
            wrong.append(f"{name}: boto3 does not know it")
            continue
        operation = model.operation_model(name)
        if operation.has_event_stream_input:
            continue  # needs HTTP/2, which boto3 does not speak; the routes' own tests cover it
        given = least(operation.input_shape) if operation.input_shape else {}
        if service == "bedrock-agent-runtime" and "resourceArn" in given:
            given["resourceArn"] = SESSION  # /tags/{arn} belongs to two services; the ARN decides
        try:
            getattr(client, methods[name])(**given)
            wrong.append(f"{name}: a success")
        except ClientError as error:
            got = error.response
            status = got["ResponseMetadata"]["HTTPStatusCode"]
            code, message = got["Error"]["Code"], got["Error"]["Message"]
            if (status, code) != (501, "NotImplementedException") or name not in message:
                wrong.append(f"{name}: {status} {code} {message[:120]}")
        except Exception as error:
            wrong.append(f"{name}: {type(error).__name__} {str(error)[:160]}")
    assert not wrong, "\n".join(wrong)


def test_the_plan_names_every_operation():
    """No operation of the pinned models is forgotten."""
    session = botocore.session.get_session()
    for service, plan in PLAN.items():
        names = set(session.get_service_model(service).operation_names)
        planned = plan.get("served", []) + unserved(service)
        assert sorted(planned) == sorted(names), service


@pytest.mark.parametrize(("service", "call"), [
    ("s3", lambda c: c.list_buckets()),
    ("dynamodb", lambda c: c.list_tables()),
    ("ec2", lambda c: c.describe_instances()),
])
def test_services_that_are_none_of_ours_are_refused_too(craton, service, call):
    with pytest.raises(ClientError) as caught:
        call(craton.client(service, retries={"total_max_attempts": 1}))
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
