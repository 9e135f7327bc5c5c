"""Engines: open a model, and ask it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Callable, Iterable, Literal, Mapping, NamedTuple, Sequence

import numpy as np

from ._handle import Guarded
from ._library import (
    NULL, Keep, buffer, buffer_json, call, callback, digest, ffi, lent_json, lib, new, number, out, owned, pairs,
    path_bytes, struct, structs,
)  # fmt: skip
from .answer import Answer, ask
from .cancel import Cancel, handle_of
from .generate import Adapters, add_adapters, add_chat, add_logits, add_tokens, prompt_struct
from .grammar import Grammar
from .run import Run
from .source import Path, Source, source_struct
from .tensors import Array, fill_output, inputs_of, written
from .tools import Document, Messages, Tool

BACKENDS = {"auto": 0, "llama": 1, "ort": 2, "tract": 3, "table": 4, "rten": 5}
LOADINGS = {"mapped": 0, "read": 1}
PRIORITIES = {"background": -1, "normal": 0, "interactive": 1}
LEVELS = {"caches": lib.SELVEDGE_TRIM_CACHES, "all": lib.SELVEDGE_TRIM_ALL}


@dataclass
class Options:
    """How to open a model. What is zero, empty or None stands for its default."""

    backend: str = "auto"
    """By the file's content; or "llama", "ort", "rten", "tract", "table"."""
    loading: str = "mapped"
    """Or "read": whole, into memory."""
    threads: int = 0
    context_tokens: int = 0
    """For text; 0: the model's own, at most 4096."""
    parallel: int = 0
    """Runs side by side, for text; 0: 4."""
    memory_limit: int = 0
    """Bytes; a model that takes more by estimate is OutOfMemory before it is loaded."""
    sha256: str | bytes | None = None
    """A model of another digest is Corrupt."""
    onnxruntime: Path = ""
    """The ONNX Runtime library; it is searched for if not given."""
    no_symlinks: bool = False
    search_python: bool = False
    """Whether to look for ONNX Runtime in Python packages, too."""
    session_entries: Mapping[str, str] = field(default_factory=dict)
    """Configuration of an ONNX Runtime session."""
    adapters: Mapping[str, Path] = field(default_factory=dict)
    """LoRA adapters in GGUF files, by the names that requests use."""
    prompt_threads: int = 0
    """Of one computation of a prompt, with llama; 0: as `threads`."""
    own_products: bool = False
    """Whether llama computes prompts and texts to embed with this library's products, for about the memory of its weights again."""
    measurements: Path = ""
    """Folder of what was measured: an ONNX model goes to the runtime that is fastest at it here. Nothing is measured without."""
    accelerator_layers: int | Literal["all"] = 0
    """So many of the last layers of a GGUF model are computed on a GPU."""
    accelerator_device: str = ""
    """The GPU's name, as llama.cpp has it, such as "Vulkan0"; the first if not given."""
    cancel: Cancel | None = None
    on_progress: Callable[[int, int], None] | None = None
    """Is told so many of so many bytes."""


@callback("selvedge_progress_fn")
def on_progress(user_data: Any, done: int, total: int) -> None:
    ffi.from_handle(user_data)(done, total)


def options_struct(options: Options, keep: Keep) -> Any:
    made = keep.add(struct("selvedge_options"))
    made.backend = number("backend", options.backend, BACKENDS)
    made.loading = number("loading", options.loading, LOADINGS)
    made.threads, made.parallel = options.threads, options.parallel
    made.context_tokens, made.memory_limit = options.context_tokens, options.memory_limit
    made.flags = options.no_symlinks * lib.SELVEDGE_OPTIONS_NO_SYMLINKS
    made.flags |= options.search_python * lib.SELVEDGE_OPTIONS_SEARCH_PYTHON
    made.flags |= options.own_products * lib.SELVEDGE_OPTIONS_OWN_PRODUCTS
    made.sha256 = digest(options.sha256, keep)
    if options.onnxruntime:
        keep.text(made.onnxruntime, path_bytes(options.onnxruntime))
    if options.measurements:
        keep.text(made.measurements, path_bytes(options.measurements))
    layers = options.accelerator_layers
    made.accelerator_layers = lib.SELVEDGE_ACCELERATOR_ALL if layers == "all" else layers
    if options.accelerator_device:
        keep.text(made.accelerator_device, options.accelerator_device.encode())
    if options.session_entries:
        made.session_entries = pairs(options.session_entries, keep)
        made.session_entry_count = len(options.session_entries)
    if options.adapters:
        paths = {name: path_bytes(path) for name, path in options.adapters.items()}
        made.adapters, made.adapter_count = pairs(paths, keep), len(paths)
    made.prompt_threads = options.prompt_threads
    made.cancel = handle_of(options.cancel)
    if options.on_progress:
        made.on_progress, made.user_data = on_progress, keep.add(ffi.new_handle(options.on_progress))
    return made


class Scores(NamedTuple):
    """How likely continuations are: the logarithms of their probabilities, their numbers of tokens, and whether each of
    these is the likeliest, so that a greedy answer would begin with it."""

    logprobs: Array
    tokens: Array
    greedy: Array


class Ranking(NamedTuple):
    """How relevant documents are: a score for each, and their places, the most relevant first."""

    scores: Array
    order: Array


class Prefixes(NamedTuple):
    """What was saved of a prefix cache, or restored: beginnings of prompts, their tokens, bytes of the file."""

    prefixes: int
    tokens: int
    bytes: int


class Engine(Guarded):
    """A loaded model, or a layer around one. Any number of threads may ask it at once."""

    __slots__ = ("_spec", "_wanted")

    def __init__(self, handle: Any) -> None:
        super().__init__()
        self._handle = handle
        self._spec: dict[str, Any] | None = None
        self._wanted: dict[str, str | None] | None = None

    @classmethod
    def open(cls, source: Path | Source, options: Options | None = None, **fields: Any) -> Engine:
        """Opens a model and blocks until it is loaded: a path, or a Source. Fields of Options may be given by name."""
        keep = Keep()
        options = Options(**fields) if options is None else options
        arguments = [source_struct(source, keep), options_struct(options, keep)]
        return cls(owned("selvedge_engine", lib.selvedge_engine_close, lib.selvedge_engine_open_source, *arguments))

    @property
    def spec(self) -> dict[str, Any]:
        """What the engine takes, gives, can do and costs."""
        spec = self._spec
        if spec is None:
            with self._lock:
                spec = self._spec = lent_json(lib.selvedge_engine_spec_json, self._handle)
        return spec

    def close(self) -> None:
        super().close()
        self._spec = None

    def run(
        self,
        inputs: Mapping[str, Any],
        outputs: Sequence[str] | None = None,
        *,
        cancel: Cancel | None = None,
        timeout: float | None = None,
        id: int = 0,
        priority: str = "normal",
    ) -> Answer:
        """Runs named tensors through the engine: arrays, or what has the buffer protocol, without a copy; lists become
        what the engine takes. A timeout is in seconds; a priority is "background", "normal" or "interactive"."""
        keep = Keep()
        request = self._tensors(inputs, outputs, keep)
        return ask(lib.selvedge_engine_run, self._handle, request, call_struct(keep, cancel, timeout, id, priority))

    def run_into(
        self,
        inputs: Mapping[str, Any],
        outputs: Mapping[str, Array],
        *,
        cancel: Cancel | None = None,
        timeout: float | None = None,
        id: int = 0,
        priority: str = "normal",
    ) -> dict[str, Array]:
        """As run(), into arrays of the caller's: gives what was written of each, in its shape, over the same memory."""
        keep = Keep()
        request = self._tensors(inputs, None, keep)
        places = structs("selvedge_output", len(outputs))
        for place, (name, array) in zip(places, outputs.items()):
            fill_output(place, name, array, keep)
        terms = call_struct(keep, cancel, timeout, id, priority)
        call(lib.selvedge_engine_run_into, self._handle, request, places, len(outputs), terms)
        return {name: written(array, place) for place, (name, array) in zip(places, outputs.items())}

    def start(
        self,
        inputs: Mapping[str, Any],
        outputs: Sequence[str] | None = None,
        *,
        cancel: Cancel | None = None,
        timeout: float | None = None,
        id: int = 0,
        priority: str = "normal",
    ) -> Run:
        """As run(), to be pulled step by step. The inputs are copied."""
        keep = Keep()
        request = self._tensors(inputs, outputs, keep)
        return self._start(lib.selvedge_engine_start, request, call_struct(keep, cancel, timeout, id, priority))

    def generate(
        self,
        prompt: str | None = None,
        *,
        messages: Messages | None = None,
        tokens: Sequence[int] | None = None,
        max_tokens: int | None = 256,
        stop: Sequence[str] = (),
        temperature: float = 0.0,
        seed: int | None = None,
        top_k: int = 0,
        top_p: float = 0.0,
        min_p: float = 0.0,
        repeat_penalty: float = 0.0,
        frequency_penalty: float = 0.0,
        presence_penalty: float = 0.0,
        penalty_last_n: int = 0,
        logprobs: bool = False,
        grammar: Grammar | None = None,
        tools: Sequence[Tool] = (),
        tool_choice: str = "auto",
        tool_name: str = "",
        documents: Sequence[Document | tuple[str, str]] = (),
        thinking: bool | None = None,
        variables: Mapping[str, Any] | None = None,
        continue_last: bool = False,
        separate_reasoning: bool = False,
        adapters: Adapters = (),
        bias: Mapping[int, float] | None = None,
        ban: Iterable[int] = (),
        top_logprobs: int = 0,
        cancel: Cancel | None = None,
        timeout: float | None = None,
        id: int = 0,
        priority: str = "normal",
    ) -> Run:
        """Starts to generate text from a prompt, a conversation, or tokens; greedy if not said otherwise. Iterate over
        the run for its events, or ask for its answer(). A max_tokens of None is no limit but the context. With a grammar, an
        answer that ends by itself is of its form, the whole of it.

        Of a conversation, the model may call `tools`: a `tool_choice` of "required", or "named" with a `tool_name`, holds its
        calls to their schemas; "none" does not tell it of them. `documents`, `thinking` and `variables` are for its chat
        template, which must have a place for them. `continue_last` goes on with the last message, `separate_reasoning` parts
        what it thinks from its answer. `adapters` are names, or names with scales; `bias` is added to the logits of tokens,
        and those of `ban` never come."""
        keep = Keep()
        made = prompt_struct(prompt, messages, keep)
        add_tokens(made, tokens, keep)
        made.stop, made.stop_count = (keep.texts(stop), len(stop)) if stop else (NULL, 0)
        made.max_tokens = lib.SELVEDGE_MAX_TOKENS_NONE if max_tokens is None else max_tokens
        if seed is not None:
            made.flags, made.seed = lib.SELVEDGE_GENERATE_SEEDED, seed
        made.flags |= logprobs * lib.SELVEDGE_GENERATE_LOGPROBS
        made.temperature, made.top_k, made.top_p, made.min_p = temperature, top_k, top_p, min_p
        made.repeat_penalty, made.frequency_penalty = repeat_penalty, frequency_penalty
        made.presence_penalty, made.penalty_last_n = presence_penalty, penalty_last_n
        if grammar is not None:
            keep.text(made.grammar, grammar.text)
            made.grammar_kind = grammar.kind
        add_chat(made, tools, tool_choice, tool_name, documents, thinking, variables, keep)
        made.flags |= continue_last * lib.SELVEDGE_GENERATE_CONTINUE_LAST
        made.flags |= separate_reasoning * lib.SELVEDGE_GENERATE_SEPARATE_REASONING
        add_adapters(made, adapters, keep)
        add_logits(made, bias or {}, ban, keep)
        made.top_logprobs = top_logprobs
        return self._start(lib.selvedge_engine_generate, made, call_struct(keep, cancel, timeout, id, priority))

    def embed(
        self,
        texts: Sequence[str],
        *,
        raw: bool = False,
        cancel: Cancel | None = None,
        timeout: float | None = None,
        id: int = 0,
        priority: str = "normal",
    ) -> Array:
        """A vector for each text: f32 [texts, dimensions], of length 1 unless `raw`."""
        keep = Keep()
        made = struct("selvedge_embed")
        made.texts, made.text_count = keep.texts(texts), len(texts)
        made.flags = raw * lib.SELVEDGE_EMBED_RAW
        terms = call_struct(keep, cancel, timeout, id, priority)
        return ask(lib.selvedge_engine_embed, self._handle, made, terms)["embedding"]

    def score(
        self,
        prompt: str | None = None,
        continuations: Sequence[str] = (),
        *,
        messages: Messages | None = None,
        tokens: Sequence[int] | None = None,
        adapters: Adapters = (),
        cancel: Cancel | None = None,
        timeout: float | None = None,
        id: int = 0,
        priority: str = "normal",
    ) -> Scores:
        """How likely each continuation of a prompt, a conversation or tokens is. A longer one is less likely by its length
        alone: dividing by the tokens makes them comparable."""
        keep = Keep()
        made = prompt_struct(prompt, messages, keep, "selvedge_score")
        add_tokens(made, tokens, keep)
        made.continuations, made.continuation_count = keep.texts(continuations), len(continuations)
        add_adapters(made, adapters, keep)
        terms = call_struct(keep, cancel, timeout, id, priority)
        answer = ask(lib.selvedge_engine_score, self._handle, made, terms)
        return Scores(answer["logprob"], answer["tokens"], answer["greedy"])

    def rerank(
        self,
        query: str,
        documents: Sequence[str],
        *,
        cancel: Cancel | None = None,
        timeout: float | None = None,
        id: int = 0,
        priority: str = "normal",
    ) -> Ranking:
        """How well each document answers a query, by a model that reads both together."""
        keep = Keep()
        made = struct("selvedge_rerank")
        keep.text(made.query, query)
        made.documents, made.document_count = keep.texts(documents), len(documents)
        terms = call_struct(keep, cancel, timeout, id, priority)
        answer = ask(lib.selvedge_engine_rerank, self._handle, made, terms)
        return Ranking(answer["score"], answer["order"])

    def save_prefixes(self, path: Path) -> Prefixes:
        """Writes what the engine has computed of prompts to a file, for restore_prefixes() after the next start."""
        return self._kept(lib.selvedge_engine_save_prefixes, path)

    def restore_prefixes(self, path: Path) -> Prefixes:
        """Takes the prefixes of a file; what finds no place is left out. Answers are the same as without."""
        return self._kept(lib.selvedge_engine_restore_prefixes, path)

    def _kept(self, function: Any, path: Path) -> Prefixes:
        told, at = struct("selvedge_prefixes"), path_bytes(path)
        call(function, self._handle, ffi.from_buffer(at), len(at), told)
        return Prefixes(told.prefixes, told.tokens, told.bytes)

    def tokenize(self, prompt: str | None = None, *, messages: Any = None) -> list[int]:
        """The tokens of a prompt; of a conversation, those of its rendered text."""
        keep = Keep()
        data = buffer(lib.selvedge_engine_tokenize, self._handle, prompt_struct(prompt, messages, keep))
        return np.frombuffer(data, np.uint32).tolist()  # type: ignore[no-any-return]

    def detokenize(self, tokens: Sequence[int]) -> str:
        ids = np.ascontiguousarray(tokens, np.uint32)
        pointer = ffi.cast("uint32_t *", ffi.from_buffer(ids))
        return buffer(lib.selvedge_engine_detokenize, self._handle, pointer, len(ids)).decode()

    def render(self, messages: Any) -> str:
        """The conversation as the model sees it, by its chat template."""
        keep = Keep()
        return buffer(lib.selvedge_engine_render, self._handle, prompt_struct(None, messages, keep)).decode()

    def trim(self, level: str = "caches") -> int:
        """Gives memory back, "caches" or "all", and says how many bytes; the next call is slower."""
        return int(out("uint64_t *", lib.selvedge_engine_trim, self._handle, number("level", level, LEVELS)))

    def _start(self, function: Any, request: Any, terms: Any) -> Run:
        return Run(owned("selvedge_run", lib.selvedge_run_free, function, self._handle, request, terms))

    def _tensors(self, inputs: Mapping[str, Any], outputs: Sequence[str] | None, keep: Keep) -> Any:
        request = new("selvedge_tensors *")
        request.struct_size = _TENSORS_SIZE
        request.inputs = keep.add(inputs_of(inputs, self._dtype, keep))
        request.input_count = len(inputs)
        if outputs is not None:
            request.outputs, request.output_count = keep.texts(outputs), len(outputs)
        return request

    def _dtype(self, name: str) -> str | None:
        if self._wanted is None:
            self._wanted = {port["name"]: port.get("dtype") for port in self.spec["inputs"]}
        return self._wanted.get(name)

    def __repr__(self) -> str:
        provenance = self.spec["provenance"]
        return f"<Engine {provenance['model']} {provenance['digest'][:8]} {provenance['runtime']}>"


_TENSORS_SIZE = ffi.sizeof("selvedge_tensors")


def call_struct(keep: Keep, cancel: Cancel | None, timeout: float | None, id: int, priority: str) -> Any:
    if cancel is None and timeout is None and not id and priority == "normal":
        return NULL
    made = keep.add(struct("selvedge_call"))
    made.cancel = handle_of(cancel)
    if timeout is not None:
        made.timeout_ms = max(1, math.ceil(timeout * 1000))
    made.id = id
    made.priority = number("priority", priority, PRIORITIES)
    return made


def inspect(source: Path | Source, options: Options | None = None) -> dict[str, Any]:
    """What a model file holds, without opening it."""
    keep = Keep()
    chosen = options_struct(options or Options(), keep)
    return dict(buffer_json(lib.selvedge_inspect, source_struct(source, keep), chosen))


def validate(source: Path | Source, options: Options | None = None) -> None:
    """Raises if a model file is not well formed, or no backend of this build takes it."""
    keep = Keep()
    call(lib.selvedge_validate, source_struct(source, keep), options_struct(options or Options(), keep))
