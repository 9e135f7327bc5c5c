//! What a model file holds, and whether it would open, without a runtime.

#![expect(unsafe_code, reason = "exports functions of the C ABI")]

use selvedge::backend::{self, Inspection};
use selvedge::{Backend, Code, Error, MemoryEstimate, Options, Result};

use crate::abi::*;
use crate::buffer::Buffer;
use crate::memory::{NO_PLACE, Out};
use crate::source::Given;
use crate::{guard, handle, json, options};

/// What a model file holds, as JSON.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_inspect(
    source: *const selvedge_source,
    options: *const selvedge_options,
    out: *mut *mut selvedge_buffer,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (source, out, err) = unsafe { (Given::take(source), Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        // SAFETY: as above.
        let (source, options) = unsafe { (source?.open()?, options::read(options)?) };
        let inspection = backend::inspect(source, &options)?;
        handle::publish(Buffer::from(&*json::inspection(&inspection)))
    })
}

/// Whether a model file is well formed, and would be taken.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_validate(
    source: *const selvedge_source,
    options: *const selvedge_options,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (source, err) = unsafe { (Given::take(source), Out::optional(err)) };
    guard::give(NO_PLACE, err, || {
        // SAFETY: as above.
        let (source, options) = unsafe { (source?.open()?, options::read(options)?) };
        verdict(backend::inspect(source, &options)?, &options)
    })
}

fn verdict(inspection: Inspection, options: &Options) -> Result<()> {
    if let Some(flaw) = inspection.flaw {
        return Err(flaw);
    }
    let format = inspection.format.name();
    let asked = inspection.backends.into_iter().filter(|(backend, _)| options.backend.is_none_or(|b| b == *backend));
    let mut refusal = None;
    for (backend, estimate) in asked {
        match estimate.and_then(|estimate| within_limit(backend, estimate, options)) {
            Ok(()) => return Ok(()),
            // The first is the one that `open` tries first.
            Err(e) => refusal = refusal.or(Some(e)),
        }
    }
    Err(refusal.unwrap_or_else(|| {
        let by = options.backend.map_or("a backend of this build", Backend::name);
        Error::new(Code::Unsupported, format!("expected a model that {by} takes, got {format} that it does not"))
    }))
}

fn within_limit(backend: Backend, estimate: MemoryEstimate, options: &Options) -> Result<()> {
    match options.memory_limit {
        Some(limit) if estimate.total() > limit => Err(Error::new(
            Code::OutOfMemory,
            format!("{} needs about {} bytes, the limit is {limit}", backend.name(), estimate.total()),
        )),
        _ => Ok(()),
    }
}
