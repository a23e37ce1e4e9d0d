import boto3

client = boto3.client("bedrock-runtime")

response = client.converse(
    modelId="antropic.claude-3-haiku-20240307-v1:0",
    messages=[{"role": "user", "content": [{"text": "Hello"}]}],
)
print(response["output"]["message"]["content"][0]["text"])
