"""Creates the support agent with plain boto3: role, function, agent, action groups, alias.

Where it goes is the environment's business, as for any boto3 program:

    export AWS_ENDPOINT_URL=http://127.0.0.1:4747 AWS_DEFAULT_REGION=us-east-1
    export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
    python deploy.py --payments http://127.0.0.1:4800
"""

import argparse
import io
import json
import pathlib
import time
import zipfile

import boto3

HERE = pathlib.Path(__file__).parent
MODEL = "anthropic.claude-3-5-sonnet-20240620-v1:0"

INSTRUCTION = (
    "You are the support agent of a shop. Look orders up before you speak about them, refund what "
    "the customer asks to have refunded, and be brief. Refunds above $500 need an approval: request "
    "it instead of processing the refund."
)

ORDER = {"type": "string", "description": "The order's number, such as A-1001", "required": True}
AMOUNT = {"type": "number", "description": "The amount in US dollars", "required": True}

ORDERS = [
    {"name": "get_order", "description": "Shows an order: item, total, status and delivery",
     "parameters": {"order_id": ORDER}},
    {"name": "get_refund_status", "description": "Shows whether an order was refunded",
     "parameters": {"order_id": ORDER}},
    {"name": "process_refund", "description": "Refunds an order, up to $500, only when the customer asks for it",
     "parameters": {"order_id": ORDER, "amount": AMOUNT}},
]
APPROVALS = [
    {"name": "request_refund_approval",
     "description": "Requests the approval of a refund above $500; once approved it is paid",
     "parameters": {"order_id": ORDER, "amount": AMOUNT, "reason": {
         "type": "string", "description": "Why the customer wants it", "required": False}}},
]

# How often each tool may take effect when a reply is lost. AWS ignores such tags.
EFFECTS = {
    "craton:effect:get_order": "read",
    "craton:effect:get_refund_status": "read",
    "craton:effect:process_refund": "keyed",
}


def deploy(payments, model=MODEL, name="support"):
    """Returns the ids that a client needs: {"agentId", "agentAliasId"}."""
    role = create_role(name)
    function = create_function(name, role, payments)
    bedrock = boto3.client("bedrock-agent")
    agent = bedrock.create_agent(
        agentName=name, foundationModel=model, instruction=INSTRUCTION, agentResourceRoleArn=role,
        idleSessionTTLInSeconds=1800,
    )["agent"]["agentId"]
    settle(bedrock, agent)
    group = {"agentId": agent, "agentVersion": "DRAFT"}
    bedrock.create_agent_action_group(
        **group, actionGroupName="orders", description="Orders and refunds",
        actionGroupExecutor={"lambda": function}, functionSchema={"functions": ORDERS},
    )
    bedrock.create_agent_action_group(
        **group, actionGroupName="approvals", description="What a person has to decide",
        actionGroupExecutor={"customControl": "RETURN_CONTROL"},
        functionSchema={"functions": APPROVALS},
    )
    bedrock.prepare_agent(agentId=agent)
    settle(bedrock, agent, "PREPARED")
    alias = bedrock.create_agent_alias(agentId=agent, agentAliasName="live")["agentAlias"]
    return {"agentId": agent, "agentAliasId": alias["agentAliasId"]}


def create_role(name):
    trust = {"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": {"Service": ["bedrock.amazonaws.com", "lambda.amazonaws.com"]},
    }]}
    role = boto3.client("iam").create_role(
        RoleName=f"{name}-agent", AssumeRolePolicyDocument=json.dumps(trust))
    return role["Role"]["Arn"]


def create_function(name, role, payments):
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.write(HERE / "functions" / "orders.py", "orders.py")
    functions = boto3.client("lambda")
    made = functions.create_function(
        FunctionName=f"{name}-orders", Runtime="python3.12", Role=role, Timeout=60,
        Handler="orders.lambda_handler", Code={"ZipFile": package.getvalue()},
        Environment={"Variables": {"PAYMENTS_URL": payments}}, Tags=EFFECTS,
    )
    functions.get_waiter("function_active_v2").wait(FunctionName=f"{name}-orders")
    functions.add_permission(
        FunctionName=f"{name}-orders", StatementId="agents", Action="lambda:InvokeFunction",
        Principal="bedrock.amazonaws.com")
    return made["FunctionArn"]


def settle(bedrock, agent, wanted="NOT_PREPARED"):
    while bedrock.get_agent(agentId=agent)["agent"]["agentStatus"] != wanted:
        time.sleep(0.2)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--payments", default="http://127.0.0.1:4800")
    parser.add_argument("--model", default=MODEL)
    given = parser.parse_args()
    print(json.dumps(deploy(given.payments, given.model)))


if __name__ == "__main__":
    main()
