//! Places that a call writes to: a number, a pointer, a text.

#![expect(unsafe_code, reason = "writes the caller's memory")]

use std::ffi::c_char;
use std::ptr;

use selvedge::Error;

use super::null;

/// A place that a call writes its result to; whoever made one has zeroed it.
pub(crate) trait Place {
    type Value;

    fn set(&self, value: Self::Value);
}

impl Place for () {
    type Value = ();

    fn set(&self, (): ()) {}
}

/// Where a call gives nothing but its status.
pub(crate) const NO_PLACE: Result<(), Null> = Ok(());

/// Two places that are written together.
impl<A: Place, B: Place> Place for (A, B) {
    type Value = (A::Value, B::Value);

    fn set(&self, (a, b): Self::Value) {
        self.0.set(a);
        self.1.set(b);
    }
}

/// Two places as one; fails if one of them does.
pub(crate) fn both<A, B>(a: Result<A, Null>, b: Result<B, Null>) -> Result<(A, B), Null> {
    Ok((a?, b?))
}

/// A place that is not there, by its name. A whole [`Error`] would go through memory in every call, and cost as much as
/// the rest of the guard.
#[derive(Clone, Copy)]
pub(crate) struct Null(&'static str);

impl From<Null> for Error {
    #[cold]
    fn from(Null(name): Null) -> Self {
        null(name)
    }
}

/// A place for a number or a pointer.
pub(crate) struct Out<T>(*mut T);

impl<T: Zero> Out<T> {
    /// Zeroes the place; fails if it is NULL.
    ///
    /// # Safety
    ///
    /// `place` is NULL, or may be written for as long as this lives.
    pub(crate) unsafe fn zeroed(name: &'static str, place: *mut T) -> Result<Self, Null> {
        // SAFETY: the caller vouches for it.
        unsafe { Self::optional(place) }.ok_or(Null(name))
    }

    /// Zeroes a place that the caller may leave out.
    ///
    /// # Safety
    ///
    /// As of [`Out::zeroed`].
    pub(crate) unsafe fn optional(place: *mut T) -> Option<Self> {
        if place.is_null() {
            return None;
        }
        let out = Self(place);
        out.set(T::ZERO);
        Some(out)
    }
}

impl<T: Zero> Place for Out<T> {
    type Value = T;

    fn set(&self, value: T) {
        // SAFETY: whoever made this vouched for the place.
        unsafe { self.0.write_unaligned(value) };
    }
}

/// What a place holds when the call fails.
pub(crate) trait Zero: Copy {
    const ZERO: Self;
}

macro_rules! zero {
    ($($number:ty)*) => {$(
        impl Zero for $number {
            const ZERO: Self = 0;
        }
    )*};
}

zero! { i32 u64 usize }

impl Zero for f64 {
    const ZERO: Self = 0.0;
}

impl<T> Zero for *mut T {
    const ZERO: Self = ptr::null_mut();
}

impl<T> Zero for *const T {
    const ZERO: Self = ptr::null();
}

/// A place for a text: its pointer, and its length.
pub(crate) struct OutText {
    data: Out<*const c_char>,
    len: Out<usize>,
}

impl OutText {
    /// Zeroes both places; fails if one is NULL.
    ///
    /// # Safety
    ///
    /// Each is NULL, or may be written for as long as this lives.
    pub(crate) unsafe fn zeroed(name: &'static str, data: *mut *const c_char, len: *mut usize) -> Result<Self, Null> {
        // SAFETY: the caller vouches for both.
        let (data, len) = unsafe { (Out::zeroed(name, data), Out::zeroed("len", len)) };
        Ok(Self { data: data?, len: len? })
    }
}

impl Place for OutText {
    type Value = (*const c_char, usize);

    fn set(&self, (data, len): Self::Value) {
        self.data.set(data);
        self.len.set(len);
    }
}
