//! That a certificate was logged when it was made out: a signed certificate timestamp within it (RFC 6962, 3.2).

use sha2::{Digest as _, Sha256};
use x509_cert::der::asn1::{AnyRef, OctetStringRef};
use x509_cert::der::{self, Decode, Encode, Header, Reader, SliceReader, Tag, TagNumber, Tagged};
use x509_cert::spki::ObjectIdentifier;

use super::super::key::untrusted;
use super::certificate::Certificate;
use super::sigstore::Sigstore;
use super::{Log, hexadecimal};
use crate::error::{Error, Result};

const TIMESTAMPS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.4.2");
const EXTENSIONS: Tag = Tag::ContextSpecific { constructed: true, number: TagNumber(3) };
/// ECDSA with SHA-256, as TLS numbers them.
const ECDSA_SHA256: [u8; 2] = [4, 3];

/// # Errors
///
/// `Untrusted` unless a log that is known has signed that it has the certificate.
pub(super) fn verify(leaf: &Certificate, issuer: &Certificate, sigstore: &Sigstore) -> Result<()> {
    let what = leaf.described();
    let broken = |why: &str| Error::corrupt(format!("{what}: signed certificate timestamp: {why}"));
    let list = leaf
        .extension(TIMESTAMPS)
        .ok_or_else(|| untrusted(format!("{what}: expected the timestamp of a log of certificates, got none")))?;
    let list = <&OctetStringRef>::from_der(list).map_err(|e| broken(&e.to_string()))?;
    let timestamps = parse(list.as_bytes()).ok_or_else(|| broken("not of the form of RFC 6962"))?;
    let unlogged = without_timestamps(leaf.signed()).map_err(|e| broken(&e.to_string()))?;
    let mut refused = broken("expected at least 1, got none");
    for timestamp in timestamps {
        match timestamp.check(what, &unlogged, issuer, sigstore.log_of_certificates(timestamp.log_id)) {
            Ok(()) => return Ok(()),
            Err(e) => refused = e,
        }
    }
    Err(refused)
}

struct Timestamp<'a> {
    log_id: &'a [u8],
    milliseconds: u64,
    extensions: &'a [u8],
    signature: &'a [u8],
}

impl Timestamp<'_> {
    fn check(&self, what: &str, unlogged: &[u8], issuer: &Certificate, log: Option<&Log>) -> Result<()> {
        let Some(log) = log else {
            let got = hexadecimal(self.log_id);
            return Err(untrusted(format!(
                "{what}: expected the timestamp of a known log of certificates, got '{got}'"
            )));
        };
        log.valid.check(&format!("{what}: log of certificates '{}'", log.name), self.milliseconds / 1000)?;
        let length = |bytes: &[u8]| (bytes.len() as u32).to_be_bytes();
        let mut message = vec![0, 0];
        message.extend(self.milliseconds.to_be_bytes());
        message.extend([0, 1]);
        message.extend(issuer.key_id().0);
        message.extend(&length(unlogged)[1..]);
        message.extend(unlogged);
        message.extend(&length(self.extensions)[2..]);
        message.extend(self.extensions);
        if log.key.verifies_hash(&Sha256::digest(&message), self.signature) {
            return Ok(());
        }
        Err(untrusted(format!("{what}: the log of certificates '{}' did not sign that it has it", log.name)))
    }
}

/// The timestamps of a list, those of another version or algorithm left out; `None` for what is no list.
fn parse(list: &[u8]) -> Option<Vec<Timestamp<'_>>> {
    let (mut rest, after) = opaque(list)?;
    let mut timestamps = Vec::new();
    while !rest.is_empty() {
        let (one, next) = opaque(rest)?;
        rest = next;
        let (head, tail) = one.split_first_chunk::<41>()?;
        let (extensions, tail) = opaque(tail)?;
        let (algorithm, tail) = tail.split_first_chunk::<2>()?;
        let (signature, end) = opaque(tail)?;
        let milliseconds = u64::from_be_bytes(*head[33..].first_chunk()?);
        if head[0] == 0 && *algorithm == ECDSA_SHA256 && end.is_empty() {
            timestamps.push(Timestamp { log_id: &one[1..33], milliseconds, extensions, signature });
        }
    }
    after.is_empty().then_some(timestamps)
}

/// Bytes behind their length, and what comes after them.
fn opaque(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(u16::from_be_bytes(*length).into())
}

/// What of a certificate was signed before the log's timestamps were put in.
fn without_timestamps(signed: &[u8]) -> der::Result<Vec<u8>> {
    let mut fields = SliceReader::new(AnyRef::from_der(signed)?.value())?;
    let mut out = Vec::new();
    while !fields.is_finished() {
        let field = fields.tlv_bytes()?;
        let parsed = AnyRef::from_der(field)?;
        if parsed.tag() != EXTENSIONS {
            out.extend(field);
            continue;
        }
        let mut extensions = SliceReader::new(AnyRef::from_der(parsed.value())?.value())?;
        let mut kept = Vec::new();
        while !extensions.is_finished() {
            let extension = extensions.tlv_bytes()?;
            if SliceReader::new(AnyRef::from_der(extension)?.value())?.decode::<ObjectIdentifier>()? != TIMESTAMPS {
                kept.extend(extension);
            }
        }
        out.extend(wrap(EXTENSIONS, &wrap(Tag::Sequence, &kept)?)?);
    }
    wrap(Tag::Sequence, &out)
}

fn wrap(tag: Tag, content: &[u8]) -> der::Result<Vec<u8>> {
    let mut out = Header::new(tag, content.len().try_into()?).to_der()?;
    out.extend(content);
    Ok(out)
}
