//! Progress of long calls: looked at by another thread, or told to a callback.

#![expect(unsafe_code, reason = "exports functions of the C ABI, and calls the caller's function")]

use std::ffi::c_void;
use std::sync::{Arc, Mutex, PoisonError};

use selvedge::Result;

use crate::abi::{selvedge_error, selvedge_progress, selvedge_progress_fn, selvedge_status};
use crate::guard;
use crate::handle::{self, Tag, object};
use crate::memory::{self, Out};

/// Makes a progress.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_progress_new(
    out: *mut *mut selvedge_progress,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || handle::publish(Progress::default()))
}

/// How far the call is that carries it.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_progress_read(
    progress: *const selvedge_progress,
    done: *mut u64,
    total: *mut u64,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (done, total, err) = unsafe { (Out::zeroed("done", done), Out::zeroed("total", total), Out::optional(err)) };
    guard::give(memory::both(done, total), err, || handle::read::<Progress, _>(progress, |told| told.read()))
}

/// Frees the handle.
#[unsafe(no_mangle)]
pub extern "C" fn selvedge_progress_free(progress: *mut selvedge_progress) -> selvedge_status {
    guard::status(|| handle::retire::<Progress>(progress).map(drop))
}

/// Where a call tells its progress.
pub(crate) struct Told {
    handle: Option<Arc<Progress>>,
    on_progress: selvedge_progress_fn,
    user_data: *mut c_void,
}

// SAFETY: the header says that the callback may run on any thread, and what `user_data` is only the caller knows.
unsafe impl Send for Told {}
// SAFETY: as above.
unsafe impl Sync for Told {}

impl Told {
    /// Fails for a handle that is none; `None` if there is nowhere to tell it.
    ///
    /// # Safety
    ///
    /// `on_progress` is NULL or may be called with `user_data`, from any thread, for as long as this lives.
    pub(crate) unsafe fn new(
        handle: *const selvedge_progress,
        on_progress: selvedge_progress_fn,
        user_data: *mut c_void,
    ) -> Result<Option<Self>> {
        let handle = if handle.is_null() { None } else { Some(handle::resolve::<Progress>(handle)?) };
        let told = Self { handle, on_progress, user_data };
        Ok((told.handle.is_some() || told.on_progress.is_some()).then_some(told))
    }

    /// Tells it: `total` is 0 while it is not known.
    pub(crate) fn tell(&self, done: u64, total: u64) {
        if let Some(handle) = &self.handle {
            handle.set(done, total);
        }
        if let Some(on_progress) = self.on_progress {
            // SAFETY: whoever made this vouched for the function.
            unsafe { on_progress(self.user_data, done, total) };
        }
    }
}

/// A progress behind its handle: done, and total. One lock, so that the two are of one moment.
#[derive(Default)]
struct Progress(Mutex<(u64, u64)>);

impl Progress {
    fn read(&self) -> (u64, u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, done: u64, total: u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (done, total);
    }
}

object!(Progress, selvedge_progress, Tag::Progress);
