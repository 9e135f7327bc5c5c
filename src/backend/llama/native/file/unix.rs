//! C streams where a file is a descriptor.

#![expect(unsafe_code, reason = "C streams over a descriptor or over memory")]

use std::ffi::{CString, c_char, c_int, c_void};
use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::os::fd::{AsRawFd, IntoRawFd};
use std::ptr::NonNull;

use crate::source::is_same;
use crate::{Error, Result};

/// Paths that lead to open files.
pub(super) fn paths_of(files: &[File]) -> Result<Vec<CString>> {
    let mut paths = Vec::with_capacity(files.len());
    for mut file in files {
        // Some systems give a duplicate, and llama.cpp begins to read where that stands.
        file.rewind().map_err(|e| Error::io("model file", e))?;
        let path = by_descriptor(file);
        let (own, again) = (file.metadata(), File::open(&path).and_then(|file| file.metadata()));
        if !own.is_ok_and(|own| again.is_ok_and(|again| is_same(&own, &again))) {
            return Err(Error::unsupported(format!(
                "a model in {} files: expected a system that opens them as '{path}'",
                files.len()
            )));
        }
        paths.push(CString::new(path).map_err(|e| Error::internal(e.to_string()))?);
    }
    Ok(paths)
}

/// A stream over the same file, from byte `start` on.
pub(super) fn stream_of_file(file: &File, start: u64) -> Result<NonNull<c_void>> {
    let mut own = reopen(file)?;
    own.seek(SeekFrom::Start(start)).map_err(|e| Error::io("model file", e))?;
    let descriptor = own.into_raw_fd();
    // SAFETY: the descriptor is open and ours alone; the stream owns it from here on.
    let stream = unsafe { fdopen(descriptor, c"rb".as_ptr()) };
    NonNull::new(stream).ok_or_else(|| {
        let error = Error::io("a stream over the model file", std::io::Error::last_os_error());
        // SAFETY: `fdopen` failed, so the descriptor is still ours and is closed once.
        unsafe { close(descriptor) };
        error
    })
}

/// A stream over memory, which stays as it is while the stream is open.
pub(super) fn stream_of_bytes(bytes: &[u8]) -> Result<NonNull<c_void>> {
    // SAFETY: the bytes are readable for their length, and a stream opened for reading does not write to them. The
    // caller keeps them as long as the stream.
    let stream = unsafe { fmemopen(bytes.as_ptr().cast_mut().cast(), bytes.len(), c"rb".as_ptr()) };
    NonNull::new(stream).ok_or_else(|| Error::io("a stream over the model's bytes", std::io::Error::last_os_error()))
}

/// The path under which the system has an open file.
fn by_descriptor(file: &File) -> String {
    let folder = if cfg!(any(target_os = "linux", target_os = "android")) { "/proc/self/fd" } else { "/dev/fd" };
    format!("{folder}/{}", file.as_raw_fd())
}

/// The same file under a descriptor of its own. A duplicate would share its offset with the caller's file, and with
/// whoever else reads from a clone of it; where the system cannot give a new one, the duplicate must do.
fn reopen(file: &File) -> Result<File> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let same = |a: &File, b: &File| match (a.metadata(), b.metadata()) {
            (Ok(a), Ok(b)) => is_same(&a, &b),
            _ => false,
        };
        if let Ok(own) = File::open(by_descriptor(file))
            && same(file, &own)
        {
            return Ok(own);
        }
    }
    file.try_clone().map_err(|e| Error::io("model file", e))
}

unsafe extern "C" {
    fn fdopen(descriptor: c_int, mode: *const c_char) -> *mut c_void;
    fn fmemopen(buffer: *mut c_void, len: usize, mode: *const c_char) -> *mut c_void;
    fn close(descriptor: c_int) -> c_int;
}
