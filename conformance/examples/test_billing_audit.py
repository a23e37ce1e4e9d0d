"""examples/billing-audit: what a company pays for and does not use."""

import json

from support.examples import Example
from support.model import Say, tool_results

ACTIONS = ["give 18 unused seats of Sketchpad Pro back", "cancel Huddle, Ringleader does the same"]


def test_the_audit_on_the_embedded_rules(plain):
    """R6: the amount and both recommendations."""
    (said,), calls = Example("billing-audit", plain).ask("Audit the bill of this month")
    assert "savings identified usd 1420.5" in said and len(calls) == 1
    assert all(action in said for action in ACTIONS)


def test_the_report_reaches_a_program_as_it_was_made(craton, model):
    """R6: a model that reports as told to gives JSON that a program can read."""
    model.turn(Say(calls=[("billing__audit_subscriptions", {})]),
               lambda request: Say(tool_results(request)[0]))
    one = Example("billing-audit", craton, MODEL=model.id)
    report = json.loads("".join(one.ask("Audit the bill of this month, as JSON")[0]))
    assert report["savings_identified_usd"] == 1420.50
    assert [(r["action"], r["saves_usd"]) for r in report["recommendations"]] == list(
        zip(ACTIONS, [895.5, 525.0]))
