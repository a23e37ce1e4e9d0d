"""Managed policies: stored, not enforced yet."""

import json

import pytest

from support.agents import refused, unique
from support.server import ACCOUNT

ALLOW = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}


@pytest.fixture
def policy(iam):
    made = iam.create_policy(PolicyName=unique("policy"), PolicyDocument=json.dumps(ALLOW),
                             Description="lets all", Path="/team/")["Policy"]
    yield made
    try:
        iam.delete_policy(PolicyArn=made["Arn"])
    except iam.exceptions.NoSuchEntityException:
        pass


def test_every_field_round_trips(iam, policy):
    assert policy["Arn"] == f"arn:aws:iam::{ACCOUNT}:policy/team/{policy['PolicyName']}"
    shown = iam.get_policy(PolicyArn=policy["Arn"])["Policy"]
    assert (shown["PolicyName"], shown["Path"], shown["Description"]) == (
        policy["PolicyName"], "/team/", "lets all")
    assert (shown["DefaultVersionId"], shown["AttachmentCount"], shown["IsAttachable"]) == ("v1", 0, True)
    version = iam.get_policy_version(PolicyArn=policy["Arn"], VersionId="v1")["PolicyVersion"]
    assert version["Document"] == ALLOW and version["IsDefaultVersion"]
    versions = iam.list_policy_versions(PolicyArn=policy["Arn"])["Versions"]
    assert [v["VersionId"] for v in versions] == ["v1"]


def test_a_name_is_unique(iam, policy):
    with refused("EntityAlreadyExists"):
        iam.create_policy(PolicyName=policy["PolicyName"], PolicyDocument=json.dumps(ALLOW), Path="/team/")


def test_an_attached_policy_is_in_use(iam, policy):
    role = unique("holder")
    trust = {"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
    iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps(trust))
    iam.attach_role_policy(RoleName=role, PolicyArn=policy["Arn"])
    assert iam.get_policy(PolicyArn=policy["Arn"])["Policy"]["AttachmentCount"] == 1
    with refused("DeleteConflict"):
        iam.delete_policy(PolicyArn=policy["Arn"])
    iam.detach_role_policy(RoleName=role, PolicyArn=policy["Arn"])
    iam.delete_policy(PolicyArn=policy["Arn"])
    iam.delete_role(RoleName=role)
    with refused("NoSuchEntity"):
        iam.get_policy(PolicyArn=policy["Arn"])


def test_the_list_shows_ones_own(iam, policy):
    pages = iam.get_paginator("list_policies").paginate(Scope="Local", PathPrefix="/team/")
    assert policy["Arn"] in [p["Arn"] for page in pages for p in page["Policies"]]


def test_an_unknown_policy_is_no_such_entity(iam):
    arn = f"arn:aws:iam::{ACCOUNT}:policy/never"
    for call, fields in [(iam.get_policy, {}), (iam.delete_policy, {}), (iam.list_policy_versions, {}),
                         (iam.get_policy_version, {"VersionId": "v1"})]:
        with refused("NoSuchEntity"):
            call(PolicyArn=arn, **fields)


def test_a_document_that_is_none_is_refused(iam):
    with refused("MalformedPolicyDocument"):
        iam.create_policy(PolicyName=unique("bad"), PolicyDocument="[")
