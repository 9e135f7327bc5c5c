"""Failures: an exception for each code of the library."""

from __future__ import annotations


class SelvedgeError(Exception):
    """A failure: what failed, what was expected and what was got, in English, and its code."""

    code = -1

    def __init__(self, message: str = "", code: int | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code

    @property
    def message(self) -> str:
        return str(self)


class InvalidArgument(SelvedgeError, ValueError):
    """An argument, name, dtype, shape or option is not what is taken."""

    code = 1


class NotFound(SelvedgeError, LookupError):
    """A file, tensor or other named thing does not exist."""

    code = 2


class Unsupported(SelvedgeError):
    """Well formed, but this engine or build cannot do it."""

    code = 3


class OutOfMemory(SelvedgeError, MemoryError):
    """The memory limit, or the machine's memory, is too small."""

    code = 4


class Cancelled(SelvedgeError):
    """The caller's cancel switch was set, or the run was closed."""

    code = 5


class Busy(SelvedgeError):
    """In use by another thread or process."""

    code = 6


class Io(SelvedgeError, OSError):
    """The operating system refused a read or a write."""

    code = 7


class Corrupt(SelvedgeError):
    """The bytes of a file break its format's rules."""

    code = 8


class BackendError(SelvedgeError):
    """A runtime below failed for a reason of its own."""

    code = 9


class DeadlineExceeded(SelvedgeError, TimeoutError):
    """The call's deadline passed."""

    code = 10


class ContextFull(SelvedgeError):
    """More tokens than the context holds."""

    code = 11


class MissingRuntime(SelvedgeError):
    """A runtime that is loaded at run time is absent or too old."""

    code = 12


class BadHandle(SelvedgeError):
    """The thing was closed."""

    code = 13


class Internal(SelvedgeError):
    """Selvedge broke a promise of its own: a defect, worth a report."""

    code = 14


class Quarantined(SelvedgeError):
    """The model ended the process before, in every way that its crash record allows."""

    code = 15


class Untrusted(SelvedgeError):
    """Nobody who is trusted vouches for it, or it is older than what was admitted before."""

    code = 16


class Panic(SelvedgeError):
    """A defect below the call; it was contained."""

    code = 255


_CLASSES: dict[int, type[SelvedgeError]] = {
    kind.code: kind
    for kind in [
        InvalidArgument, NotFound, Unsupported, OutOfMemory, Cancelled, Busy, Io, Corrupt, BackendError,
        DeadlineExceeded, ContextFull, MissingRuntime, BadHandle, Internal, Quarantined, Untrusted, Panic,
    ]
}  # fmt: skip


def of_code(code: int, message: str) -> SelvedgeError:
    """The exception of a code; of one that this version does not know, the class of all."""
    kind = _CLASSES.get(code)
    return kind(message) if kind else SelvedgeError(message, code)
