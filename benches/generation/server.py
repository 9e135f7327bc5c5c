"""llama.cpp's own server, in a process of its own: answers requests from standard input.

    server.py MODEL THREADS SLOTS CONTEXT

A request is one line, `NEW_TOKENS ID,ID,… ID,ID,…`: the tokens of one prompt for each caller. Callers ask at the same time.
An answer is one line: seconds from the first question to the last answer, seconds to the first piece of text, seconds of
computing the prompt and of generating by the server's own clock (of one caller), and all tokens generated.
"""

import sys
import threading
import time

import xllamacpp


def start(model, threads, slots, context):
    params = xllamacpp.CommonParams()
    params.model.path = model
    params.n_parallel = slots
    params.n_ctx = context
    for cpu in (params.cpuparams, params.cpuparams_batch):
        cpu.n_threads = threads
    return xllamacpp.Server(params)


def ask(server, prompt, new_tokens):
    """Seconds to the first piece of text, and the last message of the stream."""
    first, last = [], []
    begin = time.perf_counter()

    def on_message(message):
        if not first:
            first.append(time.perf_counter() - begin)
        last[:] = [message]
        return False

    question = {
        "prompt": prompt,
        "n_predict": new_tokens,
        "temperature": 0,
        "ignore_eos": True,
        "cache_prompt": False,
        "stream": True,
    }
    server.handle_completions(question, on_message)
    return first[0], last[0]


def answer(server, line):
    new_tokens, *prompts = line.split()
    prompts = [[int(token) for token in prompt.split(",")] for prompt in prompts]
    answers = [None] * len(prompts)

    def caller(i):
        answers[i] = ask(server, prompts[i], int(new_tokens))

    callers = [threading.Thread(target=caller, args=(i,)) for i in range(len(prompts))]
    begin = time.perf_counter()
    for one in callers:
        one.start()
    for one in callers:
        one.join()
    whole = time.perf_counter() - begin
    first, last = answers[0]
    timings = last["timings"]
    if timings["cache_n"]:
        raise SystemExit("the prompt must be computed")
    tokens = sum(message["timings"]["predicted_n"] for _, message in answers)
    return [whole, first, timings["prompt_ms"] / 1e3, timings["predicted_ms"] / 1e3, tokens]


def main():
    model, threads, slots, context = sys.argv[1], *map(int, sys.argv[2:])
    server = start(model, threads, slots, context)
    print("ready", flush=True)
    for line in sys.stdin:
        print(*answer(server, line), flush=True)


main()
