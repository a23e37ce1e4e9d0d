"""The Lambda function behind the Billing agent: the charges in a database, and refunds of them."""

import json
import os
import sqlite3

CHARGES = [
    ("CH-9001", "ORD-123", 59.90, "2026-03-14T10:02:11Z"),
    ("CH-9002", "ORD-123", 59.90, "2026-03-14T10:02:13Z"),
    ("CH-9003", "ORD-124", 18.00, "2026-03-15T08:30:00Z"),
]


def lambda_handler(event, context):
    given = {p["name"]: p["value"] for p in event.get("parameters", [])}
    with database() as rows:
        body = TOOLS[event["function"]](rows, **given)
    return {
        "messageVersion": event["messageVersion"],
        "response": {
            "actionGroup": event["actionGroup"],
            "function": event["function"],
            "functionResponse": {"responseBody": {"TEXT": {"body": json.dumps(body, ensure_ascii=False)}}},
        },
    }


def find_charges(rows, order_id):
    found = rows.execute(
        "SELECT charge_id, charges.amount_usd, at, refund_id FROM charges LEFT JOIN refunds USING (charge_id)"
        " WHERE order_id = ? ORDER BY at", (order_id,)).fetchall()
    names = ("charge_id", "amount_usd", "at", "refund_id")
    return {"order_id": order_id, "charges": [dict(zip(names, row)) for row in found]}


def refund_duplicate(rows, order_id):
    """Gives back the charge of an order that came after another of the same amount."""
    second = rows.execute(
        "SELECT c.charge_id, c.amount_usd FROM charges c JOIN charges f ON f.order_id = c.order_id"
        " AND f.amount_usd = c.amount_usd AND f.at < c.at WHERE c.order_id = ?", (order_id,)).fetchone()
    if second is None:
        return {"error": f"order {order_id} was not charged twice; nothing was refunded"}
    rows.execute("INSERT OR IGNORE INTO refunds (charge_id, amount_usd) VALUES (?, ?)", second)
    number, = rows.execute("SELECT refund_id FROM refunds WHERE charge_id = ?", second[:1]).fetchone()
    return {"order_id": order_id, "refund_id": f"RF-{number}", "charge_id": second[0], "amount_usd": second[1],
            "message": f"${second[1]:.2f} for charge {second[0]} goes back to the card, 3–5 business days"}


def database():
    rows = sqlite3.connect(os.environ["LEDGER"])
    rows.executescript(
        "CREATE TABLE IF NOT EXISTS charges (charge_id TEXT PRIMARY KEY, order_id TEXT, amount_usd REAL, at TEXT);"
        "CREATE TABLE IF NOT EXISTS refunds (refund_id INTEGER PRIMARY KEY, charge_id TEXT UNIQUE, amount_usd REAL);")
    rows.executemany("INSERT OR IGNORE INTO charges VALUES (?, ?, ?, ?)", CHARGES)
    return rows


TOOLS = {"find_charges": find_charges, "refund_duplicate": refund_duplicate}
