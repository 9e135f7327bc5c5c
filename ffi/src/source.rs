//! Sources: where a model is: a path, an open file, or memory of the caller's.

#![expect(unsafe_code, reason = "duplicates the caller's descriptor, and lends his memory")]

use std::ffi::c_char;
use std::fs::File;
use std::io::{self, Read};
use std::ptr::NonNull;

use selvedge::{Bytes, Code, Error, Result, Source};

use crate::abi::*;
use crate::memory::{self, invalid};
use crate::release::Release;
use crate::request::{check_flags, unknown};

/// A source as the caller gave it. To be made before anything else of a call, for from then on `release` is called,
/// whatever comes of the call.
pub(crate) struct Given {
    source: selvedge_source,
    release: Option<Release>,
}

impl Given {
    /// # Safety
    ///
    /// As of [`memory::read`], and `release` is NULL or may be called once, by any thread.
    pub(crate) unsafe fn take(place: *const selvedge_source) -> Result<Self> {
        // SAFETY: the caller vouches for it, here and below.
        let source = unsafe { memory::read(place) }?;
        let lends = source.kind == SELVEDGE_SOURCE_MEMORY;
        // SAFETY: as above.
        let release = lends.then(|| unsafe { Release::new(source.release, source.user_data) });
        Ok(Self { source, release })
    }

    /// # Safety
    ///
    /// The pointers within are as the header asks, the file is open, and lent memory stays as it is until it is
    /// released.
    pub(crate) unsafe fn open(self) -> Result<Source> {
        let s = self.source;
        check_flags("selvedge_source.flags", s.flags, 0)?;
        match (s.kind, self.release) {
            (SELVEDGE_SOURCE_PATH, _) => {
                // SAFETY: the caller vouches for it, here and below.
                Ok(unsafe { path("selvedge_source.path", s.path.data, s.path.len) }?.into())
            }
            (SELVEDGE_SOURCE_FILE, _) => part(duplicate("selvedge_source", s.file)?, s.offset, s.length),
            (SELVEDGE_SOURCE_MEMORY, Some(release)) => {
                // SAFETY: as above.
                let data = unsafe { memory::bytes("selvedge_source.data", s.data.cast(), s.data_len) }?;
                // SAFETY: as above; `release` is what ends the loan.
                Ok(unsafe { Bytes::foreign(NonNull::from(data).cast(), data.len(), release) }.into())
            }
            (other, _) => Err(unknown("selvedge_source_kind", other)),
        }
    }
}

/// Borrows the path of a file.
///
/// # Safety
///
/// As of [`memory::name`].
pub(crate) unsafe fn path<'a>(name: &str, place: *const c_char, len: usize) -> Result<&'a str> {
    // SAFETY: the caller vouches for it.
    let path = unsafe { memory::name(name, place, len) }?;
    if path.is_empty() || path.contains('\0') {
        return Err(invalid(format!("{name}: expected the name of a file, got {path:?}")));
    }
    Ok(path)
}

/// The part of a file from `offset` on; with a length of 0, to its end.
fn part(file: File, offset: u64, length: u64) -> Result<Source> {
    if (offset, length) == (0, 0) {
        return Ok(file.into());
    }
    let end = match length {
        0 => file
            .metadata()
            .map_err(|e| Error::new(Code::Io, "selvedge_source.file: reading its length").because(e))?
            .len(),
        _ => offset.checked_add(length).ok_or_else(|| {
            invalid(format!("selvedge_source.length: expected a part of the file, got {length} bytes from {offset} on"))
        })?,
    };
    Ok(Source::file(file, offset..end))
}

/// The bytes of the caller's file from `offset` on, in their order; with a length of 0, to its end. `what` is the struct that
/// says so.
pub(crate) fn reader(what: &str, file: i64, offset: u64, length: u64) -> Result<impl Read + Send + use<>> {
    let end = match length {
        0 => Some(u64::MAX),
        _ => offset.checked_add(length),
    };
    let beyond = || invalid(format!("{what}.length: expected a part of the file, got {length} bytes from {offset} on"));
    Ok(Reader { end: end.ok_or_else(beyond)?, at: offset, file: duplicate(what, file)? })
}

/// Reads a part of a file without its cursor, which others may share.
struct Reader {
    file: File,
    at: u64,
    end: u64,
}

impl Read for Reader {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.end - self.at).unwrap_or(usize::MAX).min(bytes.len());
        let read = read_at(&self.file, &mut bytes[..most], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, bytes, at)
}

#[cfg(windows)]
fn read_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, bytes, at)
}

#[cfg(not(any(unix, windows)))]
fn read_at(_: &File, _: &mut [u8], _: u64) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

/// A descriptor of our own to the caller's file; `what` is the struct that has it.
#[cfg(unix)]
fn duplicate(what: &str, file: i64) -> Result<File> {
    use std::os::fd::BorrowedFd;
    let fd = i32::try_from(file).ok().filter(|fd| *fd >= 0).ok_or_else(|| no_file(what, file))?;
    // SAFETY: it is not -1, and the caller vouches that it is open; were it not, the system would say so.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    borrowed.try_clone_to_owned().map(File::from).map_err(|e| no_file(what, file).because(e))
}

/// A handle of our own to the caller's file.
#[cfg(windows)]
fn duplicate(what: &str, file: i64) -> Result<File> {
    use std::os::windows::io::BorrowedHandle;
    let handle = isize::try_from(file).ok().filter(|h| ![0, -1].contains(h)).ok_or_else(|| no_file(what, file))?;
    // SAFETY: it is neither of those that stand for none, and the caller vouches that it is open; were it not, the system
    // would say so.
    let borrowed = unsafe { BorrowedHandle::borrow_raw(std::ptr::with_exposed_provenance_mut(handle as usize)) };
    borrowed.try_clone_to_owned().map(File::from).map_err(|e| no_file(what, file).because(e))
}

#[cfg(not(any(unix, windows)))]
fn duplicate(what: &str, file: i64) -> Result<File> {
    Err(Error::new(Code::Unsupported, format!("{what}.file: {file}: this system has no descriptors")))
}

#[cfg(any(unix, windows))]
fn no_file(what: &str, file: i64) -> Error {
    invalid(format!("{what}.file: expected an open file, got {file}"))
}
