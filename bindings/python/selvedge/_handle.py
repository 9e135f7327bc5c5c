"""What all that is opened has in common."""

from __future__ import annotations

import threading
from typing import Any

from ._library import ffi


class Handle:
    """Something of the library's. It is freed with the last reference to it, by close(), or at the end of a `with`.

    Closing twice is harmless; use after it is BadHandle. The library knows which handles live, so no call here looks.
    """

    __slots__ = ("_handle", "__weakref__")
    _handle: Any

    def close(self) -> None:
        ffi.release(self._handle)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> Any:
        raise TypeError(f"{type(self).__name__} is of this process; it cannot be pickled")


class Guarded(Handle):
    """A handle that gives out pointers. They are read with its lock, so that no other thread frees it meanwhile."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def close(self) -> None:
        with self._lock:
            super().close()
