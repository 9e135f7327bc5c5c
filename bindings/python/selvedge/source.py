"""Where a model is: a path, an open file or a part of one, or bytes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Union

from ._library import RELEASE, Keep, ffi, lend, lib, path_bytes, struct

Path = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]


@dataclass(frozen=True)
class Source:
    """Where a model is. A path alone may stand for Source.path."""

    kind: str
    value: Any
    offset: int = 0
    length: int = 0

    @classmethod
    def path(cls, path: Path) -> Source:
        return cls("path", path)

    @classmethod
    def file(cls, file: Any, offset: int = 0, length: int = 0) -> Source:
        """An open file, by its descriptor, which stays the caller's; a length of 0 goes to its end."""
        return cls("file", file if isinstance(file, int) else file.fileno(), offset, length)

    @classmethod
    def memory(cls, data: Any) -> Source:
        """Bytes, or what has the buffer protocol: not copied, and kept until the last engine that uses them is freed.
        They must not change until then."""
        return cls("memory", data)


def source_struct(source: Path | Source, keep: Keep) -> Any:
    if not isinstance(source, Source):
        source = Source.path(source)
    made = keep.add(struct("selvedge_source"))
    if source.kind == "path":
        keep.text(made.path, path_bytes(source.value))
    elif source.kind == "file":
        made.kind = lib.SELVEDGE_SOURCE_FILE
        made.file, made.offset, made.length = source.value, source.offset, source.length
    else:
        made.kind = lib.SELVEDGE_SOURCE_MEMORY
        data = ffi.from_buffer(source.value)
        made.data, made.data_len = data, len(data)
        made.release, made.user_data = RELEASE, lend(data)
    return made
