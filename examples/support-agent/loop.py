"""The same support agent as a while-loop over Converse, the way many are written.

It is no straw man: it saves its conversation before each step and goes on from there when it is
started again. What it cannot know after a crash is whether the tool call it was in had happened.

    python loop.py --payments http://127.0.0.1:4800 --state talk.json "Please refund $189 for order A-1002"
"""

import argparse
import json
import os
import pathlib
import sys

import boto3

sys.path.insert(0, str(pathlib.Path(__file__).parent / "functions"))
from deploy import INSTRUCTION, MODEL, ORDERS  # noqa: E402
from orders import get_order, get_refund_status, process_refund  # noqa: E402

ACTIONS = {"get_order": get_order, "get_refund_status": get_refund_status, "process_refund": process_refund}


def tool(function):
    properties = {n: {"type": p["type"], "description": p["description"]}
                  for n, p in function["parameters"].items()}
    required = [n for n, p in function["parameters"].items() if p["required"]]
    schema = {"type": "object", "properties": properties, "required": required}
    return {"toolSpec": {"name": function["name"], "description": function["description"],
                         "inputSchema": {"json": schema}}}


def run(messages, save, model):
    runtime = boto3.client("bedrock-runtime")
    while True:
        if messages[-1]["role"] == "user":
            answer = runtime.converse(
                modelId=model, messages=messages, system=[{"text": INSTRUCTION}],
                toolConfig={"tools": [tool(f) for f in ORDERS]})
            messages.append(answer["output"]["message"])
            save(messages)
        calls = [b["toolUse"] for b in messages[-1]["content"] if "toolUse" in b]
        if not calls:
            return messages[-1]["content"][-1]["text"]
        results = []
        for call in calls:
            said = ACTIONS[call["name"]](call["input"], None)
            content = [{"text": said}] if isinstance(said, str) else [{"json": said}]
            results.append({"toolResult": {"toolUseId": call["toolUseId"], "content": content}})
        messages.append({"role": "user", "content": results})
        save(messages)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--payments", default="http://127.0.0.1:4800")
    parser.add_argument("--state", type=pathlib.Path, default="talk.json")
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("words")
    given = parser.parse_args()
    os.environ["PAYMENTS_URL"] = given.payments

    def save(messages):
        given.state.with_suffix(".new").write_text(json.dumps(messages))
        given.state.with_suffix(".new").replace(given.state)

    if given.state.exists():
        messages = json.loads(given.state.read_text())
    else:
        messages = [{"role": "user", "content": [{"text": given.words}]}]
    print(run(messages, save, given.model))


if __name__ == "__main__":
    main()
