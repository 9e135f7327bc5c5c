//! A file of metadata: what is signed, and by whom.

use super::super::json::{Json, Members};
use super::super::key::digest;
use super::super::release::MAX_VERSION;
use super::super::time;
use crate::Digest;
use crate::error::{Error, Result};

/// A file of metadata that was read, and not verified.
#[derive(Debug)]
pub(super) struct Metadata {
    role: &'static str,
    json: Json,
    /// What of it the signatures are over.
    canonical: Vec<u8>,
}

impl Metadata {
    /// # Errors
    ///
    /// `Corrupt` for what is too large or no metadata of this role, `Unsupported` for another TUF than 1.x.
    pub(super) fn parse(role: &'static str, bytes: &[u8], max_bytes: usize) -> Result<Self> {
        let json = Json::parse(role, bytes, max_bytes)?;
        let canonical = json.members(role)?.get("signed")?.canonical();
        let metadata = Self { role, json, canonical };
        let signed = metadata.signed()?;
        signed.expect("_type", role)?;
        let format = signed.text("spec_version")?;
        if !format.starts_with("1.") {
            let got = super::super::json::shown(format);
            return Err(Error::unsupported(format!("{role}: 'spec_version': expected '1.x', got '{got}'")));
        }
        metadata.version()?;
        metadata.expires()?;
        Ok(metadata)
    }

    pub(super) fn what(&self) -> &'static str {
        self.role
    }

    pub(super) fn signed(&self) -> Result<Members<'_>> {
        self.json.members(self.role)?.object("signed")
    }

    pub(super) fn version(&self) -> Result<u64> {
        self.signed()?.integer("version", 1, MAX_VERSION)
    }

    pub(super) fn expires(&self) -> Result<u64> {
        time::parse(&self.signed()?, "expires")
    }

    /// SHA-256 of what is signed.
    pub(super) fn digest(&self) -> Digest {
        digest(&self.canonical)
    }

    pub(super) fn message(&self) -> &[u8] {
        &self.canonical
    }

    /// Identifier of a key and its signature; each identifier once.
    pub(super) fn signatures(&self) -> Result<Vec<(&str, Vec<u8>)>> {
        let mut signatures: Vec<(&str, Vec<u8>)> = Vec::new();
        for signature in self.json.members(self.role)?.list("signatures")? {
            let signature = signature.members(format!("{}: 'signatures'", self.role))?;
            let (id, hex) = (signature.text("keyid")?, signature.text("sig")?);
            let bytes = bytes_of(hex)
                .ok_or_else(|| Error::corrupt(format!("{}: 'sig': expected hexadecimal digits", signature.what)))?;
            signatures.push((id, bytes));
        }
        signatures.sort();
        match signatures.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            None => Ok(signatures),
            Some(pair) => {
                let id = super::super::json::shown(pair[0].0);
                Err(Error::corrupt(format!("{}: 'signatures': key '{id}' comes twice", self.role)))
            }
        }
    }
}

/// The bytes of hexadecimal digits.
pub(super) fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| char::from(c).to_digit(16).map(|digit| digit as u8);
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect())?
}
