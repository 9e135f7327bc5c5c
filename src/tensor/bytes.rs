//! Bytes of a tensor, and who owns them.
//!
//! One representation for three owners, so that inputs and outputs cross runtimes without a copy:
//! a 64-byte aligned allocation of ours, a shared Rust value (`Vec`, `Arc`, a memory map), or
//! foreign memory with a release function.

#![expect(unsafe_code, reason = "memory of three kinds of owners behind one pointer")]

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::any::Any;
use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;

use crate::{Code, Error, Result};

/// Immutable bytes with an owner. A clone shares the owner.
#[derive(Clone)]
pub struct Bytes {
    ptr: NonNull<u8>,
    len: usize,
    owner: Arc<dyn Any + Send + Sync>,
    /// Only our own allocations may be written, and only while no clone exists.
    aligned: bool,
}

// SAFETY: the bytes are only read through `&self`; writing needs `&mut self` and a unique owner.
// The owner itself is `Send + Sync`.
unsafe impl Send for Bytes {}
// SAFETY: as above.
unsafe impl Sync for Bytes {}

impl Bytes {
    /// The alignment of memory that Selvedge allocates for tensors.
    pub const ALIGN: usize = 64;

    /// `len` zeroed bytes, 64-byte aligned.
    ///
    /// # Errors
    ///
    /// `OutOfMemory`; it does not abort.
    pub fn zeroed(len: usize) -> Result<Self> {
        let owner = Allocation::zeroed(len)?;
        Ok(Self { ptr: owner.ptr, len, owner: Arc::new(owner), aligned: true })
    }

    /// A 64-byte aligned copy.
    ///
    /// # Errors
    ///
    /// As [`Bytes::zeroed`].
    pub fn copy_from(bytes: &[u8]) -> Result<Self> {
        let mut copy = Self::zeroed(bytes.len())?;
        if let Some(to) = copy.get_mut() {
            to.copy_from_slice(bytes);
        }
        Ok(copy)
    }

    /// A copy that is aligned for every dtype and no further, so that a few numbers take one small allocation.
    ///
    /// # Errors
    ///
    /// As [`Bytes::zeroed`].
    pub(crate) fn compact(bytes: &[u8]) -> Result<Self> {
        let mut few = Few { words: [0; FEW], len: bytes.len() };
        match bytemuck::bytes_of_mut(&mut few.words).get_mut(..bytes.len()) {
            Some(to) => to.copy_from_slice(bytes),
            None => return Self::copy_from(bytes),
        }
        Ok(Self::shared(few))
    }

    /// Bytes kept alive by `owner`: a `Vec<f32>`, an `Arc<[u8]>`, a memory map, …
    /// No copy is made.
    pub fn shared<O>(owner: O) -> Self
    where
        O: AsRef<[u8]> + Send + Sync + 'static,
    {
        let owner = Arc::new(owner);
        // `as_ref` is asked once the owner has its final address.
        let bytes: &[u8] = (*owner).as_ref();
        let (ptr, len) = (NonNull::from(bytes).cast(), bytes.len());
        Self { ptr, len, owner, aligned: false }
    }

    /// Bytes that something else owns; `owner` is dropped with the last clone and releases them.
    ///
    /// # Safety
    ///
    /// `ptr` must be readable for `len` bytes, and the bytes must not change, until `owner` is dropped.
    pub unsafe fn foreign(ptr: NonNull<u8>, len: usize, owner: impl Send + Sync + 'static) -> Self {
        Self { ptr, len, owner: Arc::new(owner), aligned: false }
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: each constructor made sure that `ptr` is readable for `len` bytes while `owner` lives.
        unsafe { std::slice::from_raw_parts(self.ptr.as_ptr(), self.len) }
    }

    /// What keeps the bytes alive, if it is an `O`. Only Unix can give back pages of what is mapped.
    #[cfg(unix)]
    pub(crate) fn owner<O: 'static>(&self) -> Option<&O> {
        (*self.owner).downcast_ref()
    }

    /// The bytes for writing, if they are Selvedge's own allocation and no clone of them exists.
    pub fn get_mut(&mut self) -> Option<&mut [u8]> {
        if !self.aligned || Arc::get_mut(&mut self.owner).is_none() {
            return None;
        }
        // SAFETY: the memory is our allocation, initialised, and this is its only handle.
        Some(unsafe { std::slice::from_raw_parts_mut(self.ptr.as_ptr(), self.len) })
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes({} bytes)", self.len)
    }
}

/// A vector of elements as an owner of bytes.
pub(super) struct Elements<T>(pub(super) Vec<T>);

impl<T: bytemuck::NoUninit> AsRef<[u8]> for Elements<T> {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}

/// A few bytes as their own owner, aligned for every dtype.
struct Few {
    words: [u64; FEW],
    len: usize,
}

const FEW: usize = 8;

impl AsRef<[u8]> for Few {
    fn as_ref(&self) -> &[u8] {
        &bytemuck::bytes_of(&self.words)[..self.len]
    }
}

struct Allocation {
    ptr: NonNull<u8>,
    layout: Layout,
}

// SAFETY: an allocation may be freed from any thread, and it gives no access by itself.
unsafe impl Send for Allocation {}
// SAFETY: as above.
unsafe impl Sync for Allocation {}

impl Allocation {
    fn zeroed(len: usize) -> Result<Self> {
        let layout = Layout::from_size_align(len.max(1), Bytes::ALIGN)
            .map_err(|e| Error::new(Code::OutOfMemory, format!("tensor of {len} bytes")).because(e))?;
        // SAFETY: the layout's size is not zero.
        let ptr = NonNull::new(unsafe { alloc_zeroed(layout) })
            .ok_or_else(|| Error::new(Code::OutOfMemory, format!("no memory for a tensor of {len} bytes")))?;
        Ok(Self { ptr, layout })
    }
}

impl Drop for Allocation {
    fn drop(&mut self) {
        // SAFETY: `ptr` was allocated with exactly this layout and is freed once.
        unsafe { dealloc(self.ptr.as_ptr(), self.layout) }
    }
}
