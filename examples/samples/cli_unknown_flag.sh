aws bedrock-agent create-agent \
  --agent-name my-first-agent \
  --model anthropic.claude-3-haiku-20240307-v1:0 \
  --instruction "You are a friendly assistant that answers questions about our products." \
  --role-arn "$ROLE_ARN"
