//! A model's bytes as what llama.cpp loads from: a `FILE*`, or paths that stand for open files.

#![expect(unsafe_code, reason = "closes a C stream")]

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::ffi::{CString, c_int, c_void};
use std::fs::File;
use std::marker::PhantomData;
use std::ptr::NonNull;

use super::accelerator::Placement;
use crate::Result;
#[cfg(unix)]
use unix::{paths_of, stream_of_bytes, stream_of_file};
#[cfg(windows)]
use windows::{paths_of, stream_of_bytes, stream_of_file};

/// What a model is loaded from.
#[derive(Debug)]
pub(in crate::backend::llama) enum Input<'a> {
    /// One file, or bytes.
    One(Stream<'a>),
    /// The files of a split model.
    Parts(Parts),
}

/// How a model is loaded.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::backend::llama) struct Terms {
    /// The weights stay in the file.
    pub(in crate::backend::llama) mapped: bool,
    /// Prompts are computed with products of ours, where there are any.
    pub(in crate::backend::llama) products: bool,
    /// What a GPU computes.
    pub(in crate::backend::llama) accelerator: Option<Placement>,
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
        Ok(Self { paths: paths_of(&files)?, files })
    }

    pub(in crate::backend::llama) fn paths(&self) -> &[CString] {
        &self.paths
    }
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
        Ok(Self { ptr: stream_of_file(file, start)?, bytes: PhantomData })
    }
}

impl<'a> Stream<'a> {
    /// A stream over memory.
    ///
    /// # Errors
    ///
    /// `Unsupported` where the system has none, `Io`.
    pub(in crate::backend::llama) fn of_bytes(bytes: &'a [u8]) -> Result<Self> {
        Ok(Self { ptr: stream_of_bytes(bytes)?, bytes: PhantomData })
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

unsafe extern "C" {
    fn fclose(stream: *mut c_void) -> c_int;
}
