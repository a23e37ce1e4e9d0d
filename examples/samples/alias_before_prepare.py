import os, uuid
import boto3

bedrock_agent = boto3.client("bedrock-agent")

agent = bedrock_agent.create_agent(
    agentName=f"quickstart-{uuid.uuid4().hex[:6]}",
    foundationModel="anthropic.claude-3-haiku-20240307-v1:0",
    instruction="You are a friendly assistant that answers questions about our products.",
    agentResourceRoleArn=os.environ["ROLE_ARN"],
)["agent"]

alias = bedrock_agent.create_agent_alias(agentId=agent["agentId"], agentAliasName="prod")
print(alias["agentAlias"]["agentAliasId"])
