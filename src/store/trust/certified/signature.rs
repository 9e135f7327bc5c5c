//! Signatures of authorities: ECDSA on P-256 and P-384, and RSA (PKCS#1 v1.5), with SHA-2.

use rsa::pkcs1v15::Pkcs1v15Sign;
use rsa::traits::PublicKeyParts;
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use x509_cert::der::Decode;
use x509_cert::spki::{ObjectIdentifier, SubjectPublicKeyInfoRef};

use super::super::key::PublicKey;
use crate::error::{Error, Result};

const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const ECDSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4");
const RSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const RSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
const RSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13");
/// Of RSA, in bytes: 2048 to 8192 bits.
const MODULUS: std::ops::RangeInclusive<usize> = 256..=1024;

/// Whether a signature over a message is of a key, which is a SubjectPublicKeyInfo.
///
/// # Errors
///
/// `Unsupported` for another algorithm and for another kind of key.
pub(super) fn verify(key: &[u8], algorithm: ObjectIdentifier, message: &[u8], signature: &[u8]) -> Result<bool> {
    let of_curve = |hash: &[u8]| Ok(PublicKey::from_der(key)?.verifies_hash(hash, signature));
    let of_rsa = |scheme: Pkcs1v15Sign, hash: &[u8]| Ok(rsa_key(key)?.verify(scheme, hash, signature).is_ok());
    match algorithm {
        ECDSA_SHA256 => of_curve(&Sha256::digest(message)),
        ECDSA_SHA384 => of_curve(&Sha384::digest(message)),
        ECDSA_SHA512 => of_curve(&Sha512::digest(message)),
        RSA_SHA256 => of_rsa(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(message)),
        RSA_SHA384 => of_rsa(Pkcs1v15Sign::new::<Sha384>(), &Sha384::digest(message)),
        RSA_SHA512 => of_rsa(Pkcs1v15Sign::new::<Sha512>(), &Sha512::digest(message)),
        other => {
            Err(Error::unsupported(format!("expected a signature by ECDSA or RSA with SHA-2, got algorithm {other}")))
        }
    }
}

fn rsa_key(key: &[u8]) -> Result<rsa::PublicKey> {
    let broken = |e: &dyn std::fmt::Display| Error::unsupported(format!("expected a key of RSA: {e}"));
    let info = SubjectPublicKeyInfoRef::from_der(key).map_err(|e| broken(&e))?;
    let key = rsa::PublicKey::try_from(info).map_err(|e| broken(&e))?;
    if !MODULUS.contains(&key.size()) {
        return Err(broken(&format_args!("of 2048 to 8192 bits, got {} bytes", key.size())));
    }
    Ok(key)
}
