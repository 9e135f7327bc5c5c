//! Errors as objects.

#![expect(unsafe_code, reason = "exports functions of the C ABI")]

use std::ffi::c_char;

use selvedge::Code;

use crate::abi::{SELVEDGE_OK, selvedge_error, selvedge_status};
use crate::failure::{Failure, OF_FORK_MESSAGE};
use crate::fork::forked;
use crate::guard;
use crate::handle;
use crate::memory::{Out, Place};

/// The status that the call returned.
#[unsafe(no_mangle)]
pub extern "C" fn selvedge_error_code(error: *const selvedge_error) -> selvedge_status {
    if error.is_null() {
        return SELVEDGE_OK;
    }
    let mut code = selvedge_status::from(Code::Unsupported);
    let status = guard::status(|| {
        code = handle::read::<Failure, _>(error, |failure| failure.code)?.into();
        Ok(())
    });
    if status == SELVEDGE_OK { code } else { status }
}

/// What failed, what was expected and what was got.
///
/// # Safety
///
/// `len` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_error_message(error: *const selvedge_error, len: *mut usize) -> *const c_char {
    let mut message = (c"expected a live selvedge_error".as_ptr(), 30);
    if error.is_null() {
        message = (c"".as_ptr(), 0);
    } else if forked() {
        message = (OF_FORK_MESSAGE.as_ptr(), OF_FORK_MESSAGE.count_bytes());
    } else {
        // Whatever goes wrong here, the sentence above is the answer.
        let _ = guard::status(|| {
            message = handle::read::<Failure, _>(error, |failure| failure.message.raw())?;
            Ok(())
        });
    }
    // SAFETY: the caller vouches for `len`, which may be NULL.
    if let Some(len) = unsafe { Out::optional(len) } {
        len.set(message.1);
    }
    message.0
}

/// When to ask again.
#[unsafe(no_mangle)]
pub extern "C" fn selvedge_error_retry_after_ms(error: *const selvedge_error) -> u64 {
    let mut wait = 0;
    if !error.is_null() {
        // Whatever goes wrong here, there is no hint.
        let _ = guard::status(|| {
            wait = handle::read::<Failure, _>(error, |failure| failure.retry_after_ms)?;
            Ok(())
        });
    }
    wait
}

/// Frees an error.
#[unsafe(no_mangle)]
pub extern "C" fn selvedge_error_free(error: *mut selvedge_error) -> selvedge_status {
    guard::status(|| handle::retire::<Failure>(error).map(drop))
}
