"""A set-up script as a reader of AWS's documentation writes it, from the role to the last delete.

It knows nothing of Craton: the endpoint comes from AWS_ENDPOINT_URL, as for any other program.
"""

import io
import json
import time
import uuid
import zipfile

import boto3
import pytest

LAMBDA_CODE = '''
import json

ORDERS = {"A-1001": {"status": "shipped", "total": 42.5}}


def lambda_handler(event, context):
    agent = event["agent"]
    actionGroup = event["actionGroup"]
    parameters = {p["name"]: p["value"] for p in event.get("parameters", [])}
    if "function" in event:
        order = ORDERS.get(parameters.get("order_id"), "order_not_found: ask for the number again")
        response = {
            "actionGroup": actionGroup,
            "function": event["function"],
            "functionResponse": {"responseBody": {"TEXT": {"body": json.dumps(order)}}},
        }
    else:
        response = {
            "actionGroup": actionGroup,
            "apiPath": event["apiPath"],
            "httpMethod": event["httpMethod"],
            "httpStatusCode": 200,
            "responseBody": {"application/json": {"body": json.dumps({"stock": 7})}},
        }
    return {
        "messageVersion": event["messageVersion"],
        "response": response,
        "sessionAttributes": event["sessionAttributes"],
        "promptSessionAttributes": event["promptSessionAttributes"],
    }
'''

OPENAPI = '''
openapi: 3.0.0
info: {title: Stock, version: 1.0.0, description: What is in stock}
paths:
  /articles/{article}/stock:
    get:
      summary: Get the stock of an article
      description: Returns how many pieces of an article are in stock
      operationId: getStock
      parameters:
        - name: article
          in: path
          description: The article's name, such as lamp
          required: true
          schema: {type: string}
      responses:
        "200":
          description: The number in stock
          content:
            application/json:
              schema:
                type: object
                properties:
                  stock: {type: integer, description: Pieces in stock}
'''


def wait_for(read, wanted):
    for _ in range(100):
        if read() == wanted:
            return
        time.sleep(0.1)
    raise TimeoutError(wanted)


def read_completion(response):
    text, traces, control = "", [], None
    for event in response["completion"]:
        if "chunk" in event:
            text += event["chunk"]["bytes"].decode("utf-8")
        elif "trace" in event:
            traces.append(event["trace"]["trace"])
        elif "returnControl" in event:
            control = event["returnControl"]
    return text, traces, control


@pytest.fixture
def environment(plain, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", plain.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


def test_the_documented_way_from_role_to_delete(environment):
    """A1, A2, D2, D5, E1, P1"""
    session = boto3.Session()
    iam, lam, sts = session.client("iam"), session.client("lambda"), session.client("sts")
    bedrock_agent = session.client("bedrock-agent")
    bedrock_agent_runtime = session.client("bedrock-agent-runtime")
    suffix = uuid.uuid4().hex[:8]
    account = sts.get_caller_identity()["Account"]

    # Roles
    def trust(service):
        return json.dumps({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}]})

    lambda_role_name, agent_role_name = f"lambda-{suffix}", f"AmazonBedrockExecutionRoleForAgents_{suffix}"
    lambda_role = iam.create_role(
        RoleName=lambda_role_name, AssumeRolePolicyDocument=trust("lambda.amazonaws.com"))
    basic = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
    iam.attach_role_policy(RoleName=lambda_role_name, PolicyArn=basic)
    agent_role = iam.create_role(
        RoleName=agent_role_name, AssumeRolePolicyDocument=trust("bedrock.amazonaws.com"))
    model_policy = iam.create_policy(
        PolicyName=f"invoke-model-{suffix}",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": "bedrock:InvokeModel", "Resource": "*"}]}))
    iam.attach_role_policy(RoleName=agent_role_name, PolicyArn=model_policy["Policy"]["Arn"])

    # The function
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("lambda_function.py", LAMBDA_CODE)
    function = lam.create_function(
        FunctionName=f"shop-{suffix}", Runtime="python3.12", Timeout=60,
        Role=lambda_role["Role"]["Arn"], Handler="lambda_function.lambda_handler",
        Code={"ZipFile": package.getvalue()})
    lam.get_waiter("function_active").wait(FunctionName=f"shop-{suffix}")
    lam.add_permission(
        FunctionName=f"shop-{suffix}", StatementId="allow_bedrock", Action="lambda:InvokeFunction",
        Principal="bedrock.amazonaws.com",
        SourceArn=f"arn:aws:bedrock:us-east-1:{account}:agent/*")

    # The agent
    agent = bedrock_agent.create_agent(
        agentName=f"shop-{suffix}", agentResourceRoleArn=agent_role["Role"]["Arn"],
        foundationModel="anthropic.claude-3-5-sonnet-20240620-v1:0", idleSessionTTLInSeconds=1800,
        description="Helps customers of a shop",
        instruction="You help the customers of a shop: look up orders and stock, and ask for approval "
                    "of discounts.")["agent"]
    agent_id = agent["agentId"]

    def status():
        return bedrock_agent.get_agent(agentId=agent_id)["agent"]["agentStatus"]

    wait_for(status, "NOT_PREPARED")
    arn = function["FunctionArn"]
    bedrock_agent.create_agent_action_group(
        agentId=agent_id, agentVersion="DRAFT", actionGroupName="orders",
        description="Looks up orders", actionGroupExecutor={"lambda": arn},
        functionSchema={"functions": [{
            "name": "get_order", "description": "Shows status and total of an order",
            "parameters": {"order_id": {
                "type": "string", "description": "The order's number, such as A-1001", "required": True}}}]})
    bedrock_agent.create_agent_action_group(
        agentId=agent_id, agentVersion="DRAFT", actionGroupName="stock",
        actionGroupExecutor={"lambda": arn}, apiSchema={"payload": OPENAPI})
    bedrock_agent.create_agent_action_group(
        agentId=agent_id, agentVersion="DRAFT", actionGroupName="desk",
        actionGroupExecutor={"customControl": "RETURN_CONTROL"},
        functionSchema={"functions": [{
            "name": "request_discount", "description": "Requests approval of a discount for an order",
            "parameters": {
                "order_id": {"type": "string", "description": "The order's number", "required": True},
                "percent": {"type": "integer", "description": "Percent of discount", "required": True}}}]})
    bedrock_agent.prepare_agent(agentId=agent_id)
    wait_for(status, "PREPARED")
    alias_id = bedrock_agent.create_agent_alias(
        agentId=agent_id, agentAliasName="prod")["agentAlias"]["agentAliasId"]
    wait_for(lambda: bedrock_agent.get_agent_alias(
        agentId=agent_id, agentAliasId=alias_id)["agentAlias"]["agentAliasStatus"], "PREPARED")

    # Invocations
    session_id = str(uuid.uuid4())
    target = {"agentId": agent_id, "agentAliasId": alias_id, "sessionId": session_id, "enableTrace": True}
    text, traces, _ = read_completion(bedrock_agent_runtime.invoke_agent(
        **target, inputText="What is the status of order A-1001?"))
    assert "shipped" in text
    asked = [t["orchestrationTrace"]["invocationInput"] for t in traces
             if "invocationInput" in t.get("orchestrationTrace", {})]
    assert asked[0]["actionGroupInvocationInput"]["function"] == "get_order"

    text, traces, _ = read_completion(bedrock_agent_runtime.invoke_agent(
        **target, inputText="How many pieces of the article lamp are in stock?"))
    assert "7" in text

    text, _, control = read_completion(bedrock_agent_runtime.invoke_agent(
        **target, inputText="Request a discount of 15 percent for order A-1001"))
    wanted = control["invocationInputs"][0]["functionInvocationInput"]
    assert wanted["function"] == "request_discount"
    assert {p["name"]: p["value"] for p in wanted["parameters"]} == {
        "order_id": "A-1001", "percent": "15"}
    text, _, _ = read_completion(bedrock_agent_runtime.invoke_agent(
        **target, sessionState={
            "invocationId": control["invocationId"],
            "returnControlInvocationResults": [{"functionResult": {
                "actionGroup": wanted["actionGroup"], "function": wanted["function"],
                "responseBody": {"TEXT": {"body": json.dumps({"approved": True, "percent": 15})}}}}]}))
    assert text
    bedrock_agent_runtime.invoke_agent(**target, endSession=True, inputText="bye")["completion"].close()

    # Everything away
    bedrock_agent.delete_agent_alias(agentId=agent_id, agentAliasId=alias_id)
    bedrock_agent.delete_agent(agentId=agent_id)
    with pytest.raises(bedrock_agent.exceptions.ResourceNotFoundException):
        for _ in range(50):
            bedrock_agent.get_agent(agentId=agent_id)
            time.sleep(0.1)
    lam.delete_function(FunctionName=f"shop-{suffix}")
    iam.detach_role_policy(RoleName=lambda_role_name, PolicyArn=basic)
    iam.detach_role_policy(RoleName=agent_role_name, PolicyArn=model_policy["Policy"]["Arn"])
    iam.delete_policy(PolicyArn=model_policy["Policy"]["Arn"])
    for name in (lambda_role_name, agent_role_name):
        iam.delete_role(RoleName=name)
