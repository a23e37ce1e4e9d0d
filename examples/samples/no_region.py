import boto3

client = boto3.client("bedrock-agent")
print(client.list_agents()["agentSummaries"])
