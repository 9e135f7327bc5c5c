"""Builds the wheel that carries the library, by hand: it holds no compiled Python, so nothing has to be configured.

python wheel.py PREFIX OUT
"""

import base64
import hashlib
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import cdef

HERE = Path(__file__).parent
TOP = HERE.parents[1]
LIBRARY = "libselvedge.so.1"
MACHINES = {"Advanced Micro Devices X86-64": "x86_64", "AArch64": "aarch64"}
# What every manylinux platform has; of libstdc++, which version of it comes with which glibc (PEP 600, auditwheel).
SYSTEM = re.compile(r"^(libc|libm|libdl|libpthread|librt|libgcc_s|libstdc\+\+|ld-linux-[\w-]+)\.so\.\d+$")
GLIBCXX = {19: (2, 17), 24: (2, 24), 25: (2, 28), 28: (2, 31), 29: (2, 34), 30: (2, 35), 32: (2, 38), 33: (2, 39)}


def main(prefix: str, out: str) -> None:
    library = Path(prefix, "lib", LIBRARY)
    version = re.search(r'^version = "(.*)"', (TOP / "Cargo.toml").read_text(), re.M)[1]
    tag = f"py3-none-{platform_of(library)}"
    name = f"selvedge-{version}"
    target = Path(out, f"{name}-{tag}.whl")
    target.parent.mkdir(parents=True, exist_ok=True)
    record = []
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as wheel:
        for path, data in contents(Path(prefix), library, name, version, tag):
            # The same bytes whenever it is built.
            wheel.writestr(zipfile.ZipInfo(path, (2026, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            record.append(f"{path},sha256={digest},{len(data)}")
        path = f"{name}.dist-info/RECORD"
        wheel.writestr(zipfile.ZipInfo(path, (2026, 1, 1, 0, 0, 0)), "\n".join([*record, f"{path},,", ""]))
    print(target)


def contents(prefix, library, name, version, tag):
    for file in sorted((HERE / "selvedge").iterdir()):
        if file.suffix == ".py" and file.name != "_abi.py" or file.name == "py.typed":
            yield f"selvedge/{file.name}", file.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        declared = Path(folder, "_abi.py")
        cdef.main(str(prefix / "include"), str(declared))
        yield "selvedge/_abi.py", declared.read_bytes()
    yield f"selvedge/{LIBRARY}", library.read_bytes()
    info = f"{name}.dist-info"
    for license in ("LICENSE-MIT", "LICENSE-APACHE"):
        yield f"{info}/licenses/{license}", (TOP / license).read_bytes()
    yield f"{info}/METADATA", metadata(version).encode()
    yield f"{info}/WHEEL", f"Wheel-Version: 1.0\nGenerator: selvedge\nRoot-Is-Purelib: false\nTag: {tag}\n".encode()


def metadata(version):
    return f"""Metadata-Version: 2.4
Name: selvedge
Version: {version}
Summary: Models on the device, and whether they still fit the world
License-Expression: MIT OR Apache-2.0
License-File: LICENSE-MIT
License-File: LICENSE-APACHE
Requires-Python: >=3.9
Requires-Dist: cffi>=1.15
Requires-Dist: numpy>=1.22
Description-Content-Type: text/markdown

{(HERE / "README.md").read_text()}"""


def platform_of(library):
    """The tag, by what the library asks of the system: names and versions of symbols."""
    dynamic = output("readelf", "-W", "-d", str(library))
    foreign = [n for n in re.findall(r"NEEDED\).*\[(.*)\]", dynamic) if not SYSTEM.match(n)]
    if foreign:
        raise SystemExit(f"{library}: expected to need the system's libraries alone, got {foreign}")
    symbols = output("readelf", "-W", "--dyn-syms", str(library))
    glibc = max((tuple(map(int, v.split("."))) for v in re.findall(r"@GLIBC_([\d.]+)", symbols)), default=(2, 17))
    cxx = max(map(int, re.findall(r"@GLIBCXX_3\.4\.(\d+)", symbols)), default=0)
    by_cxx = next((has for least, has in sorted(GLIBCXX.items()) if cxx <= least), None)
    if by_cxx is None:
        raise SystemExit(f"{library}: GLIBCXX_3.4.{cxx} is of no manylinux platform known here")
    major, minor = max(glibc[:2], by_cxx, (2, 17))
    print(f"needs glibc {'.'.join(map(str, glibc))}, GLIBCXX 3.4.{cxx}: manylinux_{major}_{minor}", file=sys.stderr)
    machine = re.search(r"Machine:\s+(.*)", output("readelf", "-W", "-h", str(library)))[1]
    return f"manylinux_{major}_{minor}_{MACHINES[machine]}"


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main(*sys.argv[1:])
