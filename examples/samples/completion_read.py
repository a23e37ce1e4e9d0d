import os, uuid
import boto3

client = boto3.client("bedrock-agent-runtime")

response = client.invoke_agent(
    agentId=os.environ["AGENT_ID"],
    agentAliasId=os.environ["AGENT_ALIAS_ID"],
    sessionId=str(uuid.uuid4()),
    inputText="Hello",
)
print(response["completion"].read().decode("utf-8"))
