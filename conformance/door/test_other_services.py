"""Services of AWS's that Craton does not speak are refused by name, in the protocol of their clients.
T5."""

import socket
import time

import boto3
import botocore.session
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from support.server import REGION
from test_unserved_operations import PLAN, least

OTHERS = sorted(set(botocore.session.get_session().get_available_services()) - set(PLAN))
LETTERS = sorted({name[0] for name in OTHERS})
# Called with a token of a sign-on that boto3 would look for; the calls as such need none.
TOKENS = ("account-access-runtime", "codecatalyst")
# boto3 sends it to AWS whatever the endpoint is.
ELSEWHERE = {("signin", "GetConsoleAuthorizationConfiguration")}
STORE = "arn:aws:cloudfront::123456789012:key-value-store/12345678-1234-1234-1234-123456789012"


@pytest.fixture
def localhost(craton, monkeypatch):
    """The server by a name that clients may put labels before, such as a bucket's."""
    resolve = socket.getaddrinfo

    def here(host, *rest, **more):
        name = host.decode() if isinstance(host, bytes) else host
        return resolve("127.0.0.1" if name.endswith("localhost") else host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", here)
    return f"http://localhost:{craton.port}"


def of(url, service, **config):
    config = {"parameter_validation": False, "inject_host_prefix": False,
              "retries": {"total_max_attempts": 1}, **config}
    if service in TOKENS:
        config["signature_version"] = UNSIGNED
    if service == "cloudfront-keyvaluestore":
        config["signature_version"] = "v4"  # its own choice, v4a, needs a further library
    return boto3.client(service, endpoint_url=url, region_name=REGION,
                        aws_access_key_id="test", aws_secret_access_key="test",
                        config=Config(**config))


def refusal(client, operation):
    """The error that boto3 raises for the least call of an operation."""
    python = {api: name for name, api in client.meta.method_to_api_mapping.items()}[operation]
    shape = client.meta.service_model.operation_model(operation).input_shape
    given = least(shape) if shape else {}
    if "KvsARN" in given:
        given["KvsARN"] = STORE
    with pytest.raises(ClientError) as caught:
        getattr(client, python)(**given)
    return caught.value.response


def problem(response, service, operation):
    """`None`, or what is wrong with a refusal."""
    status = response["ResponseMetadata"]["HTTPStatusCode"]
    code, message = response["Error"]["Code"], response["Error"]["Message"]
    if operation.http["method"] == "HEAD" and (status, code) == (501, "501"):
        return None  # an answer to HEAD has no body to say more in
    if (status, code) == (501, "NotImplementedException") and operation.name in message \
            and service in message:
        return None
    return f"{service} {operation.name}: {status} {code} {message}"


def sample(model):
    """Of each way that a service's operations are asked for, some."""
    plain = [name for name in model.operation_names
             if not model.operation_model(name).has_event_stream_input]
    return plain[:2] + plain[len(plain) // 2:][:1] + plain[-1:]


@pytest.mark.parametrize("letter", LETTERS)
def test_every_other_service_is_refused_by_name(localhost, letter):
    """Every service that the installed botocore knows: 501, service and operation in the message."""
    wrong = []
    for service in (name for name in OTHERS if name.startswith(letter)):
        client = of(localhost, service)
        model = client.meta.service_model
        for name in dict.fromkeys(sample(model)):
            if (service, name) in ELSEWHERE:
                continue
            try:
                wrong.append(problem(refusal(client, name), service, model.operation_model(name)))
            except BaseException as error:
                wrong.append(f"{service} {name}: {type(error).__name__} {str(error)[:200]}")
    assert not any(wrong), "\n".join(filter(None, wrong))


def test_headers_and_bodies_of_s3s_clients_are_refused_cleanly(localhost):
    """Buckets in the path or in the host, checksums, large bodies that wait for a 100 or do not."""
    large = b"x" * (24 << 20)
    for style in ("path", "virtual"):
        s3 = of(localhost, "s3", s3={"addressing_style": style}, inject_host_prefix=True)
        for call, operation in [
            (lambda: s3.list_buckets(), "ListBuckets"),
            (lambda: s3.create_bucket(Bucket="bucket"), "CreateBucket"),
            (lambda: s3.list_objects_v2(Bucket="bucket"), "ListObjectsV2"),
            (lambda: s3.get_object(Bucket="bucket", Key="a/b c//d"), "GetObject"),
            (lambda: s3.put_object(Bucket="bucket", Key="k", Body=b"x",
                                   ChecksumAlgorithm="CRC32"), "PutObject"),
            (lambda: s3.put_object(Bucket="bucket", Key="k", Body=large), "PutObject"),
            (lambda: s3.upload_part(Bucket="bucket", Key="k", PartNumber=1, UploadId="u",
                                    Body=large), "UploadPart"),
            (lambda: s3.copy_object(Bucket="bucket", Key="k", CopySource="b/k"), "CopyObject"),
        ]:
            with pytest.raises(ClientError, match=f"NotImplementedException.* s3 {operation}:"):
                call()
        with pytest.raises(ClientError) as head:
            s3.head_object(Bucket="bucket", Key="k")
        assert head.value.response["Error"]["Code"] == "501"


def test_a_large_body_that_nobody_waits_for_is_answered(craton):
    """Without `Expect`: the client reads only once it has sent all."""
    size = 32 << 20
    with socket.create_connection(("127.0.0.1", craton.port), timeout=20) as raw:
        raw.sendall((f"PUT /bucket/key HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {size}\r\n"
                     "Authorization: AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/s3/aws4_request,"
                     " SignedHeaders=host, Signature=0\r\n\r\n").encode())
        for _ in range(size >> 20):
            raw.sendall(b"x" * (1 << 20))
        answer = raw.recv(65536).decode()
    assert answer.startswith("HTTP/1.1 501") and "s3 PutObject" in answer


def test_a_refusal_is_not_retried_for_long(craton):
    """501 is no status that a client's retries take for a passing one."""
    for mode in ("legacy", "standard", "adaptive"):
        client = of(craton.url, "dynamodb", retries={"mode": mode, "total_max_attempts": 5})
        began = time.monotonic()
        with pytest.raises(ClientError) as caught:
            client.list_tables()
        assert caught.value.response["ResponseMetadata"]["RetryAttempts"] == 0, mode
        assert time.monotonic() - began < 2


def test_codes_of_services_that_came_from_the_query_protocol(craton):
    for service, call in [("sqs", "list_queues"), ("cloudwatch", "list_metrics")]:
        with pytest.raises(ClientError) as caught:
            getattr(of(craton.url, service), call)()
        answer = caught.value.response
        assert answer["Error"]["Code"] == "NotImplementedException"
        assert answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-query-error"] \
            == "NotImplementedException;Receiver"
