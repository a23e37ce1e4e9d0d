"""Foundation models: what the model map has an answer for, with what AWS says of those it knows."""

import pytest

from support.agents import refused

HAIKU = "anthropic.claude-3-haiku-20240307-v1:0"


@pytest.fixture(scope="module")
def bedrock(craton):
    return craton.client("bedrock")


def ids(bedrock, **filters):
    return {model["modelId"] for model in bedrock.list_foundation_models(**filters)["modelSummaries"]}


def test_models_are_listed_with_what_they_take_and_make(bedrock):
    models = {m["modelId"]: m for m in bedrock.list_foundation_models()["modelSummaries"]}
    haiku = models[HAIKU]
    assert haiku["modelArn"] == f"arn:aws:bedrock:us-east-1::foundation-model/{HAIKU}"
    assert (haiku["modelName"], haiku["providerName"]) == ("Claude 3 Haiku", "Anthropic")
    assert haiku["inputModalities"] == ["TEXT", "IMAGE"] and haiku["outputModalities"] == ["TEXT"]
    assert haiku["responseStreamingSupported"] is True
    assert haiku["modelLifecycle"]["status"] == "ACTIVE"


def test_filters_narrow_the_list(bedrock):
    every = ids(bedrock)
    assert ids(bedrock, byProvider="Anthropic") == {i for i in every if i.startswith("anthropic.")}
    embeddings = ids(bedrock, byOutputModality="EMBEDDING")
    assert "amazon.titan-embed-text-v2:0" in embeddings and HAIKU not in embeddings
    assert HAIKU in ids(bedrock, byInferenceType="ON_DEMAND")
    assert not ids(bedrock, byInferenceType="PROVISIONED")
    assert not ids(bedrock, byCustomizationType="FINE_TUNING")
    with refused("ValidationException", "byOutputModality"):
        bedrock.list_foundation_models(byOutputModality="SMELL")


def test_one_model_is_shown_by_id_and_by_arn(bedrock):
    by_id = bedrock.get_foundation_model(modelIdentifier=HAIKU)["modelDetails"]
    by_arn = bedrock.get_foundation_model(modelIdentifier=by_id["modelArn"])["modelDetails"]
    assert by_id == by_arn and by_id["modelId"] == HAIKU
    available = bedrock.get_foundation_model_availability(modelId=HAIKU)
    assert available["authorizationStatus"] == "AUTHORIZED"


def test_an_id_that_nobody_knows_is_no_model(bedrock):
    """AWS: it does not exist, although here `*` would answer a call to it."""
    for ask in (lambda: bedrock.get_foundation_model(modelIdentifier="acme.does-not-exist-v1:0"),
                lambda: bedrock.get_foundation_model_availability(modelId="acme.does-not-exist-v1:0")):
        with refused("ResourceNotFoundException", "acme.does-not-exist-v1:0"):
            ask()


def test_what_leads_nowhere_is_not_there(tmp_path):
    from support.server import Craton
    config = ('[providers.p]\nkind = "openai"\nbase_url = "http://127.0.0.1:9/v1"\n'
              f'[[models]]\nmatch = "{HAIKU}"\nprovider = "p"\n')
    server = Craton(tmp_path / "narrow", config).start()
    try:
        bedrock = server.client("bedrock")
        assert ids(bedrock) == {HAIKU, "craton.rules"}
        with refused("ResourceNotFoundException", "amazon.nova-pro-v1:0"):
            bedrock.get_foundation_model(modelIdentifier="amazon.nova-pro-v1:0")
        with refused("ResourceNotFoundException"):
            bedrock.get_foundation_model_availability(modelId="amazon.nova-pro-v1:0")
    finally:
        server.stop()
