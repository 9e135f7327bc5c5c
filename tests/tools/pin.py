#!/usr/bin/env python3
"""Writes the sha256 of every wheel that pip may choose behind each package of a list.

    pin.py REQUIREMENTS...      for example: tests/tools/pin.py tests/tools/requirements*.txt

To be run after a version was changed. A package that another of the list needs and the list lacks is added to its end,
in the newest version that fits. pip itself is asked what it would take, on each Python and platform that the tests
serve, or on the platforms that a line `# platforms: PATTERN` of the list names. Nothing is installed. With the digests,
`pip install --require-hashes` refuses every other file, and every package that has none.
"""

import json
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch
from pathlib import Path

PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
GLIBCS = [12, *range(17, 40)]


def main():
    for name in sys.argv[1:] or sys.exit(__doc__):
        pin(Path(name))


def pin(path):
    lines = [line.removesuffix("\\").strip() for line in path.read_text().splitlines()]
    lines = [line for line in lines if not line.startswith("--hash=")]
    wheels = wheels_of(lines)
    # What was found beside the list may be of several versions; once it is listed, it is of one.
    while lacking := lacks(lines, wheels):
        lines += lacking
        wheels = wheels_of(lines)
    path.write_text("".join(text(line, wheels.get(key(line), ("", ()))[1]) for line in lines))
    print(f"{path}: {len(wheels)} packages, {sum(len(hashes) for _, hashes in wheels.values())} wheels")


def lacks(lines, wheels):
    listed = {key(line) for line in lines if "==" in line and not line.startswith("#")}
    return sorted(f"{name}=={version}" for name, (version, _) in wheels.items() if name not in listed)


def wheels_of(lines):
    """Version and digests of every package, over all Pythons and platforms."""
    wheels = {}
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(4) as pool:
        bare = Path(folder) / "bare.txt"
        bare.write_text("\n".join(lines))
        wanted = next((line.split(":")[1].strip() for line in lines if line.startswith("# platforms:")), "*")
        asked = [(bare, python, tags) for python in PYTHONS for tags in platforms() if fnmatch(tags[0], wanted)]
        for taken in pool.map(lambda ask: list(wheels_taken(*ask)), asked):
            for name, version, sha256 in taken:
                wheels.setdefault(name, (version, set()))[1].add(sha256)
    return wheels


def text(line, hashes):
    return " \\\n".join([line, *(f"    --hash=sha256:{sha256}" for sha256 in sorted(hashes))]) + "\n"


def key(line):
    """The normal form of a package's name."""
    return re.sub(r"[-_.]+", "-", re.split(r"[=;\s]", line)[0]).lower()


def platforms():
    """Platforms as lists of tags. An older system may take another wheel than a newer one, so both are asked for."""
    for machine in ["x86_64", "aarch64"]:
        for newest in [17, 28, 39]:
            manylinux = [f"manylinux_2_{glibc}_{machine}" for glibc in GLIBCS if glibc <= newest]
            yield [*reversed(manylinux), f"manylinux2014_{machine}", f"linux_{machine}"]
    for version, machine in [("11_0", "arm64"), ("14_0", "arm64"), ("15_0", "arm64"), ("13_0", "x86_64")]:
        yield [f"macosx_{version}_{machine}"]
    yield ["win_amd64"]


def wheels_taken(requirements, python, tags):
    """What pip would take; nothing where a package has no wheel."""
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--only-binary=:all:"]
    command += ["--quiet", "--disable-pip-version-check", "--report=-", "--target", str(requirements.parent / "none")]
    command += ["--python-version", python, "-r", str(requirements)]
    for tag in tags:
        command += ["--platform", tag]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        print(f"note: {tags[0]}, Python {python}: {said[-1] if said else done.stderr.strip()}", file=sys.stderr)
        return []
    for package in json.loads(done.stdout)["install"]:
        sha256 = package["download_info"]["archive_info"]["hashes"]["sha256"]
        yield key(package["metadata"]["name"]), package["metadata"]["version"], sha256


if __name__ == "__main__":
    main()
