//! Who signed: a person or a process, by the name that a provider of identities vouched for.

use x509_cert::der::Decode;
use x509_cert::der::asn1::Utf8StringRef;
use x509_cert::spki::ObjectIdentifier;

use super::super::json::shown;
use super::super::key::untrusted;
use super::certificate::Certificate;
use super::id_of;
use crate::Digest;
use crate::error::{Error, Result};

/// Who vouched: as bytes alone in older certificates, as a text of DER in newer ones.
const ISSUER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.8");
const OLD_ISSUER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.1");

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    name: String,
    issuer: String,
}

impl Identity {
    /// # Errors
    ///
    /// `InvalidArgument` for an empty text or one of several lines.
    pub(super) fn new(name: &str, issuer: &str) -> Result<Self> {
        for (what, text) in [("identity", name), ("issuer", issuer)] {
            if text.is_empty() || text.contains('\n') {
                return Err(Error::invalid(format!("{what}: expected a text of one line, got '{}'", shown(text))));
            }
        }
        Ok(Self { name: name.into(), issuer: issuer.into() })
    }

    /// What a version in a store is signed by: SHA-256 of "keyless", issuer and name, a line each.
    pub(super) fn id(&self) -> Digest {
        id_of(&format!("keyless\n{}\n{}", self.issuer, self.name))
    }
}

/// The one of these that a certificate was made out to.
///
/// # Errors
///
/// `Untrusted` if it is none of them.
pub(super) fn find<'a>(identities: &'a [Identity], certificate: &Certificate) -> Result<&'a Identity> {
    let (names, issuer) = (certificate.holders()?, issuer(certificate)?);
    let is_it = |identity: &&Identity| names.contains(&identity.name) && identity.issuer == issuer;
    identities.iter().find(is_it).ok_or_else(|| {
        let quoted = |names: Vec<String>| names.join("' or '");
        let expected = identities.iter().map(|identity| format!("{}' by '{}", identity.name, identity.issuer));
        let (expected, got) = (quoted(expected.collect()), quoted(names.iter().map(|name| shown(name)).collect()));
        let (what, issuer) = (certificate.described(), shown(&issuer));
        untrusted(format!("{what}: expected one for '{expected}', got one for '{got}' by '{issuer}'"))
    })
}

fn issuer(certificate: &Certificate) -> Result<String> {
    let broken = || Error::corrupt(format!("{}: expected an issuer of identities as text", certificate.described()));
    if let Some(der) = certificate.extension(ISSUER) {
        return Ok(Utf8StringRef::from_der(der).map_err(|_| broken())?.as_str().to_string());
    }
    let old = certificate.extension(OLD_ISSUER).ok_or_else(|| {
        untrusted(format!("{}: expected one that names an issuer of identities, got none", certificate.described()))
    })?;
    String::from_utf8(old.to_vec()).map_err(|_| broken())
}
