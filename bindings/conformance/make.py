"""Makes the models and rows of this folder: strings.onnx, reshape.onnx, rerank.gguf and rows.json. Same bytes every time.

pip install onnx && python bindings/conformance/make.py
"""

import csv
import json
import struct
from pathlib import Path

from onnx import TensorProto, helper, save_model

HERE = Path(__file__).parent
WEATHER = HERE.parents[1] / "examples/quickstart/weather.csv"
COLUMNS = ["precipitation", "temp_max", "temp_min", "wind"]
WORDS = {"sun": ("Sonne", 1), "rain": ("Regen", 2), "Zürich": ("雨 🌧", 3), "": ("nothing", 4)}


def main():
    strings()
    reshape()
    rerank()
    rows()


def strings():
    """word: string[n] to itself, to another word, and to a number; a word that is not known is "?" and -1."""

    def encode(output, **values):
        return helper.make_node(
            "LabelEncoder", ["word"], [output], domain="ai.onnx.ml", keys_strings=list(WORDS), **values
        )

    nodes = [
        helper.make_node("Identity", ["word"], ["same"]),
        encode("translation", values_strings=[t for t, _ in WORDS.values()], default_string="?"),
        encode("code", values_int64s=[c for _, c in WORDS.values()], default_int64=-1),
    ]
    save(
        "strings",
        nodes,
        [("word", TensorProto.STRING, ["n"])],
        [
            ("same", TensorProto.STRING, ["n"]),
            ("translation", TensorProto.STRING, ["n"]),
            ("code", TensorProto.INT64, ["n"]),
        ],
    )


def reshape():
    """y = x in the shape of i: one that does not fit is found by the runtime, and only when it runs."""
    save(
        "reshape",
        [helper.make_node("Reshape", ["x", "i"], ["y"])],
        [("x", TensorProto.FLOAT, ["n"]), ("i", TensorProto.INT64, [2])],
        [("y", TensorProto.FLOAT, ["a", "b"])],
    )


def rerank():
    """An encoder with a head that says how relevant a document of four words is to a query; its weights mean nothing."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *("\u2581" + word for word in ("rain", "snow", "sun", "wind"))]
    wide, inner = 16, 32
    keys = [
        ("general.architecture", 8, "bert"),
        ("bert.block_count", 4, 1),
        ("bert.context_length", 4, 64),
        ("bert.embedding_length", 4, wide),
        ("bert.feed_forward_length", 4, inner),
        ("bert.attention.head_count", 4, 2),
        ("bert.attention.layer_norm_epsilon", 6, 1e-12),
        ("bert.attention.causal", 7, False),
        ("bert.pooling_type", 4, 4),
        ("tokenizer.ggml.model", 8, "bert"),
        ("tokenizer.ggml.tokens", 9, (8, words)),
        ("tokenizer.ggml.token_type", 9, (5, [3, 3, 3, 3, 1, 1, 1, 1])),
        ("tokenizer.ggml.token_type_count", 4, 1),
        ("tokenizer.ggml.padding_token_id", 4, 0),
        ("tokenizer.ggml.unknown_token_id", 4, 1),
        ("tokenizer.ggml.bos_token_id", 4, 2),
        ("tokenizer.ggml.eos_token_id", 4, 3),
        ("tokenizer.ggml.seperator_token_id", 4, 3),
    ]
    layer = {
        **{f"attn_{part}.{kind}": dims for part in ("q", "k", "v", "output")
           for kind, dims in (("weight", [wide, wide]), ("bias", [wide]))},
        "attn_output_norm.weight": [wide], "attn_output_norm.bias": [wide],
        "ffn_up.weight": [wide, inner], "ffn_up.bias": [inner],
        "ffn_down.weight": [inner, wide], "ffn_down.bias": [wide],
        "layer_output_norm.weight": [wide], "layer_output_norm.bias": [wide],
    }  # fmt: skip
    tensors = {
        "token_embd.weight": [wide, len(words)], "token_types.weight": [wide, 1], "position_embd.weight": [wide, 64],
        "token_embd_norm.weight": [wide], "token_embd_norm.bias": [wide],
        **{f"blk.0.{name}": dims for name, dims in layer.items()},
        "cls.weight": [wide, wide], "cls.bias": [wide], "cls.output.weight": [wide, 1], "cls.output.bias": [1],
    }  # fmt: skip
    (HERE / "rerank.gguf").write_bytes(gguf(keys, tensors))


def gguf(keys, tensors):
    """A GGUF file of f32 tensors, with numbers that come from a sequence without a pattern."""

    def text(value):
        return struct.pack("<Q", len(value.encode())) + value.encode()

    def value(kind, it):
        if kind == 8:
            return text(it)
        if kind == 9:
            inner, items = it
            return struct.pack("<IQ", inner, len(items)) + b"".join(value(inner, item) for item in items)
        return struct.pack({4: "<I", 5: "<i", 6: "<f", 7: "<?"}[kind], it)

    def pad(data):
        return data + bytes(-len(data) % 32)

    state, data, infos = 1, b"", b""
    for name, dims in tensors.items():
        numbers, count = [], 1
        for dim in dims:
            count *= dim
        for _ in range(count):
            state = state * 6364136223846793005 + 1442695040888963407 & (1 << 64) - 1
            number = (state >> 40) / (1 << 23) - 1
            numbers.append(1 + 0.2 * number if name.endswith("norm.weight") else number)
        data = pad(data)
        infos += text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, 0, len(data))
        data += struct.pack(f"<{count}f", *numbers)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    head += b"".join(text(key) + struct.pack("<I", kind) + value(kind, it) for key, kind, it in keys)
    return pad(head + infos) + data


def save(name, nodes, inputs, outputs):
    graph = helper.make_graph(
        nodes, name, *[[helper.make_tensor_value_info(*v) for v in vs] for vs in (inputs, outputs)]
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 2)]
    save_model(helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name=""), HERE / f"{name}.onnx")


def rows():
    """made_for: what the profile is fitted to; home, away: what the model then sees; dead: away, with no wind."""
    with open(WEATHER, newline="") as file:
        days = list(csv.DictReader(file))

    def of(city, *years):
        return [[float(d[c]) for c in COLUMNS] for d in days if d["location"] == city and d["date"][:4] in years]

    away = of("New York", "2012")[:365]
    tables = {
        "made_for": of("Seattle", "2012", "2013", "2014"),
        "home": of("Seattle", "2015"),
        "away": away,
        "dead": [[*day[:3], 0.0] for day in away],
    }
    lines = [f'"{name}": [\n' + ",\n".join(json.dumps(row) for row in table) + "]" for name, table in tables.items()]
    text = '{"columns": ' + json.dumps(COLUMNS) + ",\n" + ",\n".join(lines) + "}\n"
    (HERE / "rows.json").write_text(text)


if __name__ == "__main__":
    main()
