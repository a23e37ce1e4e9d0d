"""The AWS CLI: version 1, which is the one on PyPI (version 2 is not). It has no event streams:
InvokeAgent and ConverseStream are no commands of either version."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from support.agents import package, unique
from support.model import Say, tool_results

INSTRUCTION = "You help the customers of a shop with their orders, politely and briefly."
SCHEMA = {"functions": [{"name": "get_order", "description": "Looks up an order", "parameters": {
    "order_id": {"type": "string", "description": "The order's number", "required": True}}}]}
HANDLER = """
def handler(event, context):
    return {"messageVersion": "1.0", "response": {
        "actionGroup": event["actionGroup"], "function": event["function"],
        "functionResponse": {"responseBody": {"TEXT": {"body": "shipped"}}}}}
"""


def run(*words):
    command = [pathlib.Path(sys.executable).parent / "aws", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=os.environ)


def aws(*words):
    """What a command prints: JSON, text if it is none, nothing if it prints nothing."""
    done = run(*words)
    assert done.returncode == 0, done.stderr
    try:
        return json.loads(done.stdout or "null")
    except ValueError:
        return done.stdout.strip()


def refused(*words):
    """Exit code and message of a command that the server refuses."""
    done = run(*words)
    assert done.returncode and not done.stdout
    return done.returncode, done.stderr.strip()


def test_from_role_to_delete(model, tmp_path, rt):
    name = unique("cli")
    trust = {"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Service": "bedrock.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
    (tmp_path / "trust.json").write_text(json.dumps(trust))
    (tmp_path / "handler.zip").write_bytes(package(main=HANDLER))
    role = aws("iam", "create-role", "--role-name", name,
               "--assume-role-policy-document", f"file://{tmp_path}/trust.json")["Role"]["Arn"]
    aws("iam", "put-role-policy", "--role-name", name, "--policy-name", "invoke", "--policy-document",
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"bedrock:InvokeModel","Resource":"*"}]}')
    arn = aws("lambda", "create-function", "--function-name", name, "--runtime", "python3.12",
              "--role", role, "--handler", "main.handler", "--zip-file", f"fileb://{tmp_path}/handler.zip",
              "--query", "FunctionArn", "--output", "text")
    aws("lambda", "wait", "function-active-v2", "--function-name", name)
    aws("lambda", "add-permission", "--function-name", name, "--statement-id", "bedrock",
        "--action", "lambda:InvokeFunction", "--principal", "bedrock.amazonaws.com")

    agent = aws("bedrock-agent", "create-agent", "--agent-name", name, "--foundation-model", model.id,
                "--instruction", INSTRUCTION, "--agent-resource-role-arn", role,
                "--tags", "team=shop", "--idle-session-ttl-in-seconds", "600")["agent"]["agentId"]
    group = aws("bedrock-agent", "create-agent-action-group", "--agent-id", agent, "--agent-version", "DRAFT",
                "--action-group-name", "shop", "--action-group-executor", f"lambda={arn}",
                "--function-schema", json.dumps(SCHEMA))["agentActionGroup"]
    assert group["functionSchema"]["functions"][0]["name"] == "get_order"
    assert aws("bedrock-agent", "prepare-agent", "--agent-id", agent)["agentVersion"] == "DRAFT"
    assert aws("bedrock-agent", "get-agent", "--agent-id", agent, "--query", "agent.agentStatus",
               "--output", "text") == "PREPARED"
    alias = aws("bedrock-agent", "create-agent-alias", "--agent-id", agent,
                "--agent-alias-name", "live")["agentAlias"]["agentAliasId"]
    listed = aws("bedrock-agent", "list-agent-aliases", "--agent-id", agent, "--page-size", "1",
                 "--query", "agentAliasSummaries[].agentAliasName")
    assert sorted(listed) == ["AgentTestAlias", "live"]

    model.turn(Say(calls=[("shop__get_order", {"order_id": "A-1"})]), Say("It has shipped."))
    answer = rt.invoke_agent(agentId=agent, agentAliasId=alias, sessionId="cli", inputText="Where is A-1?")
    assert b"".join(e["chunk"]["bytes"] for e in answer["completion"]) == b"It has shipped."
    assert tool_results(model.requests[1]) == ["shipped"]

    code, said = refused("bedrock-agent", "delete-agent", "--agent-id", agent)
    assert (code, "ConflictException" in said) == (255, True), said
    aws("bedrock-agent", "delete-agent-alias", "--agent-id", agent, "--agent-alias-id", alias)
    aws("bedrock-agent", "delete-agent", "--agent-id", agent, "--skip-resource-in-use-check")
    aws("lambda", "delete-function", "--function-name", name)
    aws("iam", "delete-role-policy", "--role-name", name, "--policy-name", "invoke")
    aws("iam", "delete-role", "--role-name", name)


def test_a_list_goes_on_where_it_stopped(agent):
    made = {agent().id for _ in range(3)}
    token, seen = [], []
    while True:
        page = aws("bedrock-agent", "list-agents", "--max-items", "2", *token)
        seen += [one["agentId"] for one in page["agentSummaries"]]
        if "NextToken" not in page:
            break
        token = ["--starting-token", page["NextToken"]]
    assert made <= set(seen) and len(seen) == len(set(seen))


def test_converse_takes_a_tool_round(model):
    """Each step one command, the messages by hand."""
    model.turn(Say(calls=[("add", {"a": 2, "b": 3})]), Say("5"))
    tools = {"tools": [{"toolSpec": {"name": "add", "description": "Adds", "inputSchema": {"json": {
        "type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}}}}}]}
    messages = [{"role": "user", "content": [{"text": "2+3?"}]}]

    def converse():
        return aws("bedrock-runtime", "converse", "--model-id", model.id, "--messages", json.dumps(messages),
                   "--tool-config", json.dumps(tools), "--inference-config", "maxTokens=50,temperature=0")

    asked = converse()
    messages.append(asked["output"]["message"])
    use = asked["output"]["message"]["content"][0]["toolUse"]
    messages.append({"role": "user", "content": [{"toolResult": {
        "toolUseId": use["toolUseId"], "content": [{"text": str(sum(use["input"].values()))}]}}]})
    assert (asked["stopReason"], converse()["output"]["message"]["content"]) == ("tool_use", [{"text": "5"}])
    assert tool_results(model.requests[1]) == ["5"]


@pytest.mark.parametrize(("command", "code", "words"), [
    (["bedrock-agent", "get-agent", "--agent-id", "ABCDEFGHIJ"], 255,
     "An error occurred (ResourceNotFoundException) when calling the GetAgent operation: "),
    (["bedrock-agent", "get-agent", "--agent-id", "short"], 255,
     "An error occurred (ValidationException) when calling the GetAgent operation: "),
    (["iam", "get-role", "--role-name", "nobody"], 255,
     "An error occurred (NoSuchEntity) when calling the GetRole operation: "),
    (["lambda", "get-function", "--function-name", "nothing"], 255,
     "An error occurred (ResourceNotFoundException) when calling the GetFunction operation: Function not found: "),
    (["bedrock", "list-guardrails"], 255,
     "An error occurred (NotImplementedException) when calling the ListGuardrails operation: "
     "craton does not serve bedrock ListGuardrails"),
])
def test_a_refusal_is_an_exit_code_and_awss_words(command, code, words):
    got, said = refused(*command)
    assert (got, words in said) == (code, True), said


@pytest.mark.parametrize("command", [["bedrock-agent-runtime", "invoke-agent"], ["bedrock-runtime", "converse-stream"]])
def test_event_streams_are_no_commands(command):
    """By the CLI itself, before anything is sent."""
    code, said = refused(*command)
    assert code == 2 and "Invalid choice" in said
