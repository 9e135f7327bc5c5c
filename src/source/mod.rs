//! Sources: where a file's bytes are, and the one opening of it: what is checked and hashed is what a runtime gets.
//!
//! Enters: a path, an open file or bytes. Leaves: an [`OpenedFile`], mapped or read. May import: tensor.

mod folder;
mod opened;
#[cfg_attr(
    not(any(feature = "ort", feature = "rten", feature = "tract")),
    allow(dead_code, reason = "only what loads a model leaves much")
)]
mod resident;
#[cfg(all(test, target_os = "linux"))]
mod tests;

pub(crate) use folder::{GRAPH, model_of};
pub(crate) use opened::{OpenedFile, bytes_of, is_same};
#[cfg(any(feature = "ort", feature = "rten", feature = "tract"))]
pub(crate) use resident::release_pages;
pub(crate) use resident::trim_heap;

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::tensor::Bytes;

/// The place of the bytes of a model or of a weight file.
///
/// ```no_run
/// use selvedge::Source;
/// let by_path = Source::from("model.onnx");
/// // An asset inside a larger file, as Android hands it out:
/// let asset = Source::file(std::fs::File::open("app.apk")?, 4096..8192);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Source {
    /// A file. Its folder is where external data of an ONNX model, or further parts of a weight file, may lie.
    Path(PathBuf),
    /// An open file, or a part of it. It cannot have external data or further parts.
    File {
        /// The open file.
        file: File,
        /// The part that is the model; `None` for the whole file.
        range: Option<Range<u64>>,
    },
    /// Bytes in memory. They cannot have external data or further parts.
    Bytes(Bytes),
}

impl Source {
    /// A part of an open file.
    pub fn file(file: File, range: Range<u64>) -> Self {
        Source::File { file, range: Some(range) }
    }
}

impl<P: AsRef<Path> + ?Sized> From<&P> for Source {
    fn from(path: &P) -> Self {
        Source::Path(path.as_ref().into())
    }
}

impl From<PathBuf> for Source {
    fn from(path: PathBuf) -> Self {
        Source::Path(path)
    }
}

impl From<String> for Source {
    fn from(path: String) -> Self {
        Source::Path(path.into())
    }
}

impl From<File> for Source {
    fn from(file: File) -> Self {
        Source::File { file, range: None }
    }
}

impl From<Vec<u8>> for Source {
    fn from(bytes: Vec<u8>) -> Self {
        Source::Bytes(Bytes::shared(bytes))
    }
}

impl From<Bytes> for Source {
    fn from(bytes: Bytes) -> Self {
        Source::Bytes(bytes)
    }
}

/// The way in which a file comes into memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Loading {
    /// Mapped read-only: pages come from the file as they are touched and can go again under
    /// pressure. The file must not be truncated while it is open: touching a page that is gone
    /// ends the process (`SIGBUS`), and no library can prevent that.
    #[default]
    Mapped,
    /// Read whole into memory: safe whatever happens to the file, at the price of the memory.
    Read,
}

/// Options of opening a weight file. A [`Loading`] alone says as much as most need.
///
/// ```
/// use selvedge::{Access, Loading};
/// let access = Access::from(Loading::Read).no_symlinks();
/// assert!(access.no_symlinks && access.loading == Loading::Read);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Access {
    /// The way in which the bytes come into memory.
    pub loading: Loading,
    /// Whether a path whose last component is a symbolic link is refused with `InvalidArgument`; the same holds for
    /// the further parts of a weight file. Download caches are made of links, so they are followed otherwise.
    pub no_symlinks: bool,
}

impl Access {
    /// Mapped, following symbolic links.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how the bytes come into memory.
    #[must_use]
    pub fn loading(mut self, loading: Loading) -> Self {
        self.loading = loading;
        self
    }

    /// Refuses symbolic links.
    #[must_use]
    pub fn no_symlinks(mut self) -> Self {
        self.no_symlinks = true;
        self
    }
}

impl From<Loading> for Access {
    fn from(loading: Loading) -> Self {
        Self { loading, ..Self::default() }
    }
}
