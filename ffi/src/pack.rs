//! Packing: a model becomes a smaller one.

#![expect(unsafe_code, reason = "exports functions of the C ABI")]

use std::ffi::c_char;

use selvedge::Result;
use selvedge::pack::{KeptTensor, PackProgress, PackReport, PackedTensor, Packing, Scheme, pack};
use serde_json::{Value, json};

use crate::abi::*;
use crate::buffer::Buffer;
use crate::memory::{self, Out};
use crate::progress::Told;
use crate::request::{check_flags, texts, unknown};
use crate::source::{Given, path};
use crate::{cancel, guard, handle};

/// Packs a model, and says what became of it.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_pack(
    source: *const selvedge_source,
    to: *const c_char,
    to_len: usize,
    options: *const selvedge_pack_options,
    out: *mut *mut selvedge_buffer,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        // First, for whatever fails lets go of what the source lends.
        // SAFETY: as above.
        let source = unsafe { Given::take(source) }?;
        // SAFETY: as above.
        let (to, options, source) = unsafe { (path("to", to, to_len)?, memory::read(options)?, source.open()?) };
        // SAFETY: as above.
        let packing = unsafe { packing(&options) }?;
        // SAFETY: as above.
        let told = unsafe { Told::new(options.progress, options.on_progress, options.user_data) }?;
        let report = pack(source, to, &packing, |at: PackProgress<'_>| {
            told.iter().for_each(|told| told.tell(at.done, at.total));
        })?;
        handle::publish(Buffer::from(&*json_of(&report).to_string()))
    })
}

/// # Safety
///
/// The pointers are as the header asks.
unsafe fn packing(o: &selvedge_pack_options) -> Result<Packing> {
    check_flags("selvedge_pack_options.flags", o.flags, SELVEDGE_PACK_OVERWRITE)?;
    let mut packing = Packing::new(match o.scheme {
        SELVEDGE_SCHEME_F16 => Scheme::F16,
        SELVEDGE_SCHEME_INT8 => Scheme::Int8,
        SELVEDGE_SCHEME_INT4 => Scheme::Int4,
        other => return Err(unknown("selvedge_scheme", other)),
    });
    packing.overwrite = o.flags & SELVEDGE_PACK_OVERWRITE != 0;
    if o.min_elements > 0 {
        packing.min_elements = o.min_elements;
    }
    if o.mean_bits != 0.0 {
        packing.mean_bits = o.mean_bits;
    }
    // SAFETY: the caller vouches for it.
    unsafe {
        packing.only = texts("selvedge_pack_options.only", o.only, o.only_count, memory::name)?;
        packing.keep = texts("selvedge_pack_options.keep", o.keep, o.keep_count, memory::name)?;
        packing.finer = texts("selvedge_pack_options.finer", o.finer, o.finer_count, memory::name)?;
    }
    packing.cancel = cancel::optional(o.cancel)?;
    Ok(packing)
}

fn json_of(report: &PackReport) -> Value {
    json!({
        "scheme": report.scheme.name(),
        "before": report.before,
        "after": report.after,
        "keeps_most": report.keeps_most(),
        "packed": report.packed.iter().map(packed).collect::<Value>(),
        "kept": report.kept.iter().map(kept).collect::<Value>(),
        "unmatched": report.unmatched,
    })
}

fn packed(tensor: &PackedTensor) -> Value {
    json!({
        "name": tensor.name,
        "format": tensor.format,
        "stored": tensor.stored,
        "dims": tensor.dims,
        "before": tensor.before,
        "after": tensor.after,
        "scale": tensor.scale,
        "relative_error": tensor.relative_error,
        "row_error": tensor.row_error,
        "worst_error": tensor.worst_error,
        "operators": tensor.operators,
    })
}

fn kept(tensor: &KeptTensor) -> Value {
    json!({ "name": tensor.name, "bytes": tensor.bytes, "reason": tensor.reason })
}
