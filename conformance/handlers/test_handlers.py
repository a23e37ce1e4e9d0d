"""Handlers as people write them run unmodified in the jail when their host is allowed, and fail at
once, with words that say which host it was and what to do, when it is not."""

import base64
import json
import time

import pytest

from support.packages import HANDLERS

# Seconds. What waits for a time-out is no clear refusal, and a busy machine takes a while to start.
AT_ONCE = 8


def source(name):
    return (HANDLERS / "code" / name).read_text()


@pytest.fixture
def build(packages, request):
    """The files of a handler of this kind, its entry point, its runtime, and the zip of what it brings."""
    def python(module, *wheels):
        files = {f"{module}.py": source(f"{module}.py")}
        return files, f"{module}.handler", "python3.12", packages.zip(*wheels)

    def node(module):
        return {f"{module}.mjs": source(f"{module}.mjs")}, f"{module}.handler", "nodejs20.x"

    kinds = {
        "requests": lambda: python("with_requests", "requests"),
        "httpx": lambda: python("with_httpx", "httpx"),
        "urllib": lambda: python("with_urllib"),
        "psycopg": lambda: python("with_psycopg", "psycopg"),
        "boto3": lambda: python("with_boto3", "boto3"),
        "boto3-elsewhere": lambda: python("with_boto3_elsewhere", "boto3"),
        "numpy": lambda: python("with_numpy", "numpy"),
        "workers": lambda: python("with_workers"),
        "fetch": lambda: node("with_fetch"),
        "https": lambda: node("with_https"),
        "node-workers": lambda: node("with_node_workers"),
        "go": lambda: ({"bootstrap": request.getfixturevalue("go")}, "any", "provided.al2023"),
    }
    return lambda kind: kinds[kind]()


def call(lam, name, event):
    answer = lam.invoke(FunctionName=name, Payload=json.dumps(event).encode(), LogType="Tail")
    log = base64.b64decode(answer["LogResult"]).decode()
    return answer.get("FunctionError"), json.loads(answer["Payload"].read()), log


@pytest.mark.parametrize("kind", ["requests", "httpx", "urllib", "fetch", "https", "go"])
def test_a_client_of_http_reaches_its_host_by_name_and_over_tls(deploy, build, shop, kind):
    name, order = f"allowed-{kind}", f"order of {kind}"
    lam = deploy(name, *build(kind))
    for _ in range(2):  # Cold and warm, and over a connection that was kept.
        error, said, log = call(lam, name, {"order": order})
        assert error is None, (said, log)
        assert said == {"id": order, "state": "shipped"}
    assert shop.orders.count(order) == 2
    assert set(shop.names) == {shop.host.rsplit(":")[0]}, "TLS asks for the name, not an address"


def test_psycopg_reaches_a_real_postgresql_over_verified_tls(deploy, build):
    lam = deploy("allowed-psycopg", *build("psycopg"))
    for _ in range(2):
        error, said, log = call(lam, "allowed-psycopg", {"order": "o-1"})
        assert error is None, (said, log)
        assert said == {"id": "o-1", "cents": 1999, "rows": 2, "encrypted": True}


def test_boto3_reaches_craton_without_being_allowed_anything(deploy, build):
    lam = deploy("stranger-boto3", *build("boto3"))
    error, said, log = call(lam, "stranger-boto3", {"order": "o-1"})
    assert error is None, (said, log)
    assert said == {"id": "o-1", "account": "000000000000", "runtime": "python3.12"}


def test_boto3_reaches_another_endpoint_that_is_allowed(deploy, build, shop):
    lam, before = deploy("allowed-boto3-elsewhere", *build("boto3-elsewhere")), shop.visits
    error, said, _ = call(lam, "allowed-boto3-elsewhere", {"order": "o-1"})
    # The shop is no AWS and says so: what counts is that it was asked and heard.
    assert error == "Unhandled" and said["errorType"] in ("ClientError", "ResponseParserError"), said
    assert shop.visits > before


def test_numeric_wheels_compute(deploy, build):
    lam = deploy("stranger-numpy", *build("numpy"), MemorySize=1024)
    error, said, log = call(lam, "stranger-numpy", {"size": 300})
    assert error is None, (said, log)
    assert said == {"ones": True, "peak": 10}


def test_programs_threads_processes_and_sqlite_work(deploy, build):
    lam = deploy("stranger-workers", *build("workers"))
    error, said, log = call(lam, "stranger-workers", {})
    assert error is None, (said, log)
    assert said == {
        "programs": [["1", "9", "10"], ["42", "Linux"]], "threads": 328350, "processes": 328350,
        "spawned": 285, "queued": True, "shared": "abc", "database": 3,
        "listener": ["HELLO", "HELLO"], "asynchronous": "through a pipe", "zone": "Europe/Zurich",
        "home": "/tmp", "user": "sbx_user1051", "host": True, "free": True, "processors": True,
    }


def test_programs_threads_and_webassembly_work_in_node(deploy, build):
    lam = deploy("stranger-node-workers", *build("node-workers"))
    error, said, log = call(lam, "stranger-node-workers", {})
    assert error is None, (said, log)
    assert said == {
        "worker": 42, "program": "Linux", "pipe": "through a pipe", "listener": "hello", "file": 5,
        "hash": 16, "packed": "twice", "wasm": True, "memory": True, "user": True,
    }


@pytest.mark.parametrize("kind", [
    "requests", "httpx", "urllib", "psycopg", "boto3-elsewhere", "fetch", "https", "go",
])
def test_a_host_that_is_not_allowed_is_refused_at_once_and_by_name(
        deploy, build, shop, database, kind):
    name = f"stranger-{kind}"
    lam, visits = deploy(name, *build(kind)), shop.visits
    connections = database.log().count("connection received")
    began = time.monotonic()
    error, said, log = call(lam, name, {"order": "o-1"})
    took = time.monotonic() - began
    assert error == "Unhandled", said
    host = (database if kind == "psycopg" else shop).host.rsplit(":")[0]
    told = [line for line in log.splitlines() if "craton: " in line]
    assert any(host in line and "functions.hosts" in line for line in told), (said, log)
    if kind not in ("httpx", "urllib", "fetch"):  # These clients name no host in their own words.
        assert host in said["errorMessage"], said
    assert took < AT_ONCE, f"{took} s: {said}"
    assert shop.visits == visits, "nobody came"
    assert database.log().count("connection received") == connections
