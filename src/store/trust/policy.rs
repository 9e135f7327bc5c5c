//! Whom the app trusts.

use super::key::{PublicKey, untrusted};
use super::signed::Signed;
use super::state::Ratchet;
use super::tuf::{self, RepositoryFiles, Root};
use super::{bundle, name, statement};
use crate::Digest;
use crate::error::Result;

/// Whose packages are taken, and how fresh they must be. An empty one takes none.
///
/// ```
/// use selvedge::store::Trust;
/// let pem = "-----BEGIN PUBLIC KEY-----
/// MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt
/// 6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==
/// -----END PUBLIC KEY-----
/// ";
/// let trust = Trust::new().key(pem)?;
/// # Ok::<(), selvedge::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Trust {
    keys: Vec<PublicKey>,
    root: Option<Root>,
    unsigned: bool,
}

impl Trust {
    /// Trusts nobody.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a key whose signature is enough, as PEM (`-----BEGIN PUBLIC KEY-----`): ECDSA on P-256 or P-384.
    ///
    /// Before a key is given up, the next one is added beside it, and packages are signed with the next one from then on. Once the
    /// old one is not added any more, what it signed binds nobody.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for what is no such PEM; `Unsupported` for a key of another kind (P-521, Ed25519, RSA), a private key or
    /// a certificate.
    pub fn key(mut self, pem: &str) -> Result<Self> {
        let key = PublicKey::from_pem(pem)?;
        if self.keys.iter().all(|other| other.id != key.id) {
            self.keys.push(key);
        }
        Ok(self)
    }

    /// Wants every package listed in the metadata of a TUF repository, which is neither expired nor older than what was seen
    /// before. `metadata` is the root that the app is shipped with (`1.root.json`, or a later one), at most 512,000 bytes.
    ///
    /// A package is listed as a target by its `model.sig`. The keys of the role `targets` may sign packages as if they had been
    /// added with [`key`](Self::key), as long as the latest root names them.
    ///
    /// # Errors
    ///
    /// `Corrupt` for what is no root, `Untrusted` for one that its own keys did not sign, `Unsupported` for a later TUF.
    pub fn root(mut self, metadata: &[u8]) -> Result<Self> {
        self.root = Some(Root::parse_own(metadata)?);
        Ok(self)
    }

    /// Takes packages that nobody signed: whoever can write to where they come from decides what runs. For development.
    #[must_use]
    pub fn accept_unsigned_packages(mut self) -> Self {
        self.unsigned = true;
        self
    }

    /// What a trusted key vouches for with this `model.sig`, at most 16 MiB.
    ///
    /// # Errors
    ///
    /// `Corrupt` for what breaks the format, `Unsupported` for what is of it and not taken (certificates, shards, links, other
    /// hashes than SHA-256), `Untrusted` if no trusted key signed it.
    pub(crate) fn verify(&self, ratchet: &Ratchet, model_sig: &[u8]) -> Result<Signed> {
        bundle::open(model_sig, &self.keys(ratchet)?)
    }

    /// A package without `model.sig`, whose files the caller hashed. `files` in any order.
    ///
    /// # Errors
    ///
    /// `Untrusted` unless such packages are accepted; `Corrupt` for bad names.
    pub(crate) fn unsigned(&self, mut files: Vec<(String, Digest)>) -> Result<Signed> {
        if !self.unsigned {
            return Err(untrusted("package: expected a signature in 'model.sig', got none"));
        }
        files.sort_by(|a, b| a.0.cmp(&b.0));
        name::check_all("package", files.iter().map(|(name, _)| &**name))?;
        let root = statement::root(&files);
        Ok(Signed { key: None, files, root, bundle: None, ignored: Vec::new() })
    }

    /// The state after these metadata were verified as a whole, for the caller to keep; the one that is passed stays as it was.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` without a root, `Corrupt` for what breaks the format, `Untrusted` for what is not signed as the root
    /// demands, older than what was seen, expired, or not of one set.
    pub(crate) fn refresh(&self, ratchet: &Ratchet, files: &RepositoryFiles, clock: u64) -> Result<Ratchet> {
        tuf::refresh(self.root.as_ref(), ratchet, files, clock)
    }

    /// The keys that may sign a package.
    pub(super) fn keys(&self, ratchet: &Ratchet) -> Result<Vec<PublicKey>> {
        let mut keys = self.keys.clone();
        if let Some(own) = &self.root {
            keys.extend(tuf::current_root(own, ratchet)?.package_keys());
        }
        Ok(keys)
    }

    pub(super) fn has_root(&self) -> bool {
        self.root.is_some()
    }

    /// The root that the app is shipped with, if it is this one.
    pub(super) fn is_bootstrap(&self, bootstrap: &[u8]) -> bool {
        self.root.as_ref().is_some_and(|root| root.digest().0 == bootstrap)
    }

    /// Whether what this signer signed binds: `None` are packages that nobody signed.
    pub(super) fn counts(&self, keys: &[PublicKey], signer: Option<Digest>) -> bool {
        signer.map_or(self.unsigned, |id| keys.iter().any(|key| key.id == id))
    }
}
