"""The Lambda function behind the returns agent: orders, the return policy, and labels by e-mail."""

import datetime
import json
import os
import pathlib
import sqlite3

WINDOW = datetime.timedelta(days=30)
TODAY = datetime.date(2026, 3, 18)  # fixed, so that the example's orders stay as old as they are
ORDERS = json.loads((pathlib.Path(__file__).parent / "orders.json").read_text())


def lambda_handler(event, context):
    given = {p["name"]: p["value"] for p in event.get("parameters", [])}
    body = TOOLS[event["function"]](**given)
    return {
        "messageVersion": event["messageVersion"],
        "response": {
            "actionGroup": event["actionGroup"],
            "function": event["function"],
            "functionResponse": {"responseBody": {"TEXT": {"body": json.dumps(body)}}},
        },
    }


def get_order_status(order_id):
    order = ORDERS.get(order_id)
    if order is None:
        return {"error": f"no order has the number {order_id}"}
    eligible, why = eligibility(order)
    return {"order_id": order_id, **order, "eligible_for_return": eligible, "why": why}


def initiate_return(order_id, reason=""):
    order = ORDERS.get(order_id)
    eligible, why = eligibility(order) if order else (False, f"no order has the number {order_id}")
    if not eligible:
        return {"error": f"order {order_id} cannot be returned: {why}"}
    with ledger() as rows:
        row = rows.execute("SELECT rowid FROM returns WHERE order_id = ?", (order_id,)).fetchone()
        number = row[0] if row else rows.execute(
            "INSERT INTO returns VALUES (?, ?, ?)", (order_id, reason, order["email"])).lastrowid
    return {"order_id": order_id, "return_id": f"RET-{number}", "status": "initiated",
            "label_sent_to": order["email"]}


def eligibility(order):
    if order["status"] != "delivered":
        return False, f"it is {order['status']}, not delivered"
    age = TODAY - datetime.date.fromisoformat(order["delivered_on"])
    if age > WINDOW:
        return False, f"it was delivered {age.days} days ago and the window is {WINDOW.days} days"
    return True, f"it was delivered {age.days} days ago, within {WINDOW.days} days"


def ledger():
    rows = sqlite3.connect(os.environ["LEDGER"])
    rows.execute("CREATE TABLE IF NOT EXISTS returns (order_id TEXT UNIQUE, reason TEXT, label_to TEXT)")
    return rows


TOOLS = {"get_order_status": get_order_status, "initiate_return": initiate_return}
