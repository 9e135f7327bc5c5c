//! The entry of a log of signatures (Rekor 1): that the log promised to keep it, and what it is about.

use std::collections::BTreeMap;

use base64ct::{Base64, Encoding};

use super::super::bundle::{Bundle, base64};
use super::super::json::{Json, Members, shown};
use super::super::key::{decode_pem, digest, untrusted};
use super::super::statement;
use super::certificate::Certificate;
use super::inclusion::Proof;
use super::{Log, WHAT, hexadecimal};
use crate::error::{Error, Result};

const BODY: &str = "signature: body of the log's entry";
const KIND: (&str, &str) = ("dsse", "0.0.1");

/// An entry that was read, and not verified.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) log_id: Vec<u8>,
    /// When the log took it, in seconds since 1970: as long as its promise is not verified, what somebody says.
    pub(super) time: u64,
    index: u64,
    body: Vec<u8>,
    promise: Vec<u8>,
    proof: Proof,
}

impl Entry {
    /// The one entry of a bundle.
    ///
    /// # Errors
    ///
    /// `Corrupt` for what breaks the format, `Untrusted` for an entry without promise or proof, `Unsupported` for several, and for
    /// those of another kind.
    pub(super) fn parse(material: &Members<'_>) -> Result<Self> {
        let [entry] = material.list("tlogEntries")? else {
            let got = material.list("tlogEntries")?.len();
            return Err(Error::unsupported(format!("{}: 'tlogEntries': expected 1, got {got}", material.what)));
        };
        let entry = entry.members(format!("{}: 'tlogEntries'", material.what))?;
        let kind = entry.object("kindVersion")?;
        let got = (kind.text("kind")?, kind.text("version")?);
        if got != KIND {
            let ((kind, version), (got, of)) = (KIND, (shown(got.0), shown(got.1)));
            let what = &entry.what;
            return Err(Error::unsupported(format!("{what}: expected the kind '{kind}' {version}, got '{got}' {of}")));
        }
        let part = |key: &str, name: &str| {
            let missing = || untrusted(format!("{WHAT}: expected the {name} of the log ('{key}'), got none"));
            entry.find(key).filter(|part| **part != Json::Null).ok_or_else(missing)?;
            entry.object(key)
        };
        let promise = part("inclusionPromise", "signed timestamp")?;
        Ok(Self {
            log_id: base64(&entry.object("logId")?, "keyId")?,
            time: entry.written_integer("integratedTime")?,
            index: entry.written_integer("logIndex")?,
            body: base64(&entry, "canonicalizedBody")?,
            promise: base64(&promise, "signedEntryTimestamp")?,
            proof: Proof::parse(&part("inclusionProof", "proof of inclusion")?)?,
        })
    }

    /// That the log signed to have taken this entry at this time.
    ///
    /// # Errors
    ///
    /// `Untrusted` if it did not.
    pub(super) fn check_promise(&self, log: &Log) -> Result<()> {
        let integer = |n: u64| Json::Integer(n.try_into().unwrap_or(i64::MAX));
        let promised = Json::Object(BTreeMap::from([
            ("body".into(), Json::Text(Base64::encode_string(&self.body))),
            ("integratedTime".into(), integer(self.time)),
            ("logID".into(), Json::Text(hexadecimal(&self.log_id))),
            ("logIndex".into(), integer(self.index)),
        ]));
        if !log.key.verifies(&promised.canonical(), &self.promise) {
            let name = &log.name;
            return Err(untrusted(format!("{WHAT}: the signed timestamp of its entry is not of the log '{name}'")));
        }
        log.valid.check(&format!("{WHAT}: log '{}'", log.name), self.time)
    }

    /// That the log has the entry.
    ///
    /// # Errors
    ///
    /// `Untrusted` if that is not proven.
    pub(super) fn check_inclusion(&self, log: &Log) -> Result<()> {
        self.proof.check(&self.body, log)
    }

    /// That it is about this bundle.
    ///
    /// # Errors
    ///
    /// `Untrusted` if it is about another, `Corrupt` for what breaks the format.
    pub(super) fn check_body(&self, bundle: &Bundle, leaf: &Certificate) -> Result<()> {
        let json = Json::parse_foreign(BODY, &self.body, statement::MAX_BYTES)?;
        let body = json.members(BODY)?;
        body.expect("kind", KIND.0)?;
        body.expect("apiVersion", KIND.1)?;
        let spec = body.object("spec")?;
        let payload = spec.object("payloadHash")?;
        payload.expect("algorithm", "sha256")?;
        let other = |of: &str| Err(untrusted(format!("{BODY}: expected it to be about this {of}, got another")));
        if statement::hexadecimal(&payload, "value")? != digest(bundle.payload()) {
            return other("payload");
        }
        let [signature] = spec.list("signatures")? else {
            let got = spec.list("signatures")?.len();
            return Err(Error::corrupt(format!("{BODY}: 'signatures': expected 1, got {got}")));
        };
        let signature = signature.members(format!("{BODY}: 'signatures'"))?;
        if base64(&signature, "signature")? != bundle.signature() {
            return other("signature");
        }
        let verifier = base64(&signature, "verifier")?;
        let corrupt = |e: Error| Error::corrupt(e.message().to_string());
        let verifier = decode_pem(&String::from_utf8_lossy(&verifier), "CERTIFICATE", BODY).map_err(corrupt)?;
        if verifier != leaf.der() { other("certificate") } else { Ok(()) }
    }
}
