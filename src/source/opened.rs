//! Opened files, each opened once: what is validated and digested is what a runtime gets.

#![expect(unsafe_code, reason = "a memory map is only as constant as its file")]

use std::fs::{File, Metadata};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::{Access, Loading, Source};
use crate::tensor::Bytes;
use crate::{Code, Error, Result};

/// A file's bytes, opened once. Their number is fixed here: a file that grows later is not seen to.
#[derive(Debug)]
pub(crate) struct OpenedFile {
    /// A name for messages and provenance: the file's stem.
    pub(crate) name: String,
    /// All the bytes, mapped or read.
    pub(crate) bytes: Bytes,
    /// The open file and the offset of the bytes in it, unless they came from memory.
    pub(crate) file: Option<(File, u64)>,
    /// Where further files may lie.
    pub(crate) folder: Option<PathBuf>,
    /// The file's name there: further parts are named after it.
    pub(crate) file_name: Option<String>,
}

impl OpenedFile {
    pub(crate) fn open(source: Source, access: impl Into<Access>) -> Result<Self> {
        let access = access.into();
        match source {
            Source::Path(path) => Self::of_path(&path, access),
            Source::File { file, range } => Self::of_file(file, range, access.loading),
            Source::Bytes(bytes) => {
                Ok(Self { name: named("model")?, bytes, file: None, folder: None, file_name: None })
            }
        }
    }

    fn of_path(path: &Path, access: Access) -> Result<Self> {
        let during = |e: Error| e.during(format!("opening {}", path.display()));
        let file = regular(path, access.no_symlinks).map_err(during)?;
        let mut opened = Self::of_file(file, None, access.loading).map_err(during)?;
        opened.name = path.file_stem().map_or_else(|| "model".into(), |s| s.to_string_lossy().into_owned());
        opened.file_name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        opened.folder = path.parent().map(|p| if p.as_os_str().is_empty() { PathBuf::from(".") } else { p.into() });
        Ok(opened)
    }

    fn of_file(file: File, range: Option<Range<u64>>, loading: Loading) -> Result<Self> {
        let meta = file.metadata().map_err(|e| Error::io("model file", e))?;
        expect_regular(&meta)?;
        let Range { start, end } = range.unwrap_or(0..meta.len());
        if start > end || end > meta.len() {
            return Err(Error::invalid(format!(
                "range {start}..{end}: expected within the file's {} bytes",
                meta.len()
            )));
        }
        let bytes = bytes_of(&file, start, end - start, loading)?;
        Ok(Self { name: "model".into(), bytes, file: Some((file, start)), folder: None, file_name: None })
    }

    /// A second handle on the same bytes, for a second runtime to try.
    pub(crate) fn again(&self) -> Result<Self> {
        let file = match &self.file {
            Some((file, start)) => Some((file.try_clone().map_err(|e| Error::io("model file", e))?, *start)),
            None => None,
        };
        let (folder, file_name) = (self.folder.clone(), self.file_name.clone());
        Ok(Self { name: self.name.clone(), bytes: self.bytes.clone(), file, folder, file_name })
    }
}

/// The name as a text of its own; a list of many parts, each with its name, may be what memory ends at.
fn named(name: &str) -> Result<String> {
    let mut own = String::new();
    own.try_reserve_exact(name.len())
        .map_err(|e| Error::new(Code::OutOfMemory, "no memory for the name of a file").because(e))?;
    own.push_str(name);
    Ok(own)
}

/// Opens a regular file. It is looked at first, since opening a pipe would wait for its writer.
fn regular(path: &Path, no_symlinks: bool) -> Result<File> {
    let io = |e| Error::io(path.display(), e);
    let seen = if no_symlinks { path.symlink_metadata() } else { path.metadata() }.map_err(io)?;
    if seen.is_symlink() {
        return Err(Error::invalid(format!("{}: expected a regular file, got a symbolic link", path.display())));
    }
    expect_regular(&seen)?;
    let file = File::open(path).map_err(io)?;
    // What was looked at is what was opened, unless another process is quick.
    if no_symlinks && !is_same(&seen, &file.metadata().map_err(io)?) {
        return Err(Error::new(Code::Busy, format!("{} was replaced while it was opened", path.display())));
    }
    Ok(file)
}

fn expect_regular(meta: &Metadata) -> Result<()> {
    if meta.is_file() {
        return Ok(());
    }
    let kind = if meta.is_dir() { "a folder" } else { "a special file" };
    Err(Error::invalid(format!("model: expected a regular file, got {kind}")))
}

#[cfg(unix)]
pub(crate) fn is_same(a: &Metadata, b: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

#[cfg(not(unix))]
pub(crate) fn is_same(a: &Metadata, b: &Metadata) -> bool {
    (a.len(), a.modified().ok()) == (b.len(), b.modified().ok())
}

/// The `len` bytes of `file` at `start`, mapped or read. They must lie within the file.
pub(crate) fn bytes_of(file: &File, start: u64, len: u64, loading: Loading) -> Result<Bytes> {
    let len = usize::try_from(len)
        .map_err(|_| Error::new(Code::OutOfMemory, format!("a file of {len} bytes exceeds the address space")))?;
    match loading {
        // A map of length zero is an error on every system.
        _ if len == 0 => Bytes::zeroed(0),
        Loading::Mapped => mapped(file, start, len),
        Loading::Read => read(file, start, len),
    }
}

/// A map made here: of a file, private and never written. What an app shares may be a map as well, and hold what no file
/// does.
pub(super) struct FileMap(pub(super) memmap2::Mmap);

impl AsRef<[u8]> for FileMap {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

fn mapped(file: &File, start: u64, len: usize) -> Result<Bytes> {
    // SAFETY: the map is private and read-only. Another process that changes the file changes the
    // bytes, and one that truncates it ends this process: `Loading::Mapped` says so and `Loading::Read` is
    // the way out. No check is undone by such a change: what is read later is bounded again.
    let map = unsafe { memmap2::MmapOptions::new().offset(start).len(len).map_copy_read_only(file) }
        .map_err(|e| Error::io("mapping the model file", e))?;
    Ok(Bytes::shared(FileMap(map)))
}

fn read(file: &File, start: u64, len: usize) -> Result<Bytes> {
    let mut bytes = Bytes::zeroed(len)?;
    let into = bytes.get_mut().ok_or_else(|| Error::internal("a fresh allocation is shared"))?;
    read_at(file, start, into).map_err(|e| Error::io("reading the model file", e))?;
    Ok(bytes)
}

/// Fills `into` from byte `start` on. Handles of one file may share its cursor (those of an app's package do), so it is
/// neither used nor moved where the system can do without.
#[cfg(unix)]
fn read_at(file: &File, start: u64, into: &mut [u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, into, start)
}

#[cfg(not(unix))]
fn read_at(mut file: &File, start: u64, into: &mut [u8]) -> io::Result<()> {
    use io::{Read, Seek};
    file.seek(io::SeekFrom::Start(start))?;
    file.read_exact(into)
}
