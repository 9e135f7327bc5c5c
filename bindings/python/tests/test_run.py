"""Streams: taken in part, cancelled, failed, closed by another thread, asynchronous."""

import asyncio
import gc
import itertools
import threading
import time
import weakref

import pytest

import selvedge
from conftest import DAY, SEATTLE

STORY = dict(prompt="Once upon a time", max_tokens=1500)


def texts(run):
    return (event for event in run if isinstance(event, selvedge.Text))


def test_a_stream_may_be_left_after_three(llm):
    run = llm.generate(**STORY)
    handle = weakref.ref(run._handle)
    taken = list(itertools.islice(texts(run), 3))
    assert len(taken) == 3 and all(text.text for text in taken)
    del run
    gc.collect()
    assert handle() is None
    assert llm.generate("The capital of France is", max_tokens=1).answer().text == " Paris"


def test_events_tell_tokens_and_the_end(llm):
    run = llm.generate("The capital of France is", max_tokens=4, logprobs=True)
    # A step that takes long tells that it works: before the first text, and on a busy machine also between two.
    events = [event for event in run if not isinstance(event, selvedge.Working)]
    assert all(isinstance(event, selvedge.Text) for event in events[:-1]) and isinstance(events[-1], selvedge.Done)
    tokens = [token for event in events[:-1] for token in event.tokens]
    assert len(tokens) == 4 and all(token.logprob <= 0 for token in tokens)
    assert events[-1].finish == "length" and events[-1].input_tokens == 5 and events[-1].output_tokens == 4
    assert list(run) == [] and run.answer().tokens == [token.id for token in tokens]


def test_a_cancel_ends_a_stream_soon(llm):
    cancel = selvedge.Cancel()
    run = llm.generate(**STORY, cancel=cancel)
    next(texts(run))
    begun = time.monotonic()
    cancel.set()
    with pytest.raises(selvedge.Cancelled):
        for _ in run:
            pass
    print(f"cancelled after {1000 * (time.monotonic() - begun):.1f} ms")
    assert list(run) == []


def test_an_error_comes_in_the_middle_of_a_stream(llm):
    # The clock begins with the call; a story takes many times longer than its beginning.
    beginning = time.monotonic()
    next(texts(llm.generate(**STORY)))
    beginning = time.monotonic() - beginning
    seen = []
    with pytest.raises(selvedge.DeadlineExceeded):
        for event in texts(llm.generate(**STORY, timeout=4 * beginning + 0.2)):
            seen.append(event.text)
    assert seen
    assert llm.generate("The capital of France is", max_tokens=1).answer().text == " Paris"


def test_another_thread_may_close_a_stream(llm):
    run = llm.generate(**STORY)
    next(texts(run))
    threading.Timer(0.05, run.close).start()
    with pytest.raises((selvedge.Cancelled, selvedge.BadHandle)):
        for _ in run:
            pass
    run.close()
    with pytest.raises(selvedge.BadHandle):
        run.answer()


def test_an_event_is_not_read_once_its_run_is_closed(rain, monkeypatch):
    step, run = selvedge.run._next, rain.start({"weather": DAY})

    def closed_behind(*arguments):
        status = step(*arguments)
        run.close()
        return status

    monkeypatch.setattr(selvedge.run, "_next", closed_behind)
    with pytest.raises(selvedge.Cancelled):
        next(run)


def test_two_threads_in_one_stream_are_told_apart(llm):
    run, got = llm.generate(**STORY), []

    def step():
        try:
            got.append(next(run))
        except selvedge.Busy as busy:
            got.append(busy)

    threads = [threading.Thread(target=step) for _ in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert len(got) == 4 and any(not isinstance(one, selvedge.Busy) for one in got)
    assert next(texts(run)).text


def test_an_engine_may_be_closed_during_a_stream(llm):
    with selvedge.open(llm_path(llm), context_tokens=128, parallel=1) as engine:
        run = engine.generate("The capital of France is", max_tokens=4)
        next(run)
    assert run.answer().text.startswith(" Paris")


def llm_path(_llm):
    from conftest import CORPUS

    return f"{CORPUS}/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


def test_a_stream_is_asynchronous(llm):
    async def two():
        async def ask():
            run = llm.generate("The capital of France is", max_tokens=4)
            return "".join([event.text async for event in run if isinstance(event, selvedge.Text)])

        ticks = asyncio.create_task(count())
        got = await asyncio.gather(ask(), ask())
        ticks.cancel()
        return got, await llm.generate("The capital of France is", max_tokens=2).answer_async()

    async def count():
        while True:
            await asyncio.sleep(0.001)
            counted.append(1)

    counted = []
    got, answer = asyncio.run(two())
    assert got[0] == got[1] and got[0].startswith(" Paris") and answer.text.startswith(" Paris")
    assert counted, "the event loop ran beside the model"


def test_a_task_that_is_cancelled_ends_its_stream(llm):
    async def main():
        run = llm.generate(**STORY)

        async def consume():
            async for _ in run:
                begun.set()

        begun = asyncio.Event()
        task = asyncio.create_task(consume())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(selvedge.BadHandle):
            run.answer()

    asyncio.run(main())


def test_tensors_run_step_by_step(rain):
    run = rain.start({"weather": DAY})
    events = list(run)
    assert isinstance(events[-1], selvedge.Done) and events[-1].finish == "complete"
    assert abs(run.answer()["rain_tomorrow"][0, 0] - SEATTLE) < 1e-5


def test_a_conversation_is_rendered_by_the_model(llm):
    chat = [("system", "Be brief."), {"role": "user", "content": "Hi"}]
    rendered = llm.render(chat)
    assert "<|im_start|>user\nHi<|im_end|>" in rendered
    # The marks of the template are tokens of their own; in a text of the user's they are but letters.
    assert len(llm.tokenize(messages=chat)) < len(llm.tokenize(rendered))
    assert llm.detokenize(llm.tokenize("Zürich 雨")) == "Zürich 雨"
