"""`craton lint`: an agent's tools judged by the checklist, over AWS's own operations."""

import json

import pytest

from support.agents import function, unique
from support.model import Say
from support.terminal import run
from support.tools import ONCE, READ

HANDLER = "def handler(event, context):\n    return {}\n"
TRUST = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]})


@pytest.fixture
def lint(craton):
    """Runs it on an agent: exit code, and what it said as JSON."""
    def judge(agent, *arguments):
        done = run("lint", agent.name, "--json", *arguments, url=craton.url)
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)
    return judge


def rules(report, severity=None):
    return {(one["rule"], *one["tools"]) for one in report["findings"]
            if severity in (None, one["severity"])}


def good(name, description="Shows an order. Use it when the customer names one."):
    return function(name, description, order_id=("string required", "The order's number, such as A-1001"))


def test_a_god_tool_with_a_free_form_command_is_found_with_its_fix(craton, agent, lint):
    """D8"""
    one = agent()
    one.group(
        function("manage_orders", "Creates, reads or deletes orders", sql=("string required", "The statement")),
        executor=ONCE)
    code, report = lint(one)
    assert code == 1
    assert {("free-form", "shop__manage_orders"), ("god-tool", "shop__manage_orders")} <= rules(report, "error")
    assert all(finding["fix"] and finding["why"] for finding in report["findings"])
    said = run("lint", one.name, url=craton.url)
    assert said.returncode == 1
    assert "ERROR   free-form  shop__manage_orders: sql is a program that the model writes" in said.stdout
    assert "fix: in function manage_orders, sql: " in said.stdout


def test_each_tool_is_scored_on_each_line_of_the_checklist(agent, lint):
    """D13"""
    one = agent()
    one.group(good("get_order"), function("process", "Process", data="string"), executor=READ)
    code, report = lint(one)
    assert code == 1
    scores = {tool["name"]: tool for tool in report["tools"]}
    lines = {"name", "when_to_use", "parameters", "required_and_enums", "role", "idempotency", "answers",
             "hand_off", "scope", "trust"}
    assert scores["get_order"]["items"].keys() == lines
    assert scores["get_order"]["items"]["name"] == 3 and scores["process"]["items"]["name"] == 0
    assert scores["get_order"]["items"]["answers"] is None, "a function schema has no place for them"
    shares = {name: tool["score"] / tool["of"] for name, tool in scores.items()}
    assert shares["process"] < shares["get_order"]


def test_warnings_fail_where_that_is_wanted(agent, lint, functions, lam):
    one = agent()
    arn = functions(HANDLER)["FunctionArn"]
    one.group(good("cancel_order", "Cancels an order when the customer asks."), executor=arn)
    code, report = lint(one)
    assert code == 0 and report["errors"] == 0
    assert {("effect-undeclared", "shop__cancel_order"), ("high-impact", "shop__cancel_order")} <= rules(report)
    assert lint(one, "--strict")[0] == 1
    lam.tag_resource(Resource=arn, Tags={"craton:effect:cancel_order": "keyed"})
    assert ("effect-undeclared", "shop__cancel_order") not in rules(lint(one)[1])


def test_what_the_role_of_a_function_allows_counts(agent, lint, functions, iam):
    """D13: least privilege, by inline policies, managed ones and AWS's own."""
    name = unique("desk")
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    one = agent()
    arn = functions(HANDLER, Role=role)["FunctionArn"]
    one.group(good("get_order"), executor=arn)
    assert not {rule for rule, *_ in rules(lint(one)[1])} & {"broad-role", "shared-role"}

    def allow(action, resource="*"):
        return json.dumps({"Version": "2012-10-17", "Statement":
                           {"Effect": "Allow", "Action": action, "Resource": resource}})

    def said():
        findings = lint(one)[1]["findings"]
        return {(found["severity"], found["what"]) for found in findings if found["rule"].endswith("-role")}

    iam.put_role_policy(RoleName=name, PolicyName="all+more", PolicyDocument=allow("*"))
    assert ("error", f'all+more of its role {name} allows every action ("*")') in said()
    iam.delete_role_policy(RoleName=name, PolicyName="all+more")
    own = iam.create_policy(PolicyName=name, PolicyDocument=allow(["dynamodb:DeleteItem"]))["Policy"]["Arn"]
    iam.attach_role_policy(RoleName=name, PolicyArn=own)
    iam.attach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    assert said() == {
        ("error", f"its role {name} has AWS's policy AdministratorAccess"),
        ("warning", f"{name} of its role {name} allows dynamodb:DeleteItem on every resource"),
        ("warning", f"get_order only looks, and its role {name} allows dynamodb:DeleteItem"),
    }


def test_operations_are_judged_by_their_responses(agent, lint):
    """D7: responses that are pages, and errors that nobody describes."""
    operation = {"operationId": "getOrder", "description": "Shows an order when asked.",
                 "responses": {"200": {"description": "it", "content": {"text/html": {"schema": {"type": "string"}}}}}}
    document = json.dumps({"openapi": "3.0.0", "paths": {"/orders": {"get": operation}}})
    one = agent()
    one.group(executor=READ, apiSchema={"payload": document})
    code, report = lint(one)
    assert code == 1
    assert ("html-response", "get__shop__getOrder") in rules(report, "error")
    assert ("errors-undescribed", "get__shop__getOrder") in rules(report, "warning")


def test_what_a_tool_answered_in_a_run_counts(agent, model, lint, craton):
    """D7: a page that reaches the model as a success."""
    model.turn(Say(calls=[("shop__get_order", {"order_id": "A-1001"})]), Say("<answer>Done.</answer>"))
    one = agent().serve(lambda event: "<html><title>502 Bad Gateway</title></html>")
    one.group(good("get_order"), executor=READ)
    assert ("html-response", "shop__get_order") not in rules(lint(one)[1])
    one.prepare()
    one.talk("Where is A-1001?")
    code, report = lint(one)
    assert code == 1 and ("html-response", "shop__get_order") in rules(report, "error")


def test_the_draft_an_alias_and_a_version_are_different_things(agent, cp, lint):
    one = agent()
    id = one.group(function("process", "Process"), executor=READ)
    one.prepare()
    made = cp.create_agent_alias(agentId=one.id, agentAliasName="live")["agentAlias"]["agentAliasId"]
    cp.update_agent_action_group(
        agentId=one.id, agentVersion="DRAFT", actionGroupId=id, actionGroupName="shop",
        actionGroupExecutor={"lambda": READ}, functionSchema={"functions": [good("get_order")]})
    assert [tool["name"] for tool in lint(one)[1]["tools"]] == ["get_order"]
    for chosen in (["--alias", "live"], ["--alias", made], ["--version", "1"]):
        code, report = lint(one, *chosen)
        assert code == 1 and report["agent"]["version"] == "1"
        assert [tool["name"] for tool in report["tools"]] == ["process"]


def test_what_craton_toml_sets_is_known_to_whoever_names_the_file(agent, lint, tmp_path):
    one = agent()
    refund = function("refund_order", "Refunds an order, only when asked.", amount=("number required", "In US dollars"))
    one.group(refund, executor=ONCE)
    assert ("high-impact", "shop__refund_order") in rules(lint(one)[1], "error")
    file = tmp_path / "craton.toml"
    file.write_text(f'[tools."{ONCE}:refund_order"]\neffect = "once"\nhand_off = ["amount > 100"]\n')
    assert rules(lint(one, "--config", str(file))[1]) == set()


def test_what_cannot_be_said_ends_with_two(craton, agent, bucket):
    nobody = run("lint", "nobody-here", url=craton.url)
    assert nobody.returncode == 2 and "nobody-here" in nobody.stderr and "(CR0029)" in nobody.stderr
    one = agent()
    gone = run("lint", one.name, "--version", "7", url=craton.url)
    assert gone.returncode == 2 and "no version 7" in gone.stderr
    (bucket / "api.json").write_text(json.dumps({"openapi": "3.0.0", "paths": {"/x": {"get": {
        "operationId": "getOrder", "description": "Shows it", "responses": {"200": {"description": "it"}}}}}}))
    one.group(executor=READ, apiSchema={"s3": {"s3BucketName": "deployments", "s3ObjectKey": "api.json"}})
    unseen = run("lint", one.name, url=craton.url)
    assert unseen.returncode == 0
    assert "not judged: shop: its schema lies in the bucket deployments" in unseen.stdout
