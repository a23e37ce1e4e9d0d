"""The Lambda function behind the action group `orders`: plain Python, as AWS documents it."""

import json
import os
import urllib.parse
import urllib.request

# The shop's rule, and the only place that knows it: above this a person decides.
LIMIT = 500.00

ORDERS = {
    "A-1001": {"item": "desk lamp", "total": 42.50, "status": "shipped", "carrier": "PostNL",
               "expected": "Monday"},
    "A-1002": {"item": "office chair", "total": 189.00, "status": "delivered"},
    "A-1003": {"item": "standing desk", "total": 620.00, "status": "delivered"},
}


def lambda_handler(event, context):
    given = {p["name"]: p["value"] for p in event.get("parameters", [])}
    act = {"get_order": get_order, "get_refund_status": get_refund_status,
           "process_refund": process_refund}[event["function"]]
    body = act(given, event.get("idempotencyKey"))
    return {
        "messageVersion": event["messageVersion"],
        "response": {
            "actionGroup": event["actionGroup"],
            "function": event["function"],
            "functionResponse": {
                "responseBody": {"TEXT": {"body": body if isinstance(body, str) else json.dumps(body)}}
            },
        },
        "sessionAttributes": event.get("sessionAttributes", {}),
        "promptSessionAttributes": event.get("promptSessionAttributes", {}),
    }


def get_order(given, _key):
    order = ORDERS.get(given["order_id"])
    return {"order_id": given["order_id"], **order} if order else no_such_order(given["order_id"])


def get_refund_status(given, _key):
    query = urllib.parse.urlencode({"order_id": given["order_id"]})
    refunds = desk(f"/refunds?{query}")["refunds"]
    return refunds[-1] if refunds else {"order_id": given["order_id"], "status": "no refund yet"}


def process_refund(given, key):
    order = ORDERS.get(given["order_id"])
    amount = float(given["amount"])
    if not order:
        return no_such_order(given["order_id"])
    if amount > order["total"]:
        return f"amount_too_high: order {given['order_id']} cost ${order['total']:.2f}; ask for the amount again"
    if amount > LIMIT:
        return (f"approval_required: a refund of ${amount:.2f} is above ${LIMIT:.2f}; "
                "use request_refund_approval instead")
    return desk("/refunds", {"order_id": given["order_id"], "amount": amount}, key)


def no_such_order(number):
    return f"order_not_found: no order matches {number}; ask the user to re-check the number"


def desk(path, body=None, key=None):
    """Asks the payment desk. The key makes a repeated refund the same refund."""
    headers = {"content-type": "application/json", **({"Idempotency-Key": key} if key else {})}
    request = urllib.request.Request(
        os.environ["PAYMENTS_URL"] + path, headers=headers,
        data=json.dumps(body).encode() if body is not None else None,
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())
