//! The page: the words of a mark, shared with its file, so that they outlive the process.

#![expect(unsafe_code, reason = "a mapped file is seen as a slice of atomics")]

use std::fs::File;
use std::io;
use std::sync::atomic::AtomicU64;

use memmap2::{MmapOptions, MmapRaw};

use super::format::MARK_BYTES;

pub(super) struct Page(MmapRaw);

impl Page {
    /// The whole of a mark.
    pub(super) fn map(file: &File) -> io::Result<Self> {
        if file.metadata()?.len() != MARK_BYTES as u64 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        MmapOptions::new().len(MARK_BYTES).map_raw(file).map(Self)
    }

    pub(super) fn words(&self) -> &[AtomicU64] {
        // SAFETY: the map begins at a page and so is aligned, has `len` bytes that live as long as `self`, any bytes are valid
        // words, and this process touches them only as atomics. The file's bytes were written, so it has no holes; one that
        // somebody cuts ends the process by a signal, which the room's docs say.
        unsafe { std::slice::from_raw_parts(self.0.as_mut_ptr().cast(), self.0.len() / size_of::<AtomicU64>()) }
    }

    /// Makes the words survive a loss of power.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.0.flush()
    }
}
