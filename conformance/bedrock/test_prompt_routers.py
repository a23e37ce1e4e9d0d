"""Prompt routers: models of which one answers each prompt."""

import pytest

from support.agents import refused, unique
from support.model import Say


@pytest.fixture(scope="module")
def bedrock(craton):
    return craton.client("bedrock")


def arn_of(name):
    return f"arn:aws:bedrock:us-east-1::foundation-model/{name}"


@pytest.fixture
def router(bedrock, models):
    """A router over two models of the case's own, and the two."""
    made = []
    for size in ("small", "large"):
        name = unique(f"anthropic.{size}").lower()
        models.model(arn_of(name)).turn(Say(f"I am {size}."))    # the map sends ids on as they are
        made.append(name)
    arn = bedrock.create_prompt_router(
        promptRouterName=unique("router"), description="two", models=[{"modelArn": arn_of(name)} for name in made],
        fallbackModel={"modelArn": arn_of(made[0])}, routingCriteria={"responseQualityDifference": 25},
        tags=[{"key": "team", "value": "a"}])["promptRouterArn"]
    yield arn, made
    try:
        bedrock.delete_prompt_router(promptRouterArn=arn)
    except bedrock.exceptions.ResourceNotFoundException:
        pass


def test_a_router_round_trips(bedrock, router):
    arn, (small, large) = router
    assert ":prompt-router/" in arn
    shown = bedrock.get_prompt_router(promptRouterArn=arn)
    assert (shown["type"], shown["status"], shown["description"]) == ("custom", "AVAILABLE", "two")
    assert [model["modelArn"] for model in shown["models"]] == [arn_of(small), arn_of(large)]
    assert shown["fallbackModel"] == {"modelArn": arn_of(small)}
    assert shown["routingCriteria"] == {"responseQualityDifference": 25}
    listed = [r["promptRouterArn"] for page in bedrock.get_paginator("list_prompt_routers").paginate()
              for r in page["promptRouterSummaries"]]
    assert arn in listed
    assert bedrock.list_prompt_routers(type="default")["promptRouterSummaries"] == []
    assert bedrock.list_tags_for_resource(resourceARN=arn)["tags"] == [{"key": "team", "value": "a"}]
    bedrock.delete_prompt_router(promptRouterArn=arn)
    with refused("ResourceNotFoundException"):
        bedrock.get_prompt_router(promptRouterArn=arn)


def test_a_router_answers_where_a_model_is_asked(brt, router):
    arn, _ = router
    answer = brt.converse(modelId=arn, messages=[{"role": "user", "content": [{"text": "Hi"}]}])
    assert answer["output"]["message"]["content"][0]["text"] in ("I am small.", "I am large.")


def test_a_router_without_models_is_refused(bedrock):
    with refused("ValidationException", "at least one model"):
        bedrock.create_prompt_router(
            promptRouterName="r", models=[], fallbackModel={"modelArn": arn_of("anthropic.x")},
            routingCriteria={"responseQualityDifference": 0})
