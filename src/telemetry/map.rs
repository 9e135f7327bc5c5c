//! Words of memory that all threads may write: of a mapped file, or of the heap.

#![expect(unsafe_code, reason = "a mapped file is seen as a slice of atomics")]

use std::fs::File;
use std::io;

use memmap2::{MmapOptions, MmapRaw};

use super::lane::AtomicU64;

pub(super) enum Memory {
    Map(MmapRaw),
    Heap(Box<[AtomicU64]>),
}

impl Memory {
    /// Zeros.
    pub(super) fn heap(words: usize) -> Self {
        Self::Heap((0..words).map(|_| AtomicU64::new(0)).collect())
    }

    /// The beginning of a file, shared with it.
    pub(super) fn map(file: &File, words: usize) -> io::Result<Self> {
        let bytes = words * size_of::<AtomicU64>();
        if file.metadata()?.len() < bytes as u64 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        MmapOptions::new().len(bytes).map_raw(file).map(Self::Map)
    }

    pub(super) fn words(&self) -> &[AtomicU64] {
        match self {
            Memory::Heap(words) => words,
            // SAFETY: the map begins at a page and so is aligned, has `len` bytes that live as long as `self`, any bytes
            // are valid words, and this process touches them only as atomics. A file that another one truncates kills
            // the process with a signal, which the room's docs say.
            Memory::Map(map) => unsafe {
                std::slice::from_raw_parts(map.as_mut_ptr().cast::<AtomicU64>(), map.len() / size_of::<AtomicU64>())
            },
        }
    }
}
