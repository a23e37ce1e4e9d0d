import io, json, os, uuid, zipfile
import boto3

HANDLER = '''
def lambda_handler(event, context):
    return {
        "messageVersion": "1.0",
        "response": {
            "actionGroup": event["actionGroup"],
            "function": event["function"],
            "functionResponse": {"responseBody": {"TEXT": {"body": {"degrees": -3}}}},
        },
    }
'''

lam = boto3.client("lambda")
bedrock_agent = boto3.client("bedrock-agent")
runtime = boto3.client("bedrock-agent-runtime")
name = f"weather-{uuid.uuid4().hex[:6]}"

package = io.BytesIO()
with zipfile.ZipFile(package, "w") as z:
    z.writestr("lambda_function.py", HANDLER)
arn = lam.create_function(
    FunctionName=name, Runtime="python3.12", Role=os.environ["ROLE_ARN"],
    Handler="lambda_function.lambda_handler", Code={"ZipFile": package.getvalue()})["FunctionArn"]
lam.get_waiter("function_active_v2").wait(FunctionName=name)
lam.add_permission(FunctionName=name, StatementId="bedrock",
                   Action="lambda:InvokeFunction", Principal="bedrock.amazonaws.com")
bedrock_agent.create_agent_action_group(
    agentId=os.environ["AGENT_ID"], agentVersion="DRAFT", actionGroupName="weather",
    actionGroupExecutor={"lambda": arn},
    functionSchema={"functions": [{
        "name": "get_weather",
        "description": "The weather in a city",
        "parameters": {"city": {"type": "string", "description": "The city", "required": True}},
    }]})
bedrock_agent.prepare_agent(agentId=os.environ["AGENT_ID"])

response = runtime.invoke_agent(
    agentId=os.environ["AGENT_ID"], agentAliasId="TSTALIASID", sessionId=str(uuid.uuid4()),
    inputText="What is the weather in Oslo?")
for event in response["completion"]:
    if "chunk" in event:
        print(event["chunk"]["bytes"].decode())
