"""Makes expected.json: what other people's statistics and detectors say of data that streams.rs makes anew.

    python3 -m venv target/venv && target/venv/bin/pip install -r tests/drift/oracles/requirements.txt
    target/venv/bin/python tests/drift/oracles/make.py            # half a minute, same bytes every time

Own work, MIT OR Apache-2.0. All data come from random.Random(seed) by additions and comparisons alone, so that another
MT19937 makes the very same numbers. scipy and river are the oracles; Evidently and NannyML, where they are installed
(requirements-comparison.txt; they need another pandas than river), are asked about the same samples.
"""

import json
import random
import sys
from pathlib import Path

import numpy as np
from scipy import stats
from scipy.spatial.distance import jensenshannon

HERE = Path(__file__).parent


# --- Histograms ---------------------------------------------------------------------------------------------------


def histograms():
    """Pairs of counts: alike, far apart, with holes, small and huge."""
    cases = []
    for seed in range(60):
        rng = random.Random(seed)
        bins = 2 + seed % 19
        big = 10 ** (1 + seed % 6)
        reference = [1 + int(rng.random() * big) for _ in range(bins)]
        window = [int(r * (0.8 + 0.4 * rng.random())) if seed % 3 else int(rng.random() * big / 3) for r in reference]
        if seed % 4 == 0:
            reference[seed % bins] = 0
        if seed % 5 == 0:
            window[(seed // 5) % bins] = 0
        if sum(window) == 0 or sum(reference) == 0:
            continue
        centres = [-3.0]
        for _ in range(bins - 1):
            centres.append(centres[-1] + 0.25 + rng.random())
        cases.append((reference, window, centres))
    return cases


def ln_tail(statistic, df):
    """scipy's logsf ends where floats do; 50 digits do not."""
    import mpmath

    mpmath.mp.dps = 50
    return float(mpmath.log(mpmath.gammainc(mpmath.mpf(int(df)) / 2, mpmath.mpf(float(statistic)) / 2, regularized=True)))


def scipy_says(reference, window, centres):
    r, w = np.array(reference), np.array(window)
    filled = (r + w) > 0
    test = stats.chi2_contingency(np.array([r[filled], w[filled]]), correction=False)
    p, q = r / r.sum(), w / w.sum()
    smooth_p, smooth_q = (r + 0.5) / (r.sum() + 0.5 * len(r)), (w + 0.5) / (w.sum() + 0.5 * len(w))
    # The distance of the samples themselves, if every value lay at the centre of its bin.
    position = np.arange(len(r))
    sample = lambda counts: np.repeat(position, counts) if counts.sum() < 300_000 else None
    a, b = sample(r), sample(w)
    ks = stats.ks_2samp(a, b, method="asymp").statistic if a is not None and b is not None else None
    return {
        "reference": reference,
        "window": window,
        "centres": centres,
        "chi2": float(test.statistic),
        "df": int(test.dof),
        "p": float(test.pvalue),
        "ln_p": ln_tail(test.statistic, test.dof),
        "psi": float(np.sum((smooth_q - smooth_p) * np.log(smooth_q / smooth_p))),
        "ks": None if ks is None else float(ks),
        "js": float(jensenshannon(p, q, base=2)),
        "hellinger": float(np.sqrt(0.5 * np.sum((np.sqrt(p) - np.sqrt(q)) ** 2))),
        "wasserstein": float(stats.wasserstein_distance(centres, centres, p, q)),
    }


# --- Streams ------------------------------------------------------------------------------------------------------


def bell(rng):
    """Nearly normal, with mean 0 and deviation 1, without a logarithm in it."""
    total = 0.0
    for _ in range(12):  # not sum(): from Python 3.12 on it rounds otherwise
        total += rng.random()
    return total - 6.0


def scalars(seed, length):
    """Steady, then a step, then a wider spread, then another step back."""
    rng = random.Random(seed)
    first, second, third = length // 4, length // 2, 3 * length // 4
    step = 0.25 + 0.05 * (seed % 20)
    out = []
    for i in range(length):
        x = bell(rng)
        if first <= i < second:
            x = x + step
        elif second <= i < third:
            x = x * 2.0
        elif i >= third:
            x = x - step
        out.append(x)
    return out


def errors(seed, length):
    rng = random.Random(1000 + seed)
    rate = 0.05 + 0.01 * (seed % 10)
    return [rng.random() < (rate if i < length // 2 else rate + 0.15) for i in range(length)]


def alarms(detector, stream):
    found = []
    for i, x in enumerate(stream):
        detector.update(x)
        if detector.drift_detected:
            found.append(i)
    return found


def river_says():
    from river import drift

    out = {"adwin": [], "adwin_loose": [], "page_hinkley": [], "ddm": [], "ddm_warnings": [], "kswin": []}
    for seed in range(50):
        stream = scalars(seed, 4000)
        out["adwin"].append(alarms(drift.ADWIN(), stream))
        out["adwin_loose"].append(alarms(drift.ADWIN(delta=0.05, clock=7), stream))
        out["page_hinkley"].append(alarms(drift.PageHinkley(), stream))
        out["kswin"].append(alarms(drift.KSWIN(seed=seed), scalars(seed, 1200)))
        ddm, found, warnings = drift.binary.DDM(), [], 0
        for i, x in enumerate(errors(seed, 4000)):
            ddm.update(x)
            warnings += ddm.warning_detected
            if ddm.drift_detected:
                found.append(i)
        out["ddm"].append(found)
        out["ddm_warnings"].append(int(warnings))
    # The stream of river's own documentation.
    rng = random.Random(12345)
    documented = rng.choices([0, 1], k=1000) + rng.choices(range(4, 8), k=1000)
    out["documented"] = {
        "stream": "".join(map(str, documented)),
        "adwin": alarms(drift.ADWIN(), documented),
        "page_hinkley": alarms(drift.PageHinkley(), documented),
        "kswin": alarms(drift.KSWIN(alpha=0.0001, seed=42), documented),
    }
    return out


# --- Other tools on whole samples ---------------------------------------------------------------------------------


def whole_numbers(seed):
    """Two samples of 0..=9; the second leans to small values by seed."""
    rng = random.Random(2000 + seed)
    reference = [int(rng.random() * 10) for _ in range(2000)]
    lean = 0.02 * (seed % 10)
    current = [int(rng.random() * (1.0 - lean * rng.random()) * 10) for _ in range(700)]
    return reference, current


def others_say():
    import pandas as pd
    from evidently.legacy.calculations import stattests
    from evidently.legacy.core import ColumnType
    from nannyml.chunk import DefaultChunker
    from nannyml.drift.univariate.methods import FeatureType, MethodFactory
    from nannyml.thresholds import ConstantThreshold

    def nannyml(key, kind, reference, current):
        method = MethodFactory.create(
            key=key, feature_type=kind, chunker=DefaultChunker(), threshold=ConstantThreshold(0, 1),
            computation_params={"calculation_method": "exact"} if kind == FeatureType.CONTINUOUS else None,
        )
        return float(method.fit(reference).calculate(current))

    out = []
    for seed in range(20):
        reference, current = (pd.Series(x, name="x") for x in whole_numbers(seed))
        evidently = lambda test: float(test.func(reference, current, ColumnType.Categorical, 0.1)[0])
        names = reference.astype(str), current.astype(str)
        numbers = reference.astype(float), current.astype(float)
        out.append({
            "evidently": {
                "psi": evidently(stattests.psi_stat_test),
                "js": evidently(stattests.jensenshannon_stat_test),
                "hellinger": evidently(stattests.hellinger_stat_test),
            },
            "nannyml": {
                "js": nannyml("jensen_shannon", FeatureType.CATEGORICAL, *names),
                "hellinger": nannyml("hellinger", FeatureType.CATEGORICAL, *names),
                "chi2": nannyml("chi2", FeatureType.CATEGORICAL, *names),
                "ks": nannyml("kolmogorov_smirnov", FeatureType.CONTINUOUS, *numbers),
                "wasserstein": nannyml("wasserstein", FeatureType.CONTINUOUS, *numbers),
            },
        })
    return out


def write(name, value):
    text = json.dumps(value, separators=(",", ":"))
    (HERE / name).write_text(text.replace('},{"', '},\n{"') + "\n")


if sys.argv[1:] == ["--comparison"]:
    write("comparison.json", others_say())
else:
    write("expected.json", {"histograms": [scipy_says(*case) for case in histograms()], "river": river_says()})
