//! A version of a model, as it lies in a store.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::files::Files;
use super::manifest::{MAX_MANIFEST, Manifest, ManifestFile};
use super::sealed::digest;
use super::trust::{Content, Release};
use crate::source::Source;
use crate::{Code, Digest, Error, Result};

pub(super) const VERSIONS: &str = "versions";
pub(super) const MANIFEST: &str = "manifest";
pub(super) const CONTENTS: &str = "files";
/// The file that says which version it is.
pub(super) const RELEASE: &str = "selvedge.json";
/// The most bytes of it.
pub(super) const MAX_RELEASE: u64 = 64 << 10;
/// The most bytes of a file that is read whole.
const MAX_CONTENTS: u64 = 16 << 20;

/// A version of a model in a [`Store`](super::Store). It never changes; clones are the same version.
///
/// A version that is [removed](super::Store::remove) while one of these is held has no files any more, but what was opened
/// of them stays.
#[derive(Clone)]
pub struct Version {
    files: Arc<Files>,
    manifest: Arc<Manifest>,
    release: Arc<Release>,
}

impl Version {
    /// The version in its folder.
    pub(super) fn read(files: Arc<Files>, id: Digest) -> Result<Self> {
        let (name, manifest) = (format!("{}/{MANIFEST}", folder_of(id)), MAX_MANIFEST);
        let bytes = files.call(&name, |disk, name| disk.read(name, manifest))?;
        let manifest = Manifest::parse(id, &bytes)?;
        let release = manifest.file(RELEASE).map_err(|e| e.with_code(Code::Corrupt))?;
        let at = format!("{}/{CONTENTS}/{RELEASE}", folder_of(id));
        let bytes = files.call(&at, |disk, at| disk.read(at, MAX_RELEASE))?;
        if digest(&bytes) != release.digest() {
            return Err(Error::corrupt(format!("version {id}: '{RELEASE}' is not as it was signed")));
        }
        let release = Release::parse(&bytes)?;
        Ok(Self { files, manifest: Arc::new(manifest), release: Arc::new(release) })
    }

    /// Digest over all files of the version, as its signature has it: SHA-256 of their raw digests, by name. Two packages of
    /// the same files are one version, whoever signed them and however they came.
    pub fn id(&self) -> Digest {
        self.manifest.id()
    }

    /// What the package says of itself: name, number, channel, share.
    pub fn release(&self) -> &Release {
        &self.release
    }

    /// Name of the model over all its versions.
    pub fn name(&self) -> &str {
        &self.release.name
    }

    /// Number of the version: later ones have higher numbers.
    pub fn number(&self) -> u64 {
        self.release.version
    }

    /// Who signed the package, `None` if nobody did: the key, by the SHA-256 of its SubjectPublicKeyInfo; of a certified key, that of
    /// the trusted authority; of a keyless signature the SHA-256 of the lines `keyless`, issuer and identity, with a line break
    /// between them.
    pub fn key(&self) -> Option<Digest> {
        self.manifest.key()
    }

    /// SHA-256 of the model's file, as the package has it; `None` if it has none. It is what a
    /// [`Provenance`](crate::Provenance) says of a model of one file.
    pub fn model_digest(&self) -> Option<Digest> {
        match &self.release.content {
            Content::Model { model, .. } => self.manifest.file(model).ok().map(ManifestFile::digest),
            _ => None,
        }
    }

    /// Names and sizes in bytes of its files, by name.
    pub fn files(&self) -> impl Iterator<Item = (&str, u64)> {
        let mut files: Vec<(&str, u64)> = self.manifest.files.iter().map(|file| (&*file.name, file.size)).collect();
        files.sort_unstable();
        files.into_iter()
    }

    /// The model, for [`open`](crate::open), which maps it where it lies. Every file of the version is checked before, as
    /// [`verify`](Self::verify) does.
    ///
    /// # Errors
    ///
    /// Those of [`verify`](Self::verify); `NotFound` if the package has no file of the model's name.
    pub fn model(&self) -> Result<Source> {
        self.verify()?;
        match &self.release.content {
            Content::Model { model, .. } => {
                self.manifest.file(model).map(|file| Source::Path(self.path_of(&file.name)))
            }
            _ => Err(Error::new(Code::NotFound, format!("version {}: it has no model", self.id()))),
        }
    }

    /// One of its files, checked before.
    ///
    /// # Errors
    ///
    /// `NotFound` if the version has none of this name; those of [`verify`](Self::verify).
    pub fn file(&self, name: &str) -> Result<Source> {
        let file = self.manifest.file(name)?;
        self.verify_file(file, &mut || Ok(()))?;
        Ok(Source::Path(self.path_of(name)))
    }

    /// The bytes of one of its files, of at most 16 MiB, checked before.
    ///
    /// # Errors
    ///
    /// `Unsupported` for a larger file; those of [`file`](Self::file).
    pub fn contents(&self, name: &str) -> Result<Vec<u8>> {
        let file = self.manifest.file(name)?;
        if file.size > MAX_CONTENTS {
            let (id, size) = (self.id(), file.size);
            return Err(Error::unsupported(format!(
                "version {id}: '{name}': expected at most {MAX_CONTENTS} bytes, got {size}"
            )));
        }
        self.verify_file(file, &mut || Ok(()))?;
        self.files.call(&self.at(&format!("{CONTENTS}/{name}")), |disk, at| disk.read(at, MAX_CONTENTS))
    }

    /// The reference profile, if the package says that there is one.
    ///
    /// # Errors
    ///
    /// Those of [`file`](Self::file).
    pub fn profile(&self) -> Result<Option<Source>> {
        match &self.release.content {
            Content::Model { profile: Some(name), .. } => self.file(name).map(Some),
            _ => Ok(None),
        }
    }

    /// The golden cases, if the package says that there are some.
    ///
    /// # Errors
    ///
    /// Those of [`file`](Self::file).
    pub fn golden(&self) -> Result<Option<Source>> {
        match &self.release.content {
            Content::Model { golden: Some(name), .. } => self.file(name).map(Some),
            _ => Ok(None),
        }
    }

    /// Checks that the version's files are there, whole and unchanged, and no others. A file is read once in a process;
    /// after that it is enough that neither its size nor its times changed.
    ///
    /// # Errors
    ///
    /// `Corrupt` for a version that is damaged, after which the one before may serve; `NotFound` for a file that is gone;
    /// `Io`.
    pub fn verify(&self) -> Result<()> {
        self.verify_with(&mut || Ok(()))
    }

    /// The same, while `check` has no error: it is asked before each MiB.
    ///
    /// # Errors
    ///
    /// Those of [`verify`](Self::verify); that of `check`.
    pub fn verify_with(&self, check: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        let listed = self.files.list_below(&self.at(CONTENTS)).map_err(|e| self.during(e))?;
        if let Some(other) = listed.iter().find(|name| self.manifest.file(name).is_err()) {
            return Err(Error::corrupt(format!("version {}: expected no file '{other}'", self.id())));
        }
        self.manifest.files.iter().try_for_each(|file| self.verify_file(file, check))
    }

    fn verify_file(&self, file: &ManifestFile, check: &mut dyn FnMut() -> Result<()>) -> Result<()> {
        let at = self.at(&format!("{CONTENTS}/{}", file.name));
        self.files.verify(&at, file.size, file.digest(), &mut |_| check()).map_err(|e| self.during(e))
    }

    fn during(&self, e: Error) -> Error {
        e.during(format!("verifying version {}", self.id()))
    }

    fn path_of(&self, name: &str) -> PathBuf {
        self.files.path(&self.at(&format!("{CONTENTS}/{name}")))
    }

    fn at(&self, inside: &str) -> String {
        format!("{}/{inside}", folder_of(self.id()))
    }

    pub(super) fn manifest(&self) -> &Manifest {
        &self.manifest
    }
}

/// The folder of a version.
pub(super) fn folder_of(id: Digest) -> String {
    format!("{VERSIONS}/{id}")
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Version")
            .field("id", &self.id())
            .field("name", &self.name())
            .field("number", &self.number())
            .finish()
    }
}
