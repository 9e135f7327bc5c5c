#!/usr/bin/env python3
"""make_minilm_gguf.py MODEL.safetensors TOKENIZER.json CONFIG.json OUT.gguf

all-MiniLM-L6-v2 as llama.cpp reads it: matrices in f16, everything else in f32, the WordPiece vocabulary in the
spelling of llama.cpp's "bert" tokenizer. No ready-made GGUF of an embedding model is known in a package registry.
"""

import json
import sys

import gguf
import numpy as np

ONCE = {
    "embeddings.word_embeddings.weight": "token_embd.weight",
    "embeddings.token_type_embeddings.weight": "token_types.weight",
    "embeddings.position_embeddings.weight": "position_embd.weight",
    "embeddings.LayerNorm": "token_embd_norm",
}
PER_BLOCK = {
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}
# Matrices, yet f32 as in llama.cpp's own conversions: token_types is added to f32 activations as it is.
KEPT_F32 = {"token_types.weight", "position_embd.weight"}
# The pooler is a head for another task; position_ids counts from 0 to 511.
LEFT_OUT = {"embeddings.position_ids", "pooler.dense.weight", "pooler.dense.bias"}


def main():
    model, tokenizer, config, target = sys.argv[1:]
    with open(config) as file:
        config = json.load(file)
    with open(tokenizer) as file:
        tokenizer = json.load(file)

    out = gguf.GGUFWriter(target, "bert")
    out.add_name("all-MiniLM-L6-v2")
    out.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    out.add_block_count(config["num_hidden_layers"])
    out.add_context_length(config["max_position_embeddings"])
    out.add_embedding_length(config["hidden_size"])
    out.add_feed_forward_length(config["intermediate_size"])
    out.add_head_count(config["num_attention_heads"])
    out.add_layer_norm_eps(config["layer_norm_eps"])
    out.add_causal_attention(False)
    out.add_pooling_type(gguf.PoolingType.MEAN)
    add_vocabulary(out, tokenizer, config)
    add_tensors(out, model, config["num_hidden_layers"])
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def add_vocabulary(out, tokenizer, config):
    ids = tokenizer["model"]["vocab"]
    words = sorted(ids, key=ids.get)
    assert [ids[word] for word in words] == list(range(config["vocab_size"]))
    spelled = [spell(word) for word in words]
    assert len(set(spelled)) == len(spelled), "llama.cpp aborts on a vocabulary with doubles"
    special = {token["content"] for token in tokenizer["added_tokens"] if token["special"]}
    kinds = [gguf.TokenType.CONTROL if word in special else gguf.TokenType.NORMAL for word in words]

    out.add_tokenizer_model("bert")
    out.add_tokenizer_pre("jina-v2-en")  # what llama.cpp's own converter writes for this vocabulary; unused there
    out.add_token_type_count(config["type_vocab_size"])
    out.add_token_list(spelled)
    out.add_token_types(kinds)
    out.add_bos_token_id(ids["[CLS]"])  # what llama.cpp puts first
    out.add_sep_token_id(ids["[SEP]"])
    out.add_unk_token_id(ids["[UNK]"])
    out.add_pad_token_id(ids["[PAD]"])
    out.add_mask_token_id(ids["[MASK]"])


def spell(word):
    """WordPiece marks the continuation of a word; llama.cpp marks its start."""
    if word.startswith("[") and word.endswith("]"):
        return word
    return word[2:] if word.startswith("##") else "\u2581" + word


def add_tensors(out, path, blocks):
    tensors = read_safetensors(path)
    names = dict(ONCE)
    for block in range(blocks):
        for theirs, ours in PER_BLOCK.items():
            names[f"encoder.layer.{block}.{theirs}"] = f"blk.{block}.{ours}"
    for name in sorted(tensors):
        if name in LEFT_OUT:
            continue
        stem, kind = name.rsplit(".", 1)
        ours = names.get(name) or f"{names[stem]}.{kind}"
        data = tensors[name]
        matrix = data.ndim == 2 and ours not in KEPT_F32
        out.add_tensor(ours, data.astype(np.float16) if matrix else data)


def read_safetensors(path):
    """name -> f32 array. A length, a JSON header, the bytes."""
    with open(path, "rb") as file:
        raw = file.read()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + size])
    found = {}
    for name, entry in header.items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            begin, end = (8 + size + offset for offset in entry["data_offsets"])
            found[name] = np.frombuffer(raw[begin:end], "<f4").reshape(entry["shape"])
    return found


if __name__ == "__main__":
    main()
