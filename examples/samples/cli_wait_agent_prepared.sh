aws bedrock-agent prepare-agent --agent-id "$AGENT_ID" > /dev/null
aws bedrock-agent wait agent-prepared --agent-id "$AGENT_ID"
