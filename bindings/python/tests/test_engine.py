"""Engines: memory in both directions, names of failures, closing, threads, fork."""

import array
import gc
import os
import pickle
import subprocess
import sys
import threading
import time
import weakref

import numpy as np
import pytest

import selvedge
from conftest import DAY, RAIN, REPO, SEATTLE
from selvedge._library import Keep, ffi, lend, lent_count, new
from selvedge.tensors import fill_input

ECHO = REPO / "tests/data/echo_f32.onnx"


def address(array):
    return array.__array_interface__["data"][0]


def lent(value, wanted=None):
    """Where the library would look for an input."""
    keep, place = Keep(), new("selvedge_tensor *")
    fill_input(place, "x", value, wanted, keep)
    return int(ffi.cast("uintptr_t", place.data)), place


def test_inputs_are_lent_not_copied():
    for x in [np.arange(6, dtype=np.float32).reshape(2, 3), np.zeros(5, np.int64), np.ones(3, np.float16)]:
        pointer, place = lent(x)
        assert pointer == address(x) and place.byte_len == x.nbytes and place.rank == x.ndim
    assert lent(np.array(2.5, np.float32))[1].rank == 0
    numbers = array.array("f", [1, 2, 3])
    assert lent(numbers)[0] == numbers.buffer_info()[0]
    view = memoryview(bytearray(8))
    assert lent(view)[0] == address(np.asarray(view))
    # What is not as C has it is copied: every second column, and numbers of another byte order.
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert lent(x[:, ::2])[0] != address(x)
    assert lent(x.astype(">f4"))[1].byte_len == 24


def test_a_large_input_is_computed_on_where_it_lies():
    with selvedge.open(ECHO) as engine:
        x = np.arange(100_000, dtype=np.float32)
        assert (engine.run({"x": x})["y"] == x).all()
        assert (engine.run({"x": x[::-3]})["y"] == x[::-3]).all()


def test_outputs_lie_in_the_answer_and_keep_it(rain):
    answer = rain.run({"weather": np.array(DAY, np.float32)})
    output = answer["rain_tomorrow"]
    tensor = new("selvedge_tensor *")
    tensor.struct_size = ffi.sizeof("selvedge_tensor")
    selvedge._library.call(selvedge._library.lib.selvedge_answer_output, answer._handle, 0, tensor)
    assert int(ffi.cast("uintptr_t", tensor.data)) == address(output)
    assert not output.flags.writeable and not output.flags.owndata
    answer.close()
    del answer
    gc.collect()
    for _ in range(100):  # what was freed too soon would be written over
        rain.run({"weather": np.zeros((1, 4), np.float32)})
    assert abs(output[0, 0] - SEATTLE) < 1e-5


def test_an_answer_is_freed_with_the_last_array_over_it(rain):
    answer = rain.run({"weather": DAY})
    handle = weakref.ref(answer._handle)
    part = answer["rain_tomorrow"][0]
    answer.close()
    with pytest.raises(selvedge.BadHandle):
        answer["rain_tomorrow"]
    assert handle() is not None and abs(part[0] - SEATTLE) < 1e-5
    del part
    gc.collect()
    assert handle() is None


def test_outputs_go_into_memory_of_the_callers(rain):
    x, room = np.repeat(np.array(DAY, np.float32), 3, axis=0), np.full(10, np.nan, np.float32)
    got = rain.run_into({"weather": x}, {"rain_tomorrow": room})["rain_tomorrow"]
    assert got.shape == (3, 1) and address(got) == address(room)
    assert np.allclose(room[:3], SEATTLE, atol=1e-5) and np.isnan(room[3:]).all()
    for wrong in [np.zeros(10, np.float64), np.zeros(2, np.float32), room[::2], np.broadcast_to(room, (2, 10))]:
        with pytest.raises(selvedge.InvalidArgument):
            rain.run_into({"weather": x}, {"rain_tomorrow": wrong})
    with pytest.raises(selvedge.InvalidArgument, match="snow"):
        rain.run_into({"weather": x}, {"snow": room})


def test_lists_become_what_the_engine_takes(rain):
    assert rain.run({"weather": DAY})["rain_tomorrow"].dtype == np.float32
    with pytest.raises(selvedge.InvalidArgument, match="f64"):
        rain.run({"weather": np.array(DAY)})  # an array is taken at its word
    with pytest.raises(selvedge.InvalidArgument):
        rain.run({"weather": [["rain"]]})
    with pytest.raises(selvedge.InvalidArgument, match="complex"):
        rain.run({"weather": np.array(DAY, complex)})


def test_texts_come_as_lists_and_arrays():
    with selvedge.open(REPO / "tests/data/echo_string.onnx") as engine:
        words = ["", "Zürich", "雨 🌧", "a\0b"]
        for given in [words, np.array(words, object), np.array(words[:3])]:
            got = engine.run({"x": given})["y"]
            assert got.tolist() == list(given)
        with pytest.raises(selvedge.InvalidArgument):
            engine.run({"x": np.array(["a", 1], object)})


@pytest.mark.parametrize("name", "f32 f64 f16 i8 u8 i16 u16 i32 u32 i64 u64 bool".split())
def test_every_dtype_goes_in_and_comes_out(name):
    letters = {"f": "float", "i": "int", "u": "uint", "b": "bool"}
    dtype = np.dtype("bool" if name == "bool" else letters[name[0]] + name[1:])
    with selvedge.open(REPO / f"tests/data/echo_{name}.onnx") as engine:
        x = np.array([0, 1, 1, 0, 100]).astype(dtype)
        y = engine.run({"x": x})["y"]
        assert y.dtype == dtype and (y == x).all()
        room = np.zeros(5, dtype)
        assert (engine.run_into({"x": x}, {"y": room})["y"] == x).all() and (room == x).all()


def test_bfloat16_is_that_of_ml_dtypes():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    with selvedge.open(REPO / "tests/data/echo_bf16.onnx") as engine:
        x = np.array([0.5, -2, 3e38], ml_dtypes.bfloat16)
        y = engine.run({"x": x})["y"]
        assert y.dtype == x.dtype and (y == x).all()
        assert (engine.run_into({"x": x}, {"y": np.zeros_like(x)})["y"] == x).all()


def test_memory_of_a_model_is_kept_until_its_last_engine():
    before = lent_count()
    data = bytearray(RAIN.read_bytes())
    engine = selvedge.open(selvedge.Source.memory(data))
    assert lent_count() == before + 1
    with pytest.raises(BufferError):
        data.clear()  # Python itself holds it while it is lent
    assert abs(engine.run({"weather": DAY})["rain_tomorrow"][0, 0] - SEATTLE) < 1e-5
    engine.close()
    assert lent_count() == before
    with pytest.raises(selvedge.SelvedgeError):
        selvedge.open(selvedge.Source.memory(b"no model"))
    assert lent_count() == before


def test_failures_have_classes_codes_and_sentences(tmp_path):
    with pytest.raises(selvedge.NotFound, match="none.onnx") as caught:
        selvedge.open(tmp_path / "none.onnx")
    assert caught.value.code == 2 and isinstance(caught.value, (selvedge.SelvedgeError, LookupError))
    assert selvedge.errors.of_code(77, "later").code == 77
    with pytest.raises(selvedge.InvalidArgument, match="'mapped', 'read'"):
        selvedge.open(RAIN, loading="lazy")
    with pytest.raises(TypeError):
        selvedge.open(RAIN, thread=1)


def test_closing_is_final_and_may_come_twice(rain):
    rain.close()
    rain.close()
    for use in [lambda: rain.run({"weather": np.zeros((1, 4), np.float32)}), lambda: rain.spec, rain.trim]:
        with pytest.raises(selvedge.BadHandle):
            use()
    cancel = selvedge.Cancel()
    with cancel:
        cancel.set()
    with pytest.raises(selvedge.BadHandle):
        cancel.set()
    with pytest.raises(TypeError):
        pickle.dumps(cancel)


def test_progress_is_told(tmp_path):
    told = []
    selvedge.open(RAIN, on_progress=lambda done, total: told.append((done, total))).close()
    size = RAIN.stat().st_size
    assert told and told[-1][0] >= size and all(done <= total for done, total in told)


def test_one_engine_serves_many_threads(rain):
    days = np.random.default_rng(1).uniform(0, 20, (8, 50, 1, 4)).astype(np.float32)
    expected = [[rain.run({"weather": day})["rain_tomorrow"][0, 0] for day in days[t]] for t in range(8)]
    got = [None] * 8

    def ask(t):
        got[t] = [rain.run({"weather": day})["rain_tomorrow"][0, 0] for day in days[t]]

    threads = [threading.Thread(target=ask, args=(t,)) for t in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert got == expected


def test_other_threads_run_while_a_call_computes():
    with selvedge.open(REPO / "tests/data/slow_chain.onnx") as engine:
        cancel, ticks = selvedge.Cancel(), []

        def ask():
            with pytest.raises(selvedge.Cancelled):
                engine.run({"x": np.ones((4000, 256), np.float32)}, cancel=cancel)
            ticks.append("ended")

        thread = threading.Thread(target=ask)
        thread.start()
        for _ in range(50):  # a call that kept the interpreter's lock would let nobody come here
            ticks.append("here")
        cancel.set()
        thread.join(60)
        assert ticks[0] == "here" and ticks[-1] == "ended"


def hammer(*uses, seconds=1.0):
    """Each on threads of its own, for a while; what closes may come at any moment."""
    end, surprises = time.monotonic() + seconds, []

    def use(one):
        while time.monotonic() < end:
            try:
                one()
            except (selvedge.BadHandle, selvedge.Cancelled, selvedge.Busy):
                pass
            except Exception as surprise:
                surprises.append(surprise)

    threads = [threading.Thread(target=use, args=(one,)) for one in uses]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert not surprises, surprises[0]


def test_what_another_thread_closes_is_not_read(rain):
    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        runs, engines = [rain.start({"weather": DAY})], [selvedge.open(RAIN)]

        def step():
            event = next(runs[0], None)
            assert event is None or isinstance(event, (selvedge.Working, selvedge.Done)) and event[-1] >= 0

        def again():
            runs[0].close()
            runs[0] = rain.start({"weather": DAY})

        def tell():
            assert engines[0].spec["inputs"][0]["name"] == "weather"

        def reopen():
            engines[0].close()
            engines[0] = selvedge.open(RAIN)

        hammer(step, step, again, tell, tell, reopen)
    finally:
        sys.setswitchinterval(switch)


FORK = """
import os, sys, selvedge
engine = selvedge.open(sys.argv[1])
child = os.fork()
if child == 0:
    try:
        engine.run({"weather": [[0, 0, 0, 0]]})
    except selvedge.Unsupported as error:
        assert "fork" in str(error)
        engine.close()
        sys.exit(7)
    sys.exit(1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
engine.run({"weather": [[0, 0, 0, 0]]})
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_is_told_so():
    subprocess.run([sys.executable, "-c", FORK, RAIN], check=True, timeout=120)


OPEN = """
import sys, selvedge
selvedge.log("trace")
engine = selvedge.open(sys.argv[1])
run = engine.start({"weather": [[0, 0, 0, 0]]})
array = engine.run({"weather": [[0, 0, 0, 0]]})["rain_tomorrow"]
"""


def test_things_left_open_do_not_hinder_the_end():
    done = subprocess.run([sys.executable, "-c", OPEN, RAIN], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")


def test_lines_of_the_log_come_to_logging(caplog, tmp_path):
    (tmp_path / "file").touch()
    with caplog.at_level(1, "selvedge"):
        selvedge.log("warn")
        selvedge.Telemetry(tmp_path / "file")  # no folder, so it is not kept
        selvedge.log("off")
        (line,) = caplog.records
        assert line.name.startswith("selvedge.telemetry") and line.levelname == "WARNING"
        assert "telemetry is not kept" in line.getMessage()
        caplog.clear()
        selvedge.Telemetry(tmp_path / "file")
        assert not caplog.records


def test_what_was_measured_is_kept(tmp_path):
    for _ in range(2):
        with selvedge.open(RAIN, measurements=tmp_path, own_products=True) as engine:
            assert "ms a call was measured" in engine.spec["choice"]
        assert len(list(tmp_path.glob("*.json"))) == 1


def test_an_accelerator_is_for_language_models():
    for options in ({"accelerator_layers": "all"}, {"accelerator_layers": 3, "accelerator_device": "Vulkan0"}):
        with pytest.raises(selvedge.Unsupported, match="accelerator: only a language model of the backend llama takes one"):
            selvedge.open(RAIN, **options)


def test_inspecting_does_not_open():
    told = selvedge.inspect(RAIN)
    assert told["inputs"][0]["name"] == "weather" and told["flaw"] is None
    selvedge.validate(RAIN)
    with pytest.raises(selvedge.Corrupt):
        selvedge.validate(REPO / "tests/data/raw_mismatch.onnx")


def test_what_was_lent_is_given_back():
    before = lent_count()
    handle = lend(object())
    selvedge._library.RELEASE(handle)
    assert lent_count() == before
