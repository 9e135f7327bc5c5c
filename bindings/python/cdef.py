"""Makes selvedge/_abi.py of the installed header: declarations for cffi, ready at import, and no compiler needed.

python cdef.py INCLUDE OUT
"""

import contextlib
import re
import sys
from pathlib import Path

import cffi

HEADERS = ["base", "engine", "telemetry", "profile", "monitor", "sync", "weights", "pack", "crash", "store", "layers", "deployment"]


def main(include: str, out: str) -> None:
    ffi = cffi.FFI()
    ffi.set_source("selvedge._abi", None)
    ffi.cdef(declarations(Path(include)))
    with contextlib.redirect_stdout(sys.stderr):  # it tells what it does
        ffi.emit_python_code(out)


def declarations(include: Path) -> str:
    """What the headers declare, without their macros, which are for compilers and other languages."""
    listed = re.findall(r'#include "selvedge/(\w+)\.h"', (include / "selvedge.h").read_text())
    if listed != HEADERS:
        raise SystemExit(f"selvedge.h: expected the headers {HEADERS}, got {listed}")
    text = "\n".join((include / "selvedge" / f"{name}.h").read_text() for name in HEADERS)
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    text = text.replace("\\\n", " ")
    numbers = re.findall(r"^#define (SELVEDGE_[A-Z0-9_]+) +([0-9]+u?|UINT32_MAX)\s*$", text, flags=re.M)
    text = re.sub(r"^\s*#.*$", "", text, flags=re.M)
    text = re.sub(r"SELVEDGE_ENUM_BEGIN\(\w+\)", "enum {", text)
    text = re.sub(r"SELVEDGE_ENUM_END\((\w+)\)", r"}; typedef int32_t \1;", text)
    text = re.sub(r"SELVEDGE_OUT\(([\w ]+)\)", r"\1 **", text)
    text = re.sub(r"\bSELVEDGE_ERR\b(?!_)", "selvedge_error **", text)
    text = re.sub(r"\bSELVEDGE_(API|NULLABLE|NONNULL|BEGIN|END)\b", "", text)
    value = {"UINT32_MAX": "0xffffffff"}
    defines = [f"#define {name} {value.get(number, number.rstrip('u'))}" for name, number in numbers]
    return "\n".join([*defines, text])


if __name__ == "__main__":
    main(*sys.argv[1:])
