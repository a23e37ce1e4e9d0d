import os, uuid
import boto3

client = boto3.client("bedrock-agent-runtime")

response = client.invoke_agent(
    agentId=os.environ["AGENT_ID"],
    agentAliasId="DRAFT",
    sessionId=str(uuid.uuid4()),
    inputText="Hello",
)
for event in response["completion"]:
    print(event["chunk"]["bytes"].decode())
