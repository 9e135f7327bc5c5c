"""The C library beside this file, and how it is called: texts in, failures out."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, Callable, Mapping, Sequence

from . import _abi
from .errors import SelvedgeError, of_code

NAMES = {"darwin": "libselvedge.1.dylib", "win32": "selvedge.dll"}
LIBRARY = Path(__file__).with_name(NAMES.get(sys.platform, "libselvedge.so.1"))
ABI_MAJOR, ABI_MINOR = 1, 0

ffi: Any = _abi.ffi
lib: Any = ffi.dlopen(str(LIBRARY))
new: Callable[..., Any] = ffi.new
NULL = ffi.NULL


def callback(kind: str) -> Callable[[Callable[..., None]], Any]:
    """Makes a function one that C can call."""
    return ffi.callback(kind)  # type: ignore[no-any-return]


_ERROR = ffi.typeof("selvedge_error **")
_LENGTH = ffi.typeof("size_t *")


def _check_version() -> None:
    got = lib.selvedge_abi_version()
    major, minor = got >> 16, got & 0xFFFF
    if major != ABI_MAJOR or minor < ABI_MINOR:
        raise ImportError(f"{LIBRARY}: expected ABI {ABI_MAJOR}.{ABI_MINOR} or later, got {major}.{minor}")


_check_version()


def error_out() -> Any:
    """Where a call puts its error."""
    return new(_ERROR)


def failure(status: int, err: Any = NULL) -> SelvedgeError:
    """The exception of a status; takes the error object, if there is one."""
    message = ""
    if err != NULL and err[0] != NULL:
        length = new(_LENGTH)
        text = lib.selvedge_error_message(err[0], length)
        message = ffi.buffer(text, length[0])[:].decode()
        lib.selvedge_error_free(err[0])
    return of_code(status, message)


def call(function: Callable[..., int], *arguments: Any) -> None:
    """A call whose last argument is its error."""
    err = new(_ERROR)
    status = function(*arguments, err)
    if status:
        raise failure(status, err)


def out(kind: str, function: Callable[..., int], *arguments: Any) -> Any:
    """A call that gives one thing: the argument before its error."""
    err, result = new(_ERROR), new(kind)
    status = function(*arguments, result, err)
    if status:
        raise failure(status, err)
    return result[0]


def owned(kind: str, free: Callable[..., int], function: Callable[..., int], *arguments: Any) -> Any:
    """A call that gives a handle, which is freed with the last that knows it, or by close()."""
    return ffi.gc(out(f"{kind} **", function, *arguments), free)


def buffer(function: Callable[..., int], *arguments: Any) -> bytes:
    """A call that gives a buffer: a copy of its bytes."""
    handle = out("selvedge_buffer **", function, *arguments)
    try:
        length = new(_LENGTH)
        data = lib.selvedge_buffer_data(handle, length)
        return ffi.buffer(data, length[0])[:]  # type: ignore[no-any-return]
    finally:
        lib.selvedge_buffer_free(handle)


def buffer_json(function: Callable[..., int], *arguments: Any) -> Any:
    return json.loads(buffer(function, *arguments))


def lent_json(function: Callable[..., int], handle: Any) -> Any:
    """A call that gives a text which lives as long as its handle."""
    err, text, length = new(_ERROR), new("const char **"), new(_LENGTH)
    status = function(handle, text, length, err)
    if status:
        raise failure(status, err)
    return json.loads(ffi.buffer(text[0], length[0])[:])


def string(text: Any) -> str:
    """A selvedge_text that was given out."""
    return ffi.buffer(text.data, text.len)[:].decode() if text.len else ""


def struct(kind: str) -> Any:
    """A zeroed struct that begins with its size."""
    made = new(f"{kind} *")
    made.struct_size = ffi.sizeof(kind)
    return made


def structs(kind: str, count: int) -> Any:
    made = new(f"{kind}[]", count)
    size = ffi.sizeof(kind)
    for one in made:
        one.struct_size = size
    return made


class Keep:
    """What must live until a call returns, since structs only point at it."""

    __slots__ = ("kept",)

    def __init__(self) -> None:
        self.kept: list[Any] = []

    def add(self, thing: Any) -> Any:
        self.kept.append(thing)
        return thing

    def memory(self, data: Any) -> Any:
        """A pointer to the bytes of anything that lends them."""
        return self.add(ffi.from_buffer(data))

    def text(self, place: Any, value: str | bytes) -> None:
        """Points a selvedge_text at a string."""
        data = encoded(value)
        place.data = self.add(ffi.from_buffer(data))
        place.len = len(data)

    def texts(self, values: Sequence[str]) -> Any:
        made = self.add(new("selvedge_text[]", len(values)))
        for place, value in zip(made, values):
            self.text(place, value)
        return made


def pairs(entries: Mapping[str, str | bytes], keep: Keep) -> Any:
    """Names and their values."""
    made = keep.add(new("selvedge_pair[]", len(entries)))
    for place, (name, value) in zip(made, entries.items()):
        keep.text(place.name, name)
        keep.text(place.value, value)
    return made


def encoded(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)


def path_bytes(path: str | bytes | os.PathLike[Any]) -> bytes:
    data = os.fspath(path)
    return data.encode(errors="surrogateescape") if isinstance(data, str) else data


def number(kind: str, name: str, names: dict[str, int]) -> int:
    """The number of a name, such as "read" of a loading."""
    try:
        return names[name]
    except (KeyError, TypeError):
        listed = ", ".join(repr(known) for known in names)
        raise of_code(lib.SELVEDGE_ERR_INVALID_ARGUMENT, f"{kind}: expected one of {listed}, got {name!r}") from None


def name_of(value: int, names: Sequence[str], other: str = "other") -> str:
    return names[value] if 0 <= value < len(names) else other


def digest(hexadecimal: str | bytes | None, keep: Keep) -> Any:
    """A SHA-256, as 64 hexadecimal digits or 32 bytes, for a struct."""
    if not hexadecimal:
        return NULL
    try:
        data = bytes.fromhex(hexadecimal) if isinstance(hexadecimal, str) else bytes(hexadecimal)
    except ValueError:
        data = b""
    if len(data) != 32:
        message = f"sha256: expected 64 hexadecimal digits or 32 bytes, got {hexadecimal!r}"
        raise of_code(lib.SELVEDGE_ERR_INVALID_ARGUMENT, message)
    return keep.add(new("uint8_t[32]", data))


# What C holds a reference to, until it says that it does not.
_lent: dict[int, Any] = {}


def lend(thing: Any) -> Any:
    """The user_data of `thing`, which lives until RELEASE is called with it."""
    handle = ffi.new_handle(thing)
    _lent[int(ffi.cast("uintptr_t", handle))] = handle
    return handle


def lent_count() -> int:
    """Things that C still holds; for tests."""
    return len(_lent)


@callback("selvedge_release_fn")
def RELEASE(user_data: Any) -> None:
    _lent.pop(int(ffi.cast("uintptr_t", user_data)), None)


def version() -> str:
    """The library's version, such as "0.1.0"."""
    return ffi.string(lib.selvedge_version()).decode()  # type: ignore[no-any-return]


def features() -> list[str]:
    """The features of this build, such as ["llama", "tract"]."""
    return [name for name in ffi.string(lib.selvedge_features()).decode().split(",") if name]


def kernel_name() -> str:
    """The instruction set that the kernels use here: "avx512", "avx2", "neon" or "scalar"."""
    return ffi.string(lib.selvedge_kernel_name()).decode()  # type: ignore[no-any-return]
