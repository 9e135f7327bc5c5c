"""Parses every header with clang (PyPI libclang) as C, C++ and Objective-C for four platforms, with every warning on.

No SDK is needed: the headers include only headers of the compiler. A use with nullability checking comes
with each, so that a pointer without a mark in `assume_nonnull` would show. Usage: parse_header.py INCLUDE_FOLDER"""

import subprocess
import sys
from pathlib import Path

import clang.cindex as ci
import header as headers

TARGETS = ["x86_64-linux-gnu", "arm64-apple-ios15", "aarch64-linux-android24", "x86_64-pc-windows-msvc"]
LANGUAGES = {
    "c89.c": ["-std=c89", "-Wno-long-long"],
    "c99.c": ["-std=c99"],
    "c17.c": ["-std=c17"],
    "cxx17.cpp": ["-std=c++17"],
    "objc.m": ["-x", "objective-c", "-std=c99"],
    "objcxx.mm": ["-x", "objective-c++", "-std=c++17"],
}
# What -Weverything says of any C header: the layout of structs, and features newer than C++98.
NOISE = ["-Wno-padded", "-Wno-c++98-compat", "-Wno-c++98-compat-pedantic", "-Wno-declaration-after-statement"]
# Of the use, not of the header.
NOISE += ["-Wno-old-style-cast", "-Wno-zero-as-null-pointer-constant", "-Wno-switch-default", "-Wno-covered-switch-default"]


def main(include):
    # libclang ships without clang's own headers; the C compiler's stddef.h and stdint.h serve.
    builtin = subprocess.check_output(["cc", "-print-file-name=include"], text=True).strip()
    index, found, files = ci.Index.create(), 0, headers.files(include)
    for file in files:
        use = headers.use(include, str(file))
        for target in TARGETS:
            for name, language in LANGUAGES.items():
                args = [*language, f"--target={target}", "-ffreestanding", "-pedantic", "-Weverything", *NOISE]
                unit = index.parse(name, [*args, "-isystem", builtin, f"-I{include}"], [(name, use)])
                for d in unit.diagnostics:
                    where = d.location.file.name if d.location.file else name
                    if Path(where).is_relative_to(include) or d.severity >= ci.Diagnostic.Error:
                        found += 1
                        print(f"{target} {name}: {where}:{d.location.line}: {d.spelling} [{d.option}]")
    print(f"clang: {len(files) * len(TARGETS) * len(LANGUAGES)} parses, {found} complaints")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
