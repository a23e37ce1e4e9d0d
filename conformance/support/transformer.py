"""BERT and its kin by the book, in numpy: what Craton's vectors are held against.

Written from the papers' formulas, with nothing of Craton's in it. Texts are cut by a plain WordPiece.
"""

import json
import math
import re
import struct
import unicodedata

import numpy as np


def load(directory):
    """All tensors of a model.safetensors of floats."""
    data = (directory / "model.safetensors").read_bytes()
    size, = struct.unpack("<Q", data[:8])
    tensors = {}
    for name, told in json.loads(data[8:8 + size]).items():
        if name != "__metadata__" and told["dtype"] == "F32":
            start, end = (8 + size + at for at in told["data_offsets"])
            tensors[name] = np.frombuffer(data[start:end], "<f4").reshape(told["shape"])
    return tensors


def save(directory, tensors):
    told, at = {}, 0
    for name, tensor in tensors.items():
        told[name] = {"dtype": "F32", "shape": tensor.shape, "data_offsets": [at, at + 4 * tensor.size]}
        at += 4 * tensor.size
    head = json.dumps(told).encode()
    body = b"".join(tensor.astype("<f4").tobytes() for tensor in tensors.values())
    (directory / "model.safetensors").write_bytes(struct.pack("<Q", len(head)) + head + body)


def word_pieces(text, vocabulary, most):
    """Lower case, without accents, each punctuation mark a word; then the longest pieces from the left."""
    text = unicodedata.normalize("NFD", text.lower())
    text = "".join(c for c in text if unicodedata.category(c) != "Mn")
    pieces = []
    for word in re.findall(r"[\u4e00-\u9fff]|\w+|[^\w\s]", text.replace("_", " _ ")):
        pieces += pieces_of(word, vocabulary)
    return [vocabulary["[CLS]"], *pieces[:most - 2], vocabulary["[SEP]"]]


def pieces_of(word, vocabulary):
    found, start = [], 0
    while start < len(word):
        ends = (end for end in range(len(word), start, -1) if ("##" if start else "") + word[start:end] in vocabulary)
        end = next(ends, None)
        if end is None:
            return [vocabulary["[UNK]"]]
        found.append(vocabulary[("##" if start else "") + word[start:end]])
        start = end
    return found


NAMES = {
    "bert": ("encoder.layer.{}.", "attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense",
             "attention.output.LayerNorm", "intermediate.dense", "output.dense", "output.LayerNorm"),
    "mpnet": ("encoder.layer.{}.", "attention.attn.q", "attention.attn.k", "attention.attn.v", "attention.attn.o",
              "attention.LayerNorm", "intermediate.dense", "output.dense", "output.LayerNorm"),
    "distilbert": ("transformer.layer.{}.", "attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin",
                   "sa_layer_norm", "ffn.lin1", "ffn.lin2", "output_layer_norm"),
}
NAMES["roberta"] = NAMES["bert"]


def rows(tensors, pieces, kind, layers, heads, epsilon, first=0):
    """The last layer's rows, in double precision."""
    t = {name: tensor.astype(np.float64) for name, tensor in tensors.items() if not name.endswith("position_ids")}

    def dense(x, name):
        return x @ t[f"{name}.weight"].T + t[f"{name}.bias"]

    def norm(x, name):
        x = x - x.mean(axis=1, keepdims=True)
        x = x / np.sqrt((x * x).mean(axis=1, keepdims=True) + epsilon)
        return x * t[f"{name}.weight"] + t[f"{name}.bias"]

    count = len(pieces)
    x = t["embeddings.word_embeddings.weight"][pieces] + t["embeddings.position_embeddings.weight"][first:first + count]
    if "embeddings.token_type_embeddings.weight" in t:
        x = x + t["embeddings.token_type_embeddings.weight"][0]
    x = norm(x, "embeddings.LayerNorm")
    bias = np.zeros((heads, count, count))
    if kind == "mpnet":
        table = t["encoder.relative_attention_bias.weight"]
        for i in range(count):
            for j in range(count):
                bias[:, i, j] = table[bucket(j - i)]
    prefix, *parts = NAMES[kind]
    for layer in range(layers):
        query, key, value, out, norm_1, up, down, norm_2 = (prefix.format(layer) + part for part in parts)
        q, k, v = (dense(x, name).reshape(count, heads, -1).transpose(1, 0, 2) for name in (query, key, value))
        scores = q @ k.transpose(0, 2, 1) / math.sqrt(q.shape[2]) + bias
        scores = np.exp(scores - scores.max(axis=2, keepdims=True))
        seen = (scores / scores.sum(axis=2, keepdims=True)) @ v
        x = norm(x + dense(seen.transpose(1, 0, 2).reshape(count, -1), out), norm_1)
        inner = dense(x, up)
        inner = 0.5 * inner * (1 + np.vectorize(math.erf)(inner / math.sqrt(2)))
        x = norm(x + dense(inner, down), norm_2)
    return x


def bucket(distance):
    """T5's way, of 32 buckets and 128 as the farthest."""
    after, distance = (16 if distance > 0 else 0), abs(distance)
    if distance < 8:
        return after + distance
    return after + min(15, 8 + int(math.log(distance / 8) / math.log(16) * 8 + 1e-9))


def cosine(a, b):
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))
