"""A sentence-transformer from a directory, held against numpy: the real all-MiniLM-L6-v2 as PyPI has it, and small
models of the other families."""

import json

import numpy as np
import pytest

from support.server import Craton
from support.transformer import NAMES, cosine, load, rows, save, word_pieces

TEXTS = [
    "This is an example sentence",
    "Each sentence is converted",
    "Where's my parcel? It should've arrived by 12.05.2024 (order #A-1001)!",
    "Crème brûlée, naïve façade; 東京 tower",
    "x",
]
SIZES = {"hidden": 24, "inner": 40, "layers": 2, "heads": 4, "words": 60, "positions": 40}


@pytest.fixture(scope="module")
def vocabulary(minilm):
    return {piece: number for number, piece in enumerate((minilm / "vocab.txt").read_text().splitlines())}


def started(home, models):
    """A server with a provider for each directory, by whose name its model goes."""
    lines = []
    for name, path in models.items():
        lines += [f"[providers.{name}]", 'kind = "sentence-transformer"', f"path = {json.dumps(str(path))}",
                  "[[models]]", f'match = "cohere.embed-{name}"', f'provider = "{name}"']
    return Craton(home, "\n".join(lines) + "\n").start()


@pytest.fixture(scope="module")
def brt(tmp_path_factory, minilm):
    server = started(tmp_path_factory.mktemp("minilm"), {"minilm": minilm})
    yield server.client("bedrock-runtime")
    server.stop()


def embed(brt, texts, name="minilm", **more):
    body = {"texts": texts, "input_type": "search_document"} | more
    answer = brt.invoke_model(modelId=f"cohere.embed-{name}", body=json.dumps(body))
    return json.loads(answer["body"].read())["embeddings"]


def test_the_vectors_are_those_of_the_model(brt, minilm, vocabulary):
    tensors = load(minilm)
    for text, vector in zip(TEXTS, embed(brt, TEXTS), strict=True):
        hidden = rows(tensors, word_pieces(text, vocabulary, 256), "bert", layers=6, heads=12, epsilon=1e-12)
        assert len(vector) == 384
        assert cosine(vector, hidden.mean(axis=0)) > 0.999999
        assert abs(np.linalg.norm(vector) - 1) < 1e-5


def test_a_text_longer_than_the_model_reads_is_cut_as_asked(brt, minilm, vocabulary):
    long = "parcel " * 300 + "late " * 300
    tensors = load(minilm)
    start = rows(tensors, word_pieces("parcel " * 300, vocabulary, 256), "bert", 6, 12, 1e-12).mean(axis=0)
    end = rows(tensors, word_pieces("late " * 300, vocabulary, 256), "bert", 6, 12, 1e-12).mean(axis=0)
    long = long[:2048]
    assert cosine(embed(brt, [long])[0], start) > 0.99999
    assert cosine(embed(brt, ["parcel " * 20 + "late " * 300], truncate="START")[0], end) > 0.99999
    with pytest.raises(brt.exceptions.ValidationException, match="text 1 has 300 tokens, the model reads 254"):
        embed(brt, ["short", "late " * 300], truncate="NONE")


def test_one_text_is_the_same_alone_and_among_others(brt):
    together = embed(brt, TEXTS * 12)
    for place, text in enumerate(TEXTS):
        alone, = embed(brt, [text])
        assert np.allclose(alone, together[place], atol=1e-6) and np.allclose(alone, together[place + 55], atol=1e-6)


def test_what_means_alike_is_closer_whatever_its_words(brt):
    question, near, far = embed(brt, ["The physician cured her illness.", "A doctor made the sick woman well.",
                                      "The illness of the stock market worries traders."])
    assert cosine(question, near) > cosine(question, far) + 0.1


def test_a_dimension_that_the_model_has_not_is_refused(tmp_path, minilm):
    server = Craton(tmp_path / "craton", f"""
[providers.minilm]
kind = "sentence-transformer"
path = {json.dumps(str(minilm))}
[[models]]
match = "amazon.titan-embed-*"
provider = "minilm"
""").start()
    try:
        brt = server.client("bedrock-runtime")
        answer = brt.invoke_model(modelId="amazon.titan-embed-text-v2:0", body=json.dumps({"inputText": "a parcel"}))
        answer = json.loads(answer["body"].read())
        assert len(answer["embedding"]) == 384 and answer["inputTextTokenCount"] == 4
        with pytest.raises(brt.exceptions.ValidationException, match="384 numbers, and 256 were asked for"):
            brt.invoke_model(modelId="amazon.titan-embed-text-v2:0",
                             body=json.dumps({"inputText": "a parcel", "dimensions": 256}))
    finally:
        server.stop()


def small(home, kind):
    """A small model of a family with random weights; the words of its vocabulary are its numbers."""
    home.mkdir()
    s, random = SIZES, np.random.default_rng(7)
    own = kind == "distilbert"
    config = {"model_type": kind, "vocab_size": s["words"], "max_position_embeddings": s["positions"], "pad_token_id": 1,
              "dim" if own else "hidden_size": s["hidden"], "hidden_dim" if own else "intermediate_size": s["inner"],
              "n_layers" if own else "num_hidden_layers": s["layers"], "n_heads" if own else "num_attention_heads": s["heads"],
              "activation" if own else "hidden_act": "gelu"}
    if not own:
        config["layer_norm_eps"] = 1e-5
    tensors = {}

    def add(name, *shape):
        tensors[name] = random.normal(0, 0.3, shape).astype("<f4")

    def pair(name, out, *into):
        add(f"{name}.weight", out, *into)
        add(f"{name}.bias", out)

    add("embeddings.word_embeddings.weight", s["words"], s["hidden"])
    add("embeddings.position_embeddings.weight", s["positions"], s["hidden"])
    if kind == "roberta":
        config["type_vocab_size"] = 1
        add("embeddings.token_type_embeddings.weight", 1, s["hidden"])
    if kind == "mpnet":
        add("encoder.relative_attention_bias.weight", 32, s["heads"])
    pair("embeddings.LayerNorm", s["hidden"])
    prefix, *parts = NAMES[kind]
    shapes = [(s["hidden"], s["hidden"])] * 4 + [(s["hidden"],), (s["inner"], s["hidden"]), (s["hidden"], s["inner"]), (s["hidden"],)]
    for layer in range(s["layers"]):
        for part, shape in zip(parts, shapes, strict=True):
            pair(prefix.format(layer) + part, *shape)
    (home / "config.json").write_text(json.dumps(config))
    (home / "tokenizer.json").write_text(json.dumps({
        "version": "1.0", "added_tokens": [], "normalizer": None, "pre_tokenizer": {"type": "WhitespaceSplit"},
        "post_processor": None, "decoder": None, "truncation": None, "padding": None,
        "model": {"type": "WordLevel", "unk_token": "0", "vocab": {str(n): n for n in range(s["words"])}}}))
    save(home, {f"{kind}.{name}": tensor for name, tensor in tensors.items()})
    return tensors


@pytest.mark.parametrize("kind", ["distilbert", "mpnet", "roberta"])
def test_the_other_families_compute_as_they_should(tmp_path, kind):
    tensors = small(tmp_path / kind, kind)
    server = started(tmp_path / "craton", {kind: tmp_path / kind})
    try:
        brt = server.client("bedrock-runtime")
        for count in (1, 7, 35):
            numbers = [(5 + 11 * n) % SIZES["words"] for n in range(count)]
            vector, = embed(brt, [" ".join(map(str, numbers))], kind)
            first = 0 if kind == "distilbert" else 2
            epsilon = 1e-12 if kind == "distilbert" else 1e-5
            hidden = rows(tensors, numbers, kind, SIZES["layers"], SIZES["heads"], epsilon, first)
            assert np.allclose(vector, hidden.mean(axis=0), atol=1e-4), count
    finally:
        server.stop()
