//! What a signature comes down to: the files of a package, by their digests.

use super::statement;
use crate::Digest;

/// What a signer vouches for; or, of a package without a signature, what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signed {
    /// Who signed: a key or an authority, by the SHA-256 of its SubjectPublicKeyInfo, or what stands for an identity; `None` if
    /// nobody did, and that is accepted.
    pub(crate) key: Option<Digest>,
    /// All files of the package, in the order in which the digest over all is made.
    pub(crate) files: Vec<(String, Digest)>,
    /// Digest over all files: what a version is known by.
    pub(crate) root: Digest,
    /// Digest of `model.sig` itself.
    pub(super) bundle: Option<Digest>,
    pub(super) ignored: Vec<String>,
}

impl Signed {
    /// Whether a file of this name may lie in the package and be none of it: such files are not vouched for, and not taken in.
    pub(crate) fn ignores(&self, name: &str) -> bool {
        self.bundle.is_some() && statement::is_ignored(name, &self.ignored)
    }

    /// The digest that a file must have, if it is listed.
    pub(crate) fn find(&self, name: &str) -> Option<Digest> {
        self.files.iter().find(|(listed, _)| listed == name).map(|(_, digest)| *digest)
    }
}
