//! The file `model.sig`: a Sigstore bundle, version 0.3, around a DSSE envelope.
//!
//! What is signed is not the payload alone but `DSSEv1 <length> <type> <length> <payload>`, so that no signature of one type of
//! payload stands for another.

use base64ct::{Base64, Encoding};

use super::json::{Json, Members, shown};
use super::key::{PublicKey, digest, untrusted};
use super::signed::Signed;
use super::statement::{self, MAX_BYTES};
use crate::Digest;
use crate::error::{Error, Result};

pub(super) const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
pub(super) const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
const WHAT: &str = "signature";

/// A bundle that was read, and not verified.
#[derive(Debug)]
pub(super) struct Bundle {
    pub(super) method: Method,
    /// Which key signed, as the signer says: SHA-256 in hexadecimal digits. Bundles of before 2025 have none.
    hint: Option<String>,
    /// What a certificate comes with.
    #[cfg(feature = "keyless")]
    pub(super) material: Json,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

/// How a bundle says that it was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// With a key that the verifier has.
    Key,
    /// With the key of a certificate, which comes with those of the authorities above it.
    Chain,
    /// With a key that lived for minutes, whose certificate says who had it.
    Keyless,
}

impl Method {
    /// Where only keys are trusted.
    pub(super) fn unsupported(self) -> Error {
        let got = match self {
            Self::Key => "key",
            Self::Chain => "chain of certificates",
            Self::Keyless => "short-lived certificate (keyless)",
        };
        Error::unsupported(format!("{WHAT}: expected one made with a key, got one made with a {got}"))
    }
}

impl Bundle {
    /// # Errors
    ///
    /// `Corrupt` for what breaks the format; `Unsupported` for other versions.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        let json = Json::parse(WHAT, bytes, MAX_BYTES)?;
        let bundle = json.members(WHAT)?;
        check_media_type(bundle.text("mediaType")?)?;
        let material = bundle.object("verificationMaterial")?;
        let method = method(&material)?;
        let hint = if method == Method::Key { hint(&material)? } else { None };
        let envelope = bundle.object("dsseEnvelope")?;
        bundle.only(&["mediaType", "verificationMaterial", "dsseEnvelope"])?;

        envelope.expect("payloadType", PAYLOAD_TYPE)?;
        let payload = base64(&envelope, "payload")?;
        let [signature] = envelope.list("signatures")? else {
            let got = envelope.list("signatures")?.len();
            return Err(Error::corrupt(format!("{}: 'signatures': expected 1, got {got}", envelope.what)));
        };
        let signature = signature.members(format!("{}: 'signatures'", envelope.what))?;
        // The name of a key here is not signed, and says nothing: the hint does.
        if !matches!(signature.find("keyid"), None | Some(Json::Null | Json::Text(_))) {
            signature.text("keyid")?;
        }
        Ok(Self {
            method,
            hint,
            #[cfg(feature = "keyless")]
            material: bundle.get("verificationMaterial")?.clone(),
            payload,
            signature: base64(&signature, "sig")?,
        })
    }

    /// The key that signed the payload.
    ///
    /// # Errors
    ///
    /// `Untrusted` if none of the keys did.
    pub(super) fn signer(&self, keys: &[PublicKey]) -> Result<PublicKey> {
        let message = encode(&self.payload);
        let named: Vec<&PublicKey> = keys.iter().filter(|key| self.may_be_of(key)).collect();
        if let (Some(hint), true) = (&self.hint, named.is_empty()) {
            let got = shown(hint);
            return Err(untrusted(format!("{WHAT}: expected one of {} trusted keys, got key '{got}'", keys.len())));
        }
        let signer = named.into_iter().find(|key| key.verifies(&message, &self.signature));
        let signer =
            signer.ok_or_else(|| untrusted(format!("{WHAT}: it is not of the trusted key, over these bytes")))?;
        Ok(signer.clone())
    }

    /// Whether a key signed the payload, which no hint names.
    #[cfg(feature = "keyless")]
    pub(super) fn is_of(&self, key: &PublicKey) -> bool {
        key.verifies(&encode(&self.payload), &self.signature)
    }

    #[cfg(feature = "keyless")]
    pub(super) fn payload(&self) -> &[u8] {
        &self.payload
    }

    #[cfg(feature = "keyless")]
    pub(super) fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// The files that a signer vouches for who was found to be one that is trusted. `bytes` are those of the bundle.
    pub(super) fn signed(&self, bytes: &[u8], signer: Digest) -> Result<Signed> {
        let statement = statement::parse(&self.payload)?;
        Ok(Signed {
            key: Some(signer),
            files: statement.files,
            root: statement.root,
            bundle: Some(digest(bytes)),
            ignored: statement.ignored,
        })
    }

    fn may_be_of(&self, key: &PublicKey) -> bool {
        self.hint.as_ref().is_none_or(|hint| [key.hint, key.id].iter().any(|digest| digest.to_string() == *hint))
    }
}

/// What a signature in an envelope is over.
pub(super) fn encode(payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {PAYLOAD_TYPE} {} ", PAYLOAD_TYPE.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

/// Bundle, as bytes, of a statement that was signed.
pub(super) fn write(statement: &[u8], signature: &[u8], key: &PublicKey) -> Vec<u8> {
    let bundle = serde_json::json!({
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": { "publicKey": { "hint": key.hint.to_string() }, "tlogEntries": [] },
        "dsseEnvelope": {
            "payload": Base64::encode_string(statement),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{ "sig": Base64::encode_string(signature), "keyid": "" }],
        },
    });
    bundle.to_string().into_bytes()
}

fn check_media_type(got: &str) -> Result<()> {
    if got == MEDIA_TYPE {
        return Ok(());
    }
    let message = format!("{WHAT}: 'mediaType': expected '{MEDIA_TYPE}', got '{}'", shown(got));
    if got.starts_with("application/vnd.dev.sigstore.bundle") {
        return Err(Error::unsupported(message));
    }
    Err(Error::corrupt(message))
}

fn method(material: &Members<'_>) -> Result<Method> {
    const METHODS: [&str; 3] = ["publicKey", "x509CertificateChain", "certificate"];
    let methods: Vec<&str> = METHODS.into_iter().filter(|method| material.find(method).is_some()).collect();
    let log_entries = match material.find("tlogEntries") {
        Some(_) => material.list("tlogEntries")?.len(),
        None => 0,
    };
    match methods[..] {
        ["publicKey"] => Ok(Method::Key),
        ["certificate"] if log_entries == 0 => {
            let expected = "'tlogEntries': expected at least 1 beside a certificate, got none";
            Err(Error::corrupt(format!("{}: {expected}", material.what)))
        }
        ["certificate"] => Ok(Method::Keyless),
        ["x509CertificateChain"] => Ok(Method::Chain),
        _ => Err(Error::corrupt(format!("{}: expected one of {METHODS:?}, got {methods:?}", material.what))),
    }
}

/// The hint of a bundle that was signed with a key.
fn hint(material: &Members<'_>) -> Result<Option<String>> {
    let key = material.object("publicKey")?;
    let has_hint = !matches!(key.find("hint"), None | Some(Json::Null));
    has_hint.then(|| key.text("hint").map(String::from)).transpose()
}

/// The bytes of a text in base64 of the standard alphabet, padded, with no bit that says nothing.
pub(super) fn base64(members: &Members<'_>, key: &str) -> Result<Vec<u8>> {
    let text = members.text(key)?;
    Base64::decode_vec(text).map_err(|e| Error::corrupt(format!("{}: '{key}': not base64: {e}", members.what)))
}
