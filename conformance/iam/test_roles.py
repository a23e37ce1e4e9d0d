"""Roles: stored because every set-up script creates them; not enforced yet."""

import json

import pytest

from support.agents import refused, unique
from support.server import ACCOUNT

TRUST = {"Version": "2012-10-17", "Statement": [{
    "Effect": "Allow", "Principal": {"Service": "bedrock.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
ALLOW = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


@pytest.fixture
def role(iam):
    name = unique("role")
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]
    yield made
    try:
        for policy in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
            iam.detach_role_policy(RoleName=name, PolicyArn=policy["PolicyArn"])
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            iam.delete_role_policy(RoleName=name, PolicyName=policy)
        iam.delete_role(RoleName=name)
    except iam.exceptions.NoSuchEntityException:
        pass


def test_every_field_round_trips(iam):
    name = unique("full")
    given = {"Path": "/service-role/", "RoleName": name, "Description": "for agents",
             "MaxSessionDuration": 7200, "Tags": [{"Key": "team", "Value": "shop"}]}
    made = iam.create_role(AssumeRolePolicyDocument=json.dumps(TRUST), **given)["Role"]
    assert made["Arn"] == f"arn:aws:iam::{ACCOUNT}:role/service-role/{name}"
    shown = iam.get_role(RoleName=name)["Role"]
    assert {key: shown[key] for key in given} == given
    assert shown["AssumeRolePolicyDocument"] == TRUST
    assert shown["RoleId"] == made["RoleId"] and shown["RoleId"].startswith("AROA")
    iam.get_waiter("role_exists").wait(RoleName=name)
    iam.delete_role(RoleName=name)


def test_roles_are_the_same_in_every_region(craton, iam, role):
    other = craton.client("iam", region="eu-central-1")
    assert other.get_role(RoleName=role["RoleName"])["Role"]["RoleId"] == role["RoleId"]


def test_a_name_is_unique(iam, role):
    with refused("EntityAlreadyExists", role["RoleName"]):
        iam.create_role(RoleName=role["RoleName"], AssumeRolePolicyDocument=json.dumps(TRUST))


def test_a_document_that_is_none_is_refused(iam):
    with refused("MalformedPolicyDocument"):
        iam.create_role(RoleName=unique("bad"), AssumeRolePolicyDocument="{not json")


def test_inline_policies(iam, role):
    name = role["RoleName"]
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(ALLOW))
    assert iam.list_role_policies(RoleName=name)["PolicyNames"] == ["p"]
    shown = iam.get_role_policy(RoleName=name, PolicyName="p")
    assert (shown["RoleName"], shown["PolicyName"], shown["PolicyDocument"]) == (name, "p", ALLOW)
    with refused("DeleteConflict"):
        iam.delete_role(RoleName=name)
    iam.delete_role_policy(RoleName=name, PolicyName="p")
    for call in (iam.get_role_policy, iam.delete_role_policy):
        with refused("NoSuchEntity"):
            call(RoleName=name, PolicyName="p")


def test_attached_policies(iam, role):
    name, arn = role["RoleName"], "arn:aws:iam::aws:policy/AmazonBedrockFullAccess"
    iam.attach_role_policy(RoleName=name, PolicyArn=arn)
    iam.attach_role_policy(RoleName=name, PolicyArn=arn)
    assert iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"] == [
        {"PolicyName": "AmazonBedrockFullAccess", "PolicyArn": arn}]
    with refused("DeleteConflict"):
        iam.delete_role(RoleName=name)
    iam.detach_role_policy(RoleName=name, PolicyArn=arn)
    with refused("NoSuchEntity"):
        iam.detach_role_policy(RoleName=name, PolicyArn=arn)


def test_updates(iam, role):
    name = role["RoleName"]
    iam.update_role(RoleName=name, Description="changed", MaxSessionDuration=3600)
    trust = json.loads(json.dumps(TRUST).replace("bedrock", "lambda"))
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(trust))
    iam.tag_role(RoleName=name, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    iam.untag_role(RoleName=name, TagKeys=["a"])
    shown = iam.get_role(RoleName=name)["Role"]
    assert (shown["Description"], shown["MaxSessionDuration"]) == ("changed", 3600)
    assert shown["AssumeRolePolicyDocument"] == trust
    assert iam.list_role_tags(RoleName=name)["Tags"] == [{"Key": "b", "Value": "2"}]


def test_the_list_pages(craton):
    iam = craton.client("iam", key="444455556666")
    names = {f"list-{n}" for n in range(5)}
    for name in names:
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST), Path="/listed/")
    pages = list(iam.get_paginator("list_roles").paginate(
        PathPrefix="/listed/", PaginationConfig={"PageSize": 2}))
    assert len(pages) == 3
    assert {role["RoleName"] for page in pages for role in page["Roles"]} == names
    assert iam.list_roles(PathPrefix="/other/")["Roles"] == []


def test_no_role_has_an_instance_profile(iam, role):
    assert iam.list_instance_profiles_for_role(RoleName=role["RoleName"])["InstanceProfiles"] == []


def test_an_unknown_role_is_no_such_entity(iam):
    name = unique("never")
    for call, fields in [
        (iam.get_role, {}), (iam.delete_role, {}), (iam.update_role, {}),
        (iam.list_role_policies, {}), (iam.list_attached_role_policies, {}), (iam.list_role_tags, {}),
        (iam.tag_role, {"Tags": []}), (iam.untag_role, {"TagKeys": []}),
        (iam.put_role_policy, {"PolicyName": "p", "PolicyDocument": json.dumps(ALLOW)}),
        (iam.attach_role_policy, {"PolicyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}),
        (iam.update_assume_role_policy, {"PolicyDocument": json.dumps(TRUST)}),
    ]:
        with refused("NoSuchEntity", name):
            call(RoleName=name, **fields)


def test_limits(craton):
    """A9: the query protocol words them alike."""
    raw = craton.client("iam", parameter_validation=False)
    with refused("ValidationError", "(?i)'roleName' failed to satisfy constraint"):
        raw.create_role(RoleName="x" * 65, AssumeRolePolicyDocument=json.dumps(TRUST))
