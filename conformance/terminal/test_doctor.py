"""`craton doctor`: what works, what is missing and what to do, with an exit code for scripts."""

import contextlib
import http.server
import threading

import pytest

from support.agents import unique
from support.model import Say
from support.server import Craton, free_port
from support.terminal import run


@pytest.fixture
def doctor(tmp_path):
    """Runs it on a configuration and a free port: the lines of what it said, and its exit code."""
    def examine(config="", *arguments, **environment):
        file = tmp_path / "craton.toml"
        file.write_text(config)
        if "--listen" not in arguments:
            arguments += ("--listen", f"127.0.0.1:{free_port()}")
        if "--data-dir" not in arguments:
            arguments += ("--data-dir", str(tmp_path / "data"))
        done = run("doctor", "--config", str(file), *arguments, **environment)
        return done.stdout.splitlines(), done.returncode

    return examine


def line(lines, what):
    found = [text for text in lines if f"  {what}:" in text]
    assert found, f"nothing about {what}: {lines}"
    return found[0]


@contextlib.contextmanager
def answering(status, body=b"{}"):
    """A server that answers every POST so."""
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()


def provider(url, name="cloud", key="", model="small"):
    return f"""
[providers.{name}]
kind = "openai"
base_url = "{url}"
{key}
[[models]]
match = "*"
provider = "{name}"
{f'model = "{model}"' if model else ''}
"""


def test_a_machine_that_has_all_is_fine_and_nothing_is_left_behind(doctor, models, tmp_path):
    name = unique("small")
    models.model(name).turn(Say("yes"))
    lines, code = doctor(provider(models.url, model=name))
    assert code == 0, lines
    assert line(lines, "provider cloud") == f"ok    provider cloud: answers as {name}"
    assert line(lines, "configuration").startswith("ok")
    assert lines[-1].startswith("ready: ") and "nothing failed" in lines[-1]
    assert not (tmp_path / "data").exists(), "it only looks"


def test_a_provider_that_nobody_answers_for_fails_with_its_address(doctor):
    url = f"http://127.0.0.1:{free_port()}/v1"
    lines, code = doctor(provider(url))
    assert code == 1
    assert line(lines, "provider cloud").startswith("FAIL") and url in line(lines, "provider cloud")
    assert lines[-1].startswith("not ready, because provider cloud: ") and url in lines[-1]
    assert "base_url" in lines[lines.index(line(lines, "provider cloud")) + 1]


@pytest.mark.parametrize("model", ["small", ""])
def test_a_provider_that_takes_no_key_fails_and_the_key_is_never_shown(doctor, model):
    body = b'{"error": {"message": "Incorrect API key provided: sk-very-secret"}}'
    with answering(401, body) as url:
        config = provider(url, key='api_key_env = "CLOUD_KEY"', model=model)
        lines, code = doctor(config, CLOUD_KEY="sk-very-secret")
    assert code == 1
    said = line(lines, "provider cloud")
    assert said.startswith("FAIL") and "401" in said and "CLOUD_KEY" in said
    assert "sk-very-secret" not in "".join(lines)


def test_a_variable_that_is_not_set_fails_by_its_name(doctor):
    with answering(200) as url:
        lines, code = doctor(provider(url, key='api_key_env = "NOT_SET_ANYWHERE"'))
    assert code == 1 and "NOT_SET_ANYWHERE" in line(lines, "provider cloud")


def test_a_model_whose_name_was_made_up_only_warns_when_it_is_refused(doctor):
    with answering(404, b'{"error": {"message": "no such model"}}') as url:
        lines, code = doctor(provider(url, model=""))
    assert code == 0 and line(lines, "provider cloud").startswith("warn")


def test_a_number_in_an_address_is_no_status(doctor):
    body = b'{"error": {"message": "no such model, of the 401 and 403 that there are"}}'
    with answering(404, body) as url:
        lines, code = doctor(provider(url + "/401", model=""))
    assert code == 0 and line(lines, "provider cloud").startswith("warn")


def test_a_provider_that_never_answers_fails_after_five_seconds(doctor):
    import socket
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        lines, code = doctor(provider(url))
    assert code == 1 and "within 5 s" in line(lines, "provider cloud")


def test_lines_of_the_model_map_that_nothing_comes_to_are_named(doctor):
    config = """
[providers.a]
kind = "rules"
[providers.unused]
kind = "openai"
[[models]]
match = "anthropic.*"
provider = "a"
model = "one"
[[models]]
match = "anthropic.claude-*"
provider = "a"
model = "two"
[[models]]
match = "*"
provider = "a"
model = "three"
"""
    lines, code = doctor(config)
    assert code == 0
    assert line(lines, '[[models]] match = "anthropic.claude-*"').startswith("warn")
    assert len([text for text in lines if text.startswith("warn  [[models]] match")]) == 1
    assert "no line of [[models]]" in line(lines, "provider unused")


def test_a_configuration_that_is_not_valid_fails_with_its_line(doctor):
    lines, code = doctor("[function]\npython = 1\n")
    said = "\n".join(lines)
    assert code == 1 and "FAIL  configuration" in said and "function" in said and "line 1" in said


def test_a_running_server_is_recognised_and_a_strange_one_is_not(doctor, tmp_path):
    server = Craton(tmp_path / "server").start()
    try:
        at = f"127.0.0.1:{server.port}"
        data = str(server.home / "data")
        lines, code = doctor("", "--listen", at, "--data-dir", data, url=server.url)
        assert code == 0 and "answers there" in line(lines, f"address {at}")
        assert any("a running craton has it open" in text for text in lines)
        assert line(lines, "AWS_ENDPOINT_URL") == "ok    AWS_ENDPOINT_URL: leads here"
        lines, code = doctor("", "--data-dir", data)
        assert code == 1 and any("another craton has it open" in text for text in lines)
    finally:
        server.stop()
    with answering(200) as url:
        at = url.removeprefix("http://").removesuffix("/v1")
        lines, code = doctor("", "--listen", at)
        assert code == 1 and line(lines, f"address {at}").startswith("FAIL")


def test_interpreters_and_urls_of_functions_are_tried(doctor):
    gone = f"http://127.0.0.1:{free_port()}/orders"
    with answering(200) as url:
        config = f'[functions]\npython = "/nowhere/python3"\n' \
                 f'[functions.map]\nbilling = "{url}"\norders = "{gone}"\n'
        lines, code = doctor(config)
    assert code == 1
    assert "/nowhere/python3" in line(lines, "Python functions")
    assert line(lines, "Python functions").startswith("FAIL")
    assert "Python functions" in lines[-1] and "functions.map orders" in lines[-1]
    assert line(lines, "functions.map billing").startswith("ok")
    assert line(lines, "functions.map orders").startswith("FAIL")


def test_folders_of_buckets_have_to_be_there(doctor, tmp_path):
    (tmp_path / "there").mkdir()
    lines, code = doctor('[buckets]\ncode = "there"\nschemas = "gone"\n')
    assert code == 1
    assert line(lines, "buckets code").startswith("ok")
    assert line(lines, "buckets schemas").startswith("FAIL")


def test_endpoints_of_forward_are_tried(doctor):
    gone = f"http://127.0.0.1:{free_port()}"
    with answering(200) as url:
        config = f'[forward.s3]\nendpoint = "{url}"\n[forward.dynamodb]\nendpoint = "{gone}"\n' \
                 f'[forward.sqs]\n'
        lines, code = doctor(config)
    assert code == 1
    assert line(lines, "forward s3") == f"ok    forward s3: {url} takes connections"
    assert line(lines, "forward dynamodb").startswith("FAIL") and gone in line(lines, "forward dynamodb")
    assert not any("forward sqs" in text for text in lines)


def test_dev_is_a_flag_as_of_up(doctor):
    keys = '[[keys]]\naccess_key = "AKIAX"\nsecret_key = "s"\naccount = "111122223333"\n'
    assert line(doctor(keys)[0], "callers") == "ok    callers: the access keys in craton.toml"
    assert line(doctor(keys, "--dev")[0], "callers") == "ok    callers: any credentials (dev mode)"


def test_a_data_directory_that_is_a_file_fails(doctor, tmp_path):
    (tmp_path / "file").write_text("")
    lines, code = doctor("", "--data-dir", str(tmp_path / "file"))
    assert code == 1 and any("FAIL  data directory" in text for text in lines)


def test_a_root_of_ones_own_that_cannot_be_read_is_named(doctor, tmp_path):
    missing, text = tmp_path / "missing.pem", tmp_path / "text.pem"
    text.write_text("no certificate")
    lines, _ = doctor("", "--dev", SSL_CERT_FILE=str(missing))
    assert str(missing) in line(lines, "roots")
    lines, _ = doctor("", "--dev", SSL_CERT_FILE=str(text))
    assert f"no certificate in PEM in {text}" in line(lines, "roots")
    lines, _ = doctor("", "--dev", SSL_CERT_FILE="")
    assert not any("  roots:" in text for text in lines)
