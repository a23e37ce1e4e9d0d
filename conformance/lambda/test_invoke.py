"""Invoke: POST /2015-03-31/functions/{name}/invocations runs the handler in a process of its own."""

import base64
import json
import threading

import pytest

from support.agents import package, refused, unique, until
from support.server import ROLE
from support.tools import KEYED

ECHO = """
import os, sys
print('loading')
calls = 0
def handler(event, context):
    global calls
    calls += 1
    print('called with', event)
    return {
        'event': event, 'calls': calls, 'process': os.environ['AWS_LAMBDA_LOG_STREAM_NAME'],
        'name': context.function_name, 'version': context.function_version,
        'arn': context.invoked_function_arn, 'request': context.aws_request_id,
        'memory': context.memory_limit_in_mb, 'left': context.get_remaining_time_in_millis(),
        'environment': {k: os.environ.get(k) for k in (
            'AWS_LAMBDA_FUNCTION_NAME', 'AWS_REGION', 'AWS_ENDPOINT_URL', 'LAMBDA_TASK_ROOT', 'MINE')},
        'home': os.environ.get('CARGO_HOME'),
    }
"""


def run(lam, name, payload=None, **fields):
    body = {} if payload is None else {"Payload": json.dumps(payload).encode()}
    answer = lam.invoke(FunctionName=name, **body, **fields)
    return answer, json.loads(answer["Payload"].read() or b"null")


def test_a_handler_gets_event_context_and_environment(craton, lam, functions):
    made = functions(ECHO, Environment={"Variables": {"MINE": "yes"}}, MemorySize=192)
    answer, said = run(lam, made["FunctionName"], {"a": [1, 2.5, None, "ü"]})
    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
    assert "FunctionError" not in answer
    assert said["event"] == {"a": [1, 2.5, None, "ü"]}
    assert (said["name"], said["version"]) == (made["FunctionName"], "$LATEST")
    assert said["arn"] == made["FunctionArn"]
    assert said["request"] == answer["ResponseMetadata"]["RequestId"]
    assert int(said["memory"]) == 192 and 0 < said["left"] <= 3000
    environment = said["environment"]
    assert environment["AWS_LAMBDA_FUNCTION_NAME"] == made["FunctionName"]
    assert environment["AWS_REGION"] == "us-east-1" and environment["MINE"] == "yes"
    assert environment["AWS_ENDPOINT_URL"] == craton.url and environment["LAMBDA_TASK_ROOT"]
    assert said["home"] is None, "the server's environment is none of the handler's business"


def test_a_process_is_reused(lam, functions):
    name = functions(ECHO)["FunctionName"]
    first, second = run(lam, name)[1], run(lam, name)[1]
    assert first["process"] == second["process"] and (first["calls"], second["calls"]) == (1, 2)


def test_the_end_of_the_log_comes_back(lam, functions):
    name = functions(ECHO)["FunctionName"]
    answer, _ = run(lam, name, {"x": 1}, LogType="Tail")
    log = base64.b64decode(answer["LogResult"]).decode()
    request = answer["ResponseMetadata"]["RequestId"]
    for words in (f"START RequestId: {request}", "called with {'x': 1}", f"END RequestId: {request}",
                  f"REPORT RequestId: {request}", "Duration:", "Memory Size: 128 MB"):
        assert words in log, log
    assert "LogResult" not in run(lam, name)[0]


@pytest.mark.parametrize(("handler", "kind", "message"), [
    ("def handler(e, c): raise ValueError('no such order')", "ValueError", "no such order"),
    ("import not_a_module\ndef handler(e, c): pass", "Runtime.ImportModuleError", "not_a_module"),
    ("def other(e, c): pass", "Runtime.HandlerNotFound", "handler"),
    ("def handler(e, c) return 1", "Runtime.UserCodeSyntaxError", "yntax"),
    ("def handler(e, c): return object()", "Runtime.MarshalError", "JSON"),
    ("import sys\ndef handler(e, c): sys.exit(1)", "Runtime.ExitError", "(?i)exit"),
])
def test_a_handler_that_fails_is_a_function_error(lam, functions, handler, kind, message):
    """As on AWS: 200, FunctionError, and the error as the payload."""
    import re
    answer, said = run(lam, functions(handler)["FunctionName"])
    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    assert said["errorType"] == kind and re.search(message, said["errorMessage"])
    if kind == "ValueError":
        assert any("main.py" in frame for frame in said["stackTrace"])


def test_a_timeout_is_a_function_error(lam, functions):
    name = functions("import time\ndef handler(e, c): time.sleep(30)", Timeout=1)["FunctionName"]
    answer, said = run(lam, name)
    assert answer["FunctionError"] == "Unhandled"
    assert "timed out after 1.00 seconds" in said["errorMessage"]


def test_too_much_memory_is_a_function_error(lam, functions):
    name = functions("def handler(e, c): return len('x' * (400 << 20) + str(e)) and __import__('time').sleep(5)",
                     Timeout=20)["FunctionName"]
    answer, said = run(lam, name)
    assert answer["FunctionError"] == "Unhandled" and "emory" in json.dumps(said)


def test_calls_at_once_run_side_by_side(lam, functions):
    """Each process serves one call at a time, as on AWS."""
    name = functions("""
import os, time
def handler(e, c):
    time.sleep(0.3)
    return os.environ['AWS_LAMBDA_LOG_STREAM_NAME']    # Each jail counts its processes from 1.
""")["FunctionName"]
    seen = []
    threads = [threading.Thread(target=lambda: seen.append(run(lam, name)[1])) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(seen) == 3 and len(set(seen)) == 3


def test_an_event_is_taken_and_run_later(craton, lam, functions, shared):
    """InvocationType Event answers 202 and no payload before the handler has run."""
    gate, mark = shared / "gate", shared / "ran"
    name = functions(f"""
import os, time
def handler(e, c):
    while not os.path.exists({craton.seen(gate)!r}): time.sleep(0.01)
    open({craton.seen(mark)!r}, 'w').write(e['x'] + ' ' + c.aws_request_id)
""", Timeout=20)["FunctionName"]
    answer = lam.invoke(FunctionName=name, Payload=b'{"x": "later"}', InvocationType="Event")
    assert (answer["StatusCode"], answer["Payload"].read()) == (202, b"")
    assert "FunctionError" not in answer and "LogResult" not in answer
    assert not mark.exists()
    gate.touch()
    request = answer["ResponseMetadata"]["RequestId"]
    until(lambda: mark.exists() and mark.read_text() == f"later {request}")


def test_an_event_of_a_mapped_function_reaches_its_url_with_a_key(lam, tools):
    """A mapped function needs no create; each attempt of one event carries the same key."""
    name = unique("nobody")
    event = {"agent": {"name": name}, "actionGroup": "g", "function": "refund"}
    answer = lam.invoke(FunctionName=KEYED, Payload=json.dumps(event).encode(), InvocationType="Event")
    assert answer["StatusCode"] == 202
    [call] = until(lambda: tools.calls.get(name))
    assert call.event == event and call.key


def test_an_accepted_event_outlives_a_kill(fresh):
    """What was answered 202 is performed at least once, by the next process if need be."""
    lam, mark = fresh.client("lambda"), fresh.shared / "marks"
    restarted = fresh.shared / "restarted"
    mark.mkdir()
    source = f"""
import os, time
def handler(e, c):
    open(os.path.join({fresh.seen(mark)!r}, f"{{e['n']}}-{{time.time_ns()}}"), 'w').close()
    if not os.path.exists({fresh.seen(restarted)!r}): time.sleep(60)
"""
    lam.create_function(FunctionName="survivor", Runtime="python3.12", Role=ROLE, Timeout=90,
                        Handler="main.handler", Code={"ZipFile": package(main=source)})
    for n in range(15):
        lam.invoke(FunctionName="survivor", Payload=json.dumps({"n": n}).encode(),
                   InvocationType="Event")
    until(lambda: len(list(mark.iterdir())) >= 1)
    fresh.kill()
    restarted.touch()
    before = {path.name for path in mark.iterdir()}
    fresh.start()
    performed = lambda: {path.name.split("-")[0] for path in mark.iterdir() if path.name not in before}
    until(lambda: len(performed()) == 15, timeout=30)


def test_an_event_for_nobody_is_refused(lam):
    with refused("ResourceNotFoundException"):
        lam.invoke(FunctionName=unique("nobody"), Payload=b"{}", InvocationType="Event")


def test_an_event_past_1_mb_is_refused(lam, functions):
    name = functions(ECHO)["FunctionName"]
    with refused("RequestTooLargeException", "too large for the Event invocation type"):
        lam.invoke(FunctionName=name, Payload=b'"' + b"x" * (1 << 20) + b'"', InvocationType="Event")


def test_a_dry_run_runs_nothing(craton, lam, functions, shared):
    mark = shared / "ran"
    source = f"def handler(e, c): open({craton.seen(mark)!r}, 'w').close()"
    name = functions(source)["FunctionName"]
    answer = lam.invoke(FunctionName=name, InvocationType="DryRun")
    assert (answer["StatusCode"], answer["Payload"].read()) == (204, b"")
    with refused("ResourceNotFoundException"):
        lam.invoke(FunctionName=name, Qualifier="7", InvocationType="DryRun")
    assert not mark.exists()


def test_a_payload_that_is_not_json_is_refused(lam, functions):
    name = functions(ECHO)["FunctionName"]
    with refused("InvalidRequestContentException"):
        lam.invoke(FunctionName=name, Payload=b"{not json")


def test_a_payload_past_6_mb_is_refused(lam, functions):
    name = functions(ECHO)["FunctionName"]
    with pytest.raises(lam.exceptions.ClientError) as caught:
        lam.invoke(FunctionName=name, Payload=b'"' + b"x" * (6 * 1024 * 1024) + b'"')
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413


def test_functions_survive_a_restart(fresh):
    lam = fresh.client("lambda")
    lam.create_function(FunctionName="stays", Runtime="python3.12", Role=ROLE, Handler="main.handler",
                        Code={"ZipFile": package(main="def handler(e, c): return 'still here'")})
    fresh.kill()
    fresh.start()
    assert run(lam, "stays")[1] == "still here"
