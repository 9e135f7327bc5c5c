#!/usr/bin/env python3
"""Makes a static-embedding model from the word embeddings of all-MiniLM-L6-v2: one vector per token, no transformer.

    make_static_model.py MINILM_SAFETENSORS VOCAB_TXT OUT

As model2vec lays it out: `embeddings` f16 [30522, 384] and `weights` f32 [30522], to be put beside the model's own
tokenizer.json. The embeddings are MiniLM's, less their mean, which all of them share and which says nothing. The
weights are smooth inverse frequencies a / (a + p) (Arora et al., 2017): the vocabulary is sorted by frequency from
"the" on, so Zipf's law gives p. Texts are compared less well than with the transformer, and a thousand times faster.
"""

import json
import struct
import sys
from pathlib import Path

import numpy as np

NAME = "embeddings.word_embeddings.weight"
A = 1e-3


def main():
    source, vocab, out = map(Path, sys.argv[1:])
    rows = read(source).astype(np.float64)
    tokens = vocab.read_text(encoding="utf-8").splitlines()
    if len(tokens) != len(rows):
        sys.exit(f"expected a row for each of {len(tokens)} tokens, got {len(rows)}")
    rows = (rows - rows.sum(axis=0) / len(rows)).astype("<f2")
    first = tokens.index("the")
    rank = np.maximum(np.arange(len(rows)) - first + 1, 1).astype(np.float64)
    rank[:first] = 5  # punctuation and single characters stand before the words, in no order of frequency
    share = 1 / (rank * (np.log(len(rows)) + np.euler_gamma))
    weights = (A / (A + share)).astype("<f4")
    write(out, {"embeddings": ("F16", rows), "weights": ("F32", weights)})


def read(path):
    """The one tensor, from a safetensors file."""
    data = path.read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    entry = json.loads(data[8 : 8 + length])[NAME]
    if entry["dtype"] != "F32":
        sys.exit(f"{NAME}: expected F32, got {entry['dtype']}")
    begin, end = entry["data_offsets"]
    return np.frombuffer(data[8 + length + begin : 8 + length + end], "<f4").reshape(entry["shape"])


def write(path, tensors):
    header, at = {}, 0
    for name, (dtype, array) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, array in tensors.values():
            file.write(np.ascontiguousarray(array).tobytes())


if __name__ == "__main__":
    main()
