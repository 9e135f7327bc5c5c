//! Keys: what vouches, and what signs.

use base64ct::LineEnding;
use p256::ecdsa::signature::{Signer, Verifier};
use p256::pkcs8::der::asn1::ObjectIdentifier;
use p256::pkcs8::der::{Decode, pem};
use p256::pkcs8::spki::{AlgorithmIdentifierRef, EncodePublicKey, SubjectPublicKeyInfoRef};
use p256::pkcs8::{DecodePrivateKey, PrivateKeyInfoRef};

use crate::Digest;
use crate::digest::Hasher;
use crate::error::{Code, Error, Result};

const ELLIPTIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
/// What else may stand in a PEM file, by name.
const KNOWN: &[(&str, &str)] = &[
    ("1.3.132.0.35", "ECDSA P-521"),
    ("1.3.132.0.10", "ECDSA secp256k1"),
    ("1.3.101.112", "Ed25519"),
    ("1.3.101.113", "Ed448"),
    ("1.2.840.113549.1.1.1", "RSA"),
];
/// Largest PEM that is read.
const MAX_PEM: usize = 64 << 10;

/// A key that verifies.
#[derive(Clone, Debug)]
pub(super) struct PublicKey {
    /// SHA-256 of the key as DER (SubjectPublicKeyInfo, the point uncompressed).
    pub(super) id: Digest,
    /// SHA-256 of the same as PEM, which signers of models write as the hint.
    pub(super) hint: Digest,
    point: Point,
}

#[derive(Clone, Debug)]
enum Point {
    P256(p256::ecdsa::VerifyingKey),
    P384(p384::ecdsa::VerifyingKey),
}

impl PublicKey {
    /// # Errors
    ///
    /// `InvalidArgument` for what is no PEM of a public key, `Unsupported` for one of another kind than ECDSA P-256 and P-384.
    pub(super) fn from_pem(text: &str) -> Result<Self> {
        Self::from_der(&decode_pem(text, "PUBLIC KEY", "public key")?)
    }

    /// The same of a SubjectPublicKeyInfo.
    pub(super) fn from_der(der: &[u8]) -> Result<Self> {
        let invalid = |e: &dyn std::fmt::Display| Error::invalid(format!("public key: not a key: {e}"));
        let info = SubjectPublicKeyInfoRef::from_der(der).map_err(|e| invalid(&e))?;
        let bytes = info.subject_public_key.as_bytes().ok_or_else(|| invalid(&"a point of broken bytes"))?;
        let point = match curve(&info.algorithm, "public key")? {
            Curve::P256 => Point::P256(p256::ecdsa::VerifyingKey::from_sec1_bytes(bytes).map_err(|e| invalid(&e))?),
            Curve::P384 => Point::P384(p384::ecdsa::VerifyingKey::from_sec1_bytes(bytes).map_err(|e| invalid(&e))?),
        };
        Self::new(point)
    }

    fn new(point: Point) -> Result<Self> {
        let (der, pem) = match &point {
            Point::P256(key) => (key.to_public_key_der(), key.to_public_key_pem(LineEnding::LF)),
            Point::P384(key) => (key.to_public_key_der(), key.to_public_key_pem(LineEnding::LF)),
        };
        let broken = |e| Error::internal(format!("public key: cannot be written: {e}"));
        let (der, pem) = (der.map_err(broken)?, pem.map_err(broken)?);
        Ok(Self { id: digest(der.as_bytes()), hint: digest(pem.as_bytes()), point })
    }

    /// Whether a signature in DER is of this key, with the hash that belongs to the curve: SHA-256, SHA-384.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.point {
            Point::P256(key) => {
                p256::ecdsa::Signature::from_der(signature).is_ok_and(|sig| key.verify(message, &sig).is_ok())
            }
            Point::P384(key) => {
                p384::ecdsa::Signature::from_der(signature).is_ok_and(|sig| key.verify(message, &sig).is_ok())
            }
        }
    }

    /// The same with a hash of another kind, of 32 bytes or more.
    #[cfg(feature = "keyless")]
    pub(super) fn verifies_hash(&self, hash: &[u8], signature: &[u8]) -> bool {
        use p256::ecdsa::signature::hazmat::PrehashVerifier;
        match &self.point {
            Point::P256(key) => {
                p256::ecdsa::Signature::from_der(signature).is_ok_and(|sig| key.verify_prehash(hash, &sig).is_ok())
            }
            Point::P384(key) => {
                p384::ecdsa::Signature::from_der(signature).is_ok_and(|sig| key.verify_prehash(hash, &sig).is_ok())
            }
        }
    }

    pub(super) fn is_p256(&self) -> bool {
        matches!(self.point, Point::P256(_))
    }
}

/// A key that signs. It is shown nowhere.
pub(super) enum SigningKey {
    P256(p256::ecdsa::SigningKey),
    P384(p384::ecdsa::SigningKey),
}

impl SigningKey {
    /// # Errors
    ///
    /// As for a public key.
    pub(super) fn from_pem(text: &str) -> Result<Self> {
        let der = decode_pem(text, "PRIVATE KEY", "private key")?;
        // The cause is left out: what a key's bytes are is nobody's to read.
        let invalid = || Error::invalid("private key: expected PKCS#8, got bytes that are none");
        let info = PrivateKeyInfoRef::try_from(&der[..]).map_err(|_| invalid())?;
        Ok(match curve(&info.algorithm, "private key")? {
            Curve::P256 => Self::P256(p256::ecdsa::SigningKey::from_pkcs8_der(&der).map_err(|_| invalid())?),
            Curve::P384 => Self::P384(p384::ecdsa::SigningKey::from_pkcs8_der(&der).map_err(|_| invalid())?),
        })
    }

    pub(super) fn public_key(&self) -> Result<PublicKey> {
        PublicKey::new(match self {
            Self::P256(key) => Point::P256(*key.verifying_key()),
            Self::P384(key) => Point::P384(*key.verifying_key()),
        })
    }

    /// The signature as DER. The nonce follows from key and message (RFC 6979): no random numbers are needed.
    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(message);
                signature.to_der().as_bytes().to_vec()
            }
            Self::P384(key) => {
                let signature: p384::ecdsa::Signature = key.sign(message);
                signature.to_der().as_bytes().to_vec()
            }
        }
    }
}

enum Curve {
    P256,
    P384,
}

fn curve(algorithm: &AlgorithmIdentifierRef<'_>, what: &str) -> Result<Curve> {
    let oid = match algorithm.oid {
        ELLIPTIC => algorithm.parameters.and_then(|parameters| parameters.decode_as::<ObjectIdentifier>().ok()),
        other => Some(other),
    };
    match oid {
        Some(P256) => Ok(Curve::P256),
        Some(P384) => Ok(Curve::P384),
        other => {
            let number = other.map_or("a curve without a name".into(), |oid| oid.to_string());
            let name = KNOWN.iter().find(|(known, _)| *known == number).map_or(&*number, |(_, name)| name);
            Err(Error::unsupported(format!("{what}: expected ECDSA P-256 or P-384, got {name}")))
        }
    }
}

/// The bytes of a PEM with this label.
pub(super) fn decode_pem(text: &str, label: &str, what: &str) -> Result<Vec<u8>> {
    if text.len() > MAX_PEM {
        return Err(Error::invalid(format!("{what}: expected at most {MAX_PEM} bytes, got {}", text.len())));
    }
    let refused = |e| Error::invalid(format!("{what}: expected PEM, '-----BEGIN {label}-----': {e}"));
    let (got, der) = pem::decode_vec(text.as_bytes()).map_err(refused)?;
    match got {
        _ if got == label => Ok(der),
        "ENCRYPTED PRIVATE KEY" | "EC PRIVATE KEY" | "CERTIFICATE" | "RSA PUBLIC KEY" => {
            Err(Error::unsupported(format!("{what}: expected a PEM of '{label}', got '{got}'")))
        }
        _ => Err(Error::invalid(format!("{what}: expected a PEM of '{label}', got '{}'", super::json::shown(got)))),
    }
}

pub(super) fn digest(bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::default();
    hasher.update(bytes);
    hasher.digest()
}

pub(super) fn untrusted(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(Code::Untrusted, message)
}
