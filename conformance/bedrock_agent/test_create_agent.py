"""CreateAgent: PUT /agents/ answers 202 with the agent CREATING; the next read shows NOT_PREPARED."""

import threading
import uuid

import pytest
from botocore.exceptions import ClientError

from support.agents import INSTRUCTION, refused, unique
from support.server import ACCOUNT, REGION, ROLE

PROMPTS = {
    "promptConfigurations": [
        {"promptType": kind, "promptCreationMode": "DEFAULT", "promptState": state,
         "parserMode": "DEFAULT"}
        for kind, state in (("PRE_PROCESSING", "DISABLED"), ("ORCHESTRATION", "ENABLED"))
    ]
}


def test_every_field_round_trips(cp):
    """A1: what was given is what GetAgent shows, the rest at AWS's defaults."""
    given = {
        "agentName": unique("round-trip"),
        "instruction": INSTRUCTION,
        "foundationModel": "anthropic.claude-3-5-haiku-20241022-v1:0",
        "description": "Answers questions about orders",
        "idleSessionTTLInSeconds": 900,
        "agentResourceRoleArn": ROLE,
        "orchestrationType": "DEFAULT",
        "agentCollaboration": "DISABLED",
        "clientToken": uuid.uuid4().hex + "-1",
    }
    answer = cp.create_agent(**given, tags={"team": "shop"})
    made = answer["agent"]
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert made["agentStatus"] == "CREATING"
    shown = cp.get_agent(agentId=made["agentId"])["agent"]
    assert {key: shown[key] for key in given} == given
    assert shown["agentArn"] == f"arn:aws:bedrock:{REGION}:{ACCOUNT}:agent/{shown['agentId']}"
    assert shown["agentVersion"] == "DRAFT"
    assert shown["agentStatus"] == "NOT_PREPARED"
    assert shown["createdAt"] <= shown["updatedAt"]
    assert "preparedAt" not in shown
    assert cp.list_tags_for_resource(resourceArn=shown["agentArn"])["tags"] == {"team": "shop"}
    cp.delete_agent(agentId=made["agentId"])


def test_only_the_name_is_required(cp):
    made = cp.create_agent(agentName=unique("bare"))["agent"]
    assert made["idleSessionTTLInSeconds"] in (600, 1800)  # AWS has shown both
    assert "foundationModel" not in made
    cp.delete_agent(agentId=made["agentId"])


def test_a_name_is_unique(cp, agent):
    name = agent().name
    with refused("ConflictException", name):
        cp.create_agent(agentName=name)


def test_of_many_at_once_one_gets_the_name(cp):
    name, made, codes = unique("race"), [], []

    def create():
        try:
            made.append(cp.create_agent(agentName=name)["agent"]["agentId"])
        except ClientError as error:
            codes.append(error.response["Error"]["Code"])

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1 and codes == ["ConflictException"] * 7
    cp.delete_agent(agentId=made[0])


def test_the_same_token_and_body_give_the_first_answer(cp):
    token, name = uuid.uuid4().hex + "-2", unique("token")
    first = cp.create_agent(agentName=name, clientToken=token)["agent"]
    again = cp.create_agent(agentName=name, clientToken=token)["agent"]
    assert again["agentId"] == first["agentId"]
    with refused("ConflictException", "clientToken"):
        cp.create_agent(agentName=name + "-x", clientToken=token)
    cp.delete_agent(agentId=first["agentId"])


LIMITS = [
    # A9: field, a value past its limit, the constraint that AWS names
    ("agentName", "a--b", "satisfy regular expression pattern"),
    ("agentName", "x" * 101, "satisfy regular expression pattern"),
    ("agentName", "", "satisfy regular expression pattern"),
    ("instruction", "x" * 39, "length greater than or equal to 40"),
    ("instruction", "x" * 4001, "length less than or equal to 4000"),
    ("idleSessionTTLInSeconds", 59, "value greater than or equal to 60"),
    ("idleSessionTTLInSeconds", 5401, "value less than or equal to 5400"),
    ("agentResourceRoleArn", "arn:aws:iam::1:role/x", "satisfy regular expression pattern"),
    ("description", "", "length greater than or equal to 1"),
    ("description", "x" * 201, "length less than or equal to 200"),
    ("clientToken", "short", "length greater than or equal to 33"),
    ("orchestrationType", "MINE", "enum value set"),
    ("memoryConfiguration.storageDays", 366, "value less than or equal to 365"),
]


@pytest.mark.parametrize(("field", "value", "constraint"), LIMITS)
def test_a_value_past_its_limit_is_refused_in_awss_words(raw_cp, field, value, constraint):
    """A9"""
    given = {"agentName": unique("limits")}
    if field == "memoryConfiguration.storageDays":
        given["memoryConfiguration"] = {"enabledMemoryTypes": ["SESSION_SUMMARY"], "storageDays": value}
    else:
        given[field] = value
    words = rf"1 validation error detected: Value .*at '{field}' failed to satisfy constraint: .*"
    with refused("ValidationException", words + constraint):
        raw_cp.create_agent(**given)


def test_values_at_their_limits_are_taken(cp):
    """A9"""
    for given in ({"agentName": "n" * 100}, {"instruction": "x" * 40}, {"instruction": "x" * 4000},
                  {"idleSessionTTLInSeconds": 60}, {"idleSessionTTLInSeconds": 5400}):
        made = cp.create_agent(**{"agentName": unique("edge"), **given})["agent"]
        cp.delete_agent(agentId=made["agentId"])


def test_all_violations_are_told_at_once(raw_cp):
    with refused("ValidationException", r"^.*2 validation errors detected: Value .*; Value .*"):
        raw_cp.create_agent(agentName="a--b", idleSessionTTLInSeconds=1)


def test_a_missing_name_is_refused(raw_cp):
    with refused("ValidationException", "'agentName' failed to satisfy constraint: .*not be null"):
        raw_cp.create_agent(description="nameless")


def test_fields_of_features_to_come_are_taken_at_their_defaults(cp):
    """A1"""
    made = cp.create_agent(
        agentName=unique("defaults"), orchestrationType="DEFAULT", agentCollaboration="DISABLED",
        promptOverrideConfiguration=PROMPTS,
    )["agent"]
    shown = cp.get_agent(agentId=made["agentId"])["agent"]
    assert shown["agentCollaboration"] == "DISABLED"
    assert shown["promptOverrideConfiguration"] == PROMPTS
    cp.delete_agent(agentId=made["agentId"])


@pytest.mark.parametrize(("field", "value"), [
    ("orchestrationType", "CUSTOM_ORCHESTRATION"),
    ("guardrailConfiguration", {"guardrailIdentifier": "abc123", "guardrailVersion": "1"}),
    ("customerEncryptionKeyArn",
     f"arn:aws:kms:{REGION}:{ACCOUNT}:key/12345678-1234-1234-1234-123456789012"),
])
def test_fields_of_features_to_come_are_refused_by_name(cp, field, value):
    """A1: never accepted and then ignored."""
    with refused("ValidationException", field):
        cp.create_agent(agentName=unique("feature"), **{field: value})
