"""Inference profiles: AWS's own by geography, and names of a client's own that stand for a model."""

import json

import pytest

from support.agents import refused, unique
from support.model import Say

HAIKU = "anthropic.claude-3-haiku-20240307-v1:0"
ARN = f"arn:aws:bedrock:us-east-1::foundation-model/{HAIKU}"


@pytest.fixture(scope="module")
def bedrock(craton):
    return craton.client("bedrock")


@pytest.fixture
def profile(bedrock):
    made = []

    def make(source=ARN, **more):
        arn = bedrock.create_inference_profile(
            inferenceProfileName=unique("profile"), modelSource={"copyFrom": source}, **more)["inferenceProfileArn"]
        made.append(arn)
        return arn
    yield make
    for arn in made:
        try:
            bedrock.delete_inference_profile(inferenceProfileIdentifier=arn)
        except bedrock.exceptions.ResourceNotFoundException:
            pass


def test_a_profile_round_trips(bedrock, profile):
    arn = profile(description="for team a")
    shown = bedrock.get_inference_profile(inferenceProfileIdentifier=arn)
    assert shown["inferenceProfileArn"] == arn
    assert (shown["type"], shown["status"]) == ("APPLICATION", "ACTIVE")
    assert shown["description"] == "for team a"
    assert shown["models"] == [{"modelArn": ARN}]
    by_id = bedrock.get_inference_profile(inferenceProfileIdentifier=shown["inferenceProfileId"])
    assert by_id["inferenceProfileArn"] == arn
    listed = [p["inferenceProfileArn"] for page in bedrock.get_paginator("list_inference_profiles").paginate(
        typeEquals="APPLICATION", PaginationConfig={"PageSize": 1}) for p in page["inferenceProfileSummaries"]]
    assert arn in listed and len(listed) == len(set(listed))
    bedrock.delete_inference_profile(inferenceProfileIdentifier=arn)
    with refused("ResourceNotFoundException"):
        bedrock.get_inference_profile(inferenceProfileIdentifier=arn)


def test_a_profile_stands_for_its_model_wherever_a_model_is_asked(craton, brt, models, bedrock, profile):
    name = unique("anthropic.case").lower()
    source = f"arn:aws:bedrock:us-east-1::foundation-model/{name}"
    models.model(source).turn(Say("Hello!"))    # the map sends ids on as they are
    arn = profile(source)
    answer = brt.converse(modelId=arn, messages=[{"role": "user", "content": [{"text": "Hi"}]}])
    assert answer["output"]["message"]["content"] == [{"text": "Hello!"}]
    body = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    told = json.loads(brt.invoke_model(modelId=arn, body=json.dumps(body))["body"].read())
    assert told["content"][0]["text"] == "Hello!"


def test_profiles_of_aws_are_those_of_the_geography(craton, bedrock):
    def listed(client):
        pages = client.get_paginator("list_inference_profiles").paginate()
        return {p["inferenceProfileId"] for page in pages for p in page["inferenceProfileSummaries"]}
    assert f"us.{HAIKU}" in listed(bedrock)
    assert not any(id.startswith("eu.") for id in listed(bedrock))
    assert f"eu.{HAIKU}" in listed(craton.client("bedrock", region="eu-central-1"))
    shown = bedrock.get_inference_profile(inferenceProfileIdentifier=f"us.{HAIKU}")
    assert (shown["type"], shown["inferenceProfileName"]) == ("SYSTEM_DEFINED", "US Anthropic Claude 3 Haiku")
    with refused("ValidationException", "not the account's own"):
        bedrock.delete_inference_profile(inferenceProfileIdentifier=f"us.{HAIKU}")


def test_a_profile_may_be_copied_from_one_of_aws(bedrock, profile):
    arn = profile(f"arn:aws:bedrock:us-east-1:000000000000:inference-profile/us.{HAIKU}")
    assert bedrock.get_inference_profile(inferenceProfileIdentifier=arn)["models"] == [{"modelArn": ARN}]


def test_a_repeated_create_makes_one_profile(bedrock, profile):
    create = {"inferenceProfileName": unique("profile"), "modelSource": {"copyFrom": ARN},
              "clientRequestToken": unique("token").replace("_", "-")}
    first = bedrock.create_inference_profile(**create)["inferenceProfileArn"]
    assert bedrock.create_inference_profile(**create)["inferenceProfileArn"] == first
    with refused("ConflictException"):
        bedrock.create_inference_profile(**create | {"inferenceProfileName": "another"})
    bedrock.delete_inference_profile(inferenceProfileIdentifier=first)


def test_tags_of_a_profile(bedrock, profile):
    arn = profile(tags=[{"key": "team", "value": "a"}])
    bedrock.tag_resource(resourceARN=arn, tags=[{"key": "cost", "value": "b"}])
    bedrock.untag_resource(resourceARN=arn, tagKeys=["team"])
    assert bedrock.list_tags_for_resource(resourceARN=arn)["tags"] == [{"key": "cost", "value": "b"}]
    with refused("TooManyTagsException"):
        bedrock.tag_resource(resourceARN=arn, tags=[{"key": f"k{n}", "value": ""} for n in range(51)])
    with refused("ResourceNotFoundException"):
        bedrock.list_tags_for_resource(resourceARN=arn[:-1] + "-")
