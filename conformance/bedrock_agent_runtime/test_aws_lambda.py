"""Tools that stay on AWS: functions of accounts under [aws] are invoked there, signed.

The far end is a second server with access keys, which checks each signature.
"""

import json

import pytest

from support.agents import Agent, function, package, unique
from support.model import Say, tool_results
from support.server import ROLE, Craton

ACCOUNT = "123456789012"
KEYS = f"""
[[keys]]
access_key = "AKIAFAR"
secret_key = "the secret of the far end"
account = "{ACCOUNT}"
"""
REFUND = function("refund", "Gives money back", order_id="string required")
HANDLER = """
import json, os, time
def handler(event, context):
    if 'function' not in event:
        return {'event': event, 'custom': context.client_context.custom if context.client_context else None}
    order = next(p['value'] for p in event['parameters'] if p['name'] == 'order_id')
    if order == 'raise':
        raise KeyError('no such order')
    if order == 'die':
        os._exit(1)
    text = json.dumps({'key': event['idempotencyKey'], 'custom': context.client_context.custom})
    return {'messageVersion': '1.0', 'response': {
        'actionGroup': event['actionGroup'], 'function': event['function'],
        'functionResponse': {'responseBody': {'TEXT': {'body': text}}}}}
"""


@pytest.fixture(scope="module")
def far(tmp_path_factory):
    server = Craton(tmp_path_factory.mktemp("far"), KEYS).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def deployed(far):
    """The ARN of a function at the far end."""
    lam = far.client("lambda", key="AKIAFAR", secret="the secret of the far end")
    code = {"ZipFile": package(main=HANDLER)}
    made = lam.create_function(FunctionName=unique("far"), Code=code, Runtime="python3.12",
                               Role=ROLE.replace("0" * 12, ACCOUNT), Handler="main.handler")
    return made["FunctionArn"]


@pytest.fixture(scope="module")
def near(tmp_path_factory, far, settings):
    home = tmp_path_factory.mktemp("near")
    (home / "access").write_text("AKIAFAR\n")
    (home / "secret").write_text("the secret of the far end\n")
    server = Craton(home, f"""{settings}
[aws.accounts.{ACCOUNT}]
access_key = "file:{home}/access"
secret_key = "file:{home}/secret"
endpoint = "{far.url}"
regions = ["us-east-1"]
""").start()
    yield server
    server.stop()


def told(near, model, arn, order):
    """What the model reads of a call of the function."""
    one = Agent(near.client("bedrock-agent"), near.client("bedrock-agent-runtime"), model, None)
    one.group(REFUND, executor=arn)
    model.turn(Say(calls=[("shop__refund", {"order_id": order})]), Say("ok"))
    turn = one.prepare().talk("Refund it")
    assert turn.text == "ok"
    result, = tool_results(model.requests[-1])
    return result


def test_a_function_of_an_aws_account_is_invoked_there_with_its_key(near, deployed, model):
    """3b: the event is AWS's, the key the same in event and client context."""
    said = json.loads(told(near, model, deployed, "A-1"))
    assert said["key"] and said["custom"] == {"idempotencyKey": said["key"]}


def test_a_failed_function_is_told_as_such(near, deployed, model):
    assert "no such order" in told(near, model, deployed, "raise")


def test_a_function_that_dies_leaves_its_outcome_unknown(near, deployed, model):
    """K6: undeclared is `once`, which nobody repeats."""
    assert "unknown_outcome" in told(near, model, deployed, "die")


def test_a_function_that_is_not_there_was_not_called(near, deployed, model):
    said = told(near, model, deployed + "-gone", "A-1")
    assert "tool_unavailable" in said and "ResourceNotFoundException" in said


def test_another_region_is_not_asked(near, deployed, model):
    said = told(near, model, deployed.replace("us-east-1", "eu-west-1"), "A-1")
    assert "tool_unavailable" in said and "regions" in said


def test_a_wrong_secret_is_said_and_a_right_one_counts_at_once(near, deployed, model):
    secret = near.home / "secret"
    right = secret.read_text()
    secret.write_text("another")
    try:
        said = told(near, model, deployed, "A-1")
        assert "InvalidSignatureException" in said and "another" not in said
    finally:
        secret.write_text(right)
    assert "custom" in told(near, model, deployed, "A-1")


def test_invoke_leads_there_too(near, deployed):
    lam = near.client("lambda")
    answer = lam.invoke(FunctionName=deployed, Payload=b'{"a": 1}', LogType="Tail")
    said = json.loads(answer["Payload"].read())
    assert said["event"] == {"a": 1} and "FunctionError" not in answer
    assert answer["LogResult"]
