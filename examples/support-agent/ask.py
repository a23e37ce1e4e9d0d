"""Asks the managed support agent: the client's half of what `by_hand.py` does all of.

    python ask.py --agent ID --alias ID --session ada "Where is my order A-1001?"
    python ask.py --agent ID --alias ID --session ada --invocation ID --result '{"status": "paid"}'
"""

import argparse
import json

import boto3


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--agent", required=True)
    parser.add_argument("--alias", required=True)
    parser.add_argument("--session", required=True)
    parser.add_argument("--invocation", help="the hand-off that the result answers")
    parser.add_argument("--result", help="of the approval that was handed out")
    parser.add_argument("words", nargs="?", default="")
    given = parser.parse_args()
    said = {"inputText": given.words}
    if given.result:
        said = {"sessionState": {
            "invocationId": given.invocation,
            "returnControlInvocationResults": [{"functionResult": {
                "actionGroup": "approvals", "function": "request_refund_approval",
                "responseBody": {"TEXT": {"body": given.result}}}}]}}
    answer = boto3.client("bedrock-agent-runtime").invoke_agent(
        agentId=given.agent, agentAliasId=given.alias, sessionId=given.session, **said)
    for event in answer["completion"]:
        if "chunk" in event:
            print(event["chunk"]["bytes"].decode())
        elif "returnControl" in event:
            print(json.dumps(event["returnControl"]))


if __name__ == "__main__":
    main()
