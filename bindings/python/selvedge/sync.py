"""Batches of telemetry to post. The library opens no socket: the app posts, and asks what its answer means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterable, Mapping

from ._handle import Guarded, Handle
from ._library import (
    NULL, Keep, buffer, buffer_json, call, ffi, lib, name_of, number, out, owned, pairs, path_bytes,
    string, struct,
)  # fmt: skip
from .source import Path
from .telemetry import Telemetry
from .tensors import memory_of

ENCODINGS = {"default": 0, "identity": 1, "gzip": 2, "zstd": 3}
DECISIONS = ["none", "accepted", "wait", "later", "split", "drop"]
NETWORK = {"offline": lib.SELVEDGE_NETWORK_OFFLINE, "metered": lib.SELVEDGE_NETWORK_METERED}


@dataclass(frozen=True)
class HttpRequest:
    """A request to post: to the endpoint's address and `path`, with `headers`."""

    path: str
    content_type: str
    content_encoding: str
    body: memoryview
    """Over the batch's own memory, which it keeps alive."""

    @property
    def headers(self) -> dict[str, str]:
        encoding = {"Content-Encoding": self.content_encoding} if self.content_encoding else {}
        return {"Content-Type": self.content_type, **encoding}


@dataclass
class Retry:
    """How often it is tried again; 0 is the library's default. Times are in seconds."""

    attempts: int = 0
    base: float = 0
    cap: float = 0
    on_metered: bool = False


@dataclass(frozen=True)
class Judgement:
    """What to do after an answer."""

    decision: str
    """"accepted": post the next request, after the last one ack(). "wait": post it again after `wait` seconds. "later":
    keep the batch, and stop. "split": split(). "drop": bisect()."""
    wait: float
    refused: int
    """Records or points that the receiver did not take: refuse() in the place of ack()."""
    reason: str


class Batch(Handle):
    """What is posted at once. It comes again, with the same bytes, until it is acknowledged."""

    __slots__ = ("requests", "json")

    def __init__(self, handle: Any) -> None:
        self._handle = handle
        self.json: dict[str, Any] = buffer_json(lib.selvedge_batch_json, handle)
        count = out("size_t *", lib.selvedge_batch_request_count, handle)
        self.requests = [_request(handle, index) for index in range(count)]

    @property
    def id(self) -> str:
        """64 hexadecimal digits, of the content."""
        return str(self.json["id"])

    def close(self) -> None:
        """Gives the batch up; its memory is freed with the last body over it."""
        self._handle, self.requests = ffi.cast("selvedge_batch *", 0xFFFF_FFFF_FFFF_FFFF), []


def _request(handle: Any, index: int) -> HttpRequest:
    made = struct("selvedge_http_request")
    call(lib.selvedge_batch_request, handle, index, made)
    body = memoryview(memory_of(handle, made.body, made.body_len)).toreadonly()
    return HttpRequest(string(made.path), string(made.content_type), string(made.content_encoding), body)


class Outbox(Guarded):
    """What is to be posted of a telemetry folder."""

    __slots__ = ()

    def __init__(
        self,
        telemetry: Telemetry,
        app: str,
        *,
        folder: Path | None = None,
        app_version: str = "",
        attributes: Mapping[str, str] | None = None,
        interval: float = 0,
        min_count: int = 0,
        epsilon: float = 0,
        encoding: str = "default",
        exact_counts: bool = False,
        any_count: bool = False,
    ) -> None:
        """Opens the outbox, whose state lies in the telemetry's folder if no other is given. `interval` is in seconds;
        0 is the library's default, of that, of min_count and of epsilon."""
        super().__init__()
        keep = Keep()
        made = struct("selvedge_outbox_options")
        keep.text(made.app, app)
        keep.text(made.app_version, app_version)
        if attributes:
            made.attributes, made.attribute_count = pairs(attributes, keep), len(attributes)
        made.interval_ms, made.min_count, made.epsilon = round(interval * 1000), min_count, epsilon
        made.encoding = number("encoding", encoding, ENCODINGS)
        made.flags = exact_counts * lib.SELVEDGE_OUTBOX_EXACT_COUNTS | any_count * lib.SELVEDGE_OUTBOX_ANY_COUNT
        path = path_bytes(telemetry.folder if folder is None else folder)
        arguments = [telemetry._handle, path, len(path), made]
        self._handle = owned("selvedge_outbox", lib.selvedge_outbox_free, lib.selvedge_outbox_open, *arguments)

    def next_batch(self, max_bytes: int = 1 << 20) -> Batch | None:
        """The next batch, of at most about so many bytes before it is encoded; None when all was posted."""
        handle = out("selvedge_batch **", lib.selvedge_outbox_next_batch, self._handle, max_bytes)
        return None if handle == NULL else Batch(ffi.gc(handle, lib.selvedge_batch_free))

    def begin(self, network: Iterable[str] = (), retry: Retry | None = None) -> Judgement:
        """Whether to begin to post now: `network` says "offline", "metered", or nothing."""
        flags = sum(number("network", name, NETWORK) for name in set(network))
        made = struct("selvedge_judgement")
        with self._lock:
            call(lib.selvedge_outbox_begin, self._handle, _retry(retry), flags, made)
            return _judgement(made)

    def judge(
        self,
        batch: Batch,
        index: int,
        attempt: int,
        *,
        status: int,
        content_type: str = "",
        retry_after: str = "",
        body: bytes = b"",
        retry: Retry | None = None,
    ) -> Judgement:
        """What to do after the answer to request `index`, tried for the `attempt`th time, from 1. A status of 0: the
        network failed."""
        keep = Keep()
        response = struct("selvedge_http_response")
        response.status = status
        keep.text(response.content_type, content_type)
        keep.text(response.retry_after, retry_after)
        response.body, response.body_len = keep.memory(body), len(body)
        made = struct("selvedge_judgement")
        with self._lock:
            call(lib.selvedge_outbox_judge, self._handle, batch._handle, index, attempt, _retry(retry), response, made)
            return _judgement(made)

    def ack(self, batch: Batch) -> None:
        """Notes that a batch has arrived, durably: it does not come again."""
        call(lib.selvedge_outbox_ack, self._handle, batch._handle)

    def refuse(self, batch: Batch, refused: int) -> None:
        """As ack(), but so many points or records were not taken: they are counted, and the count is posted."""
        call(lib.selvedge_outbox_refuse, self._handle, batch._handle, refused)

    def split(self, batch: Batch) -> bool:
        """Puts two smaller batches in the place of this one, which was too large. False if it is one point or log
        record, and stays: give it up by refuse() with the whole of it, which is what more than it holds stands for."""
        return bool(out("int32_t *", lib.selvedge_outbox_split, self._handle, batch._handle))

    def bisect(self, batch: Batch) -> bool:
        """As split(), of a batch that was refused for what it holds, so that only what is at fault is lost. False also
        when 20 batches or parts in a row were refused, for then the receiver takes nothing."""
        return bool(out("int32_t *", lib.selvedge_outbox_bisect, self._handle, batch._handle))

    def status(self) -> dict[str, Any]:
        return dict(buffer_json(lib.selvedge_outbox_status_json, self._handle))

    def reset_install_id(self) -> str:
        """Draws another random install id, as a person may ask for."""
        return buffer(lib.selvedge_outbox_reset_install_id, self._handle).decode()


def _retry(retry: Retry | None) -> Any:
    if retry is None:
        return NULL
    made = struct("selvedge_retry")
    made.attempts, made.flags = retry.attempts, retry.on_metered * lib.SELVEDGE_RETRY_ON_METERED
    made.base_ms, made.cap_ms = round(retry.base * 1000), round(retry.cap * 1000)
    return made


def _judgement(made: Any) -> Judgement:
    return Judgement(name_of(made.decision, DECISIONS), made.wait_ms / 1000, made.refused, string(made.reason))
