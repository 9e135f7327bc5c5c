"""Tools, scores and prefixes: what Python adds to the cases that every binding runs."""

import numpy as np
import pytest

import selvedge
from conftest import CORPUS, REPO

WEATHER = selvedge.Tool(
    "weather",
    "The weather in a city.",
    {"type": "object", "properties": {"city": {"type": "string", "maxLength": 20}}, "required": ["city"]},
)


def ask(llm, messages, **terms):
    return llm.generate(messages=messages, tools=[WEATHER], max_tokens=80, **terms)


def test_a_call_comes_in_pieces_and_whole(llm):
    run = ask(llm, [("user", "Will it rain in Bergen?")], tool_choice="named", tool_name="weather")
    events = list(run)
    pieces = [event for event in events if isinstance(event, selvedge.CallPiece)]
    (call,) = [event for event in events if isinstance(event, selvedge.ToolCall)]
    assert "".join(piece.arguments for piece in pieces) == call.arguments and len(pieces) > 1
    assert {piece.name for piece in pieces} == {"weather"} and isinstance(call.parsed["city"], str)
    answer = run.answer()
    assert answer.tool_calls == [call] and answer.malformed_calls == [] and answer.text == answer.reasoning == ""
    # What closes the call is no piece of it.
    written = [token.id for piece in pieces for token in piece.tokens]
    assert written and written == answer.tokens[: len(written)]


def test_messages_are_given_in_three_ways(llm):
    call = selvedge.ToolCall("k3h5x0a1b", "weather", '{"city": "Bergen"}')
    said = [
        [("user", "Rain?"), selvedge.Message("assistant", tool_calls=[call]), selvedge.Message.result_of(call, "dry")],
        [
            {"role": "user", "content": "Rain?"},
            {"role": "assistant", "tool_calls": [call._asdict()]},
            {"role": "tool", "content": "dry", "tool_call_id": call.id},
        ],
    ]
    answers = [ask(llm, messages, tool_choice="none").answer().tokens for messages in said]
    assert answers[0] == answers[1]
    with pytest.raises(TypeError):
        ask(llm, [{"role": "user", "content": "Rain?", "contents": ""}])
    with pytest.raises(selvedge.InvalidArgument, match="'auto', 'none', 'required', 'named'"):
        ask(llm, [("user", "Rain?")], tool_choice="perhaps")


def test_likeliest_tokens_and_biases(llm):
    asked = dict(prompt="The capital of France is", max_tokens=2)
    answer = llm.generate(**asked, logprobs=True, top_logprobs=3).answer()
    assert len(answer.logprobs) == len(answer.top_logprobs) == 2
    likeliest = answer.top_logprobs[0]
    assert likeliest[0] == (answer.tokens[0], answer.logprobs[0]) and likeliest[0].logprob >= likeliest[2].logprob
    assert llm.generate(**asked).answer().logprobs is None
    first, second = likeliest[0].id, likeliest[1].id
    assert llm.generate(**asked, ban=[first]).answer().tokens[0] == second
    assert llm.generate(**asked, bias={second: 100.0}).answer().tokens == [second, second]


def test_scores_are_arrays(llm):
    scores = llm.score("The capital of France is", [" London", " Paris"])
    assert scores.logprobs.dtype == np.float32 and scores.greedy.tolist() == [False, True]
    assert scores.logprobs.argmax() == 1 and scores.tokens.tolist() == [1, 1]
    with pytest.raises(selvedge.InvalidArgument):
        llm.score("The capital of France is", [""])


def test_ranks_and_what_ranks_not():
    if "llama" not in selvedge.features():
        pytest.skip("the library has no llama")
    with selvedge.open(REPO / "bindings/conformance/rerank.gguf") as engine:
        scores, order = engine.rerank("rain wind", ["sun", "snow", "wind rain"])
        assert order.tolist() == np.argsort(-scores, kind="stable").tolist()
        with pytest.raises(selvedge.Unsupported):
            engine.save_prefixes("kept")


def test_prefixes_come_back(tmp_path):
    if not CORPUS or "llama" not in selvedge.features():
        pytest.skip("SELVEDGE_CORPUS is not set, or the library has no llama")

    def opened():
        model = f"{CORPUS}/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
        return selvedge.open(model, context_tokens=512, parallel=1, prompt_threads=1)

    prompt = dict(prompt="One two three four five. " * 12, max_tokens=4)
    with opened() as engine:
        cold = engine.generate(**prompt).answer()
        saved = engine.save_prefixes(tmp_path / "kept")
    assert saved.prefixes == 1 and saved.bytes == (tmp_path / "kept").stat().st_size
    with opened() as engine:
        assert engine.restore_prefixes(tmp_path / "kept") == saved
        warm = engine.generate(**prompt).answer()
        (tmp_path / "kept").write_bytes(b"of something else")
        with pytest.raises(selvedge.Corrupt):
            engine.restore_prefixes(tmp_path / "kept")
    assert (warm.tokens, cold.usage["cached_tokens"]) == (cold.tokens, 0) and warm.usage["cached_tokens"] >= 48


def test_adapters_are_of_language_models():
    with pytest.raises(selvedge.Unsupported, match="adapter 'formal'"):
        selvedge.open(REPO / "examples/quickstart/rain.onnx", adapters={"formal": "formal.gguf"})
