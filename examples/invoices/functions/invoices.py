"""The Lambda function behind the invoice agent: 47 invoices, and a search over an OpenAPI schema."""

import json
import pathlib

INVOICES = json.loads((pathlib.Path(__file__).parent / "invoices.json").read_text())
SHOWN = 5


def lambda_handler(event, context):
    given = {p["name"]: p["value"] for p in event.get("parameters", [])}
    body = search(given.get("from_date", ""), given.get("to_date", "9"),
                  float(given.get("min_amount_usd", 0)))
    return {
        "messageVersion": event["messageVersion"],
        "response": {
            "actionGroup": event["actionGroup"],
            "apiPath": event["apiPath"],
            "httpMethod": event["httpMethod"],
            "httpStatusCode": 400 if "error" in body else 200,
            "responseBody": {"application/json": {"body": json.dumps(body)}},
        },
    }


def search(from_date, to_date, min_amount):
    """How many there are, and which, once they are few enough to read. Dates compare as text."""
    if from_date > to_date:
        return {"error": f"dates_reversed: {from_date} is after {to_date}; exchange them"}
    found = [i for i in INVOICES
             if from_date <= i["date"] <= to_date and i["amount_usd"] >= min_amount]
    if len(found) > SHOWN:
        return {"count": len(found), "hint": "too many to show; narrow them by date or by amount"}
    return {"count": len(found), "invoices": found}
