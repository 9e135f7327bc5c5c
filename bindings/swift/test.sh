#!/usr/bin/env bash
# Builds the package and runs its tests with nothing but an installed library and a Swift toolchain (6.0 or later).
# usage: test.sh LIBDIR [INCLUDEDIR] [swift test's own options, after --]
# LIBDIR holds libselvedge.so or .dylib; its headers are beside it in ../include, if INCLUDEDIR does not say otherwise.
# SELVEDGE_REPO names the top folder, for the models of the tests, if this is not within it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
lib=$(cd "${1:?usage: test.sh LIBDIR [INCLUDEDIR]}" && pwd)
shift
include=$lib/../include
if [ $# -gt 0 ] && [ "$1" != -- ]; then
    include=$1
    shift
fi
[ "${1-}" = -- ] && shift
include=$(cd "$include" && pwd)
[ -f "$include/selvedge.h" ] && [ -f "$include/module.modulemap" ] ||
    { echo "$include: expected selvedge.h and module.modulemap" >&2; exit 1; }
command -v swift >/dev/null || { echo "swift is not in PATH" >&2; exit 1; }
export PKG_CONFIG_PATH=$lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
export LD_LIBRARY_PATH=$lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
cd "$here"
swift --version
swift test -Xcc "-I$include" -Xswiftc "-I$include" -Xlinker "-L$lib" -Xlinker -rpath -Xlinker "$lib" "$@"
