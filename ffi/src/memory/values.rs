//! Arrays of numbers, which may be long: borrowed where they lie, and written where they are wanted.

#![expect(unsafe_code, reason = "reads and writes the caller's memory")]

use std::borrow::Cow;
use std::ptr;
use std::slice;

use selvedge::{Code, Error, Result};

use super::{check_len, invalid, null};
use crate::guard;

/// A number of which any bytes are a value.
///
/// # Safety
///
/// It has no padding and no bytes that it cannot hold.
pub(crate) unsafe trait Number: Copy + Default {}

// SAFETY: whole numbers and floats take any bytes.
unsafe impl Number for u32 {}
// SAFETY: as above.
unsafe impl Number for f32 {}
// SAFETY: as above.
unsafe impl Number for f64 {}
// SAFETY: as above.
unsafe impl Number for i64 {}

/// Borrows an array of numbers; one that is not aligned is copied. Its length is the caller's to bound.
///
/// # Safety
///
/// `place` is NULL with `count` 0, or points to `count` numbers that stay as they are during `'a`.
pub(crate) unsafe fn borrow_values<'a, T: Number>(name: &str, place: *const T, count: usize) -> Result<Cow<'a, [T]>> {
    if count == 0 {
        return Ok(Cow::Borrowed(&[]));
    }
    check_place(name, place, count)?;
    if place.is_aligned() {
        // SAFETY: not NULL, aligned, and the caller vouches for the rest.
        return Ok(Cow::Borrowed(unsafe { slice::from_raw_parts(place, count) }));
    }
    let mut copy: Vec<T> = zeros(name, count)?;
    // SAFETY: as many bytes are there and here.
    unsafe { ptr::copy_nonoverlapping(place.cast::<u8>(), copy.as_mut_ptr().cast(), size_of_val(&*copy)) };
    Ok(Cow::Owned(copy))
}

/// Refuses an array to write that lies in one that is read meanwhile.
pub(crate) fn check_apart<T, U>(name: &str, written: &Values<T>, read: &[U]) -> Result<()> {
    let (begin, end) = (written.place.addr(), written.place.addr() + written.count * size_of::<T>());
    let other = read.as_ptr().addr();
    if begin < other + size_of_val(read) && other < end {
        return Err(invalid(format!("{name}: expected memory of its own, got some of another argument's")));
    }
    Ok(())
}

/// A place for an array, of a length that was compared with what it has to be.
pub(crate) struct Values<T> {
    place: *mut T,
    count: usize,
}

impl<T: Copy> Values<T> {
    /// Fails for NULL, unless there is nothing to write.
    ///
    /// # Safety
    ///
    /// `place` is NULL, or `count` values may be written there for as long as this lives.
    pub(crate) unsafe fn new(name: &str, place: *mut T, count: usize) -> Result<Self> {
        if count > 0 {
            check_place(name, place, count)?;
        }
        Ok(Self { place, count })
    }

    /// Writes the first values.
    pub(crate) fn write(&self, values: &[T]) {
        let count = self.count.min(values.len());
        // SAFETY: whoever made this vouched for the place, and Rust's values do not overlap it.
        unsafe {
            ptr::copy_nonoverlapping(values.as_ptr().cast::<u8>(), self.place.cast(), count * size_of::<T>());
        }
    }
}

impl<T: Number> Values<T> {
    /// Lets `fill` write all of it where it lies, or beside it if it is not aligned. It is zero if that fails.
    pub(crate) fn fill(&self, fill: impl FnOnce(&mut [T]) -> Result<()>) -> Result<()> {
        if self.count == 0 {
            return fill(&mut []);
        }
        let mut beside = if self.place.is_aligned() { Vec::new() } else { zeros("out", self.count)? };
        let values = if beside.is_empty() {
            // SAFETY: not NULL, aligned, and whoever made this vouched for the place.
            unsafe { slice::from_raw_parts_mut(self.place, self.count) }
        } else {
            &mut *beside
        };
        let filled = guard::contain(|| fill(&mut *values));
        if filled.is_err() {
            values.fill(T::default());
        }
        self.write(&beside);
        filled
    }
}

/// Numbers in memory of the library's own: a length that no memory is left for is no reason to end the host.
fn zeros<T: Number>(name: &str, count: usize) -> Result<Vec<T>> {
    let mut zeros = Vec::new();
    let reserved = zeros.try_reserve_exact(count);
    reserved.map_err(|e| {
        Error::new(Code::OutOfMemory, format!("{name}: {count} numbers that are not aligned")).because(e)
    })?;
    zeros.resize(count, T::default());
    Ok(zeros)
}

fn check_place<T>(name: &str, place: *const T, count: usize) -> Result<()> {
    if place.is_null() {
        return Err(null(name));
    }
    check_len(name, place.cast(), count.saturating_mul(size_of::<T>()))
}
