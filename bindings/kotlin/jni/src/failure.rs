//! Failures of a native: what becomes an exception.

#![expect(unsafe_code, reason = "reads errors of the C ABI")]

use std::ptr;

use selvedge_ffi::abi::{SELVEDGE_OK, selvedge_error, selvedge_status};
use selvedge_ffi::{selvedge_error_free, selvedge_error_message};

/// Why a native failed.
pub(crate) enum Failure {
    /// An exception is on its way already.
    Thrown,
    /// A status of the C ABI, and its message.
    Refused(i32, String),
}

pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// `SELVEDGE_ERR_INVALID_ARGUMENT`
const INVALID_ARGUMENT: i32 = 1;
/// `SELVEDGE_ERR_PANIC`
const PANIC: i32 = 255;

pub(crate) fn invalid(message: impl Into<String>) -> Failure {
    Failure::Refused(INVALID_ARGUMENT, message.into())
}

pub(crate) fn panicked() -> Failure {
    Failure::Refused(PANIC, "a panic in the JNI library; it was contained".into())
}

/// Makes a call of the C ABI, which is told where to put its error.
pub(crate) fn call(function: impl FnOnce(*mut *mut selvedge_error) -> selvedge_status) -> Result<()> {
    let mut error = ptr::null_mut();
    match function(&mut error) {
        SELVEDGE_OK => Ok(()),
        status => Err(refused(status, error)),
    }
}

/// Makes a call that writes one value.
pub(crate) fn give<T: Default>(
    function: impl FnOnce(*mut T, *mut *mut selvedge_error) -> selvedge_status,
) -> Result<T> {
    let mut value = T::default();
    call(|error| function(&mut value, error))?;
    Ok(value)
}

/// Makes a call that gives a handle.
pub(crate) fn handle<T>(
    function: impl FnOnce(*mut *mut T, *mut *mut selvedge_error) -> selvedge_status,
) -> Result<i64> {
    let mut out = ptr::null_mut();
    call(|error| function(&mut out, error))?;
    Ok(out.addr() as i64)
}

/// The handle that Java keeps as a number. It is never dereferenced.
pub(crate) fn pointer<T>(handle: i64) -> *mut T {
    ptr::without_provenance_mut(handle as usize)
}

fn refused(status: selvedge_status, error: *mut selvedge_error) -> Failure {
    let mut len = 0;
    // SAFETY: the message has `len` bytes and lives until the error is freed, below.
    let message = unsafe {
        let text = selvedge_error_message(error, &mut len);
        String::from_utf8_lossy(std::slice::from_raw_parts(text.cast::<u8>(), len)).into_owned()
    };
    selvedge_error_free(error);
    Failure::Refused(status.0, message)
}
