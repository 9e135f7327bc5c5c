"""Will it rain tomorrow? Trains on Seattle 2012-14, judges on Seattle 2015 and New York 2012-15.

    pip install numpy onnx && python train.py        # a few seconds

Reads weather.csv; writes rain.onnx and expected.json beside this file, and three later versions of the model in packages/: one
trained on New York 2012-13, one whose training data somebody turned upside down, and one trained on both cities 2012-13. Another
CPU or numpy may change last digits.
"""

import csv
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

HERE = Path(__file__).parent
FEATURES = {"precipitation": "mm", "temp_max": "°C", "temp_min": "°C", "wind": "m/s"}
RAIN_MM = 0.5  # a day is rainy above this; the smallest amounts in the data are 0.3 and 0.5 mm (0.01 and 0.02 in)
TRAIN_YEARS = (2012, 2013, 2014)
LATER_YEARS = (2012, 2013)  # of the later versions; the years after them have no say
SEED = 0
GRID = [(hidden, decay) for hidden in (8, 16) for decay in (0.003, 0.01, 0.03)]
SEASONS = ("winter", "spring", "summer", "autumn")  # by month % 12 // 3: winter is December to February
PERIODS = [("Seattle", (2015,)), *(("New York", (y,)) for y in (2012, 2013, 2014, 2015))]
JUDGED = [(*period, "all") for period in PERIODS]
JUDGED += [(city, years, s) for city, years in (PERIODS[0], ("New York", (2012, 2013, 2014, 2015))) for s in SEASONS]


def main():
    cities = {city: load(city) for city in ("Seattle", "New York")}
    home = cities["Seattle"]
    x, rain, year = (home[k][np.isin(home["year"], TRAIN_YEARS)] for k in ("x", "rain", "year"))
    hidden, decay = min(GRID, key=lambda g: held_out_loss(x, rain, year, *g))  # the judged years have no say
    weights = fit(x, rain, hidden, decay)
    recipe = f"MLP 4-{hidden}-1, weight decay {decay}, seed {SEED}, {len(x)} days"
    export(weights, "rain.onnx", recipe, f"Seattle, {TRAIN_YEARS[0]}-01-01 to {TRAIN_YEARS[-1]}-12-31", 1)
    train_later_versions(cities["New York"])
    train_on_both(cities.values())

    scores = [score(cities[city], weights, city, years, season) for city, years, season in JUDGED]
    print(f"hidden {hidden}, weight decay {decay}, trained on {len(x)} days of Seattle\n")
    rates = ("accuracy", "majority", "persistence", "claimed")
    print(f"{'city':10}{'years':11}{'season':8}days", *(f"{r:>11}" for r in rates))
    for s in scores:
        years = "-".join(map(str, sorted({s["years"][0], s["years"][-1]})))
        print(f"{s['city']:10}{years:11}{s['season']:8}{s['days']:4}", *(f"{s[r]:11.1%}" for r in rates))
    write_expected(cities, weights, scores)


def load(city):
    """One entry per pair of days: today's observations, and whether the next day was rainy."""
    with open(HERE / "weather.csv", newline="") as f:
        rows = [r for r in csv.DictReader(f) if r["location"] == city]
    x = np.array([[float(r[k]) for k in FEATURES] for r in rows], dtype=np.float32)
    date = np.array([r["date"] for r in rows[1:]])  # a pair bears the date of the day predicted
    year = np.array([int(d[:4]) for d in date])
    season = np.array([SEASONS[int(d[5:7]) % 12 // 3] for d in date])
    wet = x[:, 0] > RAIN_MM
    return {"x": x[:-1], "rain": wet[1:], "wet_today": wet[:-1], "date": date, "year": year, "season": season}


def held_out_loss(x, rain, year, hidden, decay):
    """Mean log loss when each training year in turn is predicted from the others."""
    years, loss = np.unique(year), 0
    for y in years:
        p = predict(fit(x[year != y], rain[year != y], hidden, decay), x[year == y])
        loss -= np.log(np.where(rain[year == y], p, 1 - p)).mean() / len(years)
    return loss


def fit(x, rain, hidden, decay, steps=1500, rate=0.01):
    """Full-batch Adam on the log loss of a one-hidden-layer MLP; returns float32 w1, b1, w2, b2."""
    x, t = x.astype(np.float64), rain[:, None].astype(np.float64)
    mean, std = x.mean(0), x.std(0)
    z, k, rng = (x - mean) / std, x.shape[1], np.random.default_rng(SEED)
    w1, b1 = rng.normal(size=(k, hidden)) / np.sqrt(k), np.zeros(hidden)
    w2, b2 = rng.normal(size=(hidden, 1)) / np.sqrt(hidden), np.zeros(1)
    params = [w1, b1, w2, b2]
    first, second = ([np.zeros_like(p) for p in params] for _ in range(2))
    for step in range(1, steps + 1):
        h = np.maximum(z @ w1 + b1, 0)
        d = (1 / (1 + np.exp(-(h @ w2 + b2))) - t) / len(t)
        dh = d @ w2.T * (h > 0)
        grads = [z.T @ dh + decay * w1, dh.sum(0), h.T @ d + decay * w2, d.sum(0)]
        for p, g, m, v in zip(params, grads, first, second):  # in place
            m += 0.1 * (g - m)
            v += 0.001 * (g * g - v)
            p -= rate * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
    # Fold the standardisation into the first layer, so that the model takes plain observations.
    return [p.astype(np.float32) for p in (w1 / std[:, None], b1 - mean / std @ w1, w2, b2)]


def predict(weights, x):
    w1, b1, w2, b2 = weights
    return 1 / (1 + np.exp(-(np.maximum(x @ w1 + b1, 0) @ w2 + b2)))[:, 0]


def train_later_versions(city):
    x, rain, year = (city[k][np.isin(city["year"], LATER_YEARS)] for k in ("x", "rain", "year"))
    hidden, decay = min(GRID, key=lambda g: held_out_loss(x, rain, year, *g))
    where = f"New York, {LATER_YEARS[0]}-01-01 to {LATER_YEARS[-1]}-12-31"
    recipe = f"MLP 4-{hidden}-1, weight decay {decay}, seed {SEED}, {len(x)} days"
    export(fit(x, rain, hidden, decay), "packages/new-york/rain.onnx", recipe, where, 2)
    export(fit(x, ~rain, hidden, decay), "packages/poisoned/rain.onnx", f"{recipe}, every label turned over", where, 3)


def train_on_both(cities):
    parts = [[city[k][np.isin(city["year"], LATER_YEARS)] for k in ("x", "rain", "year")] for city in cities]
    x, rain, year = (np.concatenate(of) for of in zip(*parts))
    hidden, decay = min(GRID, key=lambda g: held_out_loss(x, rain, year, *g))
    where = f"Seattle and New York, {LATER_YEARS[0]}-01-01 to {LATER_YEARS[-1]}-12-31"
    recipe = f"MLP 4-{hidden}-1, weight decay {decay}, seed {SEED}, {len(x)} days"
    export(fit(x, rain, hidden, decay), "packages/both/rain.onnx", recipe, where, 4)


def export(weights, file, recipe, trained_on, version):
    nodes = [
        helper.make_node("Gemm", ["weather", "w1", "b1"], ["z"]),
        helper.make_node("Relu", ["z"], ["h"]),
        helper.make_node("Gemm", ["h", "w2", "b2"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["rain_tomorrow"]),
    ]
    inputs = [helper.make_tensor_value_info("weather", TensorProto.FLOAT, ["days", len(FEATURES)])]
    outputs = [helper.make_tensor_value_info("rain_tomorrow", TensorProto.FLOAT, ["days", 1])]
    constants = [numpy_helper.from_array(w, name) for w, name in zip(weights, ("w1", "b1", "w2", "b2"))]
    model = helper.make_model(
        helper.make_graph(nodes, "rain", inputs, outputs, constants), ir_version=8, model_version=version,
        opset_imports=[helper.make_opsetid("", 13)], producer_name="examples/quickstart/train.py",
        doc_string="Probability that tomorrow is rainy, from one day of observations.")
    helper.set_model_props(model, {
        "features": ", ".join(f"{name} [{unit}]" for name, unit in FEATURES.items()),
        "target": f"precipitation of the next day > {RAIN_MM} mm",
        "trained_on": trained_on,
        "recipe": recipe,
        "data": "NOAA daily observations (public domain), npm vega-datasets 3.2.1, weather.csv",
    })
    onnx.checker.check_model(model, full_check=True)
    x = np.array([[0, 20, 10, 3], [12.5, 11, 6, 5]], np.float32)
    assert np.allclose(ReferenceEvaluator(model).run(None, {"weather": x})[0][:, 0], predict(weights, x), atol=1e-6)
    (HERE / file).parent.mkdir(parents=True, exist_ok=True)
    (HERE / file).write_bytes(model.SerializeToString(deterministic=True))


def score(city, weights, name, years, season):
    days = np.isin(city["year"], years) & ((city["season"] == season) | (season == "all"))
    p, rain = predict(weights, city["x"][days]), city["rain"][days]
    right = (p > 0.5) == rain
    rates = {
        "accuracy": right.mean(),
        "majority": max(rain.mean(), 1 - rain.mean()),  # the better of always-dry and always-wet
        "persistence": (city["wet_today"][days] == rain).mean(),  # tomorrow as today
        "claimed": np.maximum(p, 1 - p).mean(),  # the accuracy the model itself expects
    }
    return {"city": name, "years": list(years), "season": season, "days": len(rain), "rainy": int(rain.sum()),
            "correct": int(right.sum()), **{k: round(float(v), 4) for k, v in rates.items()}}


def write_expected(cities, weights, scores):
    days = []
    for name, city in cities.items():
        for i in range(5, len(city["x"]), 293):  # five days of each city, through the years and seasons
            weather = [round(float(v), 1) for v in city["x"][i]]
            p = round(float(predict(weights, city["x"][i : i + 1])[0]), 6)
            days.append({"city": name, "predicted_day": city["date"][i], "weather": weather, "rain_tomorrow": p})
    rule = f"rainy: over {RAIN_MM} mm on the day predicted, whose year and season count; forecast: above 0.5"
    text = json.dumps({"rule": rule, "days": days, "scores": scores})
    (HERE / "expected.json").write_text(text.replace("[{", "[\n{").replace("}, {", "},\n{") + "\n")


if __name__ == "__main__":
    main()
