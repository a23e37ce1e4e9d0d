"""The clients that people use, as their registries ship them, pointed here by the environment alone."""

import importlib.util
import os

import pytest

from support.agents import unique
from support.loopback import Loopback
from support.server import REGION

# A folder whose client is not in this Python runs in an environment of its own: `cargo xtask test`.
NEEDS = {"frameworks": "strands", "crewai": "crewai", "embeddings": "numpy"}
collect_ignore = [folder for folder, package in NEEDS.items() if not importlib.util.find_spec(package)]

# Read when the frameworks are imported: no telemetry, no downloads.
os.environ |= {
    "ANONYMIZED_TELEMETRY": "false",
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "LANGSMITH_TRACING": "false",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "OTEL_SDK_DISABLED": "true",
}


@pytest.fixture(scope="session", autouse=True)
def loopback():
    with Loopback() as guard:
        yield guard


@pytest.fixture(autouse=True)
def stays_near(loopback):
    """A case may call nothing but the server and its own model and tools."""
    yield
    strayed, loopback.strayed = loopback.strayed, []
    assert not strayed


@pytest.fixture(autouse=True)
def environment(craton, monkeypatch, tmp_path):
    """What a user exports, and nothing of the machine's own settings."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {
        "AWS_ENDPOINT_URL": craton.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": str(tmp_path / "no-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "no-credentials"),
        "HOME": str(tmp_path),
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def model(models):
    """By a name in which frameworks recognise what the model can do."""
    return models.model(f"{unique('anthropic.claude-3-5-sonnet')}-v1:0")
