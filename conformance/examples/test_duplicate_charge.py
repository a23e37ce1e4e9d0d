"""examples/duplicate-charge: a supervisor and the specialists that one request needs two of."""

import subprocess
import sys

import pytest

from support.agents import hear, unique
from support.examples import EXAMPLES, Example
from support.model import Say, tool_results
from support.server import Craton
from support.terminal import environment

SEND = "AgentCommunication__sendMessage"


class FrontDesk(Example):
    """Deployed as the readme says: the specialists from the file, the supervisor by its program."""

    def __init__(self, server, **models):
        super().__init__("duplicate-charge", server, file="agents.yaml", **models)
        self.name = "front-desk"
        done = subprocess.run([sys.executable, "team.py"], capture_output=True, text=True, timeout=60,
                              cwd=self.folder, env=environment(server.url, **models))
        assert done.returncode == 0, done.stderr
        self.id = done.stdout.strip()

    def refunds(self):
        return self.rows("SELECT charge_id, amount_usd FROM refunds")


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A server of the example's own configuration."""
    folder = EXAMPLES / "duplicate-charge"
    home = tmp_path_factory.mktemp("shop")
    (home / "front-desk.yaml").write_text((folder / "front-desk.yaml").read_text())
    server = Craton(home, (folder / "craton.toml").read_text()).start()
    yield server
    server.stop()


def test_two_specialists_settle_a_duplicate_charge(shop):
    """I2, I3: Orders finds, Billing refunds, the supervisor explains; Support answers what is no order."""
    desk = FrontDesk(shop)
    (settled, warranty), calls = desk.talk()
    assert "charged twice" in settled and "$59.90" in settled and "3–5 business days" in settled
    assert "two years" in warranty
    # A tool's line begins with who called it, a collaborator's own is its name.
    assert [call.split("(")[0] for call in calls if ": " in call.split("(")[0]] == [
        "orders: orders.GET /orders/{order_id}", "billing: billing.refund_duplicate",
        "support: help.search_help"]
    assert desk.refunds() == [("CH-9002", 59.9)]


def test_asked_again_nothing_is_refunded_twice(shop):
    """A new session of the same customer: Billing's ledger keeps one refund per charge."""
    desk = FrontDesk(shop)
    for _ in range(2):
        desk.ask("I was charged twice for ORD-123, please refund the duplicate")
    assert desk.refunds() == [("CH-9002", 59.9)]


def test_the_trace_says_who_did_what(craton, model):
    """I3, with a model that leads and one that works: each specialist's parts bear its name."""
    model.turn(Say("First the order.", [(SEND, {"recipient": "orders", "content": "Look up ORD-123"})]),
               Say("Then the refund.", [(SEND, {"recipient": "billing", "content": "Give CH-9002 of ORD-123 back"})]),
               lambda request: Say(f"Charged twice; given back: {tool_results(request)[1]}"), said="charged twice")
    model.turn(Say(calls=[("get__orders__get_order", {"order_id": "ORD-123"})]),
               lambda request: Say(tool_results(request)[0]), said="Look up")
    model.turn(Say(calls=[("billing__refund_duplicate", {"order_id": "ORD-123"})]),
               lambda request: Say(tool_results(request)[0]), said="Give")
    desk = FrontDesk(craton, MODEL=model.id)
    turn = hear(craton.client("bedrock-agent-runtime").invoke_agent(
        agentId=desk.id, agentAliasId="TSTALIASID", sessionId=unique("trace"), enableTrace=True,
        inputText="I was charged twice for ORD-123"))
    assert "CH-9002" in turn.text and "3–5 business days" in turn.text
    assert desk.refunds() == [("CH-9002", 59.9)]
    told = [i["agentCollaboratorInvocationInput"]["agentCollaboratorName"]
            for i in turn.all("invocationInput") if "agentCollaboratorInvocationInput" in i]
    assert told == ["orders", "billing"]
    tools = [(part.get("collaboratorName"), part["trace"]["orchestrationTrace"]["invocationInput"])
             for part in turn.parts if "invocationInput" in part["trace"].get("orchestrationTrace", {})]
    called = [(name, i["actionGroupInvocationInput"].get("function") or i["actionGroupInvocationInput"]["apiPath"])
              for name, i in tools if "actionGroupInvocationInput" in i]
    assert called == [("orders", "/orders/{order_id}"), ("billing", "refund_duplicate")]
