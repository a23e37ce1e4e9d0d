import os
import boto3

client = boto3.client("bedrock-agent-runtime")

response = client.invoke_agent(
    agentId=os.environ["AGENT_ID"],
    agentAliasId=os.environ["AGENT_ALIAS_ID"],
    inputText="Hello",
)
for event in response["completion"]:
    print(event["chunk"]["bytes"].decode())
