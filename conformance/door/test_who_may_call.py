"""Signatures, keys, actions, and who is turned away at the door. Q9."""

import json
import urllib.error
import urllib.request

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from support.agents import package, refused
from support.server import REGION, Craton

KEYS = """
dev = false

[[keys]]
access_key = "AKIAFULL"
secret_key = "full-secret"
account = "111111111111"

[[keys]]
access_key = "AKIAINVOKE"
secret_key = "invoke-secret"
account = "111111111111"
actions = ["bedrock:InvokeAgent", "bedrock:InvokeInlineAgent"]

[[keys]]
access_key = "AKIAADMIN"
secret_key = "admin-secret"
account = "111111111111"
actions = ["craton:*"]
"""


@pytest.fixture(scope="module")
def secured(tmp_path_factory):
    server = Craton(tmp_path_factory.mktemp("secured"), KEYS).start()
    yield server
    server.stop()


def send(url, method="GET", body=None, **headers):
    request = urllib.request.Request(url, data=body, method=method,
                                     headers={k.replace("_", "-"): v for k, v in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, dict(answer.headers), answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read().decode()


def signed(server, path, key, secret, service="bedrock", change=None):
    request = AWSRequest("GET", server.url + path)
    SigV4Auth(Credentials(key, secret), service, REGION).add_auth(request)
    headers = dict(request.headers)
    if change:
        change(headers)
    return send(server.url + path, **{k.replace("-", "_"): v for k, v in headers.items()})


def test_a_listed_key_may_do_all_of_awss(secured):
    made = secured.client("bedrock-agent", "AKIAFULL", "full-secret").create_agent(agentName="mine")
    assert ":111111111111:" in made["agent"]["agentArn"]
    who = secured.client("sts", "AKIAFULL", "full-secret").get_caller_identity()
    assert who["Account"] == "111111111111"


def test_a_key_limited_to_an_action_can_do_no_other(secured):
    """Q9: a key for bedrock:InvokeAgent cannot create a function."""
    lam = secured.client("lambda", "AKIAINVOKE", "invoke-secret")
    with refused("AccessDeniedException", "lambda:CreateFunction"):
        lam.create_function(FunctionName="f", Runtime="python3.12", Handler="main.handler",
                            Role="arn:aws:iam::111111111111:role/r",
                            Code={"ZipFile": package(main="def handler(e, c): pass")})
    with refused("AccessDeniedException", "bedrock:CreateAgent"):
        secured.client("bedrock-agent", "AKIAINVOKE", "invoke-secret").create_agent(agentName="no")
    with refused("ResourceNotFoundException"):
        secured.client("bedrock-agent-runtime", "AKIAINVOKE", "invoke-secret").invoke_agent(
            agentId="NOSUCHAGNT", agentAliasId="TSTALIASID", sessionId="allowed", inputText="hi")
    assert secured.client("sts", "AKIAINVOKE", "invoke-secret").get_caller_identity()["Account"]


def test_an_inline_agent_has_only_what_its_caller_may_use(secured):
    runtime = secured.client("bedrock-agent-runtime", "AKIAINVOKE", "invoke-secret")
    with refused("AccessDeniedException", "bedrock:InvokeModel on resource: arn:aws:bedrock:"):
        runtime.invoke_inline_agent(
            sessionId="inline", inputText="hi", foundationModel="anthropic.claude-3-haiku-20240307-v1:0",
            instruction="You help customers with their orders, politely and shortly.")


def test_a_wrong_secret_is_a_wrong_signature(secured):
    with pytest.raises(ClientError) as caught:
        secured.client("bedrock-agent", "AKIAFULL", "guess").list_agents()
    error = caught.value.response
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert error["Error"]["Code"] in ("InvalidSignatureException", "SignatureDoesNotMatch")


def test_an_unknown_key_is_refused(secured):
    with refused("UnrecognizedClientException"):
        secured.client("bedrock-agent", "AKIANOBODY", "x").list_agents()


def test_no_credentials_are_refused(secured):
    status, headers, _ = send(secured.url + "/agents/", "POST", b"{}")
    assert status == 403 and "MissingAuthenticationToken" in headers["x-amzn-errortype"]


@pytest.mark.parametrize("date", ["20200101T000000Z", "20990101T000000Z"])
def test_a_signature_of_another_time_is_refused(secured, date):
    """Skew: five minutes at most."""
    request = AWSRequest("GET", secured.url + "/agents/NOSUCHAGNT/")
    request.context["timestamp"] = date
    signer = SigV4Auth(Credentials("AKIAFULL", "full-secret"), "bedrock", REGION)
    signer._modify_request_before_signing(request)
    to_sign = signer.string_to_sign(request, signer.canonical_request(request))
    signer._inject_signature_to_request(request, signer.signature(to_sign, request))
    status, headers, body = send(secured.url + "/agents/NOSUCHAGNT/",
                                 **{k.replace("-", "_"): v for k, v in dict(request.headers).items()})
    assert status == 403 and "Signature" in headers["x-amzn-errortype"] + body


def test_a_body_that_was_changed_after_signing_is_refused(secured):
    client = secured.client("bedrock-agent", "AKIAFULL", "full-secret")

    def change(request, **_):
        request.body = request.body.replace(b"mine", b"ours")

    client.meta.events.register("before-send.bedrock-agent.CreateAgent", change)
    with pytest.raises(client.exceptions.ClientError) as caught:
        client.create_agent(agentName="mine")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_a_foreign_host_is_refused(craton):
    """Q9: a page that rebinds its name to the loopback address."""
    status, _, body = send(craton.url + "/agents/", "POST", b"{}", host="evil.example:4747")
    assert status == 403 and "evil.example" in body
    assert send(craton.url + "/_craton/v1/runs", host="evil.example")[0] == 403


def test_a_foreign_origin_is_refused(craton):
    """Q9: another site's page in the operator's browser."""
    for origin in ("https://evil.example", "null"):
        status, _, _ = send(craton.url + "/agents/", "POST", b"{}", origin=origin)
        assert status == 403
    own = send(craton.url + "/agents/", "POST", b"{}", origin=craton.url)
    assert own[0] == 200


def test_the_own_door_needs_its_own_permission(secured):
    """Q9: unsigned 403; a key for all of AWS's operations 403; a key for craton:* passes."""
    assert send(secured.url + "/_craton/v1/runs")[0] == 403
    assert signed(secured, "/_craton/v1/runs", "AKIAFULL", "full-secret")[0] == 403
    assert signed(secured, "/_craton/v1/runs", "AKIAINVOKE", "invoke-secret")[0] == 403
    status, _, body = signed(secured, "/_craton/v1/runs", "AKIAADMIN", "admin-secret")
    assert status == 200 and json.loads(body)["runs"] == []


def test_dev_mode_stays_on_the_loopback(tmp_path):
    """The server refuses to listen elsewhere rather than to trust everybody."""
    import subprocess

    from support.server import binary
    ended = subprocess.run([binary(), "up", "--dev", "--listen", "0.0.0.0:0", "--data-dir", tmp_path],
                           capture_output=True, text=True, timeout=20)
    assert ended.returncode != 0 and "dev" in ended.stderr


def test_every_answer_has_a_request_id(craton, cp):
    """P8"""
    assert cp.list_agents()["ResponseMetadata"]["RequestId"]
    for path in ("/nothing/here", "/_craton/v1/nothing", "/agents/x/"):
        assert send(craton.url + path)[1].get("x-amzn-requestid"), path


@pytest.mark.parametrize(("body", "words"), [
    (b"{not json", "(?i)json"), (b"[]", ""), (b'"text"', ""), (b'{"agentName": 7}', "NUMBER_VALUE"),
    (b"", ""), (b'{"agentName": "x"', "(?i)json"), (b"\xff\xfe", ""),
])
def test_a_malformed_body_is_awss_exception(craton, body, words):
    """Never a 500, never treated as empty."""
    import re
    status, headers, text = send(craton.url + "/agents/", "PUT", body, content_type="application/json")
    assert status == 400
    assert headers["x-amzn-errortype"].split(":")[0] in ("ValidationException", "SerializationException")
    assert re.search(words, text)


def test_a_body_past_its_limit_is_refused(craton):
    status, headers, _ = send(craton.url + "/agents/", "PUT", b'{"x":"' + b"y" * (7 << 20) + b'"}')
    assert status in (400, 413) and headers["x-amzn-errortype"]


def test_percent_encoded_labels_survive(craton):
    """A model's ARN in a path arrives as one label."""
    brt = craton.client("bedrock-runtime", retries={"total_max_attempts": 1})
    arn = f"arn:aws:bedrock:{REGION}::foundation-model/some.model/with-slash"
    with pytest.raises(brt.exceptions.ClientError) as caught:
        brt.converse(modelId=arn, messages=[{"role": "user", "content": [{"text": "x"}]}])
    assert caught.value.response["Error"]["Code"] != "UnknownOperationException"
