import os
import boto3

bedrock = boto3.client("bedrock")

agent = bedrock.create_agent(
    agentName="my-first-agent",
    foundationModel="anthropic.claude-3-haiku-20240307-v1:0",
    instruction="You are a friendly assistant that answers questions about our products.",
    agentResourceRoleArn=os.environ["ROLE_ARN"],
)
print(agent["agent"]["agentId"])
