"""Invoke on the runtimes beside Python: Node handlers, and packages with a bootstrap of their own."""

import base64
import json
import os
import pathlib
import subprocess
import sys

import pytest

from support.agents import refused, zipped
from support.server import REPOSITORY

RUST = REPOSITORY / "examples" / "functions" / "rust"

# The system's, which a jail has too.
PYTHON = next((path for path in ["/usr/bin/python3"] if pathlib.Path(path).exists()), sys.executable)

# The loop of AWS's tutorial for custom runtimes, in Python instead of curl.
LOOP = """
import http.client, json, os
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
def ask(method, path, body=None):
    api.request(method, "/2018-06-01/runtime" + path, body)
    answer = api.getresponse()
    return answer.headers, answer.read()
while True:
    headers, event = ask("GET", "/invocation/next")
    print("event", event.decode(), flush=True)
    said = {"handler": os.environ["_HANDLER"], "event": json.loads(event), "process": os.environ["AWS_LAMBDA_LOG_STREAM_NAME"],
            "arn": headers["Lambda-Runtime-Invoked-Function-Arn"]}
    ask("POST", f"/invocation/{headers['Lambda-Runtime-Aws-Request-Id']}/response", json.dumps(said))
"""


def run(lam, name, payload, **fields):
    answer = lam.invoke(FunctionName=name, Payload=json.dumps(payload).encode(), **fields)
    return answer, json.loads(answer["Payload"].read())


@pytest.mark.parametrize("runtime", ["nodejs18.x", "nodejs20.x", "nodejs22.x", "nodejs24.x"])
def test_a_node_handler_runs(lam, functions, runtime):
    made = functions({"index.mjs": """
        let calls = 0;
        export const handler = async (event, context) => {
          console.log("order", event.order);
          return { order: event.order, calls: ++calls, name: context.functionName,
                   left: context.getRemainingTimeInMillis(), id: context.awsRequestId };
        };
        """}, Runtime=runtime, Handler="index.handler")
    assert made["Runtime"] == runtime
    answer, said = run(lam, made["FunctionName"], {"order": "ü-1"}, LogType="Tail")
    assert "FunctionError" not in answer
    assert (said["order"], said["calls"], said["name"]) == ("ü-1", 1, made["FunctionName"])
    assert said["id"] == answer["ResponseMetadata"]["RequestId"] and 0 < said["left"] <= 3000
    assert "\tINFO\torder ü-1" in base64.b64decode(answer["LogResult"]).decode()
    assert run(lam, made["FunctionName"], {})[1]["calls"] == 2, "the process stays warm"


def test_an_error_of_node_has_awss_shape(lam, functions):
    name = functions({"index.js": "exports.handler = async () => { throw new TypeError('no such order') }"},
                     Runtime="nodejs20.x", Handler="index.handler")["FunctionName"]
    answer, said = run(lam, name, {})
    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    assert (said["errorType"], said["errorMessage"]) == ("TypeError", "no such order")
    assert said["trace"][0] == "TypeError: no such order" and "index.js" in said["trace"][1]


@pytest.mark.parametrize("runtime", ["provided", "provided.al2", "provided.al2023"])
def test_a_bootstrap_of_the_packages_own_runs(lam, functions, runtime):
    script = f'#!/bin/sh\nset -eu\nexec {PYTHON} "$LAMBDA_TASK_ROOT/loop.py"\n'
    made = functions({"bootstrap": script, "loop.py": LOOP}, Runtime=runtime, Handler="shop.orders")
    answer, said = run(lam, made["FunctionName"], {"n": 1}, LogType="Tail")
    assert (said["handler"], said["event"], said["arn"]) == (
        "shop.orders", {"n": 1}, made["FunctionArn"])
    assert "event {" in base64.b64decode(answer["LogResult"]).decode()
    assert run(lam, made["FunctionName"], {})[1]["process"] == said["process"], "the process stays warm"


@pytest.mark.parametrize(("files", "words"), [
    ({"main.sh": "#!/bin/sh\n"}, "Couldn't find valid bootstrap"),
    ({"bootstrap": "echo no first line"}, "exec format error"),
    ({"bootstrap": "#!/opt/nowhere/sh\n"}, "no such file or directory"),
])
def test_a_bootstrap_that_cannot_be_executed_is_the_functions_error(lam, functions, files, words):
    name = functions(files, Runtime="provided.al2023", Handler="x")["FunctionName"]
    answer, said = run(lam, name, {})
    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    assert said["errorType"] == "Runtime.InvalidEntrypoint" and words in said["errorMessage"]


@pytest.fixture(scope="session")
def order_status():
    """The Rust example, built as its users build it."""
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")) / "functions-rust"
    subprocess.run(["cargo", "build", "--quiet", "--locked", "--target-dir", target], cwd=RUST, check=True)
    return zipped({"bootstrap": (target / "debug" / "bootstrap").read_bytes()})


def test_a_rust_binary_on_lambda_runtime_runs(lam, functions, order_status):
    """AWS's own crate for Rust functions, from crates.io, unmodified."""
    made = functions(order_status, Runtime="provided.al2023", Handler="bootstrap", Timeout=10)
    name = made["FunctionName"]
    answer, said = run(lam, name, {"order": "o-1"})
    assert "FunctionError" not in answer, said
    assert (said["order"], said["status"], said["function"]) == ("o-1", "shipped", name)
    assert said["request"] == answer["ResponseMetadata"]["RequestId"]
    answer, said = run(lam, name, {})
    assert answer["FunctionError"] == "Unhandled" and said["errorMessage"] == "the event has no order"
    assert "FunctionError" not in run(lam, name, {"order": "o-2"})[0]


def test_a_runtime_that_is_not_served_is_refused_by_name(functions):
    with refused("InvalidParameterValueException", "java21 is not served.*provided.al2023"):
        functions("", Runtime="java21")
