//! C streams where a file is a handle: over a descriptor that the C runtime makes of it.

#![expect(unsafe_code, reason = "C streams over a handle of Windows")]

use std::ffi::{CString, c_char, c_int, c_void};
use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::os::windows::io::{AsRawHandle, FromRawHandle, IntoRawHandle, RawHandle};
use std::ptr::NonNull;

use crate::{Error, Result};

/// No path leads to a file that is open, whatever happens to its own.
pub(super) fn paths_of(files: &[File]) -> Result<Vec<CString>> {
    let message =
        format!("a model in {} files: expected one file, for llama.cpp opens each by a path here", files.len());
    Err(Error::unsupported(message))
}

/// A stream over the same file, from byte `start` on.
pub(super) fn stream_of_file(file: &File, start: u64) -> Result<NonNull<c_void>> {
    let mut own = reopen(file)?;
    own.seek(SeekFrom::Start(start)).map_err(|e| Error::io("model file", e))?;
    let handle = own.into_raw_handle();
    // SAFETY: the handle is open and ours alone; the descriptor owns it from here on.
    let descriptor = unsafe { _open_osfhandle(handle.addr() as isize, O_RDONLY | O_BINARY) };
    if descriptor == -1 {
        // SAFETY: no descriptor took the handle over, so it is still ours and is closed once.
        drop(unsafe { File::from_raw_handle(handle) });
        return Err(Error::io("a descriptor of the model file", std::io::Error::last_os_error()));
    }
    // SAFETY: the descriptor is open and ours alone; the stream owns it from here on.
    let stream = unsafe { _fdopen(descriptor, c"rb".as_ptr()) };
    NonNull::new(stream).ok_or_else(|| {
        let error = Error::io("a stream over the model file", std::io::Error::last_os_error());
        // SAFETY: `_fdopen` failed, so the descriptor is still ours and is closed once.
        unsafe { _close(descriptor) };
        error
    })
}

/// The C runtime has no stream over memory.
pub(super) fn stream_of_bytes(_bytes: &[u8]) -> Result<NonNull<c_void>> {
    Err(Error::unsupported("a GGUF model in memory: expected a file, for llama.cpp has no other way to it on Windows"))
}

/// The same file under a handle with a cursor of its own; a duplicate would share it with the caller's.
fn reopen(file: &File) -> Result<File> {
    // SAFETY: the handle is open during the call.
    let own = unsafe { ReOpenFile(file.as_raw_handle(), GENERIC_READ, SHARE_ALL, 0) };
    if own.addr() == usize::MAX {
        return Err(Error::io("model file", std::io::Error::last_os_error()));
    }
    // SAFETY: the handle is open and ours alone.
    Ok(unsafe { File::from_raw_handle(own) })
}

const O_RDONLY: c_int = 0;
const O_BINARY: c_int = 0x8000;
const GENERIC_READ: u32 = 0x8000_0000;
/// Others may read, write and delete, as with the files of the standard library.
const SHARE_ALL: u32 = 7;

unsafe extern "C" {
    fn _open_osfhandle(handle: isize, flags: c_int) -> c_int;
    fn _fdopen(descriptor: c_int, mode: *const c_char) -> *mut c_void;
    fn _close(descriptor: c_int) -> c_int;
}

unsafe extern "system" {
    fn ReOpenFile(file: RawHandle, access: u32, share: u32, flags: u32) -> RawHandle;
}
