//! Release: the end of what the caller lent for longer than a call.

#![expect(unsafe_code, reason = "calls the caller's function")]

use std::ffi::c_void;

use crate::abi::selvedge_release_fn;

/// The caller's pointer, and whom to tell when it is needed no more: once, as this is dropped.
pub(crate) struct Release {
    release: selvedge_release_fn,
    user_data: *mut c_void,
}

// SAFETY: the header says that `release` may be called by any thread; the pointer is the caller's alone to follow.
unsafe impl Send for Release {}
// SAFETY: as above.
unsafe impl Sync for Release {}

impl Release {
    /// # Safety
    ///
    /// `release` is NULL, or may be called with `user_data`, by any thread.
    pub(crate) unsafe fn new(release: selvedge_release_fn, user_data: *mut c_void) -> Self {
        Self { release, user_data }
    }

    /// What the caller's functions get.
    pub(crate) fn user_data(&self) -> *mut c_void {
        self.user_data
    }
}

impl Drop for Release {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            // SAFETY: whoever made this vouched for the function.
            unsafe { release(self.user_data) };
        }
    }
}
