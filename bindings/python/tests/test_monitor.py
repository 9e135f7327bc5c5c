"""Monitors and sync, in what is Python's own: callbacks, lifetimes, the loop that posts."""

import gc
import sys
import threading
import weakref

import numpy as np
import pytest

import selvedge
from conftest import RAIN, SEATTLE
from selvedge import Monitor, Outbox, Profile, Telemetry
from selvedge._library import lent_count

NAMES = ["precipitation", "temp_max", "temp_min", "wind"]
PROBE = {"kind": "columns", "input": "weather", "names": NAMES}
RANDOM = np.random.default_rng(3)
HOME = RANDOM.normal(10, 3, (800, 4)).astype(np.float32)
AWAY = (RANDOM.normal(10, 3, (300, 4)) + [0, 3, 0, 0]).astype(np.float32)


@pytest.fixture
def telemetry(tmp_path):
    with Telemetry(tmp_path / "telemetry") as telemetry:
        yield telemetry


def watched(rain, telemetry, **how):
    config = dict(probe=PROBE, window=100, profile=Profile.fit(HOME, names=NAMES, block=1))
    return Monitor(rain, telemetry, **{**config, **how})


def ask(monitor, rows, first_id=1):
    for id, row in enumerate(rows, first_id):
        monitor.engine.run({"weather": row[None]}, id=id)
    monitor.tick()


def test_a_drift_is_told_and_polled(rain, telemetry):
    told = []
    with watched(rain, telemetry, on_alert=told.append) as monitor:
        ask(monitor, HOME[:300])
        assert told == []
        ask(monitor, AWAY)
        assert [(a.event, a.feature, a.action) for a in told] == [("raised", "temp_max", "retrain")]
        assert monitor.alerts() == told and monitor.next_alert() is None
        report = monitor.report()
        assert [a["feature"] for a in report["alerts"]] == ["temp_max"] and report["totals"]["rows"] == 600
        assert "temp_max" in monitor.html() and "<html" in telemetry.html()
        assert monitor.profile().json["rows"] == 800


def test_a_callback_may_ask_and_may_fail(rain, telemetry, monkeypatch):
    seen, unraisable = [], []
    monkeypatch.setattr(sys, "unraisablehook", lambda what: unraisable.append(what.exc_value))

    def on_alert(alert):
        seen.append((alert, monitor.report()["model"]))
        raise RuntimeError("of the app")

    monitor = watched(rain, telemetry, on_alert=on_alert)
    ask(monitor, AWAY)
    assert seen and monitor.report()["totals"]["rows"] == 300
    assert len(unraisable) == len(seen) and "of the app" in str(unraisable[0])


def test_a_callback_is_let_go_of_with_the_monitor(rain, telemetry):
    class Listener:
        def __call__(self, alert):
            pass

    listener, before = Listener(), lent_count()
    gone = weakref.ref(listener)
    monitor = watched(rain, telemetry, on_alert=listener)
    del listener
    ask(monitor, HOME[:120])
    assert gone() is not None
    monitor.close()
    del monitor
    gc.collect()
    # The folder's upkeep may hold the model until its telemetry is closed.
    telemetry.close()
    gc.collect()
    assert gone() is None and lent_count() == before
    with pytest.raises(selvedge.InvalidArgument):
        watched(rain, Telemetry(telemetry.folder), on_alert=Listener(), widnow=3)
    gc.collect()
    assert lent_count() == before


def test_threads_may_ask_a_monitored_engine(rain, telemetry):
    monitor = watched(rain, telemetry)
    threads = [threading.Thread(target=ask, args=(monitor, HOME[i::4], 1 + 1000 * i)) for i in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    monitor.close_window()
    assert monitor.report()["totals"]["rows"] == 800


def test_feedback_is_a_label_or_a_verdict(rain, telemetry):
    monitor = watched(rain, telemetry, probe=[PROBE, {"kind": "classes", "output": "rain_tomorrow"}])
    ask(monitor, HOME[:50])
    assert monitor.feedback(1, label=1) in ("steady", "suspect") and monitor.feedback(2, correct=True) in (
        "steady",
        "suspect",
    )
    assert monitor.feedback(1, label=1) == "unknown"
    with pytest.raises(TypeError):
        monitor.feedback(3)
    with pytest.raises(TypeError):
        monitor.feedback(3, label=1, correct=True)


def test_telemetry_that_cannot_write_counts(tmp_path):
    file = tmp_path / "file"
    file.write_text("no folder")
    status = Telemetry(file).status()
    assert status["mode"] == "counting" and status["why"]


def test_a_batch_is_posted_as_it_is_told(rain, telemetry):
    monitor = watched(rain, telemetry)
    ask(monitor, HOME)
    monitor.close_window()
    posted = []

    def post(path, headers, body):
        posted.append((path, headers, bytes(body)))
        return 503 if len(posted) == 1 else 200

    outbox, waits = Outbox(telemetry, "tests", exact_counts=True, any_count=True), []
    while batch := outbox.next_batch():
        for index, request in enumerate(batch.requests):
            attempt = 1
            while True:
                status = post(request.path, request.headers, request.body)
                judgement = outbox.judge(batch, index, attempt, status=status)
                if judgement.decision != "wait":
                    break
                waits.append(judgement.wait)
                attempt += 1
            assert judgement.decision == "accepted", judgement
        outbox.ack(batch)
    assert len(waits) == 1 and posted[0] == posted[1] and outbox.status()["refused"] == 0
    assert (
        posted[0][0] == "/v1/metrics" and posted[0][1]["Content-Encoding"] == "gzip" and posted[0][2][:2] == b"\x1f\x8b"
    )


def test_a_body_outlives_its_batch(rain, telemetry):
    monitor = watched(rain, telemetry)
    ask(monitor, HOME[:200])
    monitor.close_window()
    outbox = Outbox(telemetry, "tests", encoding="identity")
    batch = outbox.next_batch()
    body, whole = batch.requests[0].body, bytes(batch.requests[0].body)
    assert body.readonly
    batch.close()
    with pytest.raises(selvedge.BadHandle):
        outbox.ack(batch)
    del batch
    gc.collect()
    ask(monitor, HOME[:200])
    assert bytes(body) == whole


def test_engine_and_telemetry_may_be_closed_first(tmp_path):
    rain, telemetry = selvedge.open(RAIN), Telemetry(tmp_path)
    monitor = watched(rain, telemetry)
    rain.close()
    telemetry.close()
    day = np.array([[2.5, 4.4, 2.2, 2.2]], np.float32)
    assert abs(monitor.engine.run({"weather": day})["rain_tomorrow"][0, 0] - SEATTLE) < 1e-5
