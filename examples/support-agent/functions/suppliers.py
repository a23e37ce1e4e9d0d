"""A Lambda function that takes a second for each answer, as other people's servers do."""

import json
import time

ITEMS = {"I-1": {"get_stock": {"stock": 12}, "get_price": {"price": 34.50},
                 "get_delivery": {"delivery_days": 3}}}


def lambda_handler(event, context):
    given = {p["name"]: p["value"] for p in event.get("parameters", [])}
    time.sleep(1)
    known = ITEMS.get(given["item"], {}).get(event["function"], {"error": "there is no such item"})
    return {
        "messageVersion": event["messageVersion"],
        "response": {
            "actionGroup": event["actionGroup"],
            "function": event["function"],
            "functionResponse": {
                "responseBody": {"TEXT": {"body": json.dumps({"item": given["item"], **known})}},
            },
        },
    }
