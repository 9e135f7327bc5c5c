"""A request in flight: events by iteration, or asynchronously."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, NamedTuple, Union

from ._handle import Guarded
from ._library import error_out, failure, ffi, lib, name_of, struct
from .answer import Answer, Token, ask
from .errors import Busy, Cancelled, SelvedgeError
from .tools import MalformedCall, ToolCall

FINISH = ["none", "complete", "end_of_text", "stop", "length", "context_full"]


class Working(NamedTuple):
    """Nothing to be seen yet: so many of so many prompt tokens; a total of 0 is not known."""

    done: int
    total: int


class Text(NamedTuple):
    """A piece of the answer: whole characters, and the tokens that made it; they may be none, or several."""

    text: str
    tokens: list[Token]


class Reasoning(NamedTuple):
    """A piece of what the model thinks, where that was asked for by itself."""

    text: str
    tokens: list[Token]


@dataclass(frozen=True)
class CallPiece:
    """A piece of a call that is being written, and may turn out to be none. The arguments of all pieces of an index are
    those of the call that follows them."""

    index: int
    name: str
    arguments: str
    tokens: list[Token]


class Done(NamedTuple):
    """The answer is complete."""

    finish: str
    stop: str | None
    input_tokens: int
    cached_tokens: int
    output_tokens: int


Event = Union[Working, Text, Reasoning, CallPiece, ToolCall, MalformedCall, Done]

_TEXT, _WORKING, _DONE = lib.SELVEDGE_EVENT_TEXT, lib.SELVEDGE_EVENT_WORKING, lib.SELVEDGE_EVENT_DONE
_next = lib.selvedge_run_next
_unpack = ffi.unpack
# A named tuple's own constructor takes twice as long.
_tuple: Any = tuple.__new__


def _text(event: Any) -> Text:
    """The event of most steps, with as few looks into C as can be: each costs as much as a call."""
    length, count = event.text_len, event.token_count
    text = _unpack(event.text, length).decode() if length else ""
    if count == 1:
        token = event.tokens
        tokens = [_tuple(Token, (token.id, token.logprob))]
    else:
        tokens = [_tuple(Token, (event.tokens[i].id, event.tokens[i].logprob)) for i in range(count)]
    made: Text = _tuple(Text, (text, tokens))
    return made


def _given(text: Any, length: int) -> str:
    return _unpack(text, length).decode() if length else ""


class Run(Guarded):
    """A request in flight. `for event in run` computes as it goes; `async for` does so on a thread of its own.

    A run that is dropped or closed before its end is cancelled.
    """

    __slots__ = ("_event", "_err", "_ended", "_closed", "_turn")

    def __init__(self, handle: Any) -> None:
        super().__init__()
        self._handle = handle
        self._event = struct("selvedge_event")
        self._err = error_out()
        self._ended = self._closed = False
        # Of who steps it: taken out meanwhile, whole at once as a lock would be, at half of its cost.
        self._turn = [None]

    def __iter__(self) -> Run:
        return self

    def __next__(self) -> Event:
        try:
            self._turn.pop()
        except IndexError:
            raise Busy("run: another thread is in it") from None
        try:
            if self._ended:
                raise StopIteration
            status = _next(self._handle, self._event, self._err)
            # Until the event is read, nobody frees what it points at; who freed it before has ended the run.
            with self._lock:
                if status:
                    self._ended = True
                    raise failure(status, self._err)
                if self._closed:
                    raise Cancelled("run: it was closed")
                event = self._event
                return _text(event) if event.kind == _TEXT else self._rest(event)
        finally:
            self._turn.append(None)

    def _rest(self, event: Any) -> Event:
        if event.kind == _DONE:
            self._ended = True
            stop = _unpack(event.text, event.text_len).decode() if event.text_len else None
            finish = name_of(event.finish, FINISH)
            return Done(finish, stop, event.input_tokens, event.cached_tokens, event.output_tokens)
        if event.kind == _WORKING:
            return Working(event.done, event.total)
        text, tokens = _text(event)
        if event.kind == lib.SELVEDGE_EVENT_REASONING:
            return Reasoning(text, tokens)
        if event.kind == lib.SELVEDGE_EVENT_CALL_PIECE:
            return CallPiece(event.index, _given(event.name, event.name_len), text, tokens)
        if event.kind == lib.SELVEDGE_EVENT_TOOL_CALL:
            return ToolCall(_given(event.id, event.id_len), _given(event.name, event.name_len), text)
        return MalformedCall(event.index, text, _given(event.reason, event.reason_len))

    def __aiter__(self) -> Run:
        return self

    async def __anext__(self) -> Event:
        # At the end None, for a future cannot bring a StopIteration.
        step = asyncio.get_running_loop().run_in_executor(None, next, self, None)
        try:
            event = await asyncio.shield(step)
        except asyncio.CancelledError:
            # The step under way ends now; a thread must not go on with what nobody waits for.
            self.close()
            try:
                await step
            except SelvedgeError:
                pass
            raise
        if event is None:
            raise StopAsyncIteration
        return event

    def answer(self) -> Answer:
        """The whole answer; what is still to come is computed first."""
        for _ in self:
            pass
        return ask(lib.selvedge_run_answer, self._handle)

    async def answer_async(self) -> Answer:
        """As answer(), without blocking the event loop."""
        async for _ in self:
            pass
        return ask(lib.selvedge_run_answer, self._handle)

    def close(self) -> None:
        """Frees the run at any time; a step that another thread is in ends with Cancelled."""
        with self._lock:
            self._closed = True
            ffi.release(self._handle)
