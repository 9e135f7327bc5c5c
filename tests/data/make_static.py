#!/usr/bin/env python3
"""Makes tests/data/static: a small static-embedding model in the folder layout of model2vec, and what model2vec
itself answers for some texts.

    make_static.py MINILM_FOLDER        the folder `minilm` of the tests' corpus

Rows and vocabulary are a part of all-MiniLM-L6-v2's word embeddings: 32 of the 384 dimensions of the tokens that the
texts below need. Needs numpy, safetensors, tokenizers and model2vec 0.10.0; the tests only read what it wrote.
"""

import json
import sys
from pathlib import Path

import numpy as np
from model2vec import StaticModel
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

HERE = Path(__file__).resolve().parent
WIDTH = 32
TEXTS = [
    "The weather is lovely today.",
    "It's so sunny outside!",
    "He drove to the stadium.",
    "rain, rain and RAIN again",
    "unbelievably",
    "Zürich is a city \u2014 of course",
    "a",
    "the the the the the the the the the the the the the the the the the the the the the the the the",
    "\u4f60\u597d \u2603",
    "",
    "[CLS] the [SEP]",
]
# Ordinary text to us, and special tokens to model2vec; the last text is compared in neither way.
COMPARED = TEXTS[:-1]


def main():
    minilm = Path(sys.argv[1])
    tokenizer = json.loads((minilm / "tokenizer.json").read_text())
    vocab = tokenizer["model"]["vocab"]
    kept = choose(Tokenizer.from_file(str(minilm / "tokenizer.json")), vocab)
    tokenizer["model"]["vocab"] = {token: i for i, token in enumerate(kept)}
    tokenizer["added_tokens"] = [t | {"id": kept.index(t["content"])} for t in tokenizer["added_tokens"]]
    for token in tokenizer["post_processor"]["special_tokens"].values():
        token["ids"] = [kept.index(token["id"])]
    tokenizer["padding"]["pad_id"] = kept.index("[PAD]")

    rows = load_file(minilm / "model.safetensors")["embeddings.word_embeddings.weight"]
    rows = rows[[vocab[t] for t in kept], :WIDTH].astype(np.float16)
    # As model2vec weighs a vocabulary that is sorted by frequency: smooth inverse frequency after Zipf.
    share = 1 / np.arange(2, len(kept) + 2)
    weights = (1e-4 / (1e-4 + share / share.sum())).astype(np.float32) * 100
    # Two tokens share a row, and the rows stand in another order than the tokens.
    order = np.random.default_rng(7).permutation(len(kept))
    mapping = np.argsort(order).astype(np.int64)
    mapping[kept.index("##y")] = mapping[kept.index("y")]

    folder = HERE / "static"
    folder.mkdir(exist_ok=True)
    tensors = {"embeddings": np.ascontiguousarray(rows[order]), "weights": weights, "mapping": mapping}
    save_file(tensors, folder / "model.safetensors")
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":")))
    config = {"model_type": "model2vec", "normalize": True, "embedding_dtype": "float16", "hidden_dim": WIDTH}
    (folder / "config.json").write_text(json.dumps(config) + "\n")

    model = StaticModel.from_pretrained(folder)
    # In f32: as float16 model2vec would round its sums.
    model.embedding = model.embedding.astype(np.float32)
    answer = {
        "texts": COMPARED,
        "tokens": [len(ids) for ids in model.tokenize(COMPARED)],
        "vectors": [[float(x) for x in v] for v in model.encode(COMPARED, normalize=True)],
        "raw": [[float(x) for x in v] for v in model.encode(COMPARED, normalize=False)],
    }
    (folder / "expected.json").write_text(json.dumps(answer, ensure_ascii=False) + "\n")
    print(f"{len(kept)} tokens, {len(COMPARED)} texts")


def choose(tokenizer, vocab):
    tokenizer.no_padding()
    kept = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    needed = {t for text in TEXTS for t in tokenizer.encode(text, add_special_tokens=False).tokens}
    letters = {t for t in vocab if len(t.removeprefix("##")) == 1 and t.removeprefix("##").isascii()}
    needed = sorted((needed | letters) - set(kept), key=vocab.__getitem__)
    return kept + [t for t in needed if t in vocab and t not in ("\u4f60", "\u597d")]


if __name__ == "__main__":
    main()
