//! Where a model's bytes are, and the one opening of them.

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::{Map, OpenProgress, Options};
use crate::engine::{Call, Digest};
use crate::tensor::Bytes;
use crate::{Code, Error, Result};

/// Where a model's bytes are.
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
    /// A file. Its folder is where external data of an ONNX model may lie.
    Path(PathBuf),
    /// An open file, or a part of it. It cannot have external data.
    File {
        /// The open file.
        file: File,
        /// The part that is the model; `None` for the whole file.
        range: Option<Range<u64>>,
    },
    /// Bytes in memory. They cannot have external data.
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

/// A model's bytes, opened once: what is probed, validated and digested is what the runtime gets.
#[derive(Debug)]
pub(crate) struct Model {
    /// A name for messages and provenance: the file's stem.
    pub name: String,
    /// All the bytes, mapped or read.
    pub bytes: Bytes,
    /// The open file and the model's offset in it, unless the bytes came from memory.
    pub file: Option<(File, u64)>,
    /// Where external data may lie.
    pub folder: Option<PathBuf>,
}

impl Model {
    pub(super) fn open(source: Source, map: Map) -> Result<Self> {
        match source {
            Source::Path(path) => {
                let file = File::open(&path).map_err(|e| Error::io(path.display(), e))?;
                let name = path.file_stem().map_or_else(|| "model".into(), |s| s.to_string_lossy().into_owned());
                let folder =
                    path.parent().map(|p| if p.as_os_str().is_empty() { PathBuf::from(".") } else { p.into() });
                let mut model =
                    Self::of_file(file, None, map).map_err(|e| e.during(format!("opening {}", path.display())))?;
                (model.name, model.folder) = (name, folder);
                Ok(model)
            }
            Source::File { file, range } => Self::of_file(file, range, map),
            Source::Bytes(bytes) => Ok(Self { name: "model".into(), bytes, file: None, folder: None }),
        }
    }

    fn of_file(file: File, range: Option<Range<u64>>, map: Map) -> Result<Self> {
        let meta = file.metadata().map_err(|e| Error::io("model file", e))?;
        if !meta.is_file() {
            let kind = if meta.is_dir() { "a folder" } else { "a special file" };
            return Err(Error::invalid(format!("model: expected a regular file, got {kind}")));
        }
        let Range { start, end } = range.unwrap_or(0..meta.len());
        if start > end || end > meta.len() {
            return Err(Error::invalid(format!(
                "range {start}..{end}: expected within the file's {} bytes",
                meta.len()
            )));
        }
        let bytes = bytes_of(&file, start, end - start, map)?;
        Ok(Self { name: "model".into(), bytes, file: Some((file, start)), folder: None })
    }

    /// A second handle on the same bytes, for a second backend to try.
    pub(super) fn again(&self) -> Result<Self> {
        let file = match &self.file {
            Some((file, start)) => Some((file.try_clone().map_err(|e| Error::io("model file", e))?, *start)),
            None => None,
        };
        Ok(Self { name: self.name.clone(), bytes: self.bytes.clone(), file, folder: self.folder.clone() })
    }

    /// Hashes the bytes and compares with the digest asked for, if any; honours `options.cancel`.
    pub(crate) fn digest(&self, options: &Options) -> Result<Digest> {
        const SLICE: usize = 8 << 20;
        let bytes = self.bytes.as_slice();
        let call = Call { cancel: options.cancel.clone(), ..Call::default() };
        let mut hash = Sha256::new();
        let mut done = 0;
        for slice in bytes.chunks(SLICE) {
            call.check()?;
            hash.update(slice);
            done += slice.len();
            options.tell(OpenProgress::Digest(done as u64, bytes.len() as u64));
        }
        let got = Digest(hash.finalize().into());
        match options.digest {
            Some(expected) if expected != got => {
                Err(Error::corrupt(format!("model '{}': expected SHA-256 {expected}, got {got}", self.name)))
            }
            _ => Ok(got),
        }
    }
}

/// The `len` bytes of `file` at `start`, mapped or read. They must lie within the file.
pub(super) fn bytes_of(file: &File, start: u64, len: u64, map: Map) -> Result<Bytes> {
    let len = usize::try_from(len)
        .map_err(|_| Error::new(Code::OutOfMemory, format!("a file of {len} bytes exceeds the address space")))?;
    match map {
        // A map of length zero is an error on every system.
        _ if len == 0 => Bytes::zeroed(0),
        Map::Mapped => mapped(file, start, len),
        Map::Read => read(file, start, len),
    }
}

#[expect(unsafe_code, reason = "a memory map is only as constant as its file")]
fn mapped(file: &File, start: u64, len: usize) -> Result<Bytes> {
    // SAFETY: the map is private and read-only. Another process that changes the file changes the
    // bytes, and one that truncates it ends this process: `Map::Mapped` says so and `Map::Read` is
    // the way out. Parsers read each header field once, so a change cannot undo a check.
    let map = unsafe { memmap2::MmapOptions::new().offset(start).len(len).map_copy_read_only(file) }
        .map_err(|e| Error::io("mapping the model file", e))?;
    Ok(Bytes::shared(map))
}

fn read(file: &File, start: u64, len: usize) -> Result<Bytes> {
    let mut bytes = Bytes::zeroed(len)?;
    let into = bytes.get_mut().ok_or_else(|| Error::backend("a fresh allocation is shared"))?;
    let mut file = file;
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(start)).map_err(|e| Error::io("model file", e))?;
    file.read_exact(into).map_err(|e| Error::io("reading the model file", e))?;
    Ok(bytes)
}

impl Options {
    pub(super) fn tell(&self, progress: OpenProgress) {
        if let Some(told) = &self.progress {
            told(progress);
        }
    }
}
