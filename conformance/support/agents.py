"""Short forms for what most cases do: make an agent, give it tools, talk to it."""

import contextlib
import dataclasses
import io
import itertools
import json
import os
import time
import uuid
import zipfile

import pytest
from botocore.exceptions import ClientError

from .server import ROLE

INSTRUCTION = "You help the customers of a shop with their orders and refunds, politely and briefly."
DRAFT_ALIAS = "TSTALIASID"
_numbers = itertools.count(1)


def unique(word):
    return f"{word}-{os.getpid()}-{next(_numbers)}"


@contextlib.contextmanager
def refused(code, match=""):
    """The block must fail with this AWS error code, and words in which `match` is found.

    Inside a stream an exception goes by its member's name, which begins in lower case, as on AWS.
    """
    with pytest.raises(ClientError, match=match or None) as caught:
        yield caught
    error = caught.value.response["Error"]
    assert error["Code"] in (code, code[0].lower() + code[1:]), error


def until(what, timeout=10):
    """Polls until `what()` is truthy, and returns it. For what AWS too makes one poll for."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        found = what()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"did not happen within {timeout} s")


def function(name, description="Does what its name says", **parameters):
    """One function of a schema; a parameter is `type`, `type required` or (type, description)."""
    def detail(given):
        kind, about = given if isinstance(given, tuple) else (given, "what it says")
        return {
            "type": kind.split()[0], "description": about, "required": kind.endswith("required"),
        }
    return {
        "name": name, "description": description,
        "parameters": {key: detail(value) for key, value in parameters.items()},
    }


def package(**files):
    """A zip of Python modules, by module name."""
    return zipped({f"{name}.py": text for name, text in files.items()})


def zipped(files, onto=b""):
    """A zip of files, by name, after what another zip has; `bootstrap` is executable in it."""
    packed = io.BytesIO(onto)
    with zipfile.ZipFile(packed, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o100755 if name == "bootstrap" else 0o100644) << 16
            archive.writestr(entry, content)
    return packed.getvalue()


@dataclasses.dataclass
class Turn:
    """What one InvokeAgent said."""

    answer: dict
    chunks: list = dataclasses.field(default_factory=list)
    parts: list = dataclasses.field(default_factory=list)
    control: dict = None
    order: list = dataclasses.field(default_factory=list)

    @property
    def text(self):
        return b"".join(self.chunks).decode()

    @property
    def traces(self):
        """The trace unions: {"orchestrationTrace": …} or {"failureTrace": …}."""
        return [part["trace"] for part in self.parts]

    def steps(self):
        """The kinds of the orchestration's trace parts, in order."""
        names = []
        for trace in self.traces:
            for kind, inner in trace.items():
                if kind != "orchestrationTrace":
                    names.append(kind)
                    continue
                for step, value in inner.items():
                    names.append(f"observation {value['type']}" if step == "observation" else step)
        return names

    def all(self, step):
        return [t["orchestrationTrace"][step] for t in self.traces
                if step in t.get("orchestrationTrace", {})]


def hear(answer):
    """Reads an InvokeAgent answer to its end."""
    turn = Turn(answer)
    for event in answer["completion"]:
        (kind, value), = event.items()
        turn.order.append(kind)
        if kind == "chunk":
            turn.chunks.append(value["bytes"])
        elif kind == "trace":
            turn.parts.append(value)
        elif kind == "returnControl":
            turn.control = value
    return turn


class Agent:
    """An agent under test, with its clients, its model and its tool server."""

    def __init__(self, cp, rt, model, tools, **fields):
        self.cp, self.rt, self.model, self.tools = cp, rt, model, tools
        self.name = fields.pop("agentName", None) or unique("agent")
        fields = {
            "foundationModel": model.id if model else "craton.rules",
            "instruction": INSTRUCTION, "agentResourceRoleArn": ROLE, **fields,
        }
        self.fields = fields
        self.id = cp.create_agent(agentName=self.name, **fields)["agent"]["agentId"]

    def group(self, *functions, executor=None, name=None, **fields):
        """An action group; without an executor its calls return control to the caller."""
        given = {"lambda": executor} if executor else {"customControl": "RETURN_CONTROL"}
        if functions:
            fields["functionSchema"] = {"functions": list(functions)}
        made = self.cp.create_agent_action_group(
            agentId=self.id, agentVersion="DRAFT", actionGroupName=name or "shop",
            actionGroupExecutor=given, **fields,
        )
        return made["agentActionGroup"]["actionGroupId"]

    def serve(self, function):
        self.tools.serve(self.name, function)
        return self

    def calls(self):
        return self.tools.calls_of(self.name)

    def status(self):
        return self.cp.get_agent(agentId=self.id)["agent"]["agentStatus"]

    def prepare(self):
        self.cp.prepare_agent(agentId=self.id)
        until(lambda: self.status() == "PREPARED")
        return self

    def update(self, **fields):
        self.fields |= fields
        self.cp.update_agent(agentId=self.id, agentName=self.name, **self.fields)

    def alias(self, name=None, version=None):
        routing = {"routingConfiguration": [{"agentVersion": version}]} if version else {}
        made = self.cp.create_agent_alias(
            agentId=self.id, agentAliasName=name or unique("alias"), **routing
        )
        alias = made["agentAlias"]["agentAliasId"]
        until(lambda: self.show_alias(alias)["agentAliasStatus"] == "PREPARED")
        return alias

    def show_alias(self, alias):
        return self.cp.get_agent_alias(agentId=self.id, agentAliasId=alias)["agentAlias"]

    def invoke(self, text=None, session=None, alias=DRAFT_ALIAS, rt=None, **fields):
        """The raw answer, its stream not yet read."""
        if text is not None:
            fields["inputText"] = text
        return (rt or self.rt).invoke_agent(
            agentId=self.id, agentAliasId=alias, sessionId=session or str(uuid.uuid4()), **fields
        )

    def talk(self, text=None, session=None, alias=DRAFT_ALIAS, trace=True, **fields):
        return hear(self.invoke(text, session, alias, enableTrace=trace, **fields))


def result(control, place, body, **extra):
    """The answer to one input of a return of control."""
    (kind, given), = control["invocationInputs"][place].items()
    text = body if isinstance(body, str) else json.dumps(body)
    if kind == "functionInvocationInput":
        return {"functionResult": {
            "actionGroup": given["actionGroup"], "function": given["function"],
            "responseBody": {"TEXT": {"body": text}}, **extra,
        }}
    return {"apiResult": {
        "actionGroup": given["actionGroup"], "apiPath": given["apiPath"],
        "httpMethod": given["httpMethod"], "httpStatusCode": 200,
        "responseBody": {"application/json": {"body": text}}, **extra,
    }}


def hand_back(control, *results, **state):
    return {
        "sessionState": {
            "invocationId": control["invocationId"],
            "returnControlInvocationResults": list(results), **state,
        }
    }


def dry(client):
    """The client with the header that asks for dry runs."""
    client.meta.events.register(
        "before-call", lambda params, **_: params["headers"].update({"x-craton-dry-run": "true"}))
    return client
