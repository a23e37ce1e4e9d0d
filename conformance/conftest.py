"""Servers and clients for the cases. Every server is a real process of the real binary."""

import pytest

from support.agents import Agent, package, unique, zipped
from support.messages import MessagesServer
from support.model import ModelServer
from support.server import ROLE, Craton
from support.tools import KEYED, ONCE, READ, UNDECLARED, ToolServer


@pytest.fixture(scope="session")
def models():
    server = ModelServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def claude():
    """The same behind the Messages API; its model ids begin with `claude.`."""
    server = MessagesServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def tools():
    server = ToolServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def settings(models, claude, tools):
    """craton.toml: every model id leads to the cases' own models, four functions to their tools."""
    functions = "\n".join(f'"{arn}" = "{tools.url}"' for arn in (READ, KEYED, ONCE, UNDECLARED))
    return f"""
[providers.test]
kind = "openai"
base_url = "{models.url}"

[providers.claude]
kind = "anthropic"
base_url = "{claude.url}"
api_key_env = "PATH"    # any variable that is set

[[models]]
match = "claude.*"
provider = "claude"
request_fields = {{ thinking = {{ type = "enabled", budget_tokens = 1024 }} }}

[[models]]
match = "*"
provider = "test"

[functions.map]
{functions}

[buckets]
deployments = "bucket"
gone = "not-there"

# All cases share the providers, which some let fail.
[rates.breaker]
failure_share = 1.0

# All cases share these: tools that some let fail or go round must not be left alone by others' breakers.
[tools]
"{READ}" = {{ effect = "read", breaker = {{ failure_share = 1.0, loop_calls = 1000000 }} }}
"{KEYED}" = {{ effect = "keyed", timeout_seconds = 30, breaker = {{ failure_share = 1.0, loop_calls = 1000000 }} }}
"{ONCE}" = {{ effect = "once", breaker = {{ failure_share = 1.0, loop_calls = 1000000 }} }}
"{UNDECLARED}" = {{ breaker = {{ failure_share = 1.0, loop_calls = 1000000 }} }}
"""


@pytest.fixture(scope="session")
def craton(tmp_path_factory, settings):
    """The server of most cases."""
    server = Craton(tmp_path_factory.mktemp("craton"), settings).start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def bucket(craton):
    """The folder that is the bucket `deployments`."""
    folder = craton.home / "bucket"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture
def shared(craton):
    """A folder of the case's own that functions of `craton` see too: `craton.seen(path)`."""
    folder = craton.shared / unique("case")
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def plain(tmp_path_factory):
    """A server without models and keys: the embedded rules answer."""
    server = Craton(tmp_path_factory.mktemp("plain")).start()
    yield server
    server.stop()


@pytest.fixture
def fresh(tmp_path, settings):
    """A server of the case's own, to be killed and started again."""
    server = Craton(tmp_path / "craton", settings).start()
    yield server
    server.stop()


def client(service):
    @pytest.fixture(scope="session")
    def made(craton):
        return craton.client(service)
    return made


cp = client("bedrock-agent")
rt = client("bedrock-agent-runtime")
brt = client("bedrock-runtime")
lam = client("lambda")
iam = client("iam")
sts = client("sts")


@pytest.fixture(scope="session")
def raw_cp(craton):
    """A client that lets anything through, so that the server has to refuse it."""
    return craton.client("bedrock-agent", parameter_validation=False)


@pytest.fixture(scope="session")
def raw_rt(craton):
    return craton.client("bedrock-agent-runtime", parameter_validation=False)


@pytest.fixture
def model(models):
    return models.model(unique("test.model"))


@pytest.fixture
def agent(cp, rt, model, tools):
    """Makes agents on the case's model."""
    made = []

    def make(**fields):
        made.append(Agent(cp, rt, model, tools, **fields))
        return made[-1]

    yield make
    for one in made:
        try:
            cp.delete_agent(agentId=one.id, skipResourceInUseCheck=True)
        except cp.exceptions.ResourceNotFoundException:
            pass


@pytest.fixture
def functions(lam):
    """Makes Lambda functions from the text of a Python handler, files by name, or a zip."""
    made = []

    def make(handler, name=None, **fields):
        fields = {"Runtime": "python3.12", "Role": ROLE, "Handler": "main.handler", **fields}
        name = name or unique("function")
        if isinstance(handler, str):
            handler = package(main=handler)
        code = zipped(handler) if isinstance(handler, dict) else handler
        answer = lam.create_function(FunctionName=name, Code={"ZipFile": code}, **fields)
        made.append(name)
        return answer

    yield make
    for name in made:
        try:
            lam.delete_function(FunctionName=name)
        except lam.exceptions.ResourceNotFoundException:
            pass
