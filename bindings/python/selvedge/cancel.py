"""A switch that ends calls."""

from __future__ import annotations

from typing import Any

from ._handle import Handle
from ._library import NULL, failure, ffi, lib, out


class Cancel(Handle):
    """A switch that ends the calls and runs that carry it, from any thread. It stays set."""

    __slots__ = ()

    def __init__(self) -> None:
        self._handle = ffi.gc(out("selvedge_cancel **", lib.selvedge_cancel_new), lib.selvedge_cancel_free)

    def set(self) -> None:
        """Ends what carries the switch with Cancelled, at the latest before its next step."""
        status = lib.selvedge_cancel_set(self._handle)
        if status:
            raise failure(status)


def handle_of(cancel: Cancel | None) -> Any:
    return NULL if cancel is None else cancel._handle
