"""The Lambda function behind the Orders agent: the shop's order API, by its OpenAPI document."""

import json

ORDERS = {
    "ORD-123": {"item": "mechanical keyboard", "quantity": 1, "total_usd": 59.90, "status": "delivered",
                "payments": ["CH-9001", "CH-9002"]},
    "ORD-124": {"item": "wrist rest", "quantity": 1, "total_usd": 18.00, "status": "shipped",
                "payments": ["CH-9003"]},
}


def lambda_handler(event, context):
    given = {p["name"]: p["value"] for p in event.get("parameters", [])}
    order = ORDERS.get(given["order_id"])
    body = {"order_id": given["order_id"], **order} if order else {"error": "there is no such order"}
    return {
        "messageVersion": event["messageVersion"],
        "response": {
            "actionGroup": event["actionGroup"],
            "apiPath": event["apiPath"],
            "httpMethod": event["httpMethod"],
            "httpStatusCode": 200 if order else 404,
            "responseBody": {"application/json": {"body": json.dumps(body)}},
        },
    }
