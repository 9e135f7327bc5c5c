"""Certificates of an authority of one's own, good and bad, and what `model-signing` signs with them.

    certify.py FOLDER     where `package` lies, as make.py writes it

Writes `certificates/NAME.pem`, and `certified/NAME.sig` for each key that signed.
"""

import sys
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID as Purpose
from cryptography.x509.oid import NameOID
from model_signing import signing

BEGIN = datetime(2026, 1, 1, tzinfo=timezone.utc)
SOON = datetime(2026, 11, 15, 12, tzinfo=timezone.utc)
LATER = datetime(2126, 1, 1, tzinfo=timezone.utc)
CODE = [Purpose.CODE_SIGNING]


def make(folder):
    (folder / "certificates").mkdir()
    (folder / "certified").mkdir()
    root_key, between_key = ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65537, 2048)
    root = authority("root", root_key, None, root_key)
    between = authority("between", between_key, root, root_key, below=0)
    # The name of the root, and another key.
    stranger_key = ec.generate_private_key(ec.SECP384R1())
    for name, shipped in {"root": root, "stranger": authority("root", stranger_key, None, stranger_key)}.items():
        (folder / "certificates" / f"{name}.pem").write_bytes(pem(shipped))

    def sign(name, chain, issuer, issuer_key, curve=ec.SECP256R1, **how):
        key = ec.generate_private_key(curve())
        write(folder, name, key, certificate(name, key, issuer, issuer_key, **how), chain)

    sign("good", [between], between, between_key, usage="digital_signature", purposes=CODE)
    sign("direct", [root], root, root_key, curve=ec.SECP384R1, usage="digital_signature")
    sign("whole", [between, root], between, between_key, purposes=CODE)
    sign("expired", [between], between, between_key, usage="digital_signature", purposes=CODE, end=SOON)
    sign("server", [between], between, between_key, usage="digital_signature", purposes=[Purpose.SERVER_AUTH])
    sign("agreement", [between], between, between_key, usage="key_agreement", purposes=CODE)
    sign("silent", [between], between, between_key)
    sign("missing", [root], between, between_key, usage="digital_signature", purposes=CODE)
    sign("critical", [between], between, between_key, usage="digital_signature", purposes=CODE, critical=True)
    sign("curve", [between], between, between_key, curve=ec.SECP521R1, usage="digital_signature", purposes=CODE)

    # Certified by a signer who is no authority; by authorities that may not make others, have expired, whose keys are for
    # something else or short, or which are for some names only.
    key = ec.generate_private_key(ec.SECP256R1())
    signer = certificate("signer", key, between, between_key, usage="digital_signature", purposes=CODE)
    sign("no_authority", [signer, between], signer, key, usage="digital_signature", purposes=CODE)
    below = authority("below", key, between, between_key)
    sign("too_long", [below, between], below, key, usage="digital_signature", purposes=CODE)
    old = authority("old", key, root, root_key, end=SOON)
    sign("old_authority", [old], old, key, usage="digital_signature", purposes=CODE)
    idle = authority("idle", key, root, root_key, usage="digital_signature")
    sign("idle_authority", [idle], idle, key, usage="digital_signature", purposes=CODE)
    weak_key = rsa.generate_private_key(65537, 1024)
    weak = authority("weak", weak_key, root, root_key)
    sign("weak", [weak], weak, weak_key, usage="digital_signature", purposes=CODE)
    narrow = authority("narrow", key, root, root_key, constrained=True)
    sign("constrained", [narrow], narrow, key, usage="digital_signature", purposes=CODE)


def authority(name, key, issuer, issuer_key, below=None, usage="key_cert_sign", **how):
    return certificate(name, key, issuer, issuer_key, ca=True, below=below, usage=usage, **how)


def certificate(
    name, key, issuer, issuer_key, ca=False, below=None, usage=None, purposes=(), end=LATER, critical=False, constrained=False
):
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(BEGIN)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca, below), critical=True)
    )
    if usage:
        builder = builder.add_extension(key_usage(usage), critical=True)
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    if critical:
        unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
        builder = builder.add_extension(unknown, critical=True)
    if constrained:
        names = x509.NameConstraints([x509.DNSName("example.com")], None)
        builder = builder.add_extension(names, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def key_usage(wanted):
    names = (
        "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign crl_sign"
        " encipher_only decipher_only"
    )
    return x509.KeyUsage(**{name: name == wanted for name in names.split()})


def write(folder, name, key, own, chain):
    with TemporaryDirectory() as secret:
        secret = Path(secret)
        (secret / "key.pem").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        (secret / "own.pem").write_bytes(pem(own))
        (secret / "chain.pem").write_bytes(b"".join(map(pem, chain)))
        signer = signing.Config().use_certificate_signer(
            private_key=secret / "key.pem",
            signing_certificate=secret / "own.pem",
            certificate_chain=[secret / "chain.pem"],
        )
        signer.sign(folder / "package", folder / "certified" / f"{name}.sig")


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


if __name__ == "__main__":
    make(Path(sys.argv[1] if len(sys.argv) == 2 else sys.exit(__doc__)))
