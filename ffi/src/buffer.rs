//! Buffers: bytes or a text that a call made, to be read for as long as C keeps the handle.

#![expect(unsafe_code, reason = "exports functions of the C ABI")]

use std::ffi::c_void;

use crate::abi::{selvedge_buffer, selvedge_status};
use crate::fork::forked;
use crate::guard;
use crate::handle::{self, Tag, object};
use crate::memory::{Out, Place};

/// The bytes of a buffer.
///
/// # Safety
///
/// `len` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_buffer_data(buffer: *const selvedge_buffer, len: *mut usize) -> *const c_void {
    let mut data = (NOTHING.as_ptr().cast(), 0);
    if !buffer.is_null() && !forked() {
        // Whatever goes wrong here, nothing is the answer.
        let _ = guard::status(|| {
            data = handle::read::<Buffer, _>(buffer, |buffer| buffer.raw())?;
            Ok(())
        });
    }
    // SAFETY: the caller vouches for `len`, which may be NULL.
    if let Some(len) = unsafe { Out::optional(len) } {
        len.set(data.1);
    }
    data.0
}

/// Frees a buffer.
#[unsafe(no_mangle)]
pub extern "C" fn selvedge_buffer_free(buffer: *mut selvedge_buffer) -> selvedge_status {
    guard::status(|| handle::retire::<Buffer>(buffer).map(drop))
}

/// The bytes of a buffer that is none; aligned as those of others.
static NOTHING: [u64; 1] = [0];

/// Bytes with a NUL behind them, aligned for every dtype.
pub(crate) struct Buffer {
    /// Of the widest dtype; the last one holds the NUL.
    words: Vec<u64>,
    len: usize,
}

impl From<&[u8]> for Buffer {
    fn from(bytes: &[u8]) -> Self {
        let mut chunks = bytes.chunks_exact(WIDTH);
        let mut words = Vec::with_capacity(bytes.len() / WIDTH + 1);
        words.extend(chunks.by_ref().map(|chunk| chunk.iter().rev().fold(0, |word, b| word << 8 | u64::from(*b))));
        // What is left is less than a word: the NUL always fits.
        words.push(chunks.remainder().iter().rev().fold(0, |word, b| word << 8 | u64::from(*b)));
        words.iter_mut().for_each(|word| *word = word.to_le());
        Self { words, len: bytes.len() }
    }
}

impl From<&str> for Buffer {
    fn from(text: &str) -> Self {
        text.as_bytes().into()
    }
}

impl Buffer {
    /// Pointer and length, as C takes them; valid until the buffer is dropped.
    fn raw(&self) -> (*const c_void, usize) {
        (self.words.as_ptr().cast(), self.len)
    }
}

const WIDTH: usize = size_of::<u64>();

object!(Buffer, selvedge_buffer, Tag::Buffer);
