"""Nothing grows: ten thousand calls of each kind, in one process."""

import gc
import itertools

import numpy as np
import pytest

import selvedge
from conftest import DAY
from selvedge._library import lent_count

ITERATIONS = 10_000


def resident():
    """Bytes of memory that the process has."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096
    except OSError:
        pytest.skip("no /proc here")


def soak(once, iterations=ITERATIONS, allowed=4 << 20):
    for _ in range(iterations // 10):
        once()
    gc.collect()
    before, held = resident(), lent_count()
    for _ in range(iterations):
        once()
    gc.collect()
    grown = resident() - before
    # A leak of a small object a call would be ten times as much.
    assert grown < allowed and lent_count() == held, f"grew by {grown} bytes in {iterations} iterations"


def test_answers_do_not_pile_up(rain):
    x = np.zeros((100, 4), np.float32)
    room = np.zeros((100, 1), np.float32)

    def once():
        rain.run({"weather": x})["rain_tomorrow"].sum()
        rain.run_into({"weather": x}, {"rain_tomorrow": room})
        assert rain.run({"weather": DAY}, id=3, timeout=9, cancel=selvedge.Cancel()).json["id"] == 3

    soak(once)


def test_failures_do_not_pile_up(rain, tmp_path):
    def once():
        for use in [
            lambda: rain.run({"wheather": DAY}),
            lambda: selvedge.open(tmp_path / "none"),
            lambda: rain.embed(["a"]),
        ]:
            with pytest.raises(selvedge.SelvedgeError):
                use()

    soak(once)


def test_runs_that_are_dropped_do_not_pile_up(rain):
    soak(lambda: next(rain.start({"weather": DAY})))


def test_streams_that_are_dropped_do_not_pile_up(llm):
    def once():
        for _ in itertools.islice(llm.generate("Hi", max_tokens=50), 1):
            pass

    soak(once, 300, 16 << 20)


def test_a_monitored_engine_does_not_grow(rain, tmp_path):
    telemetry = selvedge.Telemetry(tmp_path)
    rows = np.random.default_rng(1).normal(size=(500, 4)).astype(np.float32)
    names = ["a", "b", "c", "d"]
    profile = selvedge.Profile.fit(rows, names=names)
    probe = {"kind": "columns", "input": "weather", "names": names}
    monitor = selvedge.Monitor(rain, telemetry, probe=probe, profile=profile, window=100, on_alert=lambda alert: None)
    at = itertools.cycle(range(499))

    def once():
        i = next(at)
        monitor.engine.run({"weather": rows[i : i + 1]}, id=i)
        monitor.alerts()

    soak(once)


def test_engines_and_profiles_do_not_pile_up(rain):
    columns = {"a": np.arange(50.0), "b": ["x", "y"] * 25}
    data = (rain.spec["provenance"]["digest"],)

    def once():
        with selvedge.Profile.fit(columns, sha256=data[0]) as profile:
            selvedge.Profile.decode(profile.encode()).compare(columns)

    soak(once, 2000)
