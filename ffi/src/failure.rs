//! Failures: errors as objects behind handles, and the one of a forked child, which is in no table.

use std::ffi::CStr;
use std::ptr;

use selvedge::{Code, Error};

use crate::abi::selvedge_error;
use crate::handle::{self, Object, Tag, object, reserved};
use crate::text::Text;

/// The code and message of a call that failed.
pub(crate) struct Failure {
    pub(crate) code: Code,
    pub(crate) message: Text,
}

/// Gives an error a handle; NULL if there is none left.
pub(crate) fn publish(error: Error) -> *mut selvedge_error {
    let failure = Failure { code: error.code(), message: format!("{error:#}").as_str().into() };
    handle::publish(failure).unwrap_or(ptr::null_mut())
}

/// What the child of a fork gets instead of an error of its own: the table of errors may be locked for ever.
pub(crate) const OF_FORK: *mut selvedge_error = ptr::without_provenance_mut(reserved(Failure::TAG, 1));
pub(crate) const OF_FORK_MESSAGE: &CStr = c"this process was forked after Selvedge was first used in it: \
    expected a call in the parent, or in a new program after exec";

object!(Failure, selvedge_error, Tag::Error);
