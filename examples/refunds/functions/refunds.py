"""The Lambda function behind the refund desk: orders, who the customer is, and refunds by policy.

The policy stands here, beside the money. Whatever a model is talked into, a refund needs a customer
who has proved to be the one who ordered, and above the limit a person who answers for it by name.
"""

import json
import os
import sqlite3

LIMIT = 500.00
ORDERS = {
    "ORD-555": {"item": "table lamp", "total_usd": 40.00, "email": "ada@example.com"},
    "ORD-777": {"item": "standing desk", "total_usd": 620.00, "email": "ada@example.com"},
}
CODES = {"ada@example.com": "V-4711"}  # what the shop sent to the address


def lambda_handler(event, context):
    given = {p["name"]: p["value"] for p in event.get("parameters", [])}
    attributes = event.setdefault("sessionAttributes", {})
    body = TOOLS[event["function"]](event, **given)
    return {
        "messageVersion": event["messageVersion"],
        "response": {
            "actionGroup": event["actionGroup"],
            "function": event["function"],
            "functionResponse": {"responseBody": {"TEXT": {"body": json.dumps(body)}}},
        },
        "sessionAttributes": attributes,
    }


def get_order(_event, order_id):
    order = ORDERS.get(order_id)
    return {"order_id": order_id, "item": order["item"], "total_usd": order["total_usd"]} if order \
        else {"error": f"no order has the number {order_id}"}


def verify_customer(event, email, code):
    """Later calls of the session know who was verified; the model cannot say so itself."""
    if CODES.get(email) != code:
        return {"error": "the code is wrong; the customer is not verified"}
    event["sessionAttributes"]["verified_email"] = email
    return {"verified": email}


def process_refund(event, order_id, amount):
    approved_by = event.get("promptSessionAttributes", {}).get("approved_by")
    verified = event["sessionAttributes"].get("verified_email")
    refusal = why_not(order_id, float(amount), verified, approved_by)
    with ledger() as rows:
        rows.execute("INSERT INTO calls VALUES (?, ?, ?)", (order_id, float(amount), refusal))
        if refusal:
            return {"error": refusal}
        # An order is refunded once: a repeated call hears what the first one did.
        rows.execute("INSERT OR IGNORE INTO refunds VALUES (?, ?, ?)",
                     (order_id, float(amount), approved_by))
        paid, = rows.execute("SELECT amount_usd FROM refunds WHERE order_id = ?", (order_id,)).fetchone()
    return {"order_id": order_id, "refunded_usd": paid, "status": "paid"}


def why_not(order_id, amount, verified, approved_by):
    order = ORDERS.get(order_id)
    if order is None:
        return f"no order has the number {order_id}"
    if verified != order["email"]:
        return "the customer is not verified; ask for their address and the code that was sent there"
    if not 0 < amount <= order["total_usd"]:
        return f"order {order_id} cost ${order['total_usd']:.2f}; a refund is no more than that, and not nothing"
    if amount > LIMIT and not approved_by:
        return f"${amount:.2f} is above ${LIMIT:.2f} and nobody has approved it"
    return None


def ledger():
    rows = sqlite3.connect(os.environ["LEDGER"])
    rows.executescript(
        "CREATE TABLE IF NOT EXISTS calls (order_id TEXT, amount_usd REAL, refused TEXT);"
        "CREATE TABLE IF NOT EXISTS refunds (order_id TEXT PRIMARY KEY, amount_usd REAL, approved_by TEXT);")
    return rows


TOOLS = {"get_order": get_order, "verify_customer": verify_customer, "process_refund": process_refund}
