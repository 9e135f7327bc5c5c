#!/usr/bin/env python3
"""Makes what `model-signing` signs and `tuf` publishes, for Selvedge to verify.

    make.py FOLDER

A folder `package`, its signatures by several keys, with several certificates and in several forms, and the metadata of a repository that changes its keys.
The same that lies in tests/data/trust/made, but with fresh keys.
"""

import hashlib
import json
import sys
from copy import deepcopy
from datetime import datetime, timezone
from pathlib import Path

import certify
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from model_signing import hashing, signing
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp
from tuf.api.serialization.json import JSONSerializer

LATER = datetime(2126, 1, 1, tzinfo=timezone.utc)
SOON = datetime(2026, 11, 15, 12, tzinfo=timezone.utc)
FILES = {
    "selvedge.json": '{"selvedge": 1, "name": "rain", "version": 14, "channel": "stable", "model": "rain.onnx"}',
    "rain.onnx": "weights\n",
    # Sorted by code points and by the parts of paths, these are in different orders.
    "a/b.txt": "first\n",
    "a-b/c.txt": "second\n",
    "a.txt": "third\n",
    "ünicode/ß.txt": "fourth\n",
    "empty": "",
}


def main():
    folder = Path(sys.argv[1] if len(sys.argv) == 2 else sys.exit(__doc__))
    keys = make_keys(folder / "keys")
    sign_package(folder)
    certify.make(folder)
    publish(folder, keys)


def make_keys(folder):
    folder.mkdir(parents=True)
    keys = {
        "p256": ec.generate_private_key(ec.SECP256R1()),
        "p384": ec.generate_private_key(ec.SECP384R1()),
        "p521": ec.generate_private_key(ec.SECP521R1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate(),
        "rsa": rsa.generate_private_key(public_exponent=65537, key_size=2048),
    }
    for name, key in keys.items():
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / f"{name}.pub.pem").write_bytes(public)
        (folder / f"{name}.pem").write_bytes(private)
    return keys


def sign_package(folder):
    package = folder / "package"
    for name, text in FILES.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    plain = hashing.Config
    sign(folder, "p256", plain())
    sign(folder, "p384", plain())
    sign(folder, "p521", plain())
    sign(folder, "shards", plain().use_shard_serialization(shard_size=4))
    sign(folder, "blake3", plain().use_file_serialization(hashing_algorithm="blake3"))
    sign(folder, "ignored", plain().set_ignored_paths(paths=["a.txt", "a"]))


def sign(folder, name, config):
    key = folder / "keys" / f"{name}.pem"
    key = key if key.exists() else folder / "keys" / "p256.pem"
    signer = signing.Config().use_elliptic_key_signer(private_key=key).set_hashing_config(config)
    signer.sign(folder / "package", folder / f"{name}.sig")


def publish(folder, keys):
    """Moments of one repository: `first`, `second` (another version, which may be gone back from), `expired`, and `rotated`,
    after the keys of timestamps and targets were replaced."""
    out = folder / "tuf"
    out.mkdir()
    signers = {name: CryptoSigner(keys["p256"] if name == "targets" else fresh()) for name in ("one", "timestamp", "snapshot", "targets")}
    signers["two"] = CryptoSigner(ec.generate_private_key(ec.SECP256R1()))
    root = Root(expires=LATER, consistent_snapshot=True)
    for name in ("one", "two"):
        root.add_key(signers[name].public_key, "root")
    root.roles["root"].threshold = 2
    for name in ("timestamp", "snapshot", "targets"):
        root.add_key(signers[name].public_key, name)
    write(out / "1.root.json", root, [signers["one"], signers["two"]])

    moment(out, "first", signers, 1, [target(folder, "p256", 14)])
    moment(out, "second", signers, 2, [target(folder, "p256", 14, rollback=True), target(folder, "p384", 15)])
    moment(out, "expired", signers, 3, [target(folder, "p256", 14)], timestamp_expires=SOON)

    # A root key is replaced, and so are the keys of timestamps and targets: old and new keys sign.
    old = dict(signers)
    root = deepcopy(root)
    root.version = 2
    for role, key in {"one": fresh(), "timestamp": fresh(), "targets": keys["p384"]}.items():
        signers[role] = CryptoSigner(key)
        name = "root" if role == "one" else role
        root.revoke_key(old[role].public_key.keyid, name)
        root.add_key(signers[role].public_key, name)
    write(out / "2.root.json", root, [old["one"], old["two"], signers["one"]])
    moment(out, "rotated", signers, 1, [target(folder, "p384", 15)])

    # The next root, without the signatures that the root before it wants.
    root = deepcopy(root)
    root.version = 3
    write(out / "3.root.json", root, [signers["one"]])


def moment(out, name, signers, version, targets, timestamp_expires=LATER):
    listed = Targets(version=version, expires=LATER, targets={target.path: target for target in targets})
    data = write(out / f"{name}.targets.json", listed, [signers["targets"]])
    hashes = {"sha256": hashlib.sha256(data).hexdigest()}
    meta = {"targets.json": MetaFile(version, len(data), hashes)}
    data = write(out / f"{name}.snapshot.json", Snapshot(version=version, expires=LATER, meta=meta), [signers["snapshot"]])
    hashes = {"sha256": hashlib.sha256(data).hexdigest()}
    newest = Timestamp(version=version, expires=timestamp_expires, snapshot_meta=MetaFile(version, len(data), hashes))
    write(out / f"{name}.timestamp.json", newest, [signers["timestamp"]])


def target(folder, name, version, **more):
    """The package that `NAME.sig` signs, as a target."""
    target = TargetFile.from_data(f"rain/{version}/model.sig", (folder / f"{name}.sig").read_bytes(), ["sha256"])
    custom = {"name": "rain", "version": version, "channel": "stable", "share": 2500, "minimum": 9, **more}
    # What another tool may put beside it, with what the canonical form escapes.
    target.unrecognized_fields["custom"] = {"selvedge": custom, "note": 'é "quoted" \\ and\nmore', "n": None}
    return target


def write(path, signed, signers):
    metadata = Metadata(signed)
    for signer in signers:
        metadata.sign(signer, append=True)
    data = metadata.to_bytes(JSONSerializer(compact=True))
    json.loads(data)
    path.write_bytes(data)
    return data


def fresh():
    return ed25519.Ed25519PrivateKey.generate()


if __name__ == "__main__":
    main()
