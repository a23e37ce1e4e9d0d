"""`craton deploy`: a file becomes agents and functions, once; a second run changes nothing."""

import json
import textwrap

import pytest

from support.agents import unique
from support.server import free_port
from support.terminal import Terminal, run

HANDLER = "def handler(event, context):\n    return {'said': 'one'}\n"

FILE = """\
functions:
  NAME-orders:
    code: code
    runtime: python3.12
    handler: main.handler
    timeout: 20
    environment: {SHOP: "${SHOP:-here}"}

agents:
  NAME:
    model: craton.rules
    instruction: You help the customers of a shop with their orders, politely and briefly.
    description: The shop's
    idle_session_seconds: 900
    tags: {team: support}
    action_groups:
      orders:
        executor: NAME-orders
        tools:
          get_order:
            description: Shows an order
            effect: read
            parameters:
              order_id: string required, The order's number
          cancel_order:
            effect: keyed
            parameters:
              order_id: string required
      approvals:
        description: What a person decides
        executor: return_control
        tools:
          approve:
            description: Asks for an approval
            confirm: true
            parameters:
              amount: {type: number, required: true, description: In dollars}
    aliases: [live]
"""


class Project:
    """A folder with a deploy file and a function's code, and the server that it goes to."""

    def __init__(self, folder, craton):
        self.folder, self.craton, self.name = folder, craton, unique("shop")
        self.agents, self.functions = craton.client("bedrock-agent"), craton.client("lambda")
        self.file = folder / "agent.yaml"
        (folder / "code").mkdir()
        self.code = folder / "code" / "main.py"
        self.code.write_text(HANDLER)
        self.write(FILE)

    def write(self, text):
        self.text = textwrap.dedent(text).replace("NAME", self.name)
        self.file.write_text(self.text)

    def edit(self, old, new):
        old, new = old.replace("NAME", self.name), new.replace("NAME", self.name)
        assert old in self.text
        self.write(self.text.replace(old, new))

    def deploy(self, *arguments, **more):
        done = run("deploy", str(self.file), *arguments, url=self.craton.url, **more)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def refused(self):
        done = run("deploy", str(self.file), url=self.craton.url)
        assert done.returncode == 1, done.stdout
        return done.stderr

    @property
    def id(self):
        pages = self.agents.get_paginator("list_agents").paginate()
        found = [a["agentId"] for p in pages for a in p["agentSummaries"]
                 if a["agentName"] == self.name]
        return found[0] if found else None

    def agent(self):
        return self.agents.get_agent(agentId=self.id)["agent"]

    def groups(self, version="DRAFT"):
        listed = self.agents.list_agent_action_groups(agentId=self.id, agentVersion=version)
        return {
            one["actionGroupName"]: self.agents.get_agent_action_group(
                agentId=self.id, agentVersion=version, actionGroupId=one["actionGroupId"],
            )["agentActionGroup"] for one in listed["actionGroupSummaries"]
        }

    def aliases(self):
        listed = self.agents.list_agent_aliases(agentId=self.id)["agentAliasSummaries"]
        return {one["agentAliasName"]: one["routingConfiguration"][0]["agentVersion"]
                for one in listed}

    def versions(self):
        listed = self.agents.list_agent_versions(agentId=self.id)["agentVersionSummaries"]
        return {one["agentVersion"] for one in listed}

    def function(self):
        got = self.functions.get_function(FunctionName=f"{self.name}-orders")
        return {"tags": got.get("Tags", {}), **got["Configuration"]}

    def state(self):
        """All that a deploy could have changed, with the times at which it was."""
        dated = json.dumps([self.agent(), self.groups(), self.function()], default=str)
        return dated, self.aliases(), self.versions()


@pytest.fixture
def project(tmp_path, plain):
    return Project(tmp_path, plain)


def test_a_file_becomes_an_agent_with_its_groups_function_role_and_alias(project, plain):
    said = project.deploy()
    agent, groups, function = project.agent(), project.groups(), project.function()
    assert (agent["agentStatus"], agent["foundationModel"]) == ("PREPARED", "craton.rules")
    assert (agent["description"], agent["idleSessionTTLInSeconds"]) == ("The shop's", 900)
    tags = project.agents.list_tags_for_resource(resourceArn=agent["agentArn"])["tags"]
    assert tags == {"team": "support"}
    role = plain.client("iam").get_role(RoleName=f"{project.name}-agent")["Role"]
    assert role["Arn"] == agent["agentResourceRoleArn"]
    trusted = role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]
    assert trusted == {"Service": "bedrock.amazonaws.com"}
    assert groups["orders"]["actionGroupExecutor"] == {"lambda": function["FunctionArn"]}
    assert groups["approvals"]["actionGroupExecutor"] == {"customControl": "RETURN_CONTROL"}
    tool = groups["approvals"]["functionSchema"]["functions"][0]
    assert tool["name"] == "approve" and tool["parameters"] == {
        "amount": {"type": "number", "required": True, "description": "In dollars"}}
    assert tool["requireConfirmation"] == "ENABLED"
    assert groups["orders"]["functionSchema"]["functions"][0]["requireConfirmation"] == "DISABLED"
    assert function["Environment"]["Variables"] == {"SHOP": "here"}
    assert (function["Timeout"], function["MemorySize"]) == (20, 128)
    assert function["tags"] == {
        "craton:effect:get_order": "read", "craton:effect:cancel_order": "keyed"}
    policy = project.functions.get_policy(FunctionName=f"{project.name}-orders")["Policy"]
    assert json.loads(policy)["Statement"][0]["Principal"] == {"Service": "bedrock.amazonaws.com"}
    assert project.aliases() == {"AgentTestAlias": "DRAFT", "live": "1"}
    assert agent["agentId"] in said and f"craton chat {project.name}" in said


def test_a_second_deploy_says_nothing_to_do_and_changes_nothing(project):
    project.deploy()
    before = project.state()
    said = project.deploy()
    assert said.startswith("nothing to do") and "create" not in said
    assert project.id in said, "the ids are shown all the same"
    assert project.state() == before


def test_a_change_changes_what_differs_and_moves_the_alias_once(project):
    project.deploy()
    untouched = project.groups()["orders"]
    project.edit("politely and briefly", "politely and very briefly")
    project.edit("In dollars", "In US dollars")
    said = project.deploy()
    assert f"update  agent {project.name}: instruction" in said
    assert f"update  group {project.name}/approvals: tools: ~approve" in said
    assert f"same    group {project.name}/orders" in said
    assert "very briefly" in project.agent()["instruction"]
    assert project.groups()["orders"] == untouched
    assert project.aliases()["live"] == "2"
    assert "very briefly" in project.agents.get_agent_version(
        agentId=project.id, agentVersion="2")["agentVersion"]["instruction"]
    assert project.deploy().startswith("nothing to do")
    assert project.versions() == {"DRAFT", "1", "2"}


def test_changed_code_settings_and_effects_reach_the_function_and_make_no_version(project):
    project.deploy()
    project.code.write_text(HANDLER.replace("one", "two"))
    project.edit("timeout: 20", "timeout: 21")
    project.edit("effect: keyed", "effect: once")
    project.edit("            effect: read\n", "")
    said = project.deploy(SHOP="there")
    assert "Environment, Timeout 20 → 21, code (1 file)" in said
    answer = project.functions.invoke(FunctionName=f"{project.name}-orders")
    assert json.loads(answer["Payload"].read()) == {"said": "two"}
    function = project.function()
    assert function["Environment"]["Variables"] == {"SHOP": "there"}
    assert function["tags"] == {"craton:effect:cancel_order": "once"}
    assert project.aliases()["live"] == "1"
    assert project.deploy(SHOP="there").startswith("nothing to do")


def test_a_group_that_left_the_file_is_deleted_and_an_alias_stays(project):
    project.deploy()
    project.write(project.text[:project.text.index("      approvals:")] + "    aliases: [next]\n")
    said = project.deploy()
    assert f"delete  group {project.name}/approvals: it is not in the file" in said
    assert f"alias {project.name}/live is not in the file; it stays as it is" in said
    assert set(project.groups()) == {"orders"}
    assert project.aliases() == {"AgentTestAlias": "DRAFT", "live": "1", "next": "2"}
    assert set(project.groups("1")) == {"orders", "approvals"}


def test_a_deploy_that_broke_off_is_gone_on_with(project):
    project.edit("aliases: [live]", "aliases: {live: {version: 7}}")
    said = project.refused()
    assert f"alias {project.name}/live could not be created" in said and "7" in said
    assert "the same command goes on from there" in said
    first = project.id
    assert project.agent()["agentStatus"] == "PREPARED"
    project.edit("aliases: {live: {version: 7}}", "aliases: [live, next]")
    said = project.deploy()
    assert "2 to create, 0 to update, 0 to delete" in said
    assert project.id == first
    assert project.aliases() == {"AgentTestAlias": "DRAFT", "live": "1", "next": "1"}


def test_what_somebody_changed_by_hand_is_seen_and_set_right(project):
    project.deploy()
    agent = project.agent()
    project.agents.update_agent(
        agentId=agent["agentId"], agentName=agent["agentName"], foundationModel="other.model",
        agentResourceRoleArn=agent["agentResourceRoleArn"], instruction=agent["instruction"])
    said = project.deploy()
    assert "foundationModel other.model → craton.rules" in said
    assert project.agent()["agentStatus"] == "PREPARED"
    assert (project.aliases()["live"], project.versions()) == ("1", {"DRAFT", "1"})


def test_a_rollback_in_the_file_is_an_alias_at_a_version(project):
    project.deploy()
    project.edit("politely and briefly", "politely")
    project.deploy()
    project.edit("aliases: [live]", "aliases: {live: {version: 1, description: rolled back}}")
    said = project.deploy()
    assert "version 2 → version 1, description" in said
    assert (project.aliases()["live"], project.versions()) == ("1", {"DRAFT", "1", "2"})


def test_plan_shows_and_changes_nothing(project):
    said = project.deploy("--plan")
    assert f"+ create  agent {project.name}" in said and "7 to create" in said
    assert project.id is None


def test_on_a_terminal_it_asks_first(project):
    for answer, made in [("n\r", False), ("y\r", True)]:
        terminal = Terminal("deploy", str(project.file), url=project.craton.url)
        terminal.until("carry it out? [y/N]").type(answer)
        assert terminal.end() == 0
        assert ("nothing was changed" in terminal.text) == (not made)
        assert bool(project.id) == made
        terminal.close()


def test_several_documents_and_agents_with_openapi_and_a_zip(project):
    schema = {"openapi": "3.0.0", "info": {"title": "stock", "version": "1"}, "paths": {
        "/stock/{sku}": {"get": {
            "operationId": "getStock", "description": "Shows what is in stock",
            "parameters": [{"name": "sku", "in": "path", "required": True,
                            "description": "The article", "schema": {"type": "string"}}],
            "responses": {"200": {"description": "ok"}}}}}}
    (project.folder / "stock.json").write_text(json.dumps(schema))
    other = project.name + "-stock"
    project.write(project.text + textwrap.dedent(f"""\
        ---
        agents:
          {other}:
            model: ${{MODEL}}
            instruction: You tell people what is in stock, in one sentence and no more.
            action_groups:
              stock:
                executor: {project.name}-orders
                openapi: stock.json
                effects: {{getStock: keyed}}
        """))
    said = project.deploy(MODEL="craton.rules")
    assert f"agent {other}:" in said and "alias TSTALIASID" in said
    assert project.function()["tags"]["craton:effect:getStock"] == "keyed"
    assert project.deploy(MODEL="craton.rules").startswith("nothing to do")
    project.name = other
    payload = project.groups()["stock"]["apiSchema"]["payload"]
    assert json.loads(payload) == schema


@pytest.mark.parametrize("old, new, at, words", [
    ("    description: The shop's", "    descripton: The shop's", "descripton", "unknown field"),
    ("    model: craton.rules\n", "", "instruction:", "missing field `model`"),
    ("  NAME:\n", "  NAME: [\n", "NAME: [", "expected a mapping with `model`"),
    ("executor: return_control", "executor: Return", "executor: Return", "no function Return in this"),
    ("executor: return_control", "executor: https://x", "executor: https", "[functions.map]"),
    ("idle_session_seconds: 900", "idle_session_seconds: 9", "  NAME:", "or equal to 60"),
    ("    code: code", "    code: cod", "code: cod", "cod cannot be read"),
    ('"${SHOP:-here}"', '"${NOT_SET_HERE}"', "NOT_SET_HERE", "NOT_SET_HERE is not set"),
    ("approve:\n", f"{'a' * 70}:\n", "approvals:", "64"),
    ("      amount: {", "      amount: decimal\n              x: {", "decimal", "TYPE required"),
    ("aliases: [live]", 'aliases: {live: {description: ""}}', "live", "greater than or equal to 1"),
    ("aliases: [live]", f"aliases: {{live: {{description: {'a' * 300}}}}}", "live", "equal to 200"),
    ("aliases: [live]", "aliases: {live: {version: 123456}}", "live", "'routingConfiguration"),
    ("executor: return_control", "executor: arn:aws:lambda:x", "approvals:", "'actionGroupExecutor"),
    ("    timeout: 20", "    timeout: 20\n    tags: {a&b: c}", "NAME-orders:", "'tags"),
    ("            description: Asks for an approval\n", "            effect: read\n", "approve:",
     "effect can be said of tools of a function in this file"),
])
def test_a_mistake_is_named_with_its_line_before_anything_changes(project, old, new, at, words):
    project.edit(old, new)
    said = project.refused()
    assert words in said and "nothing was changed" in said
    at = at.replace("NAME", project.name)
    lines = [n for n, line in enumerate(project.text.splitlines(), 1) if at in line]
    assert f"{project.file}:{lines[-1]}:" in said, said
    assert project.id is None


def test_all_mistakes_of_names_and_values_are_shown_at_once(project):
    project.edit("executor: return_control", "executor: nobody")
    project.edit("code: code", "code: nowhere")
    said = project.refused()
    assert "there is no function nobody" in said and "nowhere cannot be read" in said


def test_no_server_and_no_file_are_said(project):
    url = f"http://127.0.0.1:{free_port()}"
    done = run("deploy", str(project.file), url=url)
    assert done.returncode == 1 and url in done.stderr and "craton up" in done.stderr
    done = run("deploy", str(project.folder / "none.yaml"), url=url)
    assert done.returncode == 1 and "none.yaml cannot be read" in done.stderr
