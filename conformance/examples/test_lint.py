"""What examples/ ships passes `craton lint`: nothing that is wrong, and no warning but that nobody is asked."""

import json

import pytest

from support.examples import Example
from support.server import Craton
from support.terminal import run

ASKED = {("high-impact", "orders__process_refund"), ("high-impact", "billing__refund_duplicate")}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Craton(tmp_path_factory.mktemp("linted")).start()
    yield server
    server.stop()


@pytest.mark.parametrize("folder, file, agents", [
    ("billing-audit", "agent.yaml", ["billing-audit"]),
    ("refunds", "agent.yaml", ["refunds"]),
    ("returns", "agent.yaml", ["returns"]),
    ("invoices", "agent.yaml", ["invoices"]),
    ("support-agent", "agent.yaml", ["support"]),
    ("support-agent", "suppliers.yaml", ["suppliers"]),
    ("support-agent", "inbox.yaml", ["inbox"]),
    ("duplicate-charge", "agents.yaml", ["orders", "billing", "support"]),
])
def test_an_example_has_nothing_to_mend(server, folder, file, agents):
    """What is left is said in words alone: a refund up to a sum, which the handler keeps to."""
    Example(folder, server, file=file)
    for agent in agents:
        done = run("lint", agent, "--json", url=server.url)
        report = json.loads(done.stdout)
        assert done.returncode == 0, report["findings"]
        warned = {(one["rule"], *one["tools"]) for one in report["findings"] if one["severity"] == "warning"}
        assert warned <= ASKED
