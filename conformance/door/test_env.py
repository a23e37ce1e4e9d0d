"""`craton env`: what a shell gets from it, and where boto3 then goes. T5."""

import os
import pathlib
import subprocess
import sys

from support.server import REGION, binary

SERVED = ["bedrock-agent", "bedrock-agent-runtime", "bedrock-runtime", "iam", "lambda", "sts"]
ELSEWHERE = ["s3", "dynamodb", "logs", "bedrock"]
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
