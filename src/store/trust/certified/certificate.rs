//! A certificate (X.509 version 3, RFC 5280), as far as signers of packages need it.

use x509_cert::der::asn1::{AnyRef, Utf8StringRef};
use x509_cert::der::oid::AssociatedOid;
use x509_cert::der::{self, Decode, Encode, Reader, SliceReader, Tag, Tagged};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, NameConstraints, SubjectAltName};
use x509_cert::spki::ObjectIdentifier;

use super::super::json::shown;
use super::super::key::{PublicKey, digest, untrusted};
use super::{Period, signature};
use crate::Digest;
use crate::error::{Error, Result};

const MAX_BYTES: usize = 16 << 10;
const SIGNING_CODE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.3");
const ANYTHING: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");
/// The name of somebody at a company's own provider of identities.
const OTHER_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.7");
/// What may be critical: all that is judged here, or says only a name.
const KNOWN: [ObjectIdentifier; 4] = [BasicConstraints::OID, KeyUsage::OID, ExtendedKeyUsage::OID, SubjectAltName::OID];

/// A certificate that was read. Nothing of it is verified but its form.
#[derive(Clone, Debug)]
pub(super) struct Certificate {
    der: Vec<u8>,
    /// What of it is signed.
    signed: Vec<u8>,
    /// The key that it is about: SubjectPublicKeyInfo.
    key: Vec<u8>,
    parsed: x509_cert::Certificate,
    what: String,
}

impl Certificate {
    /// # Errors
    ///
    /// `Corrupt` for what is none, `Unsupported` for what it demands to be understood and is not.
    pub(super) fn parse(what: &str, der: &[u8]) -> Result<Self> {
        if der.len() > MAX_BYTES {
            let got = der.len();
            return Err(Error::corrupt(format!("{what}: certificate: expected at most {MAX_BYTES} bytes, got {got}")));
        }
        let broken = |e: der::Error| Error::corrupt(format!("{what}: not a certificate: {e}"));
        let parsed = x509_cert::Certificate::from_der(der).map_err(broken)?;
        let signed = signed_part(der).map_err(broken)?.to_vec();
        let key = parsed.tbs_certificate().subject_public_key_info().to_der().map_err(broken)?;
        let subject = parsed.tbs_certificate().subject();
        let subject = if subject.is_empty() { "of a short life".into() } else { shown(&subject.to_string()) };
        let certificate =
            Self { der: der.into(), signed, key, parsed, what: format!("{what}: certificate '{subject}'") };
        certificate.check_form()?;
        Ok(certificate)
    }

    fn check_form(&self) -> Result<()> {
        let tbs = self.parsed.tbs_certificate();
        if tbs.signature() != self.parsed.signature_algorithm() {
            return Err(Error::corrupt(format!("{}: names two algorithms for its signature", self.what)));
        }
        for (i, extension) in self.extensions().iter().enumerate() {
            let id = extension.extn_id;
            if self.extensions()[..i].iter().any(|other| other.extn_id == id) {
                return Err(Error::corrupt(format!("{}: extension {id} comes twice", self.what)));
            }
            // Which names an authority may certify is not judged here, so one that may not certify all is not taken.
            if extension.critical && !KNOWN.contains(&id) || id == NameConstraints::OID {
                return Err(Error::unsupported(format!("{}: extension {id}, which must be understood", self.what)));
            }
        }
        Ok(())
    }

    pub(super) fn described(&self) -> &str {
        &self.what
    }

    pub(super) fn der(&self) -> &[u8] {
        &self.der
    }

    /// What of it is signed.
    pub(super) fn signed(&self) -> &[u8] {
        &self.signed
    }

    /// SHA-256 of the key that it is about.
    pub(super) fn key_id(&self) -> Digest {
        digest(&self.key)
    }

    /// # Errors
    ///
    /// `Unsupported` for a key on other curves than P-256 and P-384.
    pub(super) fn public_key(&self) -> Result<PublicKey> {
        PublicKey::from_der(&self.key).map_err(|e| e.during(self.what.clone()))
    }

    /// # Errors
    ///
    /// `Untrusted` at another time.
    pub(super) fn check_time(&self, time: u64) -> Result<()> {
        let validity = self.parsed.tbs_certificate().validity();
        let seconds = |time: x509_cert::time::Time| time.to_unix_duration().as_secs();
        let valid = Period { begin: seconds(validity.not_before), end: Some(seconds(validity.not_after)) };
        valid.check(&self.what, time)
    }

    /// That it is of an authority, which may certify, with so many authorities between it and the key that signs.
    ///
    /// # Errors
    ///
    /// `Untrusted` if not.
    pub(super) fn check_authority(&self, between: usize) -> Result<()> {
        let refused = |why: String| Err(untrusted(format!("{}: {why}", self.what)));
        let constraints = self.find::<BasicConstraints>()?;
        let Some(constraints) = constraints.filter(|constraints| constraints.ca) else {
            return refused("expected one of an authority, got one that may certify nobody".into());
        };
        if let Some(max) = constraints.path_len_constraint.filter(|max| usize::from(*max) < between) {
            return refused(format!("expected at most {max} authorities below it, got {between}"));
        }
        if self.find::<KeyUsage>()?.is_some_and(|usage| !usage.key_cert_sign()) {
            return refused("expected its key to be for certificates ('keyCertSign')".into());
        }
        self.check_signs_code()
    }

    /// That its key may sign packages.
    ///
    /// # Errors
    ///
    /// `Untrusted` if not.
    pub(super) fn check_signer(&self) -> Result<()> {
        let usage = self.find::<KeyUsage>()?;
        let refused = |why: &str| Err(untrusted(format!("{}: {why}", self.what)));
        if usage.as_ref().is_some_and(|usage| !usage.digital_signature()) {
            return refused("expected its key to be for signatures ('digitalSignature')");
        }
        if usage.is_none() && self.find::<ExtendedKeyUsage>()?.is_none() {
            return refused("expected it to say what its key is for, signatures or signing code");
        }
        self.check_signs_code()
    }

    /// That its key may sign packages, and nothing else.
    ///
    /// # Errors
    ///
    /// `Untrusted` if not.
    pub(super) fn check_short_lived_signer(&self) -> Result<()> {
        if self.find::<BasicConstraints>()?.is_some_and(|constraints| constraints.ca) {
            return Err(untrusted(format!("{}: expected one of a signer, got one of an authority", self.what)));
        }
        for (id, what) in [(KeyUsage::OID, "signatures"), (ExtendedKeyUsage::OID, "signing code")] {
            if self.extension(id).is_none() {
                return Err(untrusted(format!("{}: expected its key to be for {what}, got no word of it", self.what)));
            }
        }
        self.check_signer()
    }

    /// That, if it says what it is for, it is for signing code.
    fn check_signs_code(&self) -> Result<()> {
        match self.find::<ExtendedKeyUsage>()? {
            Some(usage) if !usage.0.iter().any(|purpose| [SIGNING_CODE, ANYTHING].contains(purpose)) => {
                let got: Vec<String> = usage.0.iter().map(ObjectIdentifier::to_string).collect();
                let (expected, got) = (SIGNING_CODE, got.join(", "));
                Err(untrusted(format!("{}: expected one for signing code ({expected}), got {got}", self.what)))
            }
            _ => Ok(()),
        }
    }

    /// Whether it was issued by an authority: by name and signature.
    ///
    /// # Errors
    ///
    /// `Unsupported` for an algorithm that is not taken.
    pub(super) fn is_issued_by(&self, authority: &Self) -> Result<bool> {
        if !self.names_as_issuer(authority) {
            return Ok(false);
        }
        let algorithm = self.parsed.signature_algorithm().oid;
        let signature = self.parsed.signature().as_bytes().unwrap_or_default();
        signature::verify(&authority.key, algorithm, &self.signed, signature).map_err(|e| e.during(self.what.clone()))
    }

    pub(super) fn names_as_issuer(&self, authority: &Self) -> bool {
        self.parsed.tbs_certificate().issuer() == authority.parsed.tbs_certificate().subject()
    }

    /// The name of who issued it, for messages.
    pub(super) fn issuer(&self) -> String {
        shown(&self.parsed.tbs_certificate().issuer().to_string())
    }

    /// Whom it was made out to: addresses, URIs, and names of providers' own.
    pub(super) fn holders(&self) -> Result<Vec<String>> {
        let names = self.find::<SubjectAltName>()?.map_or(Vec::new(), |names| names.0);
        let text = |name: GeneralName| match name {
            GeneralName::Rfc822Name(text) | GeneralName::UniformResourceIdentifier(text) => {
                Some(text.as_str().to_string())
            }
            GeneralName::OtherName(other) if other.type_id == OTHER_NAME => {
                let text = other.value.decode_as::<Utf8StringRef<'_>>().ok()?;
                Some(text.as_str().to_string())
            }
            _ => None,
        };
        Ok(names.into_iter().filter_map(text).collect())
    }

    /// The bytes of an extension.
    pub(super) fn extension(&self, id: ObjectIdentifier) -> Option<&[u8]> {
        self.extensions().iter().find(|extension| extension.extn_id == id).map(|found| found.extn_value.as_bytes())
    }

    /// An extension of a form that is known.
    fn find<'a, T: Decode<'a, Error = der::Error> + AssociatedOid>(&'a self) -> Result<Option<T>> {
        let broken = |e| Error::corrupt(format!("{}: extension {}: {e}", self.what, T::OID));
        self.extension(T::OID).map(|bytes| T::from_der(bytes).map_err(broken)).transpose()
    }

    fn extensions(&self) -> &[Extension] {
        self.parsed.tbs_certificate().extensions().map_or(&[], Vec::as_slice)
    }
}

/// What of a certificate is signed, as it lies there.
fn signed_part(der: &[u8]) -> der::Result<&[u8]> {
    let outer = AnyRef::from_der(der)?;
    outer.tag().assert_eq(Tag::Sequence)?;
    SliceReader::new(outer.value())?.tlv_bytes()
}
