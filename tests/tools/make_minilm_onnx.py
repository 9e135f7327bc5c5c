#!/usr/bin/env python3
"""make_minilm_onnx.py MODEL.safetensors CONFIG.json OUT.onnx

all-MiniLM-L6-v2 as an ONNX graph in f32, operator set 17, batch and length free, in the form that exporters of BERT
give: weights of MatMul transposed, GELU by Erf, masked scores by addition. No f32 ONNX file of it is known in a package
registry. The messages are written by hand (field numbers: onnx/onnx.proto3), the same bytes every time.
"""

import json
import sys

import numpy as np

FLOAT, INT64 = 1, 7
LEFT_OUT = ("embeddings.position_ids", "pooler.")


def main():
    model, config, target = sys.argv[1:]
    with open(config) as file:
        config = json.load(file)
    graph = Graph(read(model))
    bert(graph, config)
    graph.write(target)


def read(path):
    """The tensors of a safetensors file by name."""
    with open(path, "rb") as file:
        data = file.read()
    begin = 8 + int.from_bytes(data[:8], "little")
    tensors = {}
    for name, entry in json.loads(data[8:begin]).items():
        if name == "__metadata__" or name.startswith(LEFT_OUT):
            continue
        assert entry["dtype"] == "F32", (name, entry)
        start, end = entry["data_offsets"]
        tensors[name] = np.frombuffer(data[begin + start : begin + end], "<f4").reshape(entry["shape"])
    return tensors


def bert(g, config):
    heads, width = config["num_attention_heads"], config["hidden_size"]
    size = width // heads
    for name in ("input_ids", "attention_mask", "token_type_ids"):
        g.inputs.append(value(name, INT64, ["batch", "length"]))
    words = g.node("Gather", g.weight("embeddings.word_embeddings.weight"), "input_ids")
    kinds = g.node("Gather", g.weight("embeddings.token_type_embeddings.weight"), "token_type_ids")
    # Positions 0 to length - 1.
    length = g.node("Gather", g.node("Shape", "input_ids"), g.ints("one", 1, ()), axis=0)
    positions = g.node("Range", g.ints("zero", 0, ()), length, g.ints("one", 1, ()))
    places = g.node("Gather", g.weight("embeddings.position_embeddings.weight"), positions)
    x = g.node("Add", g.node("Add", words, kinds), places)
    x = norm(g, x, "embeddings.LayerNorm", config)
    # 0 where a token counts, and far below where it does not.
    mask = g.node("Unsqueeze", "attention_mask", g.ints("axes", [1, 2], (2,)))
    mask = g.node("Cast", mask, to=FLOAT)
    mask = g.node("Mul", g.node("Sub", g.floats("whole", 1.0), mask), g.floats("low", -10000.0))
    apart, together = g.ints("apart", [0, 0, heads, size], (4,)), g.ints("together", [0, 0, width], (3,))
    for i in range(config["num_hidden_layers"]):
        at = f"encoder.layer.{i}."
        parts = {}
        for part in ("query", "key", "value"):
            y = g.node("Reshape", dense(g, x, f"{at}attention.self.{part}"), apart)
            parts[part] = g.node("Transpose", y, perm=[0, 2, 3, 1] if part == "key" else [0, 2, 1, 3])
        scores = g.node("MatMul", parts["query"], parts["key"])
        scores = g.node("Add", g.node("Div", scores, g.floats("root", float(np.sqrt(size)))), mask)
        mixed = g.node("MatMul", g.node("Softmax", scores, axis=-1), parts["value"])
        mixed = g.node("Reshape", g.node("Transpose", mixed, perm=[0, 2, 1, 3]), together)
        x = norm(g, g.node("Add", dense(g, mixed, f"{at}attention.output.dense"), x), f"{at}attention.output.LayerNorm", config)
        y = gelu(g, dense(g, x, f"{at}intermediate.dense"))
        x = norm(g, g.node("Add", dense(g, y, f"{at}output.dense"), x), f"{at}output.LayerNorm", config)
    g.node("Identity", x, output="last_hidden_state")
    g.outputs.append(value("last_hidden_state", FLOAT, ["batch", "length", width]))


def dense(g, x, name):
    product = g.node("MatMul", x, g.weight(f"{name}.weight", transpose=True), name=f"/{name}/MatMul")
    return g.node("Add", product, g.weight(f"{name}.bias"))


def norm(g, x, name, config):
    inputs = (x, g.weight(f"{name}.weight"), g.weight(f"{name}.bias"))
    return g.node("LayerNormalization", *inputs, axis=-1, epsilon=config["layer_norm_eps"])


def gelu(g, x):
    erf = g.node("Erf", g.node("Div", x, g.floats("root_of_two", float(np.sqrt(2)))))
    return g.node("Mul", g.node("Mul", x, g.node("Add", erf, g.floats("whole", 1.0))), g.floats("half", 0.5))


class Graph:
    def __init__(self, tensors):
        self.tensors, self.taken = tensors, {}
        self.nodes, self.inputs, self.outputs = [], [], []

    def weight(self, name, transpose=False):
        array = self.tensors[name]
        return self.initializer(name, FLOAT, array.T if transpose else array)

    def floats(self, name, x):
        return self.initializer(name, FLOAT, np.float32(x))

    def ints(self, name, values, shape):
        return self.initializer(name, INT64, np.array(values, "<i8").reshape(shape))

    def initializer(self, name, element, array):
        array = np.asarray(array)
        dims = b"".join(varint(1, d) for d in array.shape)
        tensor = dims + varint(2, element) + text(8, name) + field(9, array.tobytes())
        assert self.taken.setdefault(name, tensor) == tensor, name
        return name

    def node(self, op, *inputs, output=None, name=None, **attributes):
        output = output or f"{op}_{len(self.nodes)}"
        node = b"".join(text(1, i) for i in inputs) + text(2, output) + text(3, name or output) + text(4, op)
        self.nodes.append(node + b"".join(field(5, attribute(k, v)) for k, v in attributes.items()))
        return output

    def write(self, target):
        graph = b"".join(field(1, n) for n in self.nodes) + text(2, "all-MiniLM-L6-v2")
        graph += b"".join(field(5, t) for t in self.taken.values())
        graph += b"".join(field(11, v) for v in self.inputs) + b"".join(field(12, v) for v in self.outputs)
        with open(target, "wb") as file:
            file.write(varint(1, 8) + field(8, varint(2, 17)) + field(7, graph))


def attribute(name, x):
    if isinstance(x, float):
        return text(1, name) + bytes([2 << 3 | 5]) + np.float32(x).tobytes() + varint(20, 1)
    if isinstance(x, int):
        return text(1, name) + varint(3, x) + varint(20, 2)
    return text(1, name) + b"".join(varint(8, i) for i in x) + varint(20, 7)


def value(name, element, dims):
    dim = lambda d: field(1, text(2, d) if isinstance(d, str) else varint(1, d))
    shape = b"".join(map(dim, dims))
    return text(1, name) + field(2, field(1, varint(1, element) + field(2, shape)))


def text(tag, s):
    return field(tag, s.encode())


def field(tag, content):
    return number(tag << 3 | 2) + number(len(content)) + content


def varint(tag, n):
    return number(tag << 3) + number(n % (1 << 64))


def number(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out) + bytes([n])


if __name__ == "__main__":
    main()
