import os, uuid
import boto3

bedrock = boto3.client("bedrock-runtime")

response = bedrock.invoke_agent(
    agentId=os.environ["AGENT_ID"],
    agentAliasId=os.environ["AGENT_ALIAS_ID"],
    sessionId=str(uuid.uuid4()),
    inputText="Hello",
)
for event in response["completion"]:
    print(event["chunk"]["bytes"].decode())
