//! The root: which keys sign which role, and how many of them it takes.

use std::collections::BTreeMap;

use super::super::json::{Members, shown};
use super::super::key::{PublicKey, digest, untrusted};
use super::metadata::{Metadata, bytes_of};
use crate::Digest;
use crate::error::{Error, Result};

pub(super) const MAX_BYTES: usize = 512_000;
const ROLES: [&str; 4] = ["root", "timestamp", "snapshot", "targets"];

/// A root that is trusted.
#[derive(Clone, Debug)]
pub(in super::super) struct Root {
    bytes: Vec<u8>,
    version: u64,
    expires: u64,
    roles: BTreeMap<&'static str, Role>,
    digest: Digest,
}

/// Who signs a role.
#[derive(Clone, Debug)]
struct Role {
    threshold: u64,
    keys: BTreeMap<String, Key>,
}

#[derive(Clone, Debug)]
pub(in super::super) enum Key {
    Ecdsa(Box<PublicKey>),
    Ed25519(ed25519_dalek::VerifyingKey),
    /// Of a kind that is not verified here, RSA among them: it counts for nothing. By the digest of what it is.
    Other(Digest),
}

impl Root {
    /// The root that an app is shipped with.
    pub(in super::super) fn parse_own(bytes: &[u8]) -> Result<Self> {
        let metadata = Metadata::parse("root", bytes, MAX_BYTES)?;
        let root = Self::new(&metadata, bytes)?;
        root.check(&metadata)?;
        Ok(root)
    }

    /// One that was verified before, and kept.
    pub(super) fn parse_kept(bytes: &[u8], bootstrap: Digest) -> Result<Self> {
        let root = Self::parse_own(bytes)?;
        Ok(Self { digest: bootstrap, ..root })
    }

    fn new(metadata: &Metadata, bytes: &[u8]) -> Result<Self> {
        let signed = metadata.signed()?;
        let (keys, listed) = (signed.object("keys")?, signed.object("roles")?);
        let roles = ROLES.into_iter().map(|role| Ok((role, Role::parse(&listed.object(role)?, &keys)?)));
        Ok(Self {
            bytes: bytes.into(),
            version: metadata.version()?,
            expires: metadata.expires()?,
            roles: roles.collect::<Result<_>>()?,
            digest: digest(bytes),
        })
    }

    /// The root that comes after this one.
    ///
    /// # Errors
    ///
    /// `Untrusted` unless its number is the next and enough keys of both signed it.
    pub(super) fn follow(&self, next: &Metadata, bytes: &[u8]) -> Result<Self> {
        let (expected, got) = (self.version + 1, next.version()?);
        if got != expected {
            return Err(untrusted(format!("root: expected version {expected} after {}, got {got}", self.version)));
        }
        self.check(next)?;
        let root = Self::new(next, bytes)?;
        root.check(next)?;
        Ok(Self { digest: self.digest, ..root })
    }

    /// Whether enough keys of its role signed a file.
    ///
    /// # Errors
    ///
    /// `Untrusted` if they didn't; `Corrupt` for signatures that are none, or of one key twice.
    pub(super) fn check(&self, metadata: &Metadata) -> Result<()> {
        let what = metadata.what();
        let role = self.roles.get(what).ok_or_else(|| Error::internal(format!("root: no role '{what}'")))?;
        let mut signers: Vec<Vec<u8>> = Vec::new();
        for (id, signature) in metadata.signatures()? {
            // Two names for one key are one signer.
            let key = role.keys.get(id).filter(|key| !signers.contains(&key.identity()));
            if let Some(key) = key.filter(|key| key.verifies(metadata.message(), &signature)) {
                signers.push(key.identity());
            }
        }
        if signers.len() as u64 >= role.threshold {
            return Ok(());
        }
        let (expected, got, version) = (role.threshold, signers.len(), self.version);
        Err(untrusted(format!("{what}: expected {expected} signatures by keys of root {version}, got {got}")))
    }

    /// Whether one of the roles is of other keys than under another root.
    pub(super) fn has_other_keys(&self, other: &Self, roles: &[&str]) -> bool {
        let keys = |root: &Self, role: &str| {
            let mut keys: Vec<_> =
                root.roles.get(role).iter().flat_map(|r| r.keys.values().map(Key::identity)).collect();
            keys.sort();
            keys
        };
        roles.iter().any(|role| keys(self, role) != keys(other, role))
    }

    /// The keys of the role `targets` that can sign a package.
    pub(in super::super) fn package_keys(&self) -> Vec<PublicKey> {
        let ecdsa = |key: &Key| match key {
            Key::Ecdsa(key) => Some((**key).clone()),
            Key::Ed25519(_) | Key::Other(_) => None,
        };
        self.roles.get("targets").iter().flat_map(|role| role.keys.values().filter_map(ecdsa)).collect()
    }

    /// SHA-256 of the root that the app is shipped with, from which this one comes.
    pub(in super::super) fn digest(&self) -> Digest {
        self.digest
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn expires(&self) -> u64 {
        self.expires
    }
}

impl Role {
    fn parse(role: &Members<'_>, keys: &Members<'_>) -> Result<Self> {
        let what = format!("{}: 'keyids'", role.what);
        let mut own = BTreeMap::new();
        for id in role.list("keyids")? {
            let id = id.text(&what)?;
            if own.insert(id.to_string(), Key::parse(&keys.object(id)?)?).is_some() {
                return Err(Error::corrupt(format!("{what}: '{}' comes twice", shown(id))));
            }
        }
        Ok(Self { threshold: role.integer("threshold", 1, 1 << 16)?, keys: own })
    }
}

impl Key {
    pub(in super::super) fn parse(key: &Members<'_>) -> Result<Self> {
        let (kind, scheme) = (key.text("keytype")?, key.text("scheme")?);
        let public = key.object("keyval")?.text("public")?;
        let corrupt = |why: &str| Error::corrupt(format!("{}: {why}", key.what));
        match (kind, scheme) {
            ("ed25519", "ed25519") => {
                let bytes = bytes_of(public).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
                let key = bytes.and_then(|bytes| ed25519_dalek::VerifyingKey::from_bytes(&bytes).ok());
                key.map(Self::Ed25519).ok_or_else(|| corrupt("expected an Ed25519 key of 64 hexadecimal digits"))
            }
            (
                "ecdsa" | "ecdsa-sha2-nistp256" | "ecdsa-sha2-nistp384",
                "ecdsa-sha2-nistp256" | "ecdsa-sha2-nistp384",
            ) => {
                let key = PublicKey::from_pem(public).map_err(|e| corrupt(e.message()))?;
                if key.is_p256() != (scheme == "ecdsa-sha2-nistp256") {
                    return Err(corrupt(&format!("expected a key for '{scheme}', got one on another curve")));
                }
                Ok(Self::Ecdsa(Box::new(key)))
            }
            _ => Ok(Self::Other(digest(format!("{kind} {scheme} {public}").as_bytes()))),
        }
    }

    pub(in super::super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Ecdsa(key) => key.verifies(message, signature),
            Self::Ed25519(key) => {
                let signature = ed25519_dalek::Signature::from_slice(signature);
                signature.is_ok_and(|signature| key.verify_strict(message, &signature).is_ok())
            }
            Self::Other(_) => false,
        }
    }

    /// What a key is, whatever it is called.
    fn identity(&self) -> Vec<u8> {
        match self {
            Self::Ecdsa(key) => key.id.0.to_vec(),
            Self::Ed25519(key) => key.as_bytes().to_vec(),
            Self::Other(digest) => digest.0.to_vec(),
        }
    }
}
