"""Tables of vectors in a weight file."""

from __future__ import annotations

from typing import Any, NamedTuple, Sequence

import numpy as np

from ._handle import Handle
from ._library import NULL, Keep, call, ffi, lib, new, number, owned
from .engine import LOADINGS
from .errors import InvalidArgument
from .source import Path, Source, source_struct
from .tensors import Array

POOLS = {"mean": 0, "sum": 1}


class Hit(NamedTuple):
    """A row that was found."""

    row: int
    score: float
    """The inner product with the query."""


class Table(Handle):
    """Rows of numbers in a safetensors or GGUF file, read as they are asked for."""

    __slots__ = ("shape",)

    def __init__(self, source: Path | Source, tensor: str, *, loading: str = "mapped") -> None:
        keep, name = Keep(), tensor.encode()
        arguments = [source_struct(source, keep), name, len(name), number("loading", loading, LOADINGS)]
        self._handle = owned("selvedge_table", lib.selvedge_table_free, lib.selvedge_table_open, *arguments)
        rows, width = new("uint64_t *"), new("uint64_t *")
        call(lib.selvedge_table_shape, self._handle, rows, width)
        self.shape: tuple[int, int] = (rows[0], width[0])

    def gather(self, ids: Sequence[int] | Array, out: Array | None = None) -> Array:
        """The rows of `ids`, as f32; into `out` if it is given."""
        chosen = _ids(ids)
        made = np.empty((len(chosen), self.shape[1]), np.float32) if out is None else out
        if made.dtype != np.float32 or not made.flags.c_contiguous or not made.flags.writeable:
            raise InvalidArgument("out: expected a contiguous array of float32 that can be written to")
        call(lib.selvedge_table_gather, self._handle, _u32(chosen), len(chosen), _f32(made), made.size)
        return made

    def pool(
        self, ids: Sequence[int] | Array, *, pool: str = "mean", weights: Any = None, normalize: bool = False
    ) -> Array:
        """The mean or sum of the rows of `ids`; of a sum, each times its weight."""
        chosen, made = _ids(ids), np.empty(self.shape[1], np.float32)
        factors = None if weights is None else np.ascontiguousarray(weights, np.float32)
        if factors is not None and factors.shape != chosen.shape:
            raise InvalidArgument(f"weights: expected {len(chosen)} numbers, got an array of shape {factors.shape}")
        flags = normalize * lib.SELVEDGE_POOL_NORMALIZE
        call(
            lib.selvedge_table_pool, self._handle, _u32(chosen), len(chosen), number("pool", pool, POOLS),
            NULL if factors is None else _f32(factors), flags, _f32(made), made.size,
        )  # fmt: skip
        return made

    def search(self, query: Any, k: int) -> list[Hit]:
        """The `k` rows whose inner product with the query is greatest, best first."""
        vector = np.ascontiguousarray(query, np.float32)
        hits, found = new("selvedge_hit[]", max(1, min(k, self.shape[0]))), new("size_t *")
        call(lib.selvedge_table_search, self._handle, _f32(vector), vector.size, min(k, self.shape[0]), hits, found)
        return [Hit(hits[i].row, hits[i].score) for i in range(found[0])]


def _ids(ids: Any) -> Array:
    array = np.asarray(ids)
    if array.size and (array.ndim != 1 or array.dtype.kind not in "iu" or array.min() < 0 or array.max() >= 1 << 32):
        raise InvalidArgument(f"ids: expected row numbers, got {ids!r}")
    return np.ascontiguousarray(array, np.uint32)


def _u32(array: Array) -> Any:
    return ffi.cast("uint32_t *", ffi.from_buffer(array)) if array.size else NULL


def _f32(array: Array) -> Any:
    return ffi.cast("float *", ffi.from_buffer(array)) if array.size else NULL
