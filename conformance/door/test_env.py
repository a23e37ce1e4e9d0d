"""`craton env`: what a shell gets from it, and where boto3 then goes. T5."""

import os
import pathlib
import subprocess
import sys

from support.server import REGION, binary

SERVED = ["bedrock", "bedrock-agent", "bedrock-agent-runtime", "bedrock-runtime", "iam", "lambda", "sts"]
ELSEWHERE = ["s3", "dynamodb", "logs"]
WHERE = """
import boto3, sys
for service in sys.argv[1:]:
    print(service, boto3.client(service).meta.endpoint_url)
"""


def endpoints(lines):
    """Endpoints of boto3's clients in a shell that evaluated the lines."""
    script = f'eval "$({lines})"; exec "$@"'
    plain = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    ran = subprocess.run(
        ["sh", "-c", script, "sh", sys.executable, "-c", WHERE, *SERVED, *ELSEWHERE],
        capture_output=True, text=True, check=True, timeout=60,
        env={**plain, "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION, "AWS_ACCESS_KEY_ID": "x",
             "AWS_SECRET_ACCESS_KEY": "x", "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:1"})
    return dict(line.split() for line in ran.stdout.splitlines())


def test_served_services_come_here_and_others_stay_on_aws():
    found = endpoints(f"{pathlib.Path(binary())} env --endpoint http://127.0.0.1:4999/")
    assert {found[service] for service in SERVED} == {"http://127.0.0.1:4999"}
    assert all(".amazonaws.com" in found[service] for service in ELSEWHERE), found


def test_unset_takes_it_back():
    found = endpoints(f"{pathlib.Path(binary())} env --unset")
    assert all(".amazonaws.com" in endpoint for endpoint in found.values()), found


def test_the_verbs_go_where_it_leads(plain, tmp_path):
    """The general variable leads elsewhere, as on a machine with another emulator."""
    env = f"eval \"$({binary()} env --endpoint {plain.url})\"; exec {binary()} \"$@\""
    plain_env = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    file = tmp_path / "agent.yaml"
    file.write_text("agents: {nobody-made-this: {model: craton.rules, instruction: " + "x" * 40 + "}}\n")

    def run(*arguments):
        return subprocess.run(
            ["sh", "-c", env, "sh", *arguments], capture_output=True, text=True, timeout=60,
            env={**plain_env, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"})

    assert f"at {plain.url}\n" in run("deploy", str(file), "--plan").stdout
    assert "there is no agent nobody-made-this" in run("chat", "nobody-made-this").stderr
    traced = run("trace", "no-such-run")
    assert traced.returncode == 1 and f"{plain.url} says: " in traced.stderr
    here = run("doctor", "--listen", plain.url.removeprefix("http://")).stdout
    assert "AWS_ENDPOINT_URL_BEDROCK_AGENT_RUNTIME: leads here" in here


def test_what_is_no_url_is_no_address():
    for text in ("foo", "localhost:4747", "http://a:b"):
        done = subprocess.run([binary(), "env", "--endpoint", text], capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (1, "") and "is no address" in done.stderr
