"""What calls cost from Python, each beside the plain way of the same run; a line for each:

    RATIO name value <=bar

Answers are checked before anything is timed. The peer is the C call alone, with all its structs made before: what that
costs over Rust, the benchmark of the C ABI says.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import selvedge
from selvedge._library import Keep, ffi, lib, new

REPO = Path(__file__).resolve().parents[3]
RAIN = REPO / "examples/quickstart/rain.onnx"
CORPUS = os.environ.get("SELVEDGE_CORPUS")
NAMES = ["precipitation", "temp_max", "temp_min", "wind"]


def main():
    calls()
    asked()
    monitored()
    if CORPUS and "llama" in selvedge.features():
        tokens()
    if CORPUS:
        vision()


def best(once, number, rounds=60):
    """Nanoseconds of one, at the best of some rounds: what disturbs only ever adds. By the time that the thread
    computed, so that others on the machine disturb less."""
    took = []
    for _ in range(rounds):
        begun = time.thread_time_ns()
        for _ in range(number):
            once()
        took.append((time.thread_time_ns() - begun) / number)
    return min(took)


def alternating(a, b, number, rounds=60):
    """The same of two, in turns, so that both see the same weather."""
    both = [(best(a, number, 1), best(b, number, 1)) for _ in range(rounds)]
    return min(x for x, _ in both), min(y for _, y in both)


def calls():
    """A guarded call over a plain one."""
    cancel = selvedge.Cancel()

    class Plain:
        def set(self):
            return None

    ours, plain = alternating(cancel.set, Plain().set, 2000)
    print(f"call: {ours:.0f} ns, a plain method: {plain:.0f} ns")
    ratio("python_call_us", (ours - plain) / 1000, 1)


def asked():
    """A whole request, in and out; the model's own time is in it."""
    x, room = np.array([[2.5, 4.4, 2.2, 2.2]], np.float32), np.zeros((1, 1), np.float32)
    with selvedge.open(RAIN, threads=1) as engine:
        assert abs(engine.run({"weather": x})["rain_tomorrow"][0, 0] - 0.585324) < 1e-5
        run = best(lambda: engine.run({"weather": x})["rain_tomorrow"], 2000)
        into = best(lambda: engine.run_into({"weather": x}, {"rain_tomorrow": room}), 2000)
        raw = best(raw_call(engine, "weather", x), 2000)
    print(f"rain.onnx: run {run / 1000:.2f} us, run_into {into / 1000:.2f} us, the C call alone {raw / 1000:.2f} us")


def monitored():
    x = np.array([[2.5, 4.4, 2.2, 2.2]], np.float32)
    rows = np.random.default_rng(1).normal(8, 4, (1000, 4)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder, selvedge.open(RAIN, threads=1) as engine:
        probe = {"kind": "columns", "input": "weather", "names": NAMES}
        profile = selvedge.Profile.fit(rows, names=NAMES, block=1)
        monitor = selvedge.Monitor(engine, selvedge.Telemetry(folder), probe=probe, profile=profile)
        watched, asked = monitor.engine, [0, 0]

        def ask(which, engine):
            asked[which] += 1
            engine.run({"weather": x}, id=asked[which])

        # More than a window: one is judged in each round.
        ours, plain = alternating(lambda: ask(0, watched), lambda: ask(1, engine), 1100, 100)
        monitor.close_window()
        assert monitor.report()["totals"]["requests"] == asked[0]
    print(f"monitored: {ours / 1000:.2f} us, unmonitored {plain / 1000:.2f} us")
    ratio("python_monitored_us", (ours - plain) / 1000, 2)


def tokens():
    """What Python adds to a token: the event of a real one is made again and again, behind a call that does nothing."""
    path = f"{CORPUS}/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    with selvedge.open(path, parallel=1) as engine:
        run = engine.generate("The capital of France is", max_tokens=4)
        text = next(event for event in run if isinstance(event, selvedge.Text))
        assert text.text == " Paris"
        step, nothing = selvedge.run._next, lib.selvedge_error_free
        selvedge.run._next = stand_in = lambda handle, event, err: nothing(ffi.NULL)
        assert next(run).text == text.text
        whole, stand_in_alone = best(run.__next__, 2000), best(lambda: stand_in(None, None, None), 2000)
        # Of the one that stands in, the call of C counts, and the rest does not.
        added = whole - stand_in_alone + best(lambda: nothing(ffi.NULL), 2000)
        selvedge.run._next = step
    print(f"token: {added:.0f} ns")
    ratio("python_token_us", added / 1000, 2)


def vision():
    """MobileNetV2, from Python's array to Python's array, beside the C call alone."""
    path = f"{CORPUS}/mobilenetv2/mobilenetv2-7.onnx"
    with selvedge.open(path, threads=1) as engine:
        (port,) = engine.spec["inputs"]
        picture = np.random.default_rng(1).random((1, 3, 224, 224), np.float32)
        first = engine.run({port["name"]: picture})
        (name,) = first.outputs
        assert first[name].shape == (1, 1000) and np.isfinite(first[name]).all()
        raw = raw_call(engine, port["name"], picture)
        ours, plain = alternating(lambda: engine.run({port["name"]: picture})[name], raw, 1, 80)
    print(f"mobilenetv2: {ours / 1e6:.2f} ms, the C call alone {plain / 1e6:.2f} ms")
    ratio("python_mobilenetv2", ours / plain, 1.01)


def raw_call(engine, name, x):
    """The C calls of a request, with all structs made before."""
    keep = Keep()
    request = engine._tensors({name: x}, None, keep)
    err, answer = new("selvedge_error **"), new("selvedge_answer **")

    def once():
        assert keep and lib.selvedge_engine_run(engine._handle, request, ffi.NULL, answer, err) == 0
        lib.selvedge_answer_free(answer[0])

    return once


missed = []


def ratio(name, value, bar):
    print(f"RATIO {name} {value:.3f} <={bar}")
    if value > bar:
        missed.append(name)


if __name__ == "__main__":
    main()
    sys.exit(f"above the bar: {', '.join(missed)}" if missed else 0)
