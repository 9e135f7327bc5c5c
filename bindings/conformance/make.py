"""Makes the models and rows of this folder: strings.onnx, reshape.onnx and rows.json. Same bytes every time.

pip install onnx && python bindings/conformance/make.py
"""

import csv
import json
from pathlib import Path

from onnx import TensorProto, helper, save_model

HERE = Path(__file__).parent
WEATHER = HERE.parents[1] / "examples/quickstart/weather.csv"
COLUMNS = ["precipitation", "temp_max", "temp_min", "wind"]
WORDS = {"sun": ("Sonne", 1), "rain": ("Regen", 2), "Zürich": ("雨 🌧", 3), "": ("nothing", 4)}


def main():
    strings()
    reshape()
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
