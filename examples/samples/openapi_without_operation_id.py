import json, os
import boto3

client = boto3.client("bedrock-agent")

schema = {
    "openapi": "3.0.0",
    "info": {"title": "Weather", "version": "1.0"},
    "paths": {"/weather": {"get": {
        "parameters": [{"name": "city", "in": "query", "required": True, "schema": {"type": "string"}}],
        "responses": {"200": {"description": "OK"}},
    }}},
}
client.create_agent_action_group(
    agentId=os.environ["AGENT_ID"],
    agentVersion="DRAFT",
    actionGroupName="weather",
    actionGroupExecutor={"customControl": "RETURN_CONTROL"},
    apiSchema={"payload": json.dumps(schema)},
)
print("created")
