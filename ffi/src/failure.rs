//! Failures: errors as objects behind handles, and the one of a forked child, which is in no table.

use std::ffi::CStr;
use std::ptr;
use std::time::Duration;

use selvedge::{Code, Error};

use crate::abi::selvedge_error;
use crate::handle::{self, Object, Tag, object, reserved};
use crate::text::Text;

/// The code and message of a call that failed.
pub(crate) struct Failure {
    pub(crate) code: Code,
    pub(crate) message: Text,
    /// Milliseconds after which to ask again; 0 if there is no hint.
    pub(crate) retry_after_ms: u64,
}

/// Gives an error a handle; NULL if there is none left.
pub(crate) fn publish(error: Error) -> *mut selvedge_error {
    // At least one, for 0 says that there is no hint.
    let wait = |wait: Duration| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
    let failure = Failure {
        code: error.code(),
        message: format!("{error:#}").as_str().into(),
        retry_after_ms: error.retry_after().map_or(0, wait),
    };
    handle::publish(failure).unwrap_or(ptr::null_mut())
}

/// What the child of a fork gets instead of an error of its own: the table of errors may be locked for ever.
pub(crate) const OF_FORK: *mut selvedge_error = ptr::without_provenance_mut(reserved(Failure::TAG, 1));
pub(crate) const OF_FORK_MESSAGE: &CStr = c"this process was forked after Selvedge was first used in it: \
    expected a call in the parent, or in a new program after exec";

object!(Failure, selvedge_error, Tag::Error);
