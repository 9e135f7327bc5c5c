//! The manifest of a version: which files it has.

use serde::{Deserialize, Serialize};

use super::sealed::{self, digest};
use crate::{Digest, Error, Result};

/// The most bytes of a manifest: 10,000 files with names of 512 bytes fit.
pub(super) const MAX_MANIFEST: u64 = 16 << 20;
const FORMAT: u32 = 1;

/// A version as it lies in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    format: u32,
    /// Hexadecimal digits, like all digests here.
    id: String,
    /// Whose signature was verified; none of a package that nobody signed.
    key: Option<String>,
    /// In the order of the signature, on which the id depends: by name, or by the parts of names.
    pub(super) files: Vec<ManifestFile>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ManifestFile {
    pub(super) name: String,
    pub(super) size: u64,
    sha256: String,
}

impl ManifestFile {
    pub(super) fn new(name: &str, size: u64, digest: Digest) -> Self {
        Self { name: name.into(), size, sha256: digest.to_string() }
    }

    /// Checked when the manifest was read.
    pub(super) fn digest(&self) -> Digest {
        self.sha256.parse().unwrap_or_default()
    }
}

impl Manifest {
    pub(super) fn new(files: Vec<ManifestFile>, key: Option<Digest>) -> Self {
        let key = key.map(|key| key.to_string());
        Self { format: FORMAT, id: id_of(&files).to_string(), key, files }
    }

    pub(super) fn id(&self) -> Digest {
        self.id.parse().unwrap_or_default()
    }

    pub(super) fn key(&self) -> Option<Digest> {
        self.key.as_ref().and_then(|key| key.parse().ok())
    }

    pub(super) fn to_bytes(&self) -> Result<Vec<u8>> {
        sealed::seal(self)
    }

    /// The manifest of this version.
    ///
    /// # Errors
    ///
    /// `Corrupt` for one that is not whole, or is of another version.
    pub(super) fn parse(id: Digest, bytes: &[u8]) -> Result<Self> {
        let manifest: Self = sealed::unseal("manifest", bytes)?;
        for file in &manifest.files {
            file.sha256.parse::<Digest>().map_err(|e| Error::corrupt("manifest: expected digests").because(e))?;
        }
        let got = id_of(&manifest.files);
        if manifest.format != FORMAT || got != id {
            return Err(Error::corrupt(format!("manifest: expected that of version {id}, got {got}")));
        }
        Ok(manifest)
    }

    pub(super) fn file(&self, name: &str) -> Result<&ManifestFile> {
        let missing = || Error::new(crate::Code::NotFound, format!("version {}: it has no file '{name}'", self.id));
        self.files.iter().find(|file| file.name == name).ok_or_else(missing)
    }
}

/// The digest over all files, as the signature has it: of their raw digests, in its order.
fn id_of(files: &[ManifestFile]) -> Digest {
    digest(&files.iter().flat_map(|file| file.digest().0).collect::<Vec<u8>>())
}
