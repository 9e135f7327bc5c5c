//! Callbacks of the C ABI, told to a `Callback` of Java's.

#![expect(unsafe_code, reason = "is called by the C ABI with what was lent to it")]

use std::ffi::c_void;
use std::ptr;

use jni_sys::jobject;
use selvedge_ffi::abi::{selvedge_alert, selvedge_log_line, selvedge_text};

use crate::descriptor::Listener;
use crate::env::{self, Env};
use crate::failure::Result;

/// An object of Java's that C holds: a listener, or the memory of a model.
pub(crate) struct Held(jobject);

impl Held {
    /// None for null.
    pub(crate) fn new(env: Env, object: jobject) -> Result<Option<Box<Self>>> {
        if object.is_null() { Ok(None) } else { Ok(Some(Box::new(Self(env.global(object)?)))) }
    }

    pub(crate) fn listener(env: Env, listener: Listener) -> Result<Option<Box<Self>>> {
        Self::new(env, listener.0)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        env::attached(|env| env.release(self.0));
    }
}

/// The `user_data` of a callback that is lent until the call returns.
pub(crate) fn lent(held: &Option<Box<Held>>) -> *mut c_void {
    held.as_deref().map_or(ptr::null_mut(), |held| ptr::from_ref(held).cast_mut().cast())
}

/// The `user_data` of a callback that goes with [`release`].
pub(crate) fn given(held: Option<Box<Held>>) -> *mut c_void {
    held.map_or(ptr::null_mut(), |held| Box::into_raw(held).cast())
}

/// A `selvedge_release_fn`.
pub(crate) unsafe extern "C" fn release(user_data: *mut c_void) {
    if !user_data.is_null() {
        // SAFETY: made by `given`, and released once.
        drop(unsafe { Box::from_raw(user_data.cast::<Held>()) });
    }
}

/// A `selvedge_progress_fn`.
pub(crate) unsafe extern "C" fn progress(user_data: *mut c_void, done: u64, total: u64) {
    // SAFETY: what `lent` gave, until the call returns.
    let listener = unsafe { (*user_data.cast::<Held>()).0 };
    env::attached(|env| drop(env.tell_progress(listener, done, total)));
}

/// A `selvedge_alert_fn`.
pub(crate) unsafe extern "C" fn alert(user_data: *mut c_void, alert: *const selvedge_alert) {
    // SAFETY: what `given` gave, and an alert that lives until this returns, with its texts.
    unsafe {
        let (listener, alert) = ((*user_data.cast::<Held>()).0, &*alert);
        let texts = [text(&alert.kind), text(&alert.feature), text(&alert.evidence)];
        let numbers = [alert.event, alert.severity, alert.action];
        env::attached(|env| drop(env.tell_alert(listener, numbers, [alert.since, alert.at], texts)));
    }
}

/// A `selvedge_log_fn`.
pub(crate) unsafe extern "C" fn log(user_data: *mut c_void, line: *const selvedge_log_line) {
    // SAFETY: what `given` gave, and a line that lives until this returns, with its texts.
    unsafe {
        let (listener, line) = ((*user_data.cast::<Held>()).0, &*line);
        let (target, message) = (text(&line.target), text(&line.message));
        env::attached(|env| drop(env.tell_log(listener, line.level, target, message)));
    }
}

/// A text of the C ABI's.
///
/// # Safety
///
/// It lives as long as it is used.
pub(crate) unsafe fn text(text: &selvedge_text) -> &str {
    if text.data.is_null() {
        return "";
    }
    // SAFETY: the caller vouches for it.
    let bytes = unsafe { std::slice::from_raw_parts(text.data.cast::<u8>(), text.len) };
    std::str::from_utf8(bytes).unwrap_or_default()
}
