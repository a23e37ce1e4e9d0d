"""InvokeModel with the bodies of Titan's, Cohere's and Nova's embeddings.

Without a provider `craton.hash` makes the vectors: it counts words, knows no meaning, and says its name
in a header. With one, the provider makes them.
"""

import json
import math

import pytest

from support.agents import refused, unique, until
from support.server import Craton

TITAN_1, TITAN_2 = "amazon.titan-embed-text-v1", "amazon.titan-embed-text-v2:0"
COHERE_3, COHERE_4 = "cohere.embed-english-v3", "us.cohere.embed-v4:0"
TEXTS = ["How do I reset my password?", "Resetting a forgotten password", "The office is closed on Sundays"]


@pytest.fixture(scope="module")
def brt(plain):
    return plain.client("bedrock-runtime")


def invoke(brt, model, body):
    answer = brt.invoke_model(modelId=model, body=json.dumps(body))
    return json.loads(answer["body"].read()), answer["ResponseMetadata"]["HTTPHeaders"]


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def test_without_a_provider_the_hashing_embedder_answers_and_says_so(brt):
    body, headers = invoke(brt, TITAN_2, {"inputText": TEXTS[0]})
    assert headers["x-craton-model"] == "hashing"
    assert body["inputTextTokenCount"] == 6 == int(headers["x-amzn-bedrock-input-token-count"])
    assert invoke(brt, TITAN_2, {"inputText": TEXTS[0]})[0] == body


def test_a_vector_is_as_long_as_the_models_own(brt):
    for model, members, length in [
        (TITAN_1, {}, 1536), (TITAN_2, {}, 1024), (TITAN_2, {"dimensions": 512}, 512), (TITAN_2, {"dimensions": 256}, 256),
    ]:
        vector = invoke(brt, model, {"inputText": "two words"} | members)[0]["embedding"]
        assert len(vector) == length
        assert math.isclose(dot(vector, vector), 1, abs_tol=1e-5)
    asked = {"texts": ["two words"], "input_type": "search_query"}
    assert len(invoke(brt, COHERE_3, asked)[0]["embeddings"][0]) == 1024
    assert len(invoke(brt, COHERE_4, asked)[0]["embeddings"][0]) == 1536
    assert len(invoke(brt, COHERE_4, asked | {"output_dimension": 256})[0]["embeddings"][0]) == 256
    nova = {"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": {
        "embeddingPurpose": "GENERIC_INDEX", "text": {"truncationMode": "END", "value": "two words"}}}
    [only] = invoke(brt, "amazon.nova-2-multimodal-embeddings-v1:0", nova)[0]["embeddings"]
    assert (only["embeddingType"], len(only["embedding"])) == ("TEXT", 3072)
    with refused("ValidationException", "dimensions"):
        invoke(brt, TITAN_2, {"inputText": "x", "dimensions": 300})


def test_texts_that_share_words_are_closer(brt):
    vectors = invoke(brt, COHERE_3, {"texts": TEXTS, "input_type": "search_document"})[0]["embeddings"]
    near, far = dot(vectors[0], vectors[1]), dot(vectors[0], vectors[2])
    assert near > far + 0.15


def test_titans_binary_vectors_are_the_signs(brt):
    body, _ = invoke(brt, TITAN_2, {"inputText": TEXTS[0], "embeddingTypes": ["float", "binary"], "dimensions": 256})
    floats = body["embeddingsByType"]["float"]
    assert body["embeddingsByType"]["binary"] == [int(n > 0) for n in floats]
    assert body["embedding"] == floats


def test_coheres_types_are_of_one_vector(brt):
    kinds = ["float", "int8", "uint8", "binary", "ubinary"]
    body, _ = invoke(brt, COHERE_3, {"texts": TEXTS, "input_type": "clustering", "embedding_types": kinds})
    assert body["response_type"] == "embeddings_by_type" and body["texts"] == TEXTS
    for at in range(len(TEXTS)):
        floats, int8, uint8, binary, ubinary = (body["embeddings"][kind][at] for kind in kinds)
        assert len(int8) == len(uint8) == 1024 and len(binary) == len(ubinary) == 128
        assert max(map(abs, int8)) == 127 and uint8 == [n + 128 for n in int8]
        cosine = dot(floats, int8) / math.sqrt(dot(floats, floats) * dot(int8, int8))
        assert cosine > 0.999
        assert binary == [byte - 128 for byte in ubinary]
        bits = [byte >> (7 - bit) & 1 for byte in ubinary for bit in range(8)]
        assert bits == [int(n > 0) for n in floats]


@pytest.mark.parametrize(("model", "body", "words"), [
    (TITAN_1, {"inputText": ""}, "inputText"),
    (TITAN_1, {"inputText": "x", "dimensions": 256}, "dimensions"),
    (TITAN_2, {"inputText": "x", "embeddingTypes": ["int8"]}, "int8"),
    (COHERE_3, {"texts": ["x"]}, "input_type"),
    (COHERE_3, {"texts": ["x"] * 97, "input_type": "search_query"}, "96"),
    (COHERE_3, {"texts": ["x"], "input_type": "search_query", "truncate": "LEFT"}, "truncate"),
    (COHERE_4, {"texts": ["x"], "input_type": "search_query", "output_dimension": 100}, "100"),
])
def test_what_cannot_be_embedded_is_refused_by_name(brt, model, body, words):
    with refused("ValidationException", words):
        invoke(brt, model, body)


def test_the_embedder_answers_no_questions(brt):
    with refused("ValidationException", "answers nothing"):
        brt.converse(modelId="craton.hash", messages=[{"role": "user", "content": [{"text": "Hi"}]}])


def test_an_openai_compatible_provider_embeds(craton, models):
    brt, model = craton.client("bedrock-runtime"), models.model(unique("cohere.embed-m"))
    body, headers = invoke(brt, model.id, {"texts": ["a", "abc"], "input_type": "search_query"})
    assert body["embeddings"] == [[1.0, -1.0], [3.0, -1.0]]
    assert "x-craton-model" not in headers and headers["x-amzn-bedrock-input-token-count"] == "6"
    request, = model.requests
    assert request["input"] == ["a", "abc"] and request["encoding_format"] == "float"
    missing = unique("amazon.titan-embed-gone")
    with refused("ModelErrorException", "there is no such model"):
        invoke(brt, missing, {"inputText": "x"})


def test_embeddings_count_in_limits_and_cost(tmp_path):
    """They pass the doors that replies pass, and what a price is known of is paid."""
    server = Craton(tmp_path / "craton", """
[[models]]
match = "amazon.titan-embed-text-v2:0"
provider = "hashing"
model = "craton.hash"
requests_per_minute = 1

[rates]
wait_seconds = 0.1
""").start()
    try:
        brt = server.client("bedrock-runtime", retries={"total_max_attempts": 1})
        count = invoke(brt, TITAN_2, {"inputText": "six words that count as six"})[0]["inputTextTokenCount"]
        with refused("ThrottlingException", "requests a minute"):
            invoke(brt, TITAN_2, {"inputText": "x"})
        row, = until(lambda: server.door("/cost?by=model")["rows"])
        assert (row["of"], row["tokens"]["input"], row["modelCalls"]) == ("craton.hash", count, 1)
    finally:
        server.stop()
