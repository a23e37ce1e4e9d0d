import json
import boto3

client = boto3.client("bedrock-runtime")

body = json.dumps({
    "anthropic_version": "bedrock-2023-05-31",
    "max_tokens": 200,
    "messages": [{"role": "user", "content": "Hello"}],
})
response = client.invoke_model(modelId="anthropic.claude-3-haiku-20240307-v1:0", body=body)
print(json.loads(response["body"].read())["content"][0]["text"])
