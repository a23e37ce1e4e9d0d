"""examples/invoices: 47 invoices, 12 of a quarter, three of those that matter."""

import json

from support.examples import Example
from support.model import Say, tool_names, tool_results

FOUND = {"INV-2026-001": 12500.0, "INV-2026-045": 11200.0, "INV-2026-089": 15800.0}


def test_three_questions_narrow_them_down(plain):
    """R5, on the embedded rules: 47, 12, 3."""
    (every, quarter, three), calls = Example("invoices", plain).talk()
    assert "count 47" in every and "INV-" not in every
    assert "count 12" in quarter and "INV-" not in quarter
    assert "count 3" in three
    for number, amount in FOUND.items():
        assert f"amount usd {amount:.2f}" in three and number in three
    assert [call.split(" →")[0].removeprefix("ledger.GET /invoices") for call in calls] == [
        "()", "(from_date=2026-01-01, to_date=2026-03-31)",
        "(from_date=2026-01-01, to_date=2026-03-31, min_amount_usd=10000)"]


def test_one_question_is_narrowed_by_the_model(craton, model):
    """R5: each search is decided by the count that the one before gave."""
    quarter = {"from_date": "2026-01-01", "to_date": "2026-03-31"}

    def narrow(request):
        tool, = tool_names(request)
        counts = [json.loads(result)["count"] for result in tool_results(request)]
        known = {(): {}, (47,): quarter, (47, 12): {**quarter, "min_amount_usd": 10_000}}
        if tuple(counts) in known:
            return Say(f"{counts[-1:]} so far.", [(tool, known[tuple(counts)])])
        assert counts == [47, 12, 3]
        rows = json.loads(tool_results(request)[-1])["invoices"]
        return Say("; ".join(f"{row['invoice_id']} ${row['amount_usd']:,.0f}" for row in rows))

    model.turn(narrow)
    one = Example("invoices", craton, MODEL=model.id)
    (said,), calls = one.ask("Which invoices of Q1 2026 are over $10,000?")
    assert said == "INV-2026-001 $12,500; INV-2026-045 $11,200; INV-2026-089 $15,800"
    assert len(calls) == 3
