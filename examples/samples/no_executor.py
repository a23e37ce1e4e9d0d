import os
import boto3

client = boto3.client("bedrock-agent")

client.create_agent_action_group(
    agentId=os.environ["AGENT_ID"],
    agentVersion="DRAFT",
    actionGroupName="calculator",
    functionSchema={"functions": [{
        "name": "add",
        "description": "Adds two numbers",
        "parameters": {"a": {"type": "number", "description": "First number", "required": True}},
    }]},
)
print("created")
