import boto3

client = boto3.client("bedrock-agent", region_name="us-east-1")
print(client.list_agents()["agentSummaries"])
