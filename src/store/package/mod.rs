//! Packages: a model's files as they come, in a folder, a tar stream or an OCI image layout.
//!
//! Reading says nothing of trust: who made the files is the signature's to say. What is checked here is the form: that
//! names stay inside of the package and do not collide, that every byte that was promised is there, that digests are
//! right, and that nothing but regular files comes out.
//!
//! | form | what it is | order in which files come |
//! |---|---|---|
//! | folder | regular files in it and in the folders below | the signature, then by size, smallest first |
//! | tar | `ustar`, GNU or pax, not compressed | as the writer put them: the signature is best put first |
//! | OCI image layout | `oci-layout`, `index.json`, `blobs/sha256/…`; a ModelPack manifest with raw layers | the signature, then by size |
//!
//! # Media types
//!
//! | of | media type |
//! |---|---|
//! | manifest (`artifactType`) | `application/vnd.cncf.model.manifest.v1+json` |
//! | config | `application/vnd.cncf.model.config.v1+json`; read also `application/vnd.oci.empty.v1+json` |
//! | weights | `application/vnd.cncf.model.weight.v1.raw` |
//! | configuration of weights | `application/vnd.cncf.model.weight.config.v1.raw` |
//! | documents, code, data | `application/vnd.cncf.model.doc.v1.raw`, `….code.v1.raw`, `….dataset.v1.raw` |
//! | reference profile | `application/vnd.selvedge.profile.v1` |
//! | golden cases | `application/vnd.selvedge.golden.v1` |
//! | signature | `application/vnd.dev.sigstore.bundle.v0.3+json` |
//!
//! A layer is one file, byte for byte, so that it can be mapped where it lies. Its name is the annotation
//! `org.cncf.model.filepath`, or `org.opencontainers.image.title` where that one is absent.

mod artifact;
mod checked;
mod folder;
mod layout;
mod media;
mod name;
mod tar;
#[cfg(test)]
mod tests;
mod write;

use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

pub use artifact::{Artifact, ArtifactBlob, ArtifactFile};
pub(crate) use checked::PackageFile;

use crate::{Error, Result};

/// The name of the signature's file in a package.
pub(crate) const SIGNATURE: &str = "model.sig";

/// A package of a model: where its files come from.
///
/// A path stands for a folder, a tar file or an OCI image layout, whichever is there:
///
/// ```no_run
/// use selvedge::store::Package;
/// let by_path = Package::from("rain-2.tar");
/// let streamed = Package::tar(std::io::stdin());
/// let one_of_several = Package::layout("layouts/rain").tag("2.0");
/// ```
pub struct Package {
    form: Form,
    tag: Option<String>,
}

enum Form {
    /// Whatever is there.
    Path(PathBuf),
    Folder(PathBuf),
    Layout(PathBuf),
    Tar(Box<dyn Read + Send>),
}

impl Package {
    /// The files in a folder and below it. Links are refused: what is signed is the files themselves.
    pub fn folder(path: impl Into<PathBuf>) -> Self {
        Self { form: Form::Folder(path.into()), tag: None }
    }

    /// A tar stream, not compressed. It is read to its end mark and no further.
    pub fn tar(reader: impl Read + Send + 'static) -> Self {
        Self { form: Form::Tar(Box::new(reader)), tag: None }
    }

    /// An OCI image layout: the folder that holds `oci-layout` and `index.json`.
    pub fn layout(path: impl Into<PathBuf>) -> Self {
        Self { form: Form::Layout(path.into()), tag: None }
    }

    /// Says which manifest of an OCI image layout is meant, by its tag (`org.opencontainers.image.ref.name`) or as
    /// `sha256:…`. A layout of one manifest needs none; other forms have no tags, and refuse one.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tag = Some(tag.into());
        self
    }

    /// Shows each file to `see`, in the package's order; its error ends the work. Of a file that `see` began to read, the
    /// rest is read and checked as well; one that it did not begin is passed over unread.
    ///
    /// # Errors
    ///
    /// `NotFound` where nothing is; `Corrupt` for what breaks its form's rules, is cut off or has another digest than was
    /// promised; `Unsupported` for links, devices, compressed and unknown parts; `InvalidArgument` for a tag that is not
    /// there, or is needed; `Io`.
    pub(crate) fn visit(self, see: &mut dyn FnMut(&mut PackageFile<'_>) -> Result<()>) -> Result<()> {
        let form = match self.form {
            Form::Path(path) => form_of(path)?,
            form => form,
        };
        if self.tag.is_some() && !matches!(form, Form::Layout(_)) {
            return Err(Error::invalid("package: expected no tag for a folder or a tar, got one"));
        }
        match form {
            Form::Folder(path) | Form::Path(path) => folder::visit(&path, see),
            Form::Layout(path) => layout::visit(&path, self.tag.as_deref(), see),
            Form::Tar(reader) => tar::visit(reader, see),
        }
    }
}

/// The form of what lies there.
fn form_of(path: PathBuf) -> Result<Form> {
    let io = |e| Error::io(path.display(), e);
    let meta = fs::metadata(&path).map_err(io)?;
    if meta.is_dir() {
        let is_layout = path.join(layout::MARK).symlink_metadata().is_ok();
        return Ok(if is_layout { Form::Layout(path) } else { Form::Folder(path) });
    }
    if !meta.is_file() {
        let message =
            format!("{}: expected a folder or a regular file, got a pipe, a socket or a device", path.display());
        return Err(Error::invalid(message));
    }
    Ok(Form::Tar(Box::new(File::open(&path).map_err(io)?)))
}

impl<P: AsRef<Path> + ?Sized> From<&P> for Package {
    fn from(path: &P) -> Self {
        Self { form: Form::Path(path.as_ref().into()), tag: None }
    }
}

impl From<PathBuf> for Package {
    fn from(path: PathBuf) -> Self {
        Self { form: Form::Path(path), tag: None }
    }
}

impl From<String> for Package {
    fn from(path: String) -> Self {
        Self { form: Form::Path(path.into()), tag: None }
    }
}

impl fmt::Debug for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (form, path) = match &self.form {
            Form::Path(path) => ("path", Some(path)),
            Form::Folder(path) => ("folder", Some(path)),
            Form::Layout(path) => ("layout", Some(path)),
            Form::Tar(_) => ("tar", None),
        };
        f.debug_struct("Package").field("form", &form).field("path", &path).field("tag", &self.tag).finish()
    }
}
