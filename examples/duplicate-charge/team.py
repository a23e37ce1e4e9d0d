"""Puts a supervisor over the agents that agents.yaml makes, with plain boto3.

    craton deploy agents.yaml && python team.py && craton chat front-desk < talk.txt
"""

import os
import time

import boto3

MODEL = os.environ.get("MODEL", "shop.supervisor")
INSTRUCTION = (
    "You are the front desk of a shop's support. Ask Orders what was ordered and paid, Billing to give "
    "back what was charged twice, Support what the help pages say. Then tell the customer what happened, "
    "what was done about it and when to expect it."
)
TEAM = {
    "orders": "Ask it what was ordered and which payments were taken for an order.",
    "billing": "Ask it to refund the duplicate charge of an order.",
    "support": "Ask it what the help pages say about delivery, refunds and warranty.",
}

bedrock = boto3.client("bedrock-agent")


def settled(agent, *statuses):
    while True:
        status = bedrock.get_agent(agentId=agent)["agent"]["agentStatus"]
        if status in statuses:
            return
        if status == "FAILED":
            raise SystemExit(f"agent {agent} could not be prepared")
        time.sleep(0.2)


def by_name(name):
    pages = bedrock.get_paginator("list_agents").paginate()
    return next((one["agentId"] for page in pages for one in page["agentSummaries"]
                 if one["agentName"] == name), None)


def alias_arn(agent):
    pages = bedrock.get_paginator("list_agent_aliases").paginate(agentId=agent)
    alias = next(one["agentAliasId"] for page in pages for one in page["agentAliasSummaries"]
                 if one["agentAliasName"] == "live")
    arn = bedrock.get_agent(agentId=agent)["agent"]["agentArn"]
    return f"{arn.replace(':agent/', ':agent-alias/')}/{alias}"


def supervisor():
    """A new one each time, so that it can be run again."""
    if known := by_name("front-desk"):
        bedrock.delete_agent(agentId=known, skipResourceInUseCheck=True)
    role = bedrock.get_agent(agentId=by_name("orders"))["agent"]["agentResourceRoleArn"]
    made = bedrock.create_agent(
        agentName="front-desk", foundationModel=MODEL, instruction=INSTRUCTION,
        agentResourceRoleArn=role, agentCollaboration="SUPERVISOR")["agent"]["agentId"]
    settled(made, "NOT_PREPARED")
    for name, when in TEAM.items():
        bedrock.associate_agent_collaborator(
            agentId=made, agentVersion="DRAFT", collaboratorName=name, collaborationInstruction=when,
            agentDescriptor={"aliasArn": alias_arn(by_name(name))},
            relayConversationHistory="DISABLED")
    bedrock.prepare_agent(agentId=made)
    settled(made, "PREPARED")
    return made


if __name__ == "__main__":
    print(supervisor())
