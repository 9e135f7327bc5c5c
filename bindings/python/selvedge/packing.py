"""Smaller models."""

from __future__ import annotations

from typing import Any, Callable, Sequence

from ._library import Keep, buffer_json, ffi, lib, number, path_bytes, struct
from .cancel import Cancel, handle_of
from .engine import on_progress as _on_progress
from .source import Path, Source, source_struct

SCHEMES = {"f16": 1, "int8": 2, "int4": 3}


def pack(
    source: Path | Source,
    to: Path,
    scheme: str,
    *,
    overwrite: bool = False,
    min_elements: int = 0,
    mean_bits: float = 0,
    only: Sequence[str] = (),
    keep: Sequence[str] = (),
    finer: Sequence[str] = (),
    cancel: Cancel | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Packs an ONNX model into a smaller one, a folder `to` that opens like a model file, whole or not at all, and says
    what became of it. The scheme is "f16", "int8" or "int4". `only`, `keep` and `finer` are patterns, in which * stands
    for any text and ? for one character: of a tensor's name, of a node's that reads it, or of its operator's."""
    kept = Keep()
    made = struct("selvedge_pack_options")
    made.scheme, made.flags = number("scheme", scheme, SCHEMES), overwrite * lib.SELVEDGE_PACK_OVERWRITE
    made.min_elements, made.mean_bits = min_elements, mean_bits
    for name, patterns in (("only", only), ("keep", keep), ("finer", finer)):
        if patterns:
            setattr(made, name, kept.texts(patterns))
            setattr(made, f"{name}_count", len(patterns))
    made.cancel = handle_of(cancel)
    if on_progress:
        made.on_progress, made.user_data = _on_progress, kept.add(ffi.new_handle(on_progress))
    path = path_bytes(to)
    return dict(buffer_json(lib.selvedge_pack, source_struct(source, kept), path, len(path), made))
