"""examples/returns: an order goes back in seven steps, on the embedded rules."""

import pytest

from support.examples import Example


@pytest.fixture
def returns(plain):
    return Example("returns", plain)


def test_a_return_in_seven_steps(returns):
    """R6: which order, status, eligible, offered, initiated, label sent, done: one row in the ledger."""
    (which, offer, done), calls = returns.talk()
    assert "order" in which and which.startswith("What")
    assert "delivered on 2026-03-09" in offer and "eligible for return yes" in offer
    assert "status initiated" in done and "label sent to ada@example.com" in done and "RET-1" in done
    assert [call.split("(")[0] for call in calls] == ["returns.get_order_status", "returns.initiate_return"]
    assert returns.rows("SELECT order_id, label_to FROM returns") == [("ORD-456", "ada@example.com")]


def test_a_second_request_sends_no_second_label(returns):
    first, _ = returns.ask("Please initiate the return of ORD-456")
    again, _ = returns.ask("Please initiate the return of ORD-456")
    assert "RET-1" in first[0] and "RET-1" in again[0]
    assert len(returns.rows("SELECT * FROM returns")) == 1


@pytest.mark.parametrize("order, why", [
    ("ORD-457", "not delivered"), ("ORD-458", "65 days ago"), ("ORD-999", "no order has the number")])
def test_the_tool_refuses_what_the_policy_does_not_allow(returns, order, why):
    """Whatever the model asks for: no row in the ledger."""
    (said,), calls = returns.ask(f"Please initiate the return of {order}")
    assert why in said and "initiate_return" in calls[0]
    assert not returns.ledger.exists()
