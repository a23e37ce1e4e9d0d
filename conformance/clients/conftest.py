"""A server that reads credentials, for clients that bring them in their own ways."""

import pytest

from support.server import Craton

KEYS = {"AWS_ACCESS_KEY_ID": "AKIACLIENTS", "AWS_SECRET_ACCESS_KEY": "a-secret/of+clients="}
API_KEY = {"AWS_BEARER_TOKEN_BEDROCK": "ABSKY2xpZW50cw=="}
SECURED = f"""
dev = false

[[keys]]
access_key = "{KEYS["AWS_ACCESS_KEY_ID"]}"
secret_key = "{KEYS["AWS_SECRET_ACCESS_KEY"]}"
bearer = "{API_KEY["AWS_BEARER_TOKEN_BEDROCK"]}"
account = "111111111111"
"""


@pytest.fixture(scope="session")
def secured(tmp_path_factory, settings):
    server = Craton(tmp_path_factory.mktemp("secured"), SECURED + settings).start()
    yield server
    server.stop()


@pytest.fixture(params=[KEYS, API_KEY], ids=["signature", "API key"])
def credentials(request):
    """Variables that let a client in."""
    return request.param


@pytest.fixture(params=[
    "anthropic.claude-3-5-sonnet-20240620-v1:0",
    "arn:aws:bedrock:us-east-1:111111111111:inference-profile/us.anthropic.claude-3-haiku-20240307-v1:0",
], ids=["id", "arn"])
def spelled(request, models):
    """A model whose id is not a plain word, which paths and signatures have to survive."""
    model = models.model(request.param)
    model.requests.clear()
    return model
