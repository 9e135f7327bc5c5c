//! Cancel switches, which end calls.

#![expect(unsafe_code, reason = "exports functions of the C ABI")]

use selvedge::{Cancel, Result};

use crate::abi::{selvedge_cancel, selvedge_error, selvedge_status};
use crate::guard;
use crate::handle::{self, Tag, object};
use crate::memory::Out;

/// Makes a switch that is not set.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_cancel_new(
    out: *mut *mut selvedge_cancel,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || handle::publish(Switch(Cancel::new())))
}

/// Sets the switch.
#[unsafe(no_mangle)]
pub extern "C" fn selvedge_cancel_set(cancel: *const selvedge_cancel) -> selvedge_status {
    guard::status(|| {
        handle::resolve::<Switch>(cancel)?.0.cancel();
        Ok(())
    })
}

/// Frees the handle.
#[unsafe(no_mangle)]
pub extern "C" fn selvedge_cancel_free(cancel: *mut selvedge_cancel) -> selvedge_status {
    guard::status(|| handle::retire::<Switch>(cancel).map(drop))
}

/// The switch of a handle; `None` for NULL.
pub(crate) fn optional(cancel: *const selvedge_cancel) -> Result<Option<Cancel>> {
    if cancel.is_null() { Ok(None) } else { handle::read::<Switch, _>(cancel, |switch| Some(switch.0.clone())) }
}

/// A cancel switch behind its handle.
struct Switch(Cancel);

object!(Switch, selvedge_cancel, Tag::Cancel);
