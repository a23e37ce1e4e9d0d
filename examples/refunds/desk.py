"""A conversation with the refund agent in which a person decides about each refund.

    craton deploy agent.yaml
    python desk.py "My address is ada@example.com and the code is V-4711" "Please refund $620 for order ORD-777"

For each refund that the agent wants to make it asks y or n. Above $500 it asks who approves, and that
name goes to the tool as an attribute of this turn, which no model can set.
"""

import sys
import uuid

import boto3

LIMIT = 500.00


def agent_id(name):
    pages = boto3.client("bedrock-agent").get_paginator("list_agents").paginate()
    return next(one["agentId"] for page in pages for one in page["agentSummaries"]
                if one["agentName"] == name)


class Conversation:
    def __init__(self, agent, confirm, approver):
        """`confirm(call)` decides about a refund, `approver(call)` names who answers for a large one."""
        self.agent, self.confirm, self.approver = agent, confirm, approver
        self.session = str(uuid.uuid4())
        self.runtime = boto3.client("bedrock-agent-runtime")

    def say(self, words):
        answer, control = self._turn(inputText=words)
        while control:
            approved, results = {}, []
            for wanted in control["invocationInputs"]:
                results.append(self._decided(wanted["functionInvocationInput"], approved))
            answer, control = self._turn(sessionState={
                "invocationId": control["invocationId"], "returnControlInvocationResults": results,
                "promptSessionAttributes": approved})
        return answer

    def _decided(self, call, approved):
        amount = next(float(p["value"]) for p in call["parameters"] if p["name"] == "amount")
        yes = self.confirm(call)
        if yes and amount > LIMIT:
            approved["approved_by"] = self.approver(call)
        return {"functionResult": {
            "actionGroup": call["actionGroup"], "function": call["function"],
            "confirmationState": "CONFIRM" if yes else "DENY"}}

    def _turn(self, **given):
        answer = self.runtime.invoke_agent(
            agentId=self.agent, agentAliasId="TSTALIASID", sessionId=self.session, **given)
        text, control = "", None
        for event in answer["completion"]:
            text += event.get("chunk", {}).get("bytes", b"").decode()
            control = event.get("returnControl", control)
        return text, control


def shown(call):
    given = ", ".join(f"{p['name']}={p['value']}" for p in call["parameters"])
    return f"{call['function']}({given})"


def main():
    ask = Conversation(
        agent_id("refunds"),
        confirm=lambda call: input(f"  {shown(call)}? [y/n] ").strip().lower().startswith("y"),
        approver=lambda call: input("  above the limit; your name: ").strip())
    for words in sys.argv[1:]:
        print(f"> {words}")
        print(ask.say(words))


if __name__ == "__main__":
    main()
