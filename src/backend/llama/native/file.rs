//! A model's bytes as what llama.cpp loads from: a `FILE*`, or paths that stand for open descriptors.

#![expect(unsafe_code, reason = "C streams over a descriptor or over memory")]

use std::ffi::{CString, c_char, c_int, c_void};
use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, IntoRawFd};
use std::ptr::NonNull;

use crate::source::is_same;
use crate::{Error, Result};

/// What a model is loaded from.
#[derive(Debug)]
pub(in crate::backend::llama) enum Input<'a> {
    /// One file, or bytes.
    One(Stream<'a>),
    /// The files of a split model.
    Parts(Parts),
}

/// The open files of a split model, in order. llama.cpp takes paths of them only, so each gets the one that the system
/// has for its descriptor: whatever happens to the file's own path, it is the file that was validated.
#[derive(Debug)]
pub(in crate::backend::llama) struct Parts {
    paths: Vec<CString>,
    /// Open as long as the paths are to lead to them.
    #[expect(dead_code, reason = "held for what they are closed by")]
    files: Vec<File>,
}

impl Parts {
    ///
    /// # Errors
    ///
    /// `Unsupported` where the system does not open a descriptor by a path, `Io`.
    pub(in crate::backend::llama) fn new(files: Vec<File>) -> Result<Self> {
        let mut paths = Vec::with_capacity(files.len());
        for mut file in &files {
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
        Ok(Self { paths, files })
    }

    pub(in crate::backend::llama) fn paths(&self) -> &[CString] {
        &self.paths
    }
}

/// The path under which the system has an open file.
fn by_descriptor(file: &File) -> String {
    let folder = if cfg!(any(target_os = "linux", target_os = "android")) { "/proc/self/fd" } else { "/dev/fd" };
    format!("{folder}/{}", file.as_raw_fd())
}

/// An open C stream, placed where the model begins.
#[derive(Debug)]
pub(in crate::backend::llama) struct Stream<'a> {
    ptr: NonNull<c_void>,
    bytes: PhantomData<&'a [u8]>,
}

impl Stream<'static> {
    /// A stream over the same file, from byte `start` on.
    pub(in crate::backend::llama) fn of_file(file: &File, start: u64) -> Result<Self> {
        let mut own = reopen(file)?;
        own.seek(SeekFrom::Start(start)).map_err(|e| Error::io("model file", e))?;
        let descriptor = own.into_raw_fd();
        // SAFETY: the descriptor is open and ours alone; the stream owns it from here on.
        let stream = unsafe { fdopen(descriptor, c"rb".as_ptr()) };
        match NonNull::new(stream) {
            Some(ptr) => Ok(Self { ptr, bytes: PhantomData }),
            None => {
                let error = Error::io("a stream over the model file", std::io::Error::last_os_error());
                // SAFETY: `fdopen` failed, so the descriptor is still ours and is closed once.
                unsafe { close(descriptor) };
                Err(error)
            }
        }
    }
}

impl<'a> Stream<'a> {
    /// A stream over memory.
    pub(in crate::backend::llama) fn of_bytes(bytes: &'a [u8]) -> Result<Self> {
        // SAFETY: the bytes are readable for their length while the stream lives, and a stream opened for reading
        // does not write to them.
        let stream = unsafe { fmemopen(bytes.as_ptr().cast_mut().cast(), bytes.len(), c"rb".as_ptr()) };
        match NonNull::new(stream) {
            Some(ptr) => Ok(Self { ptr, bytes: PhantomData }),
            None => Err(Error::io("a stream over the model's bytes", std::io::Error::last_os_error())),
        }
    }

    pub(in crate::backend::llama) fn as_ptr(&self) -> *mut c_void {
        self.ptr.as_ptr()
    }
}

impl Drop for Stream<'_> {
    fn drop(&mut self) {
        // SAFETY: the stream is open and closed once. Closing one that was only read cannot lose anything.
        unsafe { fclose(self.ptr.as_ptr()) };
    }
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
    fn fclose(stream: *mut c_void) -> c_int;
    fn close(descriptor: c_int) -> c_int;
}
