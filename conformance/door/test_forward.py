"""`[forward]`: named services are passed on, signed by the operator. T5."""

import os
import socket
import subprocess
import urllib.request

import pytest
from botocore.exceptions import ClientError

from support.agents import dry, refused
from support.objects import KEY, REGION as OBJECTS_REGION, SECRET, ObjectServer
from support.server import Craton, binary

PEER = """
dev = false

[[keys]]
access_key = "AKIAPEER"
secret_key = "peer-secret"
account = "999999999999"
"""
CALLERS = """
dev = false

[[keys]]
access_key = "AKIACALLER"
secret_key = "caller-secret"
account = "111111111111"
bearer = "ABSKY2FsbGVy"

[[keys]]
access_key = "AKIAREADER"
secret_key = "reader-secret"
account = "111111111111"
actions = ["s3:GetObject", "bedrock:*"]

[[keys]]
access_key = "AKIAWRITER"
secret_key = "writer-secret"
account = "111111111111"
actions = ["s3:PutObject"]

[[keys]]
access_key = "AKIAINVOKER"
secret_key = "invoker-secret"
account = "111111111111"
actions = ["lambda:InvokeFunction"]

[[keys]]
access_key = "AKIACOPIER"
secret_key = "copier-secret"
account = "111111111111"
actions = ["s3:CopyObject", "s3:GetObject"]
"""
FORWARD = """
[forward.sts]
endpoint = "{peer}"
access_key_env = "PEER_KEY"
secret_key_env = "PEER_SECRET"

[forward.iam]
endpoint = "{peer}/"
access_key_env = "PEER_KEY"
secret_key_env = "PEER_SECRET"

[forward.lambda]
endpoint = "{peer}"
access_key_env = "PEER_KEY"
secret_key_env = "PEER_SECRET"

[forward.bedrock-data-automation]
endpoint = "{peer}"
access_key_env = "PEER_KEY"
secret_key_env = "PEER_SECRET"

[forward.s3]
endpoint = "{objects}"
region = "{region}"
access_key_env = "OBJECTS_KEY"
secret_key_env = "OBJECTS_SECRET"

[forward.dynamodb]
endpoint = "http://127.0.0.1:{nobody}"
access_key_env = "PEER_KEY"
secret_key_env = "PEER_SECRET"
"""
VARIABLES = {"PEER_KEY": "AKIAPEER", "PEER_SECRET": "peer-secret",
             "OBJECTS_KEY": KEY, "OBJECTS_SECRET": SECRET}


@pytest.fixture(scope="module")
def objects():
    server = ObjectServer()
    yield server
    server.close()


@pytest.fixture(scope="module")
def front(tmp_path_factory, objects):
    """Passes sts and iam on to another Craton, s3 to the object server, dynamodb to nobody."""
    peer = Craton(tmp_path_factory.mktemp("peer"), PEER).start()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        settings = FORWARD.format(peer=peer.url, objects=objects.url, region=OBJECTS_REGION,
                                  nobody=taken.getsockname()[1])
        os.environ.update(VARIABLES)
        try:
            server = Craton(tmp_path_factory.mktemp("front"), CALLERS + settings).start()
        finally:
            for name in VARIABLES:
                del os.environ[name]
        server.peer = peer
        yield server
        server.stop()
        peer.stop()


def caller(server, service, **config):
    return server.client(service, "AKIACALLER", "caller-secret",
                         **{"retries": {"total_max_attempts": 1}, **config})


def test_the_operator_signs_what_is_passed_on(front):
    """The peer takes its own key alone; the caller's account stays behind."""
    assert caller(front, "sts").get_caller_identity()["Account"] == "999999999999"
    role = caller(front, "iam").create_role(RoleName="passed", AssumeRolePolicyDocument="""
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
         "Principal": {"Service": "bedrock.amazonaws.com"}}]}""")["Role"]
    assert role["Arn"] == "arn:aws:iam::999999999999:role/passed"
    there = front.peer.client("iam", "AKIAPEER", "peer-secret").get_role(RoleName="passed")
    assert there["Role"]["RoleId"] == role["RoleId"]
    with refused("NoSuchEntity"):
        caller(front, "iam").get_role(RoleName="nobody")


def test_a_presigned_link_is_signed_anew(front):
    url = caller(front, "sts").generate_presigned_url("get_caller_identity", HttpMethod="GET")
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert b"999999999999" in answer.read()


@pytest.mark.parametrize("key", ["plain", "a b/c+d//e~f", "ünïcode", "dots/../kept/./so"])
def test_objects_go_there_and_come_back(front, objects, key):
    s3 = caller(front, "s3")
    body = os.urandom(3 << 20)
    assert s3.put_object(Bucket="bucket", Key=key, Body=body, ContentType="text/x-own",
                         Metadata={"colour": "blue"})["ETag"] == '"tag"'
    assert objects.objects[f"/bucket/{key}"] == body
    headers = {name.lower(): value for name, value in objects.requests[-1][2].items()}
    assert headers["content-type"] == "text/x-own" and headers["x-amz-meta-colour"] == "blue"
    assert "AKIACALLER" not in str(headers)
    got = s3.get_object(Bucket="bucket", Key=key)
    assert got["Body"].read() == body
    assert got["ResponseMetadata"]["RequestId"] == "of-the-object-server"
    assert s3.head_object(Bucket="bucket", Key=key)["ContentLength"] == len(body)
    with pytest.raises(ClientError, match="NoSuchKey.*gone"):
        s3.get_object(Bucket="bucket", Key=key + ".not")


def test_a_dry_run_is_not_passed_on(front, objects):
    """S6: nobody knows what it would be there, so it is refused and not done."""
    with refused("ValidationException", "what is passed on was not done"):
        dry(caller(front, "s3")).put_object(Bucket="bucket", Key="dry", Body=b"x")
    assert "/bucket/dry" not in objects.objects
    with refused("ValidationException", "what is passed on was not done"):
        dry(caller(front, "sts")).get_caller_identity()


def test_chunks_that_the_caller_signed_leave_as_one_body(front, objects):
    """As SDKs for Java and older ones send objects over http."""
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials
    framed = b"5;chunk-signature=a\r\nhello\r\n0;chunk-signature=b\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n"
    request = AWSRequest("PUT", f"{front.url}/bucket/chunked", data=framed, headers={
        "Content-Encoding": "aws-chunked", "X-Amz-Decoded-Content-Length": "5",
        "X-Amz-Trailer": "x-amz-checksum-crc32"})

    class Chunked(S3SigV4Auth):
        def payload(self, _):
            return "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"

    Chunked(Credentials("AKIACALLER", "caller-secret"), "s3", "us-east-1").add_auth(request)
    sent = urllib.request.Request(request.url, framed, dict(request.headers), method="PUT")
    with urllib.request.urlopen(sent, timeout=10) as answer:
        assert answer.status == 200
    *_, headers, body = objects.requests[-1]
    headers = {name.lower(): value for name, value in headers.items()}
    assert body == b"hello" and headers["x-amz-checksum-crc32"] == "NhCmhg=="
    assert not {"content-encoding", "x-amz-trailer", "x-amz-decoded-content-length"} & set(headers)


def test_only_callers_that_may_are_passed_on(front, objects):
    came = len(objects.requests)
    for key, secret, code in [("AKIACALLER", "guess", "SignatureDoesNotMatch"),
                              ("AKIANOBODY", "x", "InvalidClientTokenId"),
                              ("AKIAREADER", "reader-secret", "AccessDenied")]:
        with pytest.raises(ClientError) as caught:
            front.client("s3", key, secret).put_object(Bucket="bucket", Key="k", Body=b"x")
        assert caught.value.response["Error"]["Code"] == code
    assert len(objects.requests) == came
    objects.objects["/bucket/readable"] = b"x"
    reader = front.client("s3", "AKIAREADER", "reader-secret")
    assert reader.get_object(Bucket="bucket", Key="readable")["Body"].read() == b"x"


def test_a_body_past_its_limit_is_refused_in_the_services_tongue(front):
    with pytest.raises(ClientError) as caught:
        caller(front, "s3").put_object(Bucket="bucket", Key="k", Body=b"x" * (65 << 20))
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413


def test_a_peer_that_is_not_there_is_said_so(front):
    with pytest.raises(ClientError) as caught:
        caller(front, "dynamodb").list_tables()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert "dynamodb is passed on" in str(caught.value)


def test_other_services_are_refused_as_ever(front):
    with pytest.raises(ClientError, match="NotImplementedException.*sqs ListQueues"):
        caller(front, "sqs").list_queues()


def test_an_endpoint_that_leads_back_ends(tmp_path, monkeypatch):
    """A loop is refused at its second turn."""
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    server = Craton(tmp_path)
    server.config.write_text(f'[forward.sqs]\nendpoint = "{server.url}"\n'
                             'access_key_env = "PEER_KEY"\nsecret_key_env = "PEER_SECRET"\n')
    server.start()
    with pytest.raises(ClientError) as caught:
        server.client("sqs", retries={"total_max_attempts": 1}).list_queues()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 508
    server.stop()


@pytest.mark.parametrize(("settings", "words"), [
    ("[forward.s4]", "s4"),
    ('[forward.s3]\naccess_key_env = "UNSET_KEY"\nsecret_key_env = "UNSET"', "UNSET_KEY"),
    ('[forward.s3]\nendpoint = "minio"\naccess_key_env = "HOME"\nsecret_key_env = "HOME"', "minio"),
])
def test_a_section_that_cannot_work_keeps_the_server_from_starting(tmp_path, settings, words):
    (tmp_path / "craton.toml").write_text(settings)
    ended = subprocess.run([binary(), "up", "--listen", "127.0.0.1:0", "--data-dir", tmp_path / "data",
                            "--config", tmp_path / "craton.toml"],
                           capture_output=True, text=True, timeout=20)
    assert ended.returncode != 0 and words in ended.stderr and "[forward" in ended.stderr


def signed(server, method, target, service="s3", headers=None, data=b"", key="AKIAREADER",
           secret="reader-secret", region="us-east-1", leave_out=()):
    """What curl gets for a request that is rightly signed, whatever it says: status and body.
    `leave_out` names headers that are sent without being signed."""
    from botocore.auth import S3SigV4Auth, SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials
    headers = dict(headers or {})
    covered = {name: value for name, value in headers.items() if name not in leave_out}
    request = AWSRequest(method, server.url + target, data=data, headers=covered)
    auth = S3SigV4Auth if service == "s3" else SigV4Auth
    auth(Credentials(key, secret), service, region).add_auth(request)
    return sent(server, method, target, {**headers, **dict(request.headers)}, data)


def sent(server, method, target, headers, data=b""):
    """Bytes on a socket: no library tidies the target or the headers."""
    import http.client
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    lines = headers.items() if isinstance(headers, dict) else headers
    connection.putrequest(method, target, skip_host=any(n.lower() == "host" for n, _ in lines),
                          skip_accept_encoding=True)
    for name, value in lines:
        connection.putheader(name, value)
    connection.putheader("Content-Length", str(len(data)))
    connection.endheaders(data)
    answer = connection.getresponse()
    return answer.status, answer.read().decode(errors="replace")


@pytest.mark.parametrize(("method", "target", "headers"), [
    ("PUT", "/bucket/k?x-id=GetObject", {}),
    ("PUT", "/bucket/k", {"X-Amz-Target": "x.GetObject"}),
    ("PUT", "/bucket/service/x/operation/GetObject", {}),
    ("PUT", "/bucket/k?Action=GetObject", {}),
    ("PUT", "/bucket/k", {"Content-Type": "application/x-www-form-urlencoded"}),
    ("GET", "/bucket/k", {"X-HTTP-Method-Override": "PUT"}),
    ("GET", "/bucket/k?versionId=1", {}),
    ("GET", "/bucket/..", {}),
    ("GET", "/minio/admin/v3/list-users", {}),
    ("GET", "/_internal/state", {}),
    ("OPTION", "/bucket/k", {}),
])
def test_the_operation_is_what_the_service_would_read(front, objects, method, target, headers):
    """Whoever may `s3:GetObject` alone gets nothing else by naming it."""
    came = len(objects.requests)
    status, body = signed(front, method, target, headers=headers, data=b"Action=GetObject")
    assert status == 403 and "calculated" not in body, body
    assert len(objects.requests) == came


@pytest.mark.parametrize(("method", "target", "data", "headers"), [
    ("POST", "/?Action=GetCallerIdentity&Version=2011-06-15", b"Action=GetSessionToken&Version=2011-06-15", {}),
    ("POST", "/", b"Action=GetCallerIdentity&Version=2011-06-15&Action=GetSessionToken", {}),
    ("POST", "/", b"Action=GetCallerIdentity&Version=2011-06-15&%41ction=GetSessionToken", {}),
    ("POST", "/", b"Action=GetCallerIdentity&Version=2011-06-15&x=1;Action=GetSessionToken", {}),
    ("POST", "/", b"Action=GetSessionToken&Version=2011-06-15", {"X-Amz-Target": "x.GetCallerIdentity"}),
    ("POST", "/service/sts/operation/GetCallerIdentity", b"Action=GetSessionToken&Version=2011-06-15", {}),
    ("POST", "/", b"Action=GetCallerIdentity&Version=2011-06-15",
     {"Content-Type": "application/x-www-form-urlencoded; charset=ibm037"}),
    ("POST", "/", b"Version=2011-06-15", {}),
])
def test_a_form_names_its_action_once(front, method, target, data, headers):
    """`GetCallerIdentity` is everybody's; nothing else is of the reader's key."""
    headers = {"Content-Type": "application/x-www-form-urlencoded", **headers}
    status, body = signed(front, method, target, "sts", headers, data)
    assert status == 403 and "calculated" not in body, body
    plain = signed(front, "POST", "/", "sts", {"Content-Type": "application/x-www-form-urlencoded"},
                   b"Action=GetCallerIdentity&Version=2011-06-15")
    assert plain[0] == 200 and "999999999999" in plain[1]


@pytest.mark.parametrize("region", ["evil.example#", "evil.example?", "a@b", "us_east", "A", "x" * 33])
def test_a_region_is_a_name(front, region):
    """It would be part of the host that a request leaves for."""
    status, body = signed(front, "GET", "/bucket/k", region=region)
    assert status == 403 and "Credential should be scoped to a valid region" in body


def test_a_copy_reads_what_it_names(front, objects):
    came = len(objects.requests)
    writer = ("AKIAWRITER", "writer-secret")
    put = {"key": writer[0], "secret": writer[1], "data": b"x"}
    source = {"x-amz-copy-source": "/other/secret"}
    assert signed(front, "PUT", "/bucket/k", headers=source, **put)[0] == 403
    assert signed(front, "PUT", "/bucket/k?x-amz-copy-source=/other/secret", **put)[0] == 403
    assert signed(front, "PUT", "/bucket/k", headers={"x-amz-acl": "public-read"}, **put)[0] == 403
    named = {**source, "Connection": "x-amz-copy-source"}
    assert signed(front, "PUT", "/bucket/k", headers=named, key="AKIACOPIER", secret="copier-secret",
                  data=b"x")[0] == 403
    assert len(objects.requests) == came
    assert signed(front, "PUT", "/bucket/k", **put)[0] == 200
    signed(front, "PUT", "/bucket/k", headers=source, key="AKIACOPIER", secret="copier-secret")
    assert objects.requests[-1][2]["x-amz-copy-source"] == "/other/secret"


def test_a_header_that_was_not_signed_adds_nothing(front, objects):
    """A link to put one object copies no other."""
    s3 = caller(front, "s3", signature_version="s3v4")
    url = s3.generate_presigned_url("put_object", {"Bucket": "bucket", "Key": "k"})
    target = url.removeprefix(front.url)
    host = ("Host", f"127.0.0.1:{front.port}")
    came = len(objects.requests)
    status, body = sent(front, "PUT", target, [host, ("x-amz-copy-source", "/other/secret")])
    assert status == 403 and "not signed" in body
    assert len(objects.requests) == came
    assert sent(front, "PUT", target, [host], b"x")[0] == 200


def test_a_chain_with_this_server_in_it_is_a_circle(front, objects):
    """Other proxies may have added themselves since."""
    for via in ("1.1 craton, 1.1 varnish", "1.0 apache,1.1 craton"):
        assert signed(front, "GET", "/bucket/k", headers={"Via": via})[0] == 508
    objects.objects["/bucket/k"] = b"x"
    assert signed(front, "GET", "/bucket/k", headers={"Via": "1.1 varnish"})[0] == 200


def test_services_of_ours_are_passed_on_by_their_own_actions(front):
    """`lambda:InvokeFunction` as ever, whoever answers."""
    invoke = {"method": "POST", "target": "/2015-03-31/functions/f/invocations", "service": "lambda"}
    status, body = signed(front, **invoke, data=b"{}")
    assert status == 403 and "lambda:InvokeFunction" in body
    status, body = signed(front, **invoke, data=b"{}", key="AKIAINVOKER", secret="invoker-secret")
    assert status == 404 and "function:f" in body


def test_an_api_key_is_passed_on_for_bedrocks_four_services_alone(front):
    """Others sign as bedrock as well."""
    status, body = sent(front, "POST", "/data-automation-projects/",
                        {"Authorization": "Bearer ABSKY2FsbGVy", "Content-Type": "application/json"}, b"{}")
    assert status == 403 and "API Key" in body
    status, body = signed(front, "POST", "/data-automation-projects/", "bedrock", data=b"{}",
                          key="AKIACALLER", secret="caller-secret")
    assert status in (404, 501) and "API Key" not in body


def test_a_bucket_in_the_host_is_a_name(front, objects):
    came = len(objects.requests)
    for bucket in ("b?policy=", "b/..", "b#", "..", "_x"):
        host = {"Host": f"{bucket}.localhost:{front.port}"}
        assert signed(front, "GET", "/k", headers=host)[0] == 403, bucket
    assert len(objects.requests) == came


def test_what_is_passed_back_is_no_page_of_ours(front, objects):
    """An object is shown in a sandbox: its scripts do not speak as the server."""
    objects.objects["/bucket/page"] = b"<script>alert(1)</script>"
    s3 = caller(front, "s3", signature_version="s3v4")
    url = s3.generate_presigned_url("get_object", {"Bucket": "bucket", "Key": "page"})
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert answer.headers["Content-Security-Policy"] == "sandbox"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    request = urllib.request.Request(url, headers={"Cookie": "session=1"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200
    assert "session=1" not in str(objects.requests[-1][2])


def test_a_page_elsewhere_fetches_nothing_in_dev_mode(craton):
    """Browsers say so where they send no Origin, as for images and links."""
    for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)):
        headers = {"Sec-Fetch-Site": site, "Host": f"127.0.0.1:{craton.port}"}
        got, body = sent(craton, "GET", "/?Action=GetCallerIdentity&Version=2011-06-15", headers)
        assert got == status, (site, body)
