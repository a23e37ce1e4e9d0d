"""examples/refunds: a person decides about each refund, and the policy stands beside the money."""

import subprocess
import sys

import pytest

from support.examples import EXAMPLES, Example
from support.model import Say
from support.terminal import environment

ADA = "My address is ada@example.com and the code is V-4711"
LARGE = "Please refund $620 for order ORD-777"
SMALL = "Please refund $40 for order ORD-555"


class Desk(Example):
    """The client that the example ships, with somebody who types."""

    def says(self, *words, typed):
        done = subprocess.run(
            [sys.executable, EXAMPLES / "refunds" / "desk.py", *words], input=typed, text=True,
            capture_output=True, timeout=60, env=environment(self.server.url))
        assert done.returncode == 0, done.stderr
        return done.stdout

    def ledger_rows(self, table):
        return self.rows(f"SELECT * FROM {table}") if self.ledger.exists() else []

    refunds = property(lambda self: self.ledger_rows("refunds"))
    calls = property(lambda self: self.ledger_rows("calls"))


@pytest.fixture
def desk(plain):
    return Desk("refunds", plain)


def test_a_person_confirms_a_large_refund_and_answers_for_it(desk):
    """E3: the call waits for a y and a name, then it is made once, with the name in the ledger."""
    said = desk.says(ADA, LARGE, typed="y\nKim\n")
    assert "process_refund(" in said and "above the limit; your name" in said and "paid" in said
    assert desk.refunds == [("ORD-777", 620.0, "Kim")]


def test_a_small_refund_needs_the_y_alone(desk):
    assert "your name" not in desk.says(ADA, SMALL, typed="y\n")
    assert desk.refunds == [("ORD-555", 40.0, None)]


# The three in which nothing may be refunded: what is said, and what the person types who is asked.
NEVER = {
    "without consent": ([ADA, "What did order ORD-555 cost?", "No, I do not want a refund"], "n\n"),
    "not verified": (["My address is ada@example.com and the code is V-1234", SMALL], "y\n"),
    "over the limit": ([ADA, LARGE], "y\n\n"),
}


@pytest.mark.parametrize("conversation", NEVER)
def test_no_refund_on_the_embedded_rules(desk, conversation):
    """R10"""
    words, typed = NEVER[conversation]
    desk.says(*words, typed=typed * 20)
    assert desk.refunds == []
    if conversation == "without consent":
        assert desk.calls == []


def test_a_no_is_a_no(desk):
    """R10: a refund that was asked for and not confirmed never reaches the tool."""
    desk.says(ADA, SMALL, typed="n\n")
    assert desk.refunds == [] and desk.calls == []


@pytest.mark.parametrize("conversation", NEVER)
def test_no_refund_whatever_the_model_wants(craton, model, conversation):
    """R10: a model that calls for both refunds at every turn, whoever asks for what."""
    words, _ = NEVER[conversation]
    wanted = [("refunds__process_refund", {"order_id": "ORD-777", "amount": 620}),
              ("refunds__process_refund", {"order_id": "ORD-555", "amount": 40})]
    verify = Say(calls=[("refunds__verify_customer", {"email": "ada@example.com", "code": "V-4711"})])
    if conversation != "not verified":
        model.turn(verify, Say("Verified."), said="V-4711")
    model.turn(Say(calls=wanted), Say("Done."))
    # Asked for the large one first: y and no name for it where nobody approves it, then n.
    typed = {"without consent": "n\n", "not verified": "y\nEve\ny\n", "over the limit": "y\n\nn\n"}[conversation]
    one = Desk("refunds", craton, MODEL=model.id)
    one.says(*words, typed=typed * 20)
    assert one.refunds == []


@pytest.mark.parametrize("seed", range(4))
def test_no_refund_by_a_clumsy_model(plain, seed):
    """R10: nobody was verified, and whoever is asked says yes to everything."""
    one = Desk("refunds", plain, MODEL=f"craton.clumsy:{seed}")
    one.says(LARGE, SMALL, "No, I do not want a refund", typed="y\ny\n" * 100)
    assert one.refunds == []
