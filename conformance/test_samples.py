"""T1: code as people copy it from articles, and what exactly becomes of it.

examples/samples has the code, the table below the outcomes: a sample runs with this output, or fails with
this message. What an SDK or the CLI says by itself, before anything is sent, is an outcome as well. The
table in the samples' README is made from this one.
"""

import dataclasses
import os
import pathlib
import re
import subprocess
import sys

import pytest

from support.agents import unique
from support.model import Say, tool_names, tool_results
from support.server import REGION, REPOSITORY, ROLE, Craton

SAMPLES = REPOSITORY / "examples" / "samples"
MODEL = "anthropic.claude-3-haiku-20240307-v1:0"
BIN = pathlib.Path(sys.executable).parent


@dataclasses.dataclass
class Sample:
    file: str
    says: str            # output if it runs, else the error with its message
    fix: str
    runs: bool = False
    logs: str = ""       # what the server's log says of it
    without: tuple = ()  # what its user forgot to export


def runs(file, says, fix, **fields):
    return Sample(file, says, fix, runs=True, **fields)


def refused(operation, code, words):
    return f"An error occurred ({code}) when calling the {operation} operation: {words}"


TABLE = [
    runs("agent_from_start_to_answer.py",
         "Order A-1001 was shipped on Monday.\nexport AGENT_ID=AGENT AGENT_ALIAS_ID=ALIAS",
         "Nothing: the whole way from the role to the answer, to copy from."),
    Sample("role_with_nine_digits.py", refused(
        "CreateAgent", "ValidationException",
        "1 validation error detected: Value "
        "'arn:aws:iam::123456789:role/AmazonBedrockExecutionRoleForAgents_demo' at 'agentResourceRoleArn' "
        "failed to satisfy constraint: Member must satisfy regular expression pattern: "
        "arn:aws(-[^:]+)?:iam::([0-9]{12})?:role/.+"),
        "An account has twelve digits; take the ARN that `create_role` returns."),
    Sample("never_prepared.py", refused(
        "InvokeAgent", "ValidationException",
        "agent AGENT has not been prepared yet; call PrepareAgent and try again"),
        "Call `prepare_agent` and wait until `agentStatus` is `PREPARED`."),
    Sample("alias_before_prepare.py", refused(
        "CreateAgentAlias", "ValidationException",
        "Create operation can't be performed on AgentAlias when Agent is in NOT_PREPARED state. Prepare agent "
        "AGENT first, or route the alias to a version that exists."),
        "Call `prepare_agent` before `create_agent_alias`."),
    Sample("draft_as_alias.py", refused(
        "InvokeAgent", "ResourceNotFoundException",
        "Failed to retrieve agent alias AGENT/DRAFT because it doesn't exist. Retry the request with a different "
        "resource identifier. The id of alias DRAFT is TSTALIASID."),
        "`DRAFT` is a version; the alias that runs it has the id `TSTALIASID`."),
    Sample("alias_name_as_id.py", refused(
        "InvokeAgent", "ResourceNotFoundException",
        "Failed to retrieve agent alias AGENT/prod because it doesn't exist. Retry the request with a different "
        "resource identifier. The id of alias prod is ALIAS."),
        "`agentAliasId` is the id that `create_agent_alias` returned, not the name."),
    Sample("response_body.py", "KeyError: 'body'",
           "`invoke_agent` has no body: read the events of `response[\"completion\"]`."),
    Sample("completion_read.py", "AttributeError: 'EventStream' object has no attribute 'read'",
           "The completion is a stream of events: `for event in response[\"completion\"]`."),
    runs("completion_read_twice.py", "events: [['chunk']]\nanswer:",
         "A stream is read once: do everything in one loop, or keep a list."),
    Sample("no_session_id.py",
           'ParamValidationError: Parameter validation failed:\nMissing required parameter in input: "sessionId"',
           "Give a `sessionId`, such as `str(uuid.uuid4())`, and the same one for each turn of a conversation."),
    Sample("session_state_at_top.py",
           'ParamValidationError: Parameter validation failed:\nUnknown parameter in input: "sessionAttributes", '
           "must be one of: agentAliasId, agentId, bedrockModelConfigurations, enableTrace, endSession, inputText, "
           "memoryId, promptCreationConfigurations, sessionId, sessionState, sourceArn, streamingConfigurations",
           "Attributes and results stand inside `sessionState={...}`."),
    Sample("create_agent_on_bedrock.py", "AttributeError: 'Bedrock' object has no attribute 'create_agent'",
           "Agents are made by `boto3.client(\"bedrock-agent\")`."),
    Sample("invoke_agent_on_bedrock_runtime.py",
           "AttributeError: 'BedrockRuntime' object has no attribute 'invoke_agent'",
           "Agents are invoked by `boto3.client(\"bedrock-agent-runtime\")`."),
    Sample("parameter_type_int.py", refused(
        "CreateAgentActionGroup", "ValidationException",
        "2 validation errors detected: " + "; ".join(
            f"Value 'int' at 'functionSchema.functions.1.member.parameters.{name}.member.type' failed to satisfy "
            "constraint: Member must satisfy enum value set: [string, number, integer, boolean, array]"
            for name in "ab")),
        "The type's name is `integer`."),
    Sample("no_executor.py", refused(
        "CreateAgentActionGroup", "ValidationException",
        "action group calculator is enabled and needs an actionGroupExecutor, and either an apiSchema or a "
        "functionSchema"),
        "Give `actionGroupExecutor={\"lambda\": arn}` or `{\"customControl\": \"RETURN_CONTROL\"}`."),
    Sample("openapi_without_operation_id.py", refused(
        "CreateAgentActionGroup", "ValidationException",
        "action group weather: get /weather: operationId is missing; name the operation, for example getOrder"),
        "Give each operation an `operationId` and a `description`: the model chooses by them."),
    runs("handler_response_code.py", '{"degrees": -3}',
         "It works; but the member is called `httpStatusCode`, and under another name nobody sees that a call failed. "
         "The server's log names it.",
         logs="response.responseCode"),
    runs("handler_of_api_gateway.py",
         "error: unknown_outcome: the reply of weather__get_weather was lost (it cannot be read: response_malformed: "
         "the answer is one for API Gateway (statusCode, body); a function of an action group answers "
         '{"messageVersion": "1.0", "response": {"actionGroup": …}}; tell the user); its outcome is unknown: do not '
         "repeat it, tell the user that a person has to look",
         "Answer `messageVersion` and `response` as `agent_from_start_to_answer.py` does. The model reads the error "
         "and apologises in its own words; the server's log has it as it is.",
         logs="a tool's answer cannot be read"),
    runs("handler_returns_an_object.py", '{"degrees":-3}',
         "It works here; AWS wants the body as text: `json.dumps(...)`."),
    runs("function_without_permission.py", "minus three",
         "It works here, as policies are not enforced yet; AWS refuses the call. The server's log says so when the "
         "agent is prepared. Call `add_permission` with `Principal=\"bedrock.amazonaws.com\"`.",
         logs="the function's policy does not name bedrock.amazonaws.com; add it with AddPermission"),
    Sample("model_with_a_typo.py", refused(
        "Converse", "ResourceNotFoundException",
        'no provider is mapped to model "antropic.claude-3-haiku-20240307-v1:0", only to ["anthropic.claude-*"]; '
        'add to craton.toml:\n[[models]]\nmatch = "antropic.claude-3-haiku-20240307-v1:0"\nprovider = "test"\n'
        'model = "NAME OF THE MODEL THERE"\n# (CR0010)'),
        "Spell the id as `craton.toml` maps it, or map it."),
    Sample("converse_with_plain_text.py",
           "ParamValidationError: Parameter validation failed:\nInvalid type for parameter messages[0].content, "
           "value: Hello, type: <class 'str'>, valid types: <class 'list'>, <class 'tuple'>",
           "Content is a list of blocks: `[{\"text\": \"Hello\"}]`."),
    runs("invoke_model.py", "Hello!", "It works; `converse` has one form for all models."),
    Sample("no_region.py", "NoRegionError: You must specify a region.",
           "`export AWS_DEFAULT_REGION=us-east-1`, or `region_name=` in the client.",
           without=("AWS_DEFAULT_REGION",)),
    Sample("no_credentials.py", "NoCredentialsError: Unable to locate credentials",
           "`export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test`: without `[[keys]]` any will do.",
           without=("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")),
    Sample("cli_unknown_flag.sh",
           f"Unknown options: --model, --role-arn, {ROLE}, {MODEL}",
           "The flags are the members of the API: `--foundation-model`, `--agent-resource-role-arn`."),
    Sample("cli_invoke_agent.sh", "aws: error: argument operation: Invalid choice, valid choices are:",
           "The CLI has no commands for streams of events, so no `invoke-agent`: use an SDK, or `craton chat`."),
    Sample("cli_wait_agent_prepared.sh", "aws: error: argument operation: Invalid choice, valid choices are:",
           "`bedrock-agent` has no waiters: repeat `get-agent --query agent.agentStatus` until it says `PREPARED`."),
]


def say(request):
    """Calls the first tool there is, then repeats what the tool said."""
    results = tool_results(request)
    if results:
        return Say(results[-1])
    given = {"order_id": "A-1001", "city": "Oslo"}
    for tool in request.get("tools", []):
        wanted = tool["function"]["parameters"]["properties"]
        return Say(calls=[(tool_names(request)[0], {name: given[name] for name in wanted})])
    return Say("Hello!")


@pytest.fixture(scope="module")
def server(tmp_path_factory, models):
    """A server that maps models by a pattern, as most do, and not every id there is."""
    models.models.pop(MODEL, None)
    models.model(MODEL).turn(say)
    config = f'''
[providers.test]
kind = "openai"
base_url = "{models.url}"

[[models]]
match = "anthropic.claude-*"
provider = "test"
'''
    one = Craton(tmp_path_factory.mktemp("samples"), config).start()
    yield one
    one.stop()


@pytest.fixture
def prepared(server):
    """An agent as a reader has it: prepared, without tools, with an alias named prod."""
    cp = server.client("bedrock-agent")
    agent = cp.create_agent(
        agentName=unique("sample"), foundationModel=MODEL, agentResourceRoleArn=ROLE,
        instruction="You answer questions about the products of a shop, politely.")["agent"]["agentId"]
    cp.prepare_agent(agentId=agent)
    alias = cp.create_agent_alias(agentId=agent, agentAliasName="prod")["agentAlias"]["agentAliasId"]
    return {"AGENT_ID": agent, "AGENT_ALIAS_ID": alias}


@pytest.mark.parametrize("sample", TABLE, ids=lambda sample: sample.file)
def test_a_sample_ends_as_the_table_says(server, prepared, tmp_path, sample):
    """T1"""
    environment = {
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path), "ROLE_ARN": ROLE,
        "AWS_ENDPOINT_URL": server.url, "AWS_DEFAULT_REGION": REGION, "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true", **prepared,
    }
    for name in sample.without:
        del environment[name]
    shell = sys.executable if sample.file.endswith(".py") else "bash"
    logged = len(server.log())
    done = subprocess.run([shell, SAMPLES / sample.file], env=environment, cwd=tmp_path,
                          capture_output=True, text=True, timeout=60)
    assert (done.returncode == 0) == sample.runs, done.stderr
    assert said(done, prepared) == sample.says
    assert sample.logs in server.log()[logged:]


def said(done, prepared):
    """The output or the error without traceback and usage; ids by what they are ids of."""
    if done.returncode == 0:
        text = re.sub(r"\bAGENT_ID=\w{10}", "AGENT_ID=AGENT", done.stdout.strip())
        return re.sub(r"\bAGENT_ALIAS_ID=\w{10}", "AGENT_ALIAS_ID=ALIAS", text)
    text = done.stderr.strip()
    if command := re.search(r"^(aws: error|Unknown options): .*$", text, re.M):
        return command[0]
    text = re.split(r"^(?:[\w]+\.)*(?=\w+(?:Error|Exception): )", text, flags=re.M)[-1]
    text = re.sub(r"^\w+: (?=An error occurred)", "", text)
    text = text.replace(prepared["AGENT_ALIAS_ID"], "ALIAS")
    return re.sub(r"\b(agent|agent alias) [A-Z0-9]{10}\b", r"\1 AGENT", text)


def test_every_sample_has_its_outcome():
    files = {path.name for path in SAMPLES.iterdir() if path.suffix in (".py", ".sh")}
    assert files == {sample.file for sample in TABLE}


def page():
    """The samples' table as the README has it."""
    rows = ["| sample | what becomes of it | the fix |", "|---|---|---|"]
    for sample in TABLE:
        says = "<br>".join(f"`{line}`" for line in sample.says.splitlines())
        rows.append(f"| [{sample.file}]({sample.file}) | {'prints' if sample.runs else 'fails:'} {says} | {sample.fix} |")
    return "\n".join(rows)


def test_the_readme_has_the_table():
    assert page() in (SAMPLES / "README.md").read_text()
