"""The whole way, done right: role, function, agent, action group, prepare, alias, question."""
import io, json, time, uuid, zipfile
import boto3

HANDLER = '''
def lambda_handler(event, context):
    params = {p["name"]: p["value"] for p in event.get("parameters", [])}
    text = f"Order {params['order_id']} was shipped on Monday."
    return {
        "messageVersion": event["messageVersion"],
        "response": {
            "actionGroup": event["actionGroup"],
            "function": event["function"],
            "functionResponse": {"responseBody": {"TEXT": {"body": text}}},
        },
    }
'''

iam = boto3.client("iam")
lam = boto3.client("lambda")
bedrock_agent = boto3.client("bedrock-agent")
runtime = boto3.client("bedrock-agent-runtime")
suffix = uuid.uuid4().hex[:6]


def role(service):
    trust = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}]}
    return iam.create_role(RoleName=f"sample-{service.split('.')[0]}-{suffix}",
                           AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]


package = io.BytesIO()
with zipfile.ZipFile(package, "w") as z:
    z.writestr("lambda_function.py", HANDLER)

function_arn = lam.create_function(
    FunctionName=f"orders-{suffix}", Runtime="python3.12", Role=role("lambda.amazonaws.com"),
    Handler="lambda_function.lambda_handler", Code={"ZipFile": package.getvalue()})["FunctionArn"]
lam.get_waiter("function_active_v2").wait(FunctionName=f"orders-{suffix}")
lam.add_permission(FunctionName=f"orders-{suffix}", StatementId="bedrock",
                   Action="lambda:InvokeFunction", Principal="bedrock.amazonaws.com")

agent_id = bedrock_agent.create_agent(
    agentName=f"orders-{suffix}",
    foundationModel="anthropic.claude-3-haiku-20240307-v1:0",
    agentResourceRoleArn=role("bedrock.amazonaws.com"),
    instruction="You help the customers of a shop with questions about their orders.",
)["agent"]["agentId"]

bedrock_agent.create_agent_action_group(
    agentId=agent_id, agentVersion="DRAFT", actionGroupName="orders",
    actionGroupExecutor={"lambda": function_arn},
    functionSchema={"functions": [{
        "name": "get_order",
        "description": "Looks up the state of an order",
        "parameters": {"order_id": {
            "type": "string", "description": "The order's number, such as A-1001", "required": True}},
    }]})

bedrock_agent.prepare_agent(agentId=agent_id)
while bedrock_agent.get_agent(agentId=agent_id)["agent"]["agentStatus"] != "PREPARED":
    time.sleep(0.2)

alias_id = bedrock_agent.create_agent_alias(
    agentId=agent_id, agentAliasName="live")["agentAlias"]["agentAliasId"]
while bedrock_agent.get_agent_alias(
        agentId=agent_id, agentAliasId=alias_id)["agentAlias"]["agentAliasStatus"] != "PREPARED":
    time.sleep(0.2)

response = runtime.invoke_agent(
    agentId=agent_id, agentAliasId=alias_id, sessionId=str(uuid.uuid4()),
    inputText="Where is order A-1001?")
answer = ""
for event in response["completion"]:
    if "chunk" in event:
        answer += event["chunk"]["bytes"].decode("utf-8")
print(answer)
print(f"export AGENT_ID={agent_id} AGENT_ALIAS_ID={alias_id}")
