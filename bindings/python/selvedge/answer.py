"""What comes back of a request."""

from __future__ import annotations

from typing import Any, Iterator, NamedTuple

from ._handle import Handle
from ._library import failure, ffi, lent_json, lib, new
from .tensors import Array, array_at
from .tools import MalformedCall, ToolCall


class Token(NamedTuple):
    """A sampled token."""

    id: int
    logprob: float
    """At most 0; NaN unless logprobs were asked for."""


class Answer(Handle):
    """A complete answer: outputs by name, and for text, the text.

    Outputs are arrays over the answer's own memory, not copies: each keeps the answer alive, and cannot be written to.
    """

    __slots__ = ("_outputs", "_json")

    def __init__(self, handle: Any) -> None:
        self._handle = handle
        self._outputs: dict[str, Array] | None = None
        self._json: dict[str, Any] | None = None

    def close(self) -> None:
        """Gives the answer up. Its memory is freed with the last array over it."""
        self._handle, self._outputs, self._json = ffi.cast("selvedge_answer *", _CLOSED), None, None

    @property
    def outputs(self) -> dict[str, Array]:
        if self._outputs is None:
            handle, err, count, tensor, made = self._handle, new(_ERROR), new(_SIZE), new(_TENSOR), {}
            tensor.struct_size = _TENSOR_SIZE
            status = lib.selvedge_answer_output_count(handle, count, err)
            for index in range(count[0]):
                status = status or lib.selvedge_answer_output(handle, index, tensor, err)
                if not status:
                    made[ffi.unpack(tensor.name, tensor.name_len).decode()] = array_at(tensor, handle)
            if status:
                raise failure(status, err)
            self._outputs = made
        return self._outputs

    def __getitem__(self, name: str) -> Array:
        return self.outputs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.outputs)

    def __len__(self) -> int:
        return len(self.outputs)

    @property
    def json(self) -> dict[str, Any]:
        """All but the tensors' contents, as the library tells it."""
        if self._json is None:
            self._json = lent_json(lib.selvedge_answer_json, self._handle)
        return self._json

    @property
    def text(self) -> str:
        return str(self.json["text"])

    @property
    def tokens(self) -> list[int]:
        """Ids of the tokens that were generated."""
        return list(self.json["tokens"])

    @property
    def reasoning(self) -> str:
        """What the model thought, if that was asked for by itself."""
        return str(self.json["reasoning"])

    @property
    def tool_calls(self) -> list[ToolCall]:
        return [ToolCall(**call) for call in self.json["tool_calls"]]

    @property
    def malformed_calls(self) -> list[MalformedCall]:
        """What began like a call and is none."""
        return [MalformedCall(**call) for call in self.json["malformed_calls"]]

    @property
    def logprobs(self) -> list[float] | None:
        """One for each token, if they were asked for."""
        logprobs = self.json["logprobs"]
        return None if logprobs is None else list(logprobs)

    @property
    def top_logprobs(self) -> list[list[Token]]:
        """For each token the likeliest at its place, the likeliest first, if they were asked for."""
        return [[Token(**token) for token in place] for place in self.json["top_logprobs"]]

    @property
    def adapters(self) -> list[dict[str, Any]]:
        """Those that were applied: name, scale, and how many of how many weights they changed."""
        return list(self.json["adapters"])

    @property
    def finish(self) -> str:
        """Why it ended: "complete", "end_of_text", "stop", "length", "context_full" or "other"."""
        return str(self.json["finish"])

    @property
    def stop(self) -> str | None:
        """The stop text that came up."""
        stop = self.json["stop"]
        return None if stop is None else str(stop)

    @property
    def usage(self) -> dict[str, int | None]:
        return dict(self.json["usage"])

    @property
    def provenance(self) -> dict[str, Any]:
        """Which model, digest and runtime gave it, and the layers it passed."""
        return dict(self.json["provenance"])

    @property
    def id(self) -> int:
        return int(self.json["id"])

    def __repr__(self) -> str:
        told = self.json
        outputs = ", ".join(f"{o['name']}: {o['dtype']}{o['shape']}" for o in told["outputs"])
        return f"<Answer {told['finish']} {outputs}{told['text']!r}>" if told["text"] else f"<Answer {outputs}>"


# No handle has this number: a closed answer is BadHandle, while arrays over it live on.
_CLOSED = 0xFFFF_FFFF_FFFF_FFFF


_ERROR, _ANSWER = ffi.typeof("selvedge_error **"), ffi.typeof("selvedge_answer **")
_SIZE, _TENSOR = ffi.typeof("size_t *"), ffi.typeof("selvedge_tensor *")
_TENSOR_SIZE = ffi.sizeof("selvedge_tensor")


def ask(function: Any, *arguments: Any) -> Answer:
    """A call that gives an answer; as _library.owned, but that it is the one which is made for each request."""
    err, result = new(_ERROR), new(_ANSWER)
    status = function(*arguments, result, err)
    if status:
        raise failure(status, err)
    return Answer(ffi.gc(result[0], lib.selvedge_answer_free))
