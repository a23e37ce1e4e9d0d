"""Presigned requests (SigV4 in the query string) and Bedrock API keys (bearer tokens). T2, Q9."""

import base64
import urllib.error
import urllib.request

import boto3
import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from support.server import REGION, Craton
from support.tls import CERTIFICATE, TlsProxy

KEYS = """
dev = false

[[keys]]
access_key = "AKIAFULL"
secret_key = "full-secret"
account = "111111111111"
bearer = "ABSKbG9uZy10ZXJt"
region = "eu-west-1"
actions = ["*", "craton:*"]

[[keys]]
access_key = "AKIAMODELS"
account = "222222222222"
bearer = "ABSKbW9kZWxz"
actions = ["bedrock:CallWithBearerToken", "bedrock:InvokeModel*"]

[[keys]]
access_key = "AKIANOBEARER"
secret_key = "no-bearer-secret"
account = "111111111111"
actions = ["bedrock:InvokeAgent", "bedrock:ListAgents"]

[[models]]
match = "*"
provider = "rules"
"""
HELLO = [{"role": "user", "content": [{"text": "Hello"}]}]


@pytest.fixture(scope="module")
def secured(tmp_path_factory):
    server = Craton(tmp_path_factory.mktemp("links"), KEYS).start()
    server.https = TlsProxy(server.port)
    yield server
    server.https.close()
    server.stop()


def fetch(url, method="GET", body=None, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, data=body, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def link(server, key="AKIAFULL", secret="full-secret", **more):
    more.setdefault("HttpMethod", "GET")
    return server.client("sts", key, secret).generate_presigned_url("get_caller_identity", **more)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_presigned_get_caller_identity_says_who_signed_it(secured, method):
    status, body = fetch(link(secured, HttpMethod=method), method)
    assert status == 200 and "<Account>111111111111</Account>" in body
    assert "user/AKIAFULL" in body


def test_a_cluster_tokens_link_with_a_signed_header(secured):
    """As EKS makes its tokens: GetCallerIdentity for 60 seconds, with the cluster's name signed."""
    request = AWSRequest("GET", f"{secured.url}/", headers={"x-k8s-aws-id": "my-cluster"},
                         params={"Action": "GetCallerIdentity", "Version": "2011-06-15"})
    SigV4QueryAuth(Credentials("AKIAFULL", "full-secret"), "sts", REGION, 60).add_auth(request)
    assert fetch(request.url, x_k8s_aws_id="my-cluster")[0] == 200
    status, body = fetch(request.url, x_k8s_aws_id="other-cluster")
    assert status == 403 and "<Code>SignatureDoesNotMatch</Code>" in body
    assert fetch(request.url)[0] == 403


def test_a_presigned_request_of_a_rest_service(secured):
    client = secured.client("lambda", "AKIAFULL", "full-secret")
    url = client.generate_presigned_url("list_functions", {"MaxItems": 5, "Marker": "a/b c"})
    assert fetch(url)[0] == 200
    url = client.generate_presigned_url("list_functions", {"MaxItems": 5})
    status, body = fetch(url)
    assert status == 200 and "Functions" in body
    status, body = fetch(url.replace("MaxItems=5", "MaxItems=6"))
    assert status == 403 and "signature" in body


def test_a_changed_link_is_refused(secured):
    url = link(secured)
    for wrong in (url.replace("GetCallerIdentity", "GetSessionToken"),
                  url.replace("X-Amz-Expires=3600", "X-Amz-Expires=3601"),
                  url + "&more=1", link(secured, secret="guess")):
        status, body = fetch(wrong)
        assert status == 403 and "<Code>SignatureDoesNotMatch</Code>" in body, wrong
    status, body = fetch(link(secured, key="AKIANOBODY"))
    assert status == 403 and "<Code>InvalidClientTokenId</Code>" in body


def test_an_expired_link_is_refused(secured, monkeypatch):
    """Signed ten minutes ago for five; and for more than a week."""
    import datetime

    import botocore.auth
    now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    monkeypatch.setattr(botocore.auth, "get_current_datetime",
                        lambda *_, **__: now - datetime.timedelta(minutes=10))
    status, body = fetch(link(secured, ExpiresIn=300))
    assert status == 403 and "Signature expired" in body
    status, body = fetch(link(secured, ExpiresIn=900))
    assert status == 200, body
    status, body = fetch(link(secured, ExpiresIn=604801))
    assert status == 400 and "604800" in body


def bearing(url, token, monkeypatch):
    """A stock client that finds its API key in the environment, and no other credentials."""
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", token)
    return boto3.client("bedrock-runtime", endpoint_url=url, region_name=REGION, verify=CERTIFICATE,
                        config=Config(retries={"total_max_attempts": 1}))


def short_term(key="AKIAFULL", secret="full-secret", region=REGION, expires=43200):
    """As aws-bedrock-token-generator makes it."""
    request = AWSRequest("POST", "https://bedrock.amazonaws.com/",
                         headers={"host": "bedrock.amazonaws.com"},
                         params={"Action": "CallWithBearerToken"})
    SigV4QueryAuth(Credentials(key, secret), "bedrock", region, expires).add_auth(request)
    text = request.url.removeprefix("https://") + "&Version=1"
    return "bedrock-api-key-" + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize("token", ["ABSKbG9uZy10ZXJt", short_term(), "ABSKbW9kZWxz"])
def test_an_api_key_calls_models(secured, monkeypatch, token):
    client = bearing(secured.https.url, token, monkeypatch)
    assert client.converse(modelId="some.model", messages=HELLO)["output"]["message"]["content"]
    stream = client.converse_stream(modelId="some.model", messages=HELLO)["stream"]
    assert any("contentBlockDelta" in event for event in stream)


@pytest.mark.parametrize("token", [
    "ABSKd3Jvbmc=", "", "bedrock-api-key-", "bedrock-api-key-!!!", short_term(secret="guess"),
    short_term(key="AKIANOBODY"),
])
def test_another_api_key_is_refused(secured, monkeypatch, token):
    client = bearing(secured.https.url, token or " x", monkeypatch)
    with pytest.raises(ClientError) as caught:
        client.converse(modelId="some.model", messages=HELLO)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_an_api_key_needs_the_permission_to_be_one(secured, monkeypatch):
    """Its holder needs bedrock:CallWithBearerToken besides the operation."""
    client = bearing(secured.https.url, short_term("AKIANOBEARER", "no-bearer-secret"),
                     monkeypatch)
    with pytest.raises(ClientError, match="bedrock:CallWithBearerToken"):
        client.converse(modelId="some.model", messages=HELLO)


def call(server, method, path, token):
    return fetch(server.url + path, method, b"{}", Authorization=f"Bearer {token}",
                 content_type="application/json")


def test_an_api_key_is_bedrocks_alone(secured):
    """Agents can be called with one; functions, roles and Craton's own door cannot."""
    status, body = call(secured, "POST", "/agents/", "ABSKbG9uZy10ZXJt")
    assert status == 200 and "agentSummaries" in body
    status, body = call(secured, "PUT", "/agents/", "ABSKbW9kZWxz")
    assert status == 403 and "bedrock:CreateAgent" in body
    assert call(secured, "GET", "/2015-03-31/functions/", "ABSKbG9uZy10ZXJt")[0] == 404
    for token in ("ABSKbG9uZy10ZXJt", short_term()):
        status, body = call(secured, "GET", "/_craton/v1/runs", token)
        assert status == 403 and "this door" in body
    status, body = fetch(f"{secured.url}/", "POST",
                         b"Action=GetCallerIdentity&Version=2011-06-15",
                         Authorization="Bearer ABSKbG9uZy10ZXJt",
                         content_type="application/x-www-form-urlencoded")
    assert status in (403, 404)


@pytest.mark.parametrize("service", ["craton", "lambda", "s3"])
def test_the_own_door_takes_no_signature_that_leaves_the_body_out(secured, service):
    request = AWSRequest("GET", f"{secured.url}/_craton/v1/runs")
    SigV4Auth(Credentials("AKIAFULL", "full-secret"), service, REGION).add_auth(request)
    status, body = fetch(request.url, **request.headers)
    assert status == (403 if service == "s3" else 200), body


def test_a_strangers_body_is_not_read(secured):
    """A wrong API key is refused at the head: no `100 Continue` comes."""
    import socket
    with socket.create_connection(("127.0.0.1", secured.port), timeout=10) as peer:
        peer.sendall(b"POST /model/x/converse HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
                     b"Authorization: Bearer wrong\r\nContent-Length: 20000000\r\n\r\n")
        assert peer.recv(4096).startswith(b"HTTP/1.1 403")


def test_the_region_of_an_api_key(secured):
    """A long-term key has its region from craton.toml, a short-term one says its own."""
    status, body = call(secured, "PUT", "/agents/", "ABSKbG9uZy10ZXJt")
    assert status == 400, body
    request = b'{"agentName": "of-a-token"}'
    made = fetch(secured.url + "/agents/", "PUT", request, content_type="application/json",
                 Authorization="Bearer ABSKbG9uZy10ZXJt")
    assert "arn:aws:bedrock:eu-west-1:111111111111:agent/" in made[1]
    made = fetch(secured.url + "/agents/", "PUT", request, content_type="application/json",
                 Authorization=f"Bearer {short_term(region='us-west-2')}")
    assert "arn:aws:bedrock:us-west-2:111111111111:agent/" in made[1]


def test_dev_mode_takes_any_api_key(craton, model, monkeypatch):
    from support.model import Say
    model.turn(Say("Hello."))
    proxy = TlsProxy(craton.port)
    client = bearing(proxy.url, "anything", monkeypatch)
    assert client.converse(modelId=model.id, messages=HELLO)["output"]["message"]["content"]
    proxy.close()
