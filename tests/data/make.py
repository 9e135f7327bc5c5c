"""Makes every file of this folder except itself: small ONNX models, good and bad, and expected.json.

    pip install numpy ml_dtypes onnx && python tests/data/make.py     # no runtime needed, same bytes every time

Own work, MIT OR Apache-2.0. Expected outputs are computed by numpy, never by a runtime under test.
"""

import json
import re
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).parent
OPSET, IR_VERSION = 17, 8  # what both ONNX Runtime and tract read

RUNNABLE = {}  # file -> {"inputs", "outputs", "constants"?}
REJECTED = {}  # file -> why opening or running it must be an error


def main():
    for old in [*HERE.rglob("*.onnx"), *HERE.rglob("*.bin")]:
        old.unlink()
    linear()
    pair()
    echoes()
    scale_f16()
    integers()
    slow()
    slow_chain()
    counter()
    scan_if()
    map_output()
    sequence_output()
    external()
    malformed()
    write_expected()


# --- Models that run --------------------------------------------------------------------------------------------------


def linear():
    """y = x W + b."""
    w = np.array([[1, 0, -1], [0.5, 2, 0], [-3, 0.25, 1], [0, -1, 4]], np.float32)
    b = np.array([0.5, -1, 2], np.float32)
    x = np.array([[1, 2, 3, 4], [-1, 0, 0.5, 2]], np.float32)
    nodes = [node("MatMul", "x w", "xw"), node("Add", "xw b", "y")]
    save("linear", nodes, [F("x", "n", 4)], [F("y", "n", 3)], {"w": w, "b": b})
    expect("linear", {"x": x}, {"y": x @ w + b}, {"w": w, "b": b})


def pair():
    """Both inputs share the symbolic dims n and m."""
    a = np.arange(6, dtype=np.float32).reshape(2, 3)
    b = np.full((2, 3), 0.5, np.float32)
    save("pair", [node("Add", "a b", "sum")], [F("a", "n", "m"), F("b", "n", "m")], [F("sum", "n", "m")])
    expect("pair", {"a": a, "b": b}, {"sum": a + b})


def echoes():
    """y = x for every dtype, with the extremes that a wrong conversion would lose."""
    values = {
        "f32": [0.1, -1.5, 3.4028234663852886e38, 1e-45],
        "f64": [0.1, -1.5, 1.7976931348623157e308, 5e-324],
        "f16": [0.1, -1.5, 65504, 6e-8],
        "bf16": [0.1, -1.5, 3.3895313892515355e38, 1e-40],
        "i8": [-128, -1, 0, 127],
        "i16": [-(2**15), -1, 0, 2**15 - 1],
        "i32": [-(2**31), -1, 0, 2**31 - 1],
        "i64": [-(2**63), -1, 0, 2**63 - 1],
        "u8": [0, 1, 128, 255],
        "u16": [0, 1, 2**15, 2**16 - 1],
        "u32": [0, 1, 2**31, 2**32 - 1],
        "u64": [0, 1, 2**63, 2**64 - 1],
        "bool": [True, False, False, True],
        "string": ["", "plain", "Zürich", "雨 🌧"],
    }
    for dtype, data in values.items():
        x = np.array(data, NUMPY[dtype])
        save(f"echo_{dtype}", [node("Identity", "x", "y")], [value("x", dtype, "n")], [value("y", dtype, "n")])
        expect(f"echo_{dtype}", {"x": x}, {"y": x})


def scale_f16():
    """y = x W in f16; all values are multiples of 1/4, so the sums are exact in any order and precision."""
    i, j = np.indices((8, 8))
    w = (((3 * i + 5 * j) % 9 - 4) / 4).astype(np.float16)
    x = (((np.arange(16) * 7) % 11 - 5) / 2).reshape(2, 8).astype(np.float16)
    y = (x.astype(np.float64) @ w.astype(np.float64)).astype(np.float16)
    save("scale_f16", [node("MatMul", "x w", "y")], [value("x", "f16", "n", 8)], [value("y", "f16", "n", 8)], {"w": w})
    expect("scale_f16", {"x": x}, {"y": y}, {"w": w})


def integers():
    """Products of bytes with signed bytes, large ones in pairs: sums that 16 bits cannot hold."""
    rng = np.random.default_rng(7)
    a = rng.integers(0, 256, (3, 64)).astype(np.uint8)
    b = rng.integers(-128, 128, (64, 5)).astype(np.int8)
    a[0], b[:, 0] = 255, 127
    zero = np.array(117, np.uint8)
    product = (a.astype(np.int32) - 117) @ b.astype(np.int32)
    nodes = [node("MatMulInteger", "a b zero", "y")]
    save("matmul_integer", nodes, [value("a", "u8", "n", 64)], [value("y", "i32", "n", 5)], {"b": b, "zero": zero})
    expect("matmul_integer", {"a": a}, {"y": product}, {"b": b})


def slow():
    """A Loop that rotates x by one column `trips` times: as slow as asked for, and the answer is known exactly."""
    body = helper.make_graph(
        [node("Identity", "go_on", "go_on_out"), node("MatMul", "turning rotation", "turned")],
        "turn",
        [value("trip", "i64"), value("go_on", "bool"), F("turning", 64, 64)],
        [value("go_on_out", "bool"), F("turned", 64, 64)],
    )
    loop = helper.make_node("Loop", ["trips", "yes", "x"], ["y"], body=body)
    constants = {"yes": np.array(True), "rotation": rotation(64)}
    save("slow", [loop], [F("x", 64, 64), value("trips", "i64")], [F("y", 64, 64)], constants)
    x = np.add(*np.indices((64, 64))).astype(np.float32) % 10
    expect("slow", {"x": x, "trips": np.array(3, np.int64)}, {"y": np.roll(x, 3, axis=1)})


def slow_chain():
    """The same without a Loop: 300 MatMul nodes by one constant; a large n makes a long run."""
    names = ["x", *(f"h{i}" for i in range(1, 300)), "y"]
    nodes = [node("MatMul", f"{a} rotation", b) for a, b in zip(names, names[1:])]
    save("slow_chain", nodes, [F("x", "n", 256)], [F("y", "n", 256)], {"rotation": rotation(256)})
    x = (np.arange(256, dtype=np.float32) % 100).reshape(1, 256)
    expect("slow_chain", {"x": x}, {"y": np.roll(x, 300, axis=1)})


def counter():
    """State by value: feed state_out back as state."""
    nodes = [node("Add", "x state", "y"), node("Identity", "y", "state_out")]
    save("counter", nodes, [F("x", 1), F("state", 1)], [F("y", 1), F("state_out", 1)])
    x, state = np.array([2.5], np.float32), np.array([40], np.float32)
    expect("counter", {"x": x, "state": state}, {"y": x + state, "state_out": x + state})


def scan_if():
    """y = 2 x if cond else x + 1."""
    double = helper.make_graph([node("Mul", "x two", "doubled")], "double", [], [F("doubled", "n")])
    increment = helper.make_graph([node("Add", "x one", "incremented")], "increment", [], [F("incremented", "n")])
    choose = helper.make_node("If", ["cond"], ["y"], then_branch=double, else_branch=increment)
    constants = {"one": np.array(1, np.float32), "two": np.array(2, np.float32)}
    save("scan_if", [choose], [value("cond", "bool"), F("x", "n")], [F("y", "n")], constants)
    x = np.array([1, -2, 0.5], np.float32)
    expect("scan_if", {"cond": np.array(True), "x": x}, {"y": 2 * x})


def map_output():
    """ZipMap, as scikit-learn converters append it: scores become a sequence of maps."""
    zipmap = helper.make_node("ZipMap", ["x"], ["y"], domain="ai.onnx.ml", classlabels_strings=["dry", "rain"])
    map_type = helper.make_map_type_proto(TensorProto.STRING, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    y = helper.make_value_info("y", helper.make_sequence_type_proto(map_type))
    save("map", [zipmap], [F("x", "n", 2)], [y], domains={"ai.onnx.ml": 3})
    x = np.array([[0.75, 0.25], [0.125, 0.875]], np.float32)
    rows = [dict(zip(("dry", "rain"), row)) for row in x.tolist()]
    expect("map", {"x": x}, {"y": {"dtype": "seq(map(string,f32))", "data": rows}})


def sequence_output():
    """y = [x, -x] as a sequence of tensors."""
    item = helper.make_tensor_type_proto(TensorProto.FLOAT, ["n"])
    y = helper.make_value_info("y", helper.make_sequence_type_proto(item))
    save("sequence", [node("Neg", "x", "minus"), node("SequenceConstruct", "x minus", "y")], [F("x", "n")], [y])
    x = np.array([1, -2, 0.5], np.float32)
    expect("sequence", {"x": x}, {"y": {"dtype": "seq(tensor(f32))", "data": [x.tolist(), (-x).tolist()]}})


# --- Weights in another file ------------------------------------------------------------------------------------------


def external():
    """Only `ok` may be read. The others would leak, crash or read past the end if their location were believed."""
    i, j = np.indices((32, 32))
    w = ((i * 5 + j * 3) % 7 - 3).astype(np.float32)
    x = np.arange(32, dtype=np.float32).reshape(1, 32)

    def matmul(folder, location, offset=0):
        save_external(folder, node("MatMul", "x w", "y"), F("x", "n", 32), F("y", "n", 32), w, location, offset)

    matmul("ok", "weights.bin")
    (HERE / "external/ok/weights.bin").write_bytes(w.tobytes())
    expect("external/ok/model", {"x": x}, {"y": x @ w}, {"w": w})

    matmul("parent", "../ok/weights.bin")
    reject("external/parent/model", "external data outside the model's folder, by ..")
    matmul("missing", "nothing.bin")
    reject("external/missing/model", "external data file does not exist")
    matmul("short", "weights.bin", offset=1024)
    (HERE / "external/short/weights.bin").write_bytes(w.tobytes())
    reject("external/short/model", "offset 1024 + length 4096 is past the end of a 4096 byte file")
    # ONNX Runtime's own mark for "offset is an address in this process".
    matmul("marker", "*/_ORT_MEM_ADDR_/*", offset=4096)
    reject("external/marker/model", "location is a memory address marker")

    # Given zeros, this one would answer with the first 16 bytes of the file.
    leak, x, y = node("Max", "x w", "y"), value("x", "u8", 16), value("y", "u8", 16)
    save_external("absolute", leak, x, y, np.zeros(16, np.uint8), "/etc/passwd", offset=0)
    reject("external/absolute/model", "external data at an absolute path")


def save_external(folder, op, x, y, w, location, offset):
    model = build(folder, [op], [x], [y])
    tensor = model.graph.initializer.add(name="w", dims=w.shape, data_type=helper.np_dtype_to_tensor_dtype(w.dtype))
    tensor.data_location = TensorProto.EXTERNAL
    for key, val in (("location", location), ("offset", offset), ("length", w.nbytes)):
        tensor.external_data.add(key=key, value=str(val))
    write(f"external/{folder}/model", model)


# --- Files that must be refused ---------------------------------------------------------------------------------------


def malformed():
    def add_to(name, why, dims, raw):
        model = build(name, [node("Add", "x w", "y")], [F("x", 8)], [F("y", 8)])
        model.graph.initializer.add(name="w", dims=dims, data_type=TensorProto.FLOAT, raw_data=raw)
        write(name, model)
        reject(name, why)

    add_to("raw_mismatch", "initializer of dims [8] with 4 bytes of data", [8], bytes(4))
    add_to("huge_dims", "initializer of dims [2^62, 8]: the byte count overflows 64 bits", [2**62, 8], bytes(32))

    write("no_graph", onnx.ModelProto(ir_version=IR_VERSION, opset_import=[helper.make_opsetid("", OPSET)]))
    reject("no_graph", "a model without a graph")

    echo = [node("Identity", "x", "y")], [F("x", "n")], [F("y", "n")]
    save("opset_future", *echo, domains={"": 999})
    reject("opset_future", "operator set 999")

    made_up = helper.make_node("Frobnicate", ["x"], ["y"], domain="made.up")
    save("unknown_op", [made_up], *echo[1:], domains={"made.up": 1})
    reject("unknown_op", "operator made.up.Frobnicate")


# --- Building blocks --------------------------------------------------------------------------------------------------

ONNX = {
    "f32": TensorProto.FLOAT, "f64": TensorProto.DOUBLE, "f16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16,
    "i8": TensorProto.INT8, "i16": TensorProto.INT16, "i32": TensorProto.INT32, "i64": TensorProto.INT64,
    "u8": TensorProto.UINT8, "u16": TensorProto.UINT16, "u32": TensorProto.UINT32, "u64": TensorProto.UINT64,
    "bool": TensorProto.BOOL, "string": TensorProto.STRING,
}
NUMPY = {
    "f32": np.float32, "f64": np.float64, "f16": np.float16, "bf16": ml_dtypes.bfloat16,
    "i8": np.int8, "i16": np.int16, "i32": np.int32, "i64": np.int64,
    "u8": np.uint8, "u16": np.uint16, "u32": np.uint32, "u64": np.uint64,
    "bool": np.bool_, "string": object,
}


def value(name, dtype, *dims):
    return helper.make_tensor_value_info(name, ONNX[dtype], list(dims))


def F(name, *dims):
    return value(name, "f32", *dims)


def node(op, inputs, outputs):
    return helper.make_node(op, inputs.split(), outputs.split())


def rotation(n):
    """x @ rotation(n) moves every column of x one to the right, and the last to the front."""
    return np.roll(np.eye(n, dtype=np.float32), 1, axis=1)


def build(name, nodes, inputs, outputs, constants=None, domains=None):
    initializers = [numpy_helper.from_array(a, k) for k, a in (constants or {}).items()]
    graph = helper.make_graph(nodes, name, inputs, outputs, initializers)
    opsets = [helper.make_opsetid(d, v) for d, v in ({"": OPSET} | (domains or {})).items()]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="tests/data/make.py")


def save(name, *args, **kwargs):
    write(name, build(name, *args, **kwargs))


def write(name, model):
    path = HERE / f"{name}.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString(deterministic=True))


def expect(name, inputs, outputs, constants=None):
    case = {"inputs": inputs, "outputs": outputs} | ({"constants": constants} if constants else {})
    RUNNABLE[f"{name}.onnx"] = {kind: {k: record(v) for k, v in group.items()} for kind, group in case.items()}


def record(v):
    if isinstance(v, dict):
        return v
    dtype = next(d for d, t in NUMPY.items() if v.dtype == t)
    data = v.astype(np.float64) if dtype in ("f16", "bf16", "f32") else v  # exact, and printed in full
    return {"dtype": dtype, "shape": list(v.shape), "data": data.tolist()}


def reject(name, why):
    REJECTED[f"{name}.onnx"] = why


def write_expected():
    """One line per tensor, so that a change reads well in a diff."""

    def block(indent, entries):
        inner = ",\n".join(f"{indent}  {json.dumps(k)}: {v}" for k, v in entries.items())
        return f"{{\n{inner}\n{indent}}}"

    def line(v):
        text = json.dumps(v, ensure_ascii=False, separators=(",", ":"))
        return re.sub(r"\.0(?=[],}])", "", text)  # 1.0 -> 1

    runnable = {
        name: block("    ", {kind: block("      ", {k: line(v) for k, v in g.items()}) for kind, g in case.items()})
        for name, case in RUNNABLE.items()
    }
    rejected = {name: line(why) for name, why in REJECTED.items()}
    text = block("", {"runnable": block("  ", runnable), "rejected": block("  ", rejected)})
    (HERE / "expected.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
