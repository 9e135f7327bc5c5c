//! Signers who are known by a certificate, not by a key: OpenSSF Model Signing's methods `certificate` and `sigstore`.
//!
//! # `certificate`
//!
//! The package brings the certificate of the key that signed, and those of the authorities above it. They must lead to one that the
//! app named. All of them must be valid at the time that is reckoned with (see [`trust`](super)): nothing proves when the package
//! was signed, and who found an expired key could sign with it for ever. The key must be certified for signatures
//! (`digitalSignature`) or for signing code, and where its certificate speaks of both, for both.
//!
//! # `sigstore`
//!
//! The key lived for minutes. What is checked, in this order:
//!
//! | what | against |
//! |---|---|
//! | the log's promise to keep the entry (signed entry timestamp), and with it the time of signing | the key of the log |
//! | the entry is in the tree of the log (RFC 6962), whose head the log signed (checkpoint) | the key of the log |
//! | the entry is about this payload, this signature and this certificate | the package |
//! | the certificate leads to the authority, and was valid at the time of signing | the authority, which was in office then |
//! | it is for signing code, and for no authority | |
//! | it was logged when it was made out (signed certificate timestamp) | the key of the log of certificates |
//! | whom it was made out to, and who vouched for that person | what the app demands |
//! | the signature | the key of the certificate |
//!
//! Keys and authorities come from the trusted root that the app gives. Left out: logs of Rekor 2, whose entries have no time of
//! their own, and timestamps of RFC 3161.

mod certificate;
mod chain;
mod entry;
mod identity;
mod inclusion;
mod sct;
mod signature;
mod sigstore;

use super::bundle::{Bundle, Method, base64};
use super::json::Json;
use super::key::{PublicKey, decode_pem, digest, untrusted};
use super::time;
use crate::Digest;
use crate::error::{Code, Error, Result};
use certificate::Certificate;
use entry::Entry;
use identity::Identity;
use sigstore::Sigstore;

/// The most certificates between a key's own and a trusted authority.
const MAX_BETWEEN: usize = 8;
const WHAT: &str = "signature";

/// Who is trusted by certificate.
#[derive(Clone, Debug, Default)]
pub(super) struct Certified {
    authorities: Vec<Certificate>,
    identities: Vec<Identity>,
    sigstore: Option<Sigstore>,
}

impl Certified {
    /// # Errors
    ///
    /// `InvalidArgument` for what is no certificate of an authority.
    pub(super) fn add_authority(&mut self, pem: &str) -> Result<()> {
        let invalid = |e: Error| Error::new(Code::InvalidArgument, e.message().to_string());
        let der = decode_pem(pem, "CERTIFICATE", "authority").map_err(invalid)?;
        let authority = Certificate::parse("authority", &der).map_err(invalid)?;
        authority.check_authority(0).map_err(invalid)?;
        if self.authorities.iter().all(|other| other.der() != authority.der()) {
            self.authorities.push(authority);
        }
        Ok(())
    }

    /// # Errors
    ///
    /// `InvalidArgument` for an empty text or one of several lines.
    pub(super) fn add_identity(&mut self, name: &str, issuer: &str) -> Result<()> {
        let identity = Identity::new(name, issuer)?;
        if !self.identities.contains(&identity) {
            self.identities.push(identity);
        }
        Ok(())
    }

    /// # Errors
    ///
    /// `Corrupt` for what is no trusted root, `Unsupported` for another version.
    pub(super) fn set_sigstore(&mut self, trusted_root: &[u8]) -> Result<()> {
        self.sigstore = Some(Sigstore::parse(trusted_root)?);
        Ok(())
    }

    /// Whether this is the id of somebody who is trusted.
    pub(super) fn counts(&self, id: Digest) -> bool {
        self.authorities.iter().any(|authority| authority.key_id() == id)
            || self.identities.iter().any(|identity| identity.id() == id)
    }

    /// The id of who signed a bundle: the digest of the authority's key, or the one that stands for an identity.
    ///
    /// # Errors
    ///
    /// `Unsupported` where nobody is trusted by this method, `Untrusted` for what the table at the head of this file refuses.
    pub(super) fn signer(&self, bundle: &Bundle, now: u64) -> Result<Digest> {
        match bundle.method {
            Method::Chain if !self.authorities.is_empty() => self.of_chain(bundle, now),
            Method::Keyless if !self.identities.is_empty() || self.sigstore.is_some() => self.of_identity(bundle),
            method => Err(method.unsupported()),
        }
    }

    fn of_chain(&self, bundle: &Bundle, now: u64) -> Result<Digest> {
        let (leaf, between) = certificates(bundle)?;
        leaf.check_signer()?;
        let chain = chain::verify(&leaf, &between, &self.authorities, now)?;
        check_signature(bundle, &leaf)?;
        Ok(chain.authority.key_id())
    }

    fn of_identity(&self, bundle: &Bundle) -> Result<Digest> {
        let missing =
            || untrusted(format!("{WHAT}: expected a trusted root of Sigstore, by which to verify it, got none"));
        let sigstore = self.sigstore.as_ref().ok_or_else(missing)?;
        let material = bundle.material.members(format!("{WHAT}: 'verificationMaterial'"))?;
        let leaf = Certificate::parse(WHAT, &base64(&material.object("certificate")?, "rawBytes")?)?;
        let entry = Entry::parse(&material)?;
        let log = sigstore.log(&entry.log_id)?;
        entry.check_promise(log)?;
        entry.check_inclusion(log)?;
        entry.check_body(bundle, &leaf)?;
        leaf.check_short_lived_signer()?;
        let chain = sigstore.chain(&leaf, entry.time)?;
        sct::verify(&leaf, chain.issuer, sigstore)?;
        let signer = identity::find(&self.identities, &leaf)?;
        check_signature(bundle, &leaf)?;
        Ok(signer.id())
    }
}

/// The certificate of who signed, and the others.
fn certificates(bundle: &Bundle) -> Result<(Certificate, Vec<Certificate>)> {
    let material = bundle.material.members(format!("{WHAT}: 'verificationMaterial'"))?;
    let chain = material.object("x509CertificateChain")?;
    let listed = chain.list("certificates")?;
    let (first, others) = listed
        .split_first()
        .ok_or_else(|| Error::corrupt(format!("{}: 'certificates': expected at least 1, got none", chain.what)))?;
    if others.len() > MAX_BETWEEN {
        let (expected, got) = (MAX_BETWEEN + 1, listed.len());
        return Err(Error::corrupt(format!("{}: 'certificates': expected at most {expected}, got {got}", chain.what)));
    }
    let parse = |listed: &Json| Certificate::parse(WHAT, &base64(&listed.members(&*chain.what)?, "rawBytes")?);
    Ok((parse(first)?, others.iter().map(parse).collect::<Result<_>>()?))
}

fn check_signature(bundle: &Bundle, leaf: &Certificate) -> Result<()> {
    if bundle.is_of(&leaf.public_key()?) {
        return Ok(());
    }
    Err(untrusted(format!("{}: its key did not sign these bytes", leaf.described())))
}

/// From one moment to another, in seconds since 1970, both included; for ever without an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Period {
    begin: u64,
    end: Option<u64>,
}

impl Period {
    fn contains(self, time: u64) -> bool {
        self.begin <= time && self.end.is_none_or(|end| time <= end)
    }

    /// # Errors
    ///
    /// `Untrusted` for a time outside of it.
    fn check(self, what: &str, time: u64) -> Result<()> {
        if self.contains(time) {
            return Ok(());
        }
        let (begin, time) = (time::write(self.begin), time::write(time));
        let end = self.end.map_or("ever".into(), time::write);
        Err(untrusted(format!("{what}: expected a time from {begin} to {end}, for which it is valid, got {time}")))
    }
}

/// Somebody who signs by a name that its key has: a log.
#[derive(Clone, Debug)]
struct Log {
    /// SHA-256 of the key, as entries name it.
    id: Vec<u8>,
    name: String,
    key: PublicKey,
    valid: Period,
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The id that stands for a text: no key has it.
fn id_of(text: &str) -> Digest {
    digest(text.as_bytes())
}

/// Whether a signature is of a key: what the cases of others are held against.
#[cfg(test)]
pub(super) fn verifies(key: &[u8], algorithm: &str, message: &[u8], signature: &[u8]) -> Result<bool> {
    signature::verify(key, x509_cert::spki::ObjectIdentifier::new_unwrap(algorithm), message, signature)
}

/// Reads all of a certificate that may be asked of one.
#[cfg(test)]
pub(super) fn read(der: &[u8]) -> Result<()> {
    let certificate = Certificate::parse(WHAT, der)?;
    let _ = (certificate.check_signer(), certificate.check_short_lived_signer(), certificate.check_authority(0));
    let _ = (certificate.check_time(0), certificate.public_key(), certificate.is_issued_by(&certificate));
    let _ = (identity::find(&[], &certificate), sct::verify(&certificate, &certificate, &Sigstore::default()));
    Ok(())
}
