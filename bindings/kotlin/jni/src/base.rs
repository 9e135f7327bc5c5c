//! Versions, freeing, cancel, buffers, log.

#![expect(unsafe_code, reason = "calls the C ABI")]

use std::ffi::{CStr, c_char};
use std::ptr;

use selvedge_ffi::abi::*;
use selvedge_ffi::*;

use crate::callback::{self, Held};
use crate::descriptor::{Listener, Str};
use crate::env::Env;
use crate::failure::{Result, call, handle, pointer};
use crate::native::natives;

natives! {
    fn abi_version(env) -> i32 {
        Ok(selvedge_abi_version() as i32)
    }

    fn version(env) -> Str {
        fixed(env, selvedge_version())
    }

    fn features(env) -> Str {
        fixed(env, selvedge_features())
    }

    fn kernel_name(env) -> Str {
        fixed(env, selvedge_kernel_name())
    }

    fn cancel_new(env) -> i64 {
        // SAFETY: both places are this call's.
        handle(|out, err| unsafe { selvedge_cancel_new(out, err) })
    }

    fn cancel_set(env, cancel: i64) {
        call(|_| selvedge_cancel_set(pointer::<selvedge_cancel>(cancel)))
    }

    /// Frees a handle of a kind: `Handle.Kind` of Kotlin. One that is freed already is left alone.
    fn free(env, kind: i32, object: i64) {
        match kind {
            0 => drop(selvedge_cancel_free(pointer(object))),
            1 => drop(selvedge_engine_close(pointer(object))),
            2 => drop(selvedge_run_free(pointer(object))),
            3 => drop(selvedge_answer_free(pointer(object))),
            4 => drop(selvedge_telemetry_free(pointer(object))),
            5 => drop(selvedge_profile_free(pointer(object))),
            6 => drop(selvedge_monitor_free(pointer(object))),
            7 => drop(selvedge_outbox_free(pointer(object))),
            8 => drop(selvedge_batch_free(pointer(object))),
            9 => drop(selvedge_table_free(pointer(object))),
            _ => drop(selvedge_buffer_free(pointer(object))),
        }
        Ok(())
    }

    /// The text of a buffer, which is freed.
    fn buffer_text(env, buffer: i64) -> Str {
        take_text(env, buffer)
    }

    fn log_set(env, listener: Listener, level: i32) {
        let held = Held::listener(env, listener)?;
        let log: selvedge_log_fn = if held.is_some() { Some(callback::log) } else { None };
        let release: selvedge_release_fn = if held.is_some() { Some(callback::release) } else { None };
        let user_data = callback::given(held);
        // SAFETY: the listener lives until it is released, which the library does in any case.
        call(|err| unsafe { selvedge_log_set(log, user_data, release, level, err) })
    }
}

/// A buffer of the C ABI's, to be freed.
pub(crate) struct Owned(pub(crate) i64);

impl Owned {
    pub(crate) fn bytes(&self) -> &[u8] {
        let mut len = 0;
        // SAFETY: the bytes live as long as the buffer, which this frees.
        unsafe {
            let data = selvedge_buffer_data(pointer::<selvedge_buffer>(self.0), &mut len);
            std::slice::from_raw_parts(data.cast(), len)
        }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        selvedge_buffer_free(pointer(self.0));
    }
}

pub(crate) fn take_text(env: Env, buffer: i64) -> Result<Str> {
    let buffer = Owned(buffer);
    env.str(&String::from_utf8_lossy(buffer.bytes()))
}

/// The text in a buffer that a call gives.
pub(crate) fn text_of(
    env: Env,
    function: impl FnOnce(*mut *mut selvedge_buffer, *mut *mut selvedge_error) -> selvedge_status,
) -> Result<Str> {
    take_text(env, handle(function)?)
}

/// The text that a call gives, and that its handle keeps.
pub(crate) fn kept_text(
    env: Env,
    function: impl FnOnce(*mut *const c_char, *mut usize, *mut *mut selvedge_error) -> selvedge_status,
) -> Result<Str> {
    let (mut data, mut len) = (ptr::null(), 0);
    call(|err| function(&mut data, &mut len, err))?;
    // SAFETY: the text lives as long as the handle, which Java keeps during a native.
    let bytes = unsafe { std::slice::from_raw_parts(data.cast::<u8>(), len) };
    env.str(&String::from_utf8_lossy(bytes))
}

fn fixed(env: Env, text: *const c_char) -> Result<Str> {
    // SAFETY: static memory that ends with a NUL.
    env.str(&unsafe { CStr::from_ptr(text) }.to_string_lossy())
}
