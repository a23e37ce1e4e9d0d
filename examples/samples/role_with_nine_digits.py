import boto3

client = boto3.client("bedrock-agent", region_name="us-east-1")

response = client.create_agent(
    agentName="my-first-agent",
    foundationModel="anthropic.claude-3-haiku-20240307-v1:0",
    instruction="You are a friendly assistant that answers questions about our products.",
    agentResourceRoleArn="arn:aws:iam::123456789:role/AmazonBedrockExecutionRoleForAgents_demo",
)
print(response["agent"]["agentId"])
