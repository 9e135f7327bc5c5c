//! Whom the app trusts.

use super::bundle::{Bundle, Method};
#[cfg(feature = "keyless")]
use super::certified::Certified;
use super::key::{PublicKey, untrusted};
use super::signed::Signed;
use super::state::Ratchet;
use super::tuf::{self, RepositoryFiles, Root};
use super::{name, statement};
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
    #[cfg(feature = "keyless")]
    certified: Certified,
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

    /// Adds a certificate authority, as PEM (`-----BEGIN CERTIFICATE-----`): the signature of any key is enough that it, or an
    /// authority below it, certified for signing. The package brings the certificates in between.
    ///
    /// ```
    /// # fn f(pem: &str) -> selvedge::Result<()> {
    /// use selvedge::store::Trust;
    /// let trust = Trust::new().authority(pem)?;
    /// # Ok(()) }
    /// ```
    ///
    /// Every certificate must be valid at the time of the import: nothing in such a package proves when it was signed. For the
    /// ratchet, all that an authority certified is one signer.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for what is no such PEM, and for a certificate that is not an authority's.
    #[cfg(feature = "keyless")]
    pub fn authority(mut self, pem: &str) -> Result<Self> {
        self.certified.add_authority(pem)?;
        Ok(self)
    }

    /// Adds somebody whose signature is enough without a key that lasts (Sigstore): `identity` is the e-mail address or the URI
    /// that the certificate was made out to, `issuer` the OpenID Connect issuer that vouched for it, both character by character.
    /// Needs [`sigstore`](Self::sigstore), too.
    ///
    /// ```
    /// # fn f(trusted_root: &[u8]) -> selvedge::Result<()> {
    /// use selvedge::store::Trust;
    /// let trust = Trust::new()
    ///     .identity("models@example.com", "https://accounts.example.com")?
    ///     .sigstore(trusted_root)?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for an empty text, and for one with a line break.
    #[cfg(feature = "keyless")]
    pub fn identity(mut self, identity: &str, issuer: &str) -> Result<Self> {
        self.certified.add_identity(identity, issuer)?;
        Ok(self)
    }

    /// Says which authority and which logs keyless signatures are verified by: the file `trusted_root.json` of a Sigstore, at most
    /// 1 MiB. It is the app's to ship and to renew; nothing is fetched.
    ///
    /// ```
    /// use selvedge::store::Trust;
    /// let root = r#"{
    ///     "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
    ///     "certificateAuthorities": [], "tlogs": [], "ctlogs": []
    /// }"#;
    /// let trust = Trust::new().sigstore(root.as_bytes())?; // by which nobody is known yet
    /// # Ok::<(), selvedge::Error>(())
    /// ```
    ///
    /// Of its logs, those with a key on P-256 or P-384 are used. An entry of the log must come with its signed timestamp and with
    /// the proof that it is in the log; what timestamp authorities signed is not read.
    ///
    /// # Errors
    ///
    /// `Corrupt` for what is no trusted root, `Unsupported` for one of another version.
    #[cfg(feature = "keyless")]
    pub fn sigstore(mut self, trusted_root: &[u8]) -> Result<Self> {
        self.certified.set_sigstore(trusted_root)?;
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

    /// What somebody who is trusted vouches for with this `model.sig`, at most 16 MiB. `clock` in seconds since 1970.
    ///
    /// # Errors
    ///
    /// `Corrupt` for what breaks the format, `Unsupported` for what is of it and not taken (certificates where only keys are
    /// trusted, shards, links, other hashes than SHA-256), `Untrusted` if nobody signed it who is trusted.
    pub(crate) fn verify(&self, ratchet: &Ratchet, model_sig: &[u8], clock: u64) -> Result<Signed> {
        let bundle = Bundle::parse(model_sig)?;
        let signer = match bundle.method {
            Method::Key => bundle.signer(&self.keys(ratchet)?)?.id,
            Method::Chain | Method::Keyless => self.certified(ratchet, &bundle, clock)?,
        };
        bundle.signed(model_sig, signer)
    }

    /// Who signed, of those who are trusted by a certificate.
    #[cfg(feature = "keyless")]
    fn certified(&self, ratchet: &Ratchet, bundle: &Bundle, clock: u64) -> Result<Digest> {
        self.certified.signer(bundle, super::time::believed(clock, ratchet.state.time))
    }

    #[cfg(not(feature = "keyless"))]
    fn certified(&self, _: &Ratchet, bundle: &Bundle, _: u64) -> Result<Digest> {
        Err(bundle.method.unsupported())
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
        #[cfg(feature = "keyless")]
        if signer.is_some_and(|id| self.certified.counts(id)) {
            return true;
        }
        signer.map_or(self.unsigned, |id| keys.iter().any(|key| key.id == id))
    }
}
