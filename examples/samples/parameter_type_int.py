import os
import boto3

client = boto3.client("bedrock-agent")

client.create_agent_action_group(
    agentId=os.environ["AGENT_ID"],
    agentVersion="DRAFT",
    actionGroupName="calculator",
    actionGroupExecutor={"customControl": "RETURN_CONTROL"},
    functionSchema={"functions": [{
        "name": "add",
        "description": "Adds two numbers",
        "parameters": {
            "a": {"type": "int", "description": "First number", "required": True},
            "b": {"type": "int", "description": "Second number", "required": True},
        },
    }]},
)
print("created")
