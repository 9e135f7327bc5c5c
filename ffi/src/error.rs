//! Errors as objects, and the version.

#![expect(unsafe_code, reason = "exports functions of the C ABI")]

use std::ffi::{CStr, c_char};

use selvedge::{Code, Error};

use crate::abi::{SELVEDGE_ABI, SELVEDGE_OK, selvedge_error, selvedge_status};
use crate::guard;
use crate::handle::{self, Object, Table, reserved};
use crate::memory::Out;
use crate::text::Text;

/// The library's ABI, major << 16 | minor.
#[unsafe(no_mangle)]
pub extern "C" fn selvedge_abi_version() -> u32 {
    u32::from(SELVEDGE_ABI.0) << 16 | u32::from(SELVEDGE_ABI.1)
}

/// The library's version.
#[unsafe(no_mangle)]
pub extern "C" fn selvedge_version() -> *const c_char {
    const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(version) => version,
        Err(_) => c"",
    };
    VERSION.as_ptr()
}

/// The status that the call returned.
#[unsafe(no_mangle)]
pub extern "C" fn selvedge_error_code(error: *const selvedge_error) -> selvedge_status {
    if error.is_null() {
        return SELVEDGE_OK;
    }
    let mut code = selvedge_status::from(Code::Unsupported);
    let status = guard::status(|| {
        code = handle::resolve::<Failure>(error)?.code.into();
        Ok(())
    });
    if status == SELVEDGE_OK { code } else { status }
}

/// What failed, what was expected and what was got.
///
/// # Safety
/// `len` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_error_message(error: *const selvedge_error, len: *mut usize) -> *const c_char {
    let mut message = (c"expected a live selvedge_error".as_ptr(), 30);
    if error.is_null() {
        message = (c"".as_ptr(), 0);
    } else if guard::forked() {
        message = (FORKED_MESSAGE.as_ptr(), FORKED_MESSAGE.count_bytes());
    } else {
        // Whatever goes wrong here, the sentence above is the answer.
        let _ = guard::status(|| {
            let failure = handle::resolve::<Failure>(error)?;
            message = (failure.message.as_ptr(), failure.message.len());
            Ok(())
        });
    }
    // SAFETY: the caller vouches for `len`, which may be NULL.
    if let Ok(len) = unsafe { Out::zeroed("len", len, 0) } {
        len.set(message.1);
    }
    message.0
}

/// Frees an error.
#[unsafe(no_mangle)]
pub extern "C" fn selvedge_error_free(error: *mut selvedge_error) -> selvedge_status {
    guard::status(|| handle::retire::<Failure>(error).map(drop))
}

/// What the child of a fork gets instead of an error of its own: the table of errors may be locked for ever.
pub(crate) const FORKED: *mut selvedge_error = std::ptr::without_provenance_mut(reserved(Failure::TAG, 1));
const FORKED_MESSAGE: &CStr = c"this process was forked after Selvedge was first used in it: \
    expected a call in the parent, or in a new program after exec";

/// Gives an error a handle; NULL if there is none left.
pub(crate) fn publish(error: Error) -> *mut selvedge_error {
    let failure = Failure { code: error.code(), message: format!("{error:#}").as_str().into() };
    handle::publish(failure).unwrap_or(std::ptr::null_mut())
}

struct Failure {
    code: Code,
    message: Text,
}

impl Object for Failure {
    type Handle = selvedge_error;
    const TAG: usize = 1;
    const NAME: &'static str = "selvedge_error";

    fn table() -> &'static Table<Self> {
        static TABLE: Table<Failure> = Table::new();
        &TABLE
    }
}
