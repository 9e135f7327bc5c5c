"""Tables to columns that C can read: dicts of arrays, numpy, pandas and pyarrow, by their own memory where it fits."""

from __future__ import annotations

from typing import Any, Collection, Iterator, Mapping, Sequence

import numpy as np

from ._library import NULL, Keep, ffi, lib, structs
from .errors import InvalidArgument
from .tensors import _NUMBERS, Array, text_array, texts_at

SOURCES = {"input": 0, "class": 1, "confidence": 2, "entropy": 3, "latency": 4, "length": 5}


def rows_struct(
    rows: Any,
    keep: Keep,
    *,
    names: Sequence[str] | None = None,
    categories: Collection[str] = (),
    sources: Mapping[str, str] | None = None,
    embeddings: Any = None,
    right: Any = None,
) -> Any:
    """The selvedge_rows of a table."""
    columns = dict(columns_of(rows, names, keep))
    for what, listed in (("categories", categories), ("sources", sources or ())):
        for name in listed:
            if name not in columns:
                raise InvalidArgument(f"{what}: expected a column of {list(columns)}, got {name!r}")
    counts = {len(values) for values in columns.values()}
    if len(counts) > 1:
        raise InvalidArgument(f"rows: expected columns of one length, got { {n: len(c) for n, c in columns.items()} }")
    made = keep.add(structs("selvedge_rows", 1))[0]
    made.columns = keep.add(structs("selvedge_column", len(columns)))
    made.column_count = len(columns)
    made.row_count = counts.pop() if counts else 0
    for place, (name, values) in zip(made.columns[0 : len(columns)], columns.items()):
        keep.text(place.name, name)
        place.source = SOURCES[(sources or {}).get(name, "input")]
        place.flags = (name in categories) * lib.SELVEDGE_COLUMN_CATEGORY
        fill_column(place, name, values, keep)
    if embeddings is not None:
        vectors = np.ascontiguousarray(embeddings, np.float32)
        if vectors.ndim != 2 or columns and len(vectors) != made.row_count:
            raise InvalidArgument(f"embeddings: expected one vector a row, got an array of shape {vectors.shape}")
        made.embeddings, made.embedding_width = ffi.cast("float *", keep.memory(vectors)), vectors.shape[1]
        made.row_count = len(vectors)
    if right is not None:
        truths = np.ascontiguousarray(right, np.bool_)
        if len(truths) != made.row_count:
            raise InvalidArgument(f"right: expected {made.row_count} rows, got {len(truths)}")
        made.right = ffi.cast("uint8_t *", keep.memory(truths))
    return made


def fill_column(place: Any, name: str, values: Any, keep: Keep) -> None:
    if not isinstance(values, np.ndarray):
        array = np.asarray(values)
        # numpy would make texts of numbers that stand beside them.
        values = np.asarray(values, object) if array.dtype.kind == "U" else array
    if values.ndim != 1:
        raise InvalidArgument(f"column '{name}': expected one dimension, got an array of shape {values.shape}")
    if values.dtype.kind == "O":
        values = numbers_or_texts(values, name)
    if values.dtype == _TEXT:
        place.dtype = lib.SELVEDGE_STRING
    elif values.dtype.kind in "OUT":
        values = text_array((text_or_none(value, name) for value in values.tolist()), keep)
        place.dtype = lib.SELVEDGE_STRING
    else:
        number = _NUMBERS.get(values.dtype.char)
        if number is None or not values.dtype.isnative:
            raise InvalidArgument(f"column '{name}': {values.dtype} is no dtype of a column")
        place.dtype = number
    if len(values) == 0:
        place.data = NULL
        return
    if values.strides[0] <= 0:
        values = np.ascontiguousarray(values)
    # The first element's address, and the way to the next: a column of a matrix needs no copy.
    keep.add(values)
    place.data = ffi.cast("void *", values.__array_interface__["data"][0])
    place.stride = values.strides[0]


_TEXT = texts_at(np.empty(0, np.uint64), np.empty(0, np.uint64)).dtype


def numbers_or_texts(values: Array, name: str) -> Array:
    """A column of objects: numbers and what is missing, if none is a text."""
    items = values.tolist()
    if any(isinstance(item, (str, bytes)) for item in items):
        return values
    try:
        return np.array([np.nan if is_missing(item) else item for item in items], np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"column '{name}': expected numbers or texts: {error}") from None


def is_missing(value: Any) -> bool:
    """None, NaN and pandas' NA; the last two are not equal to themselves."""
    return value is None or not isinstance(value == value, (bool, np.bool_)) or bool(value != value)


def text_or_none(value: Any, name: str) -> str | bytes | None:
    if isinstance(value, (str, bytes)):
        return value
    if is_missing(value):
        return None
    raise InvalidArgument(f"column '{name}': expected texts, got {type(value).__name__}")


def columns_of(rows: Any, names: Sequence[str] | None, keep: Keep) -> Iterator[tuple[str, Any]]:
    kind = type(rows).__module__.partition(".")[0]
    if isinstance(rows, Mapping):
        yield from ((name, values if hasattr(values, "__len__") else list(values)) for name, values in rows.items())
    elif kind == "pandas":
        yield from ((str(name), of_pandas(rows[name], keep)) for name in rows.columns)
    elif kind == "pyarrow":
        yield from ((name, of_arrow(rows.column(i), keep)) for i, name in enumerate(rows.column_names))
    elif getattr(getattr(rows, "dtype", None), "names", None):
        yield from ((name, rows[name]) for name in rows.dtype.names)
    else:
        yield from of_matrix(np.asarray(rows), names)


def of_matrix(matrix: Array, names: Sequence[str] | None) -> Iterator[tuple[str, Any]]:
    if matrix.ndim != 2 or names is None or len(names) != matrix.shape[1]:
        expected = "a table with names, or a matrix and as many names as it has columns"
        raise InvalidArgument(f"rows: expected {expected}, got an array of shape {matrix.shape} and names {names}")
    yield from zip(names, matrix.T)


def of_pandas(column: Any, keep: Keep) -> Any:
    dtype = column.dtype
    if isinstance(dtype, np.dtype) and dtype.kind != "O":
        return column.to_numpy(copy=False)
    if hasattr(column.array, "_pa_array"):  # held by pyarrow
        return of_arrow(column.array._pa_array, keep)
    if dtype.kind in "biuf":  # numbers with a mask
        return column.to_numpy(dtype="float64", na_value=float("nan"))
    return column.astype(object).to_numpy()


def of_arrow(column: Any, keep: Keep) -> Any:
    """A column of pyarrow, over its buffers: numbers without nulls, and texts, are not copied."""
    import pyarrow as pa

    array = column
    if isinstance(column, pa.ChunkedArray):  # one chunk is taken as it is; combining would copy it
        array = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_string_view(array.type):
        array = array.cast(pa.large_string())
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        return arrow_texts(array, keep)
    if array.null_count:
        return array.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return array.to_numpy(zero_copy_only=False)


def arrow_texts(array: Any, keep: Keep) -> Array:
    import pyarrow as pa

    _, offsets, data = array.buffers()
    count = len(array)
    if count == 0:
        return np.empty(0, _TEXT)
    width = np.int64 if pa.types.is_large_string(array.type) else np.int32
    at = np.frombuffer(offsets, width)[array.offset : array.offset + count + 1].astype(np.uint64)
    # Where no text has a byte there is no data; an address is still to be had, for NULL is what is missing.
    base = data.address if data is not None and data.size else int(ffi.cast("uintptr_t", keep.memory(b"\0")))
    keep.add(array)
    starts = at[:-1] + np.uint64(base)
    if array.null_count:
        starts[array.is_null().to_numpy(zero_copy_only=False)] = 0
    return texts_at(starts, at[1:] - at[:-1])
