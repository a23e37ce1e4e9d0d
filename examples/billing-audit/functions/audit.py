"""The Lambda function behind the billing audit: a month's subscriptions, and what is wasted there.

The sums are made here and not by the model, which would sooner or later add them up wrongly.
"""

import json
import pathlib
from decimal import Decimal

HERE = pathlib.Path(__file__).parent
SUBSCRIPTIONS = json.loads((HERE / "subscriptions.json").read_text(), parse_float=Decimal)


def lambda_handler(event, context):
    body = TOOLS[event["function"]]()
    return {
        "messageVersion": event["messageVersion"],
        "response": {
            "actionGroup": event["actionGroup"],
            "function": event["function"],
            "functionResponse": {"responseBody": {"TEXT": {"body": json.dumps(body, default=float)}}},
        },
    }


def list_subscriptions():
    total = sum(s["seats"] * s["usd_per_seat"] for s in SUBSCRIPTIONS)
    return {"total_usd": total, "subscriptions": SUBSCRIPTIONS}


def audit_subscriptions():
    found = list(unused_seats()) + list(same_purpose())
    found.sort(key=lambda one: one["saves_usd"], reverse=True)
    return {"savings_identified_usd": sum(one["saves_usd"] for one in found), "recommendations": found}


def unused_seats():
    for one in SUBSCRIPTIONS:
        unused = one["seats"] - one["used"]
        if unused >= 5:
            yield {"action": f"give {unused} unused seats of {one['product']} back",
                   "saves_usd": unused * one["usd_per_seat"]}


def same_purpose():
    """Of two products for one purpose, the one that fewer people use."""
    for one in SUBSCRIPTIONS:
        rivals = [o for o in SUBSCRIPTIONS if o["purpose"] == one["purpose"] and o["used"] > one["used"]]
        if rivals:
            yield {"action": f"cancel {one['product']}, {rivals[0]['product']} does the same",
                   "saves_usd": one["seats"] * one["usd_per_seat"]}


TOOLS = {"list_subscriptions": list_subscriptions, "audit_subscriptions": audit_subscriptions}
