//! Guard of every entry: panics become errors, and a forked child is refused.
//!
//! The panic hook stays the host's: what it prints or reports is the host's choice.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use selvedge::{Code, Error, Result};

use crate::abi::{SELVEDGE_OK, selvedge_error, selvedge_status};
use crate::failure;
use crate::fork::forked;
use crate::memory::{Out, Place};

/// Runs the body of an entry and puts its result in `out`. Its failure becomes the status and, if there is a place for
/// it, an error object. Where `out` is NULL, the body does not run.
pub(crate) fn give<P: Place, E: Into<Error>>(
    out: Result<P, E>,
    err: Option<Out<*mut selvedge_error>>,
    body: impl FnOnce() -> Result<P::Value>,
) -> selvedge_status {
    let run = || {
        let out = out.map_err(Into::into)?;
        out.set(body()?);
        Ok(())
    };
    let (status, failure) = if forked() {
        (Code::Unsupported.into(), failure::OF_FORK)
    } else {
        match contain(run) {
            Ok(()) => return SELVEDGE_OK,
            // Nobody would free it.
            Err(error) if err.is_none() => (error.code().into(), ptr::null_mut()),
            Err(error) => (error.code().into(), failure::publish(error)),
        }
    };
    if let Some(err) = err {
        err.set(failure);
    }
    status
}

/// Runs the body of an entry that has no place for an error object.
pub(crate) fn status(body: impl FnOnce() -> Result<()>) -> selvedge_status {
    if forked() {
        return Code::Unsupported.into();
    }
    match contain(body) {
        Ok(()) => SELVEDGE_OK,
        Err(error) => error.code().into(),
    }
}

/// Turns a panic of `body` into an error.
pub(crate) fn contain<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    // What a panic left half done is not seen again: a run that panicked is dropped, and handles are
    // only ever changed whole.
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|payload| Err(panicked(payload)))
}

#[cold]
fn panicked(payload: Box<dyn Any + Send>) -> Error {
    let words = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(|s| &**s));
    let message = format!("code below this call panicked: {}", words.unwrap_or("without words"));
    // A payload may panic once more as it is dropped; the payload of that one is let go.
    if let Err(second) = catch_unwind(AssertUnwindSafe(move || drop(payload))) {
        std::mem::forget(second);
    }
    Error::new(Code::Panic, message)
}
