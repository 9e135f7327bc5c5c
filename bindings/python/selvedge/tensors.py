"""Tensors: arrays in, without a copy where they lie as C has them, and arrays out, over the answer's memory."""

from __future__ import annotations

from functools import partial
from operator import is_
from typing import Any, Iterable, Mapping

import numpy as np
import numpy.typing as npt

from ._library import Keep, encoded, ffi, lib, new, string
from .errors import InvalidArgument

Array = npt.NDArray[Any]
STRING = lib.SELVEDGE_STRING

# By the letter of numpy. Longs are as long as the platform has them.
_NUMBERS: dict[str, int] = {
    "f": lib.SELVEDGE_F32, "d": lib.SELVEDGE_F64, "e": lib.SELVEDGE_F16, "?": lib.SELVEDGE_BOOL,
    "b": lib.SELVEDGE_I8, "B": lib.SELVEDGE_U8, "h": lib.SELVEDGE_I16, "H": lib.SELVEDGE_U16,
    "i": lib.SELVEDGE_I32, "I": lib.SELVEDGE_U32, "q": lib.SELVEDGE_I64, "Q": lib.SELVEDGE_U64,
}  # fmt: skip
for _long, _sizes in (("l", {4: "i", 8: "q"}), ("L", {4: "I", 8: "Q"})):
    _NUMBERS[_long] = _NUMBERS[_sizes[np.dtype(_long).itemsize]]

_DTYPES: dict[int, np.dtype[Any]] = {number: np.dtype(letter) for letter, number in _NUMBERS.items()}
_NAMES = {
    "f32": "f", "f64": "d", "f16": "e", "bool": "?", "i8": "b", "u8": "B", "i16": "h", "u16": "H", "i32": "i",
    "u32": "I", "i64": "q", "u64": "Q", "string": "O",
}  # fmt: skip
_DIMS = ffi.typeof("int64_t[]")
_CHARS = ffi.typeof("char *")
_from_buffer, _buffer, _gc, _cast = ffi.from_buffer, ffi.buffer, ffi.gc, ffi.cast


def bfloat16() -> np.dtype[Any]:
    """bfloat16 of the package ml_dtypes where it is installed; else its 16 bits."""
    try:
        import ml_dtypes
    except ImportError:
        return np.dtype(np.uint16)
    made: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    return made


def dtype_of(number: int) -> np.dtype[Any]:
    if number == lib.SELVEDGE_BF16:
        return bfloat16()
    return _DTYPES[number]


def fill_input(place: Any, name: str | bytes, value: Any, wanted: str | None, keep: Keep) -> None:
    """Points a selvedge_tensor at an array. `wanted` is the dtype that the engine takes: what has none of its own, such
    as a list, becomes it."""
    data = name.encode() if type(name) is str else name
    kept = keep.kept
    place.name = pointer = _from_buffer(data)
    kept.append(pointer)
    place.name_len = len(data)
    if type(value) is not np.ndarray:
        value = _array(value, wanted)
    number = _NUMBERS.get(value.dtype.char)
    if number is None:
        value, number = _unusual(value, name, keep)
    if number == STRING:
        # `value` became the selvedge_text structs of the array.
        value, shape = value
    else:
        if not value.flags.c_contiguous or not value.dtype.isnative:
            value = np.ascontiguousarray(value, value.dtype.newbyteorder("="))
        shape = value.shape
    place.dtype = number
    place.rank = len(shape)
    place.dims = dims = new(_DIMS, shape)
    place.data = lent = _from_buffer(value)
    place.byte_len = value.nbytes
    kept.append(dims)
    kept.append(lent)


def _array(value: Any, wanted: str | None) -> Array:
    has_dtype = hasattr(value, "dtype") or hasattr(value, "__array_interface__") or hasattr(value, "__dlpack__")
    if not has_dtype and not isinstance(value, memoryview) and wanted in _NAMES:
        try:
            return np.asarray(value, dtype=_NAMES[wanted])
        except (TypeError, ValueError) as error:
            raise InvalidArgument(f"expected numbers of {wanted}: {error}") from None
    return np.asarray(value)


def _unusual(value: Array, name: Any, keep: Keep) -> Any:
    if value.dtype.kind in "OUT":
        return (text_array(value.ravel().tolist(), keep), value.shape), STRING
    if value.dtype.name == "bfloat16":
        return value.view(np.uint16), lib.SELVEDGE_BF16
    raise InvalidArgument(f"input '{name}': {value.dtype} is no dtype of a tensor")


def text_array(texts: Iterable[Any], keep: Keep) -> Array:
    """An array that C reads as selvedge_text; None is a text without data."""
    pieces, present = [], []
    for text in texts:
        if not isinstance(text, (str, bytes, type(None))):
            raise InvalidArgument(f"expected texts, got {type(text).__name__}")
        pieces.append(b"" if text is None else encoded(text))
        present.append(text is not None)
    lengths = np.fromiter(map(len, pieces), np.uint64, len(pieces))
    # One byte more, so that a text without bytes at the end has an address, too.
    blob = keep.memory(b"".join(pieces) + b"\0")
    starts = np.cumsum(lengths, dtype=np.uint64) - lengths + np.uint64(int(ffi.cast("uintptr_t", blob)))
    return texts_at(np.where(present, starts, np.uint64(0)), lengths)


def texts_at(starts: Array, lengths: Array) -> Array:
    made = np.empty(len(starts), [("data", np.uint64), ("len", np.uint64)])
    made["data"], made["len"] = starts, lengths
    return made


def inputs_of(inputs: Mapping[str, Any], wanted: Any, keep: Keep) -> Any:
    """The structs of named inputs; `wanted(name)` is the engine's dtype of one."""
    made = new(_TENSORS, len(inputs))
    for place, (name, value) in zip(made, inputs.items()):
        place.struct_size = _TENSOR_SIZE
        fill_input(place, name, value, None if type(value) is np.ndarray else wanted(name), keep)
    return made


_TENSORS = ffi.typeof("selvedge_tensor[]")
_TENSOR_SIZE = ffi.sizeof("selvedge_tensor")


def memory_of(owner: Any, pointer: Any, size: int) -> Any:
    """A buffer over memory of `owner`, which it keeps alive: in a destructor that has nothing to do."""
    return _buffer(_gc(_cast(_CHARS, pointer), partial(is_, owner)), size)


def array_at(tensor: Any, owner: Any) -> Array:
    """An array over the memory of an output, which keeps `owner` alive; of texts, a copy."""
    shape = tuple(ffi.unpack(tensor.dims, tensor.rank)) if tensor.rank else ()
    if tensor.dtype == STRING:
        texts = ffi.cast("selvedge_text *", tensor.data)
        values = [string(texts[i]) for i in range(tensor.byte_len // ffi.sizeof("selvedge_text"))]
        texts_made = np.empty(len(values), object)
        texts_made[:] = values
        return texts_made.reshape(shape)
    dtype = dtype_of(tensor.dtype)
    if not tensor.byte_len:
        return np.empty(shape, dtype)
    made: Array = np.ndarray(shape, dtype, memory_of(owner, tensor.data, tensor.byte_len))
    made.flags.writeable = False
    return made


def fill_output(place: Any, name: str, value: Array, keep: Keep) -> Any:
    """Points a selvedge_output at an array of the caller's; gives where its shape is written."""
    number = lib.SELVEDGE_BF16 if value.dtype.name == "bfloat16" else _NUMBERS.get(value.dtype.char)
    if number is None or not value.dtype.isnative:
        raise InvalidArgument(f"output '{name}': {value.dtype} cannot be written into")
    if not value.flags.c_contiguous or not value.flags.writeable:
        raise InvalidArgument(f"output '{name}': expected an array that is contiguous and can be written to")
    if number == lib.SELVEDGE_BF16:
        value = value.view(np.uint16)
    keep.text(place.name, name)
    place.data = keep.add(_from_buffer(value))
    place.capacity = value.nbytes
    place.dims = keep.add(new(_DIMS, 64))
    place.dim_capacity = 64
    place.dtype = number
    return place


def written(value: Array, place: Any) -> Array:
    """What was written into an array, in its shape."""
    count = place.byte_len // value.itemsize
    return value.reshape(-1)[:count].reshape(tuple(ffi.unpack(place.dims, place.rank)) if place.rank else ())
