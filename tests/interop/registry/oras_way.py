"""A package by `oras`:  oras_way.py push|pull REFERENCE FOLDER. Pushed with ModelPack's media types, as its users would."""

import json
import os
import sys
import tempfile
from pathlib import Path

import oras.client

KINDS = {
    ".onnx": "application/vnd.cncf.model.weight.v1.raw",
    ".bin": "application/vnd.cncf.model.weight.v1.raw",
    ".json": "application/vnd.cncf.model.weight.config.v1.raw",
    ".md": "application/vnd.cncf.model.doc.v1.raw",
    ".sig": "application/vnd.dev.sigstore.bundle.v0.3+json",
}


def main():
    way, reference, folder = sys.argv[1:]
    client = oras.client.OrasClient(insecure=True)
    if way == "pull":
        client.pull(target=reference, outdir=folder)
        return
    os.chdir(folder)
    names = sorted(str(path) for path in Path().rglob("*") if path.is_file())
    with tempfile.TemporaryDirectory() as other:
        annotations, config = Path(other, "annotations.json"), Path(other, "config.json")
        annotations.write_text(json.dumps({name: {"org.cncf.model.filepath": name} for name in names}))
        config.write_text('{"descriptor": {}, "config": {}, "modelfs": {"type": "layers", "diffIds": []}}')
        client.push(
            target=reference,
            files=[f"{name}:{KINDS[Path(name).suffix]}" for name in names],
            manifest_config=f"{config}:application/vnd.cncf.model.config.v1+json",
            annotation_file=str(annotations),
        )


main()
