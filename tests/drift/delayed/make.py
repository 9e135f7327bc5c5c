"""Makes rows.csv and expected.json: what lfmm says of models whose labels come late.

    python3 -m venv target/venv && target/venv/bin/pip install lfmm==0.1.0 scikit-learn==1.9.1 scipy==1.17.1 numpy==2.4.6 onnxruntime==1.32.0
    npm pack vega-datasets@3.2.1 && tar xzf vega-datasets-3.2.1.tgz package/data/flights-20k.json
    target/venv/bin/python tests/drift/delayed/make.py package/data/flights-20k.json     # a minute, same bytes every time

Own work, MIT OR Apache-2.0. lfmm (MIT) is the oracle, as it is installed. Two models:

- weather: examples/quickstart/rain.onnx. The reference is Seattle in 2015, the rows to judge are New York's days. The
  labels are real, and when they come is not: rain is known after 1 to 60 days, a dry day after 15 to 74, one in 40 never.
- flights: the sample of the U.S. Bureau of Transportation Statistics' on-time performance that vega-datasets carries (public
  domain), its first 2,500 flights; will one be more than 15 minutes late? A logistic regression of hour and distance,
  fitted to the first 500; the next 500 are the reference. A label comes when the plane does, a late one's later: that
  is natural, only the time in the air is taken from the distance. Times are minutes, and lfmm, which counts in days, is
  told days.

lfmm finds its offset to 1e-5 (scipy's bounded minimizer). Each decision has its figures as they are, and once more at the
offset where the derivative of the same likelihood is zero, to the last digits.
"""

import csv
import json
import sys
from datetime import date
from pathlib import Path

import numpy as np
import onnxruntime
from lfmm.estimators import CBPE, DelayAdjustedCBPE, History
from scipy.optimize import brentq
from sklearn.linear_model import LogisticRegression

HERE = Path(__file__).parent
QUICKSTART = HERE.parents[2] / "examples/quickstart"
DAY, EPOCH = np.timedelta64(1, "D"), np.datetime64("2000-01-01", "ns")


def weather():
    """Rows of (score, at, label, label_at), the reference first."""
    days = list(csv.DictReader(open(QUICKSTART / "weather.csv")))
    x = np.array([[float(d[c]) for c in ("precipitation", "temp_max", "temp_min", "wind")] for d in days], np.float32)
    session = onnxruntime.InferenceSession(str(QUICKSTART / "rain.onnx"))
    scores = session.run(None, {"weather": x})[0][:, 0]
    reference, rows = [], []
    for i, (today, tomorrow) in enumerate(zip(days, days[1:])):
        if today["location"] != tomorrow["location"]:
            continue
        at = (date.fromisoformat(today["date"]) - date(2012, 1, 1)).days
        label = int(float(tomorrow["precipitation"]) > 0.5)
        wait = 1 + i * 7 % 60 if label else 15 + i * 11 % 60
        row = (round(float(scores[i]), 6), at, label, at + wait if i * 13 % 40 else -1)
        if today["location"] == "New York":
            rows.append(row)
        elif today["date"] >= "2015":
            reference.append(row)
    return reference, rows


def flights(path):
    flights = sorted(json.load(open(path)), key=lambda f: f["date"])[:2500]
    begin = np.datetime64("2001-01-01T00:00")
    when = np.array([np.datetime64(f["date"].replace("/", "-").replace(" ", "T")) for f in flights])
    at = ((when - begin) / np.timedelta64(1, "m")).astype(int)
    delay = np.array([f["delay"] for f in flights])
    distance = np.array([f["distance"] for f in flights])
    hour = at % 1440 / 60
    x = np.column_stack([hour, hour**2 / 24, distance / 1000])
    y = (delay > 15).astype(int)
    model = LogisticRegression(C=1e6, max_iter=10_000).fit(x[:500], y[:500])
    scores = model.predict_proba(x)[:, 1]
    arrives = at + 40 + distance // 8 + np.maximum(delay, 0)
    rows = [(round(float(s), 6), int(a), int(l), int(b)) for s, a, l, b in zip(scores, at, y, arrives)]
    return rows[500:1000], rows[1000:]


def decisions(reference, rows, threshold, period, window_months, curve_months, book):
    score, at, label, label_at = (np.array(column) for column in zip(*rows))
    r_score, _, r_label, _ = (np.array(column) for column in zip(*reference))
    cbpe = CBPE().fit(r_score, r_label, threshold)
    told = {"reference_accuracy": cbpe.ref["accuracy"], "decisions": []}
    for begin in range(int(at.min()), int(at.max()) - period, period):
        now = begin + period
        past, batch = at < begin, (at >= begin) & (at < now)
        known = past & (label_at >= 0) & (label_at <= now)
        stamp = lambda t: EPOCH + t * DAY
        history = History(
            proba=score[past],
            y_known=np.where(known, label, np.nan)[past],
            event_time=stamp(at[past]),
            label_time=np.where(known, stamp(label_at), np.datetime64("NaT", "ns"))[past],
            now=stamp(now),
        )
        if not past.any() or not batch.any():
            continue
        recent = at[past] >= now - book
        adjusted = DelayAdjustedCBPE(window_months, curve_months).fit(r_score, r_label, threshold)
        figures = lambda: {
            "offset": adjusted.last_delta,
            "accuracy": adjusted.estimate("accuracy", score[batch], history),
            "positives": adjusted.estimate("prevalence", score[batch], history),
            "book_accuracy": adjusted.estimate_inflight("accuracy", history, recent) if recent.any() else None,
            "book_positives": adjusted.estimate_inflight("prevalence", history, recent) if recent.any() else None,
        }
        adjusted._ensure_fit(history)
        original = figures()
        sharpen(adjusted, history)
        truth = ((score >= threshold) == (label == 1))[batch]
        told["decisions"].append({
            "begin": begin, "now": now, "true_accuracy": float(truth.mean()),
            "cbpe": cbpe.estimate("accuracy", score[batch], history),
            "original": original, "exact": figures(),
        })
    return told


def sharpen(adjusted, history):
    """Sets the offset to the zero of the likelihood's derivative that is nearest to lfmm's."""
    found = adjusted.last_delta
    prepared = adjusted._prepare(history)
    adjusted.last_delta = found
    if prepared is None:
        return
    rows, z, y = prepared["rows"], prepared["z"], prepared["y"]
    F, G = adjusted.F[rows], adjusted.G[rows]

    def slope(delta):
        p = 1 / (1 + np.exp(-(z + delta)))
        known = np.where(np.isnan(y), 0.0, y - p)
        with np.errstate(invalid="ignore"):
            pending = np.where(np.isnan(y), p * (1 - p) * (G - F) / (1 - p * F - (1 - p) * G), 0.0)
        return (known + pending).sum()

    adjusted.last_delta = brentq(slope, found - 1e-3, found + 1e-3, xtol=1e-15, rtol=1e-15)


def main():
    cases = {
        "weather": (*weather(), dict(threshold=0.5, period=30, window_months=12, curve_months=36, book=90)),
        "flights": (*flights(sys.argv[1]), dict(threshold=0.3, period=120, window_months=96, curve_months=480, book=360)),
    }
    expected = {name: {**terms, **decisions(reference, rows, **terms)} for name, (reference, rows, terms) in cases.items()}
    (HERE / "expected.json").write_text(json.dumps(expected).replace('{"begin"', '\n{"begin"') + "\n")
    with open(HERE / "rows.csv", "w") as file:
        for name, (reference, rows, _) in cases.items():
            for kind, part in (("reference", reference), ("rows", rows)):
                file.writelines(f"{name},{kind},{s},{a},{l},{b}\n" for s, a, l, b in part)


main()
