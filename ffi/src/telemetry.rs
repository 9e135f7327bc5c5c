//! Telemetry folders: open, status, free.

#![expect(unsafe_code, reason = "exports functions of the C ABI")]

use std::collections::BTreeMap;
use std::ffi::c_char;

use selvedge::Result;
use selvedge::telemetry::{Durability, Limits, Mode, Status, Telemetry};
use serde_json::{Value, json};

use crate::abi::*;
use crate::buffer::Buffer;
use crate::guard;
use crate::handle::{self, Tag, object};
use crate::memory::{self, Out, invalid};
use crate::request::{check_flags, unknown};

/// Opens the telemetry of a folder.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_telemetry_open(
    folder: *const c_char,
    folder_len: usize,
    limits: *const selvedge_limits,
    out: *mut *mut selvedge_telemetry,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        // SAFETY: as above.
        let (folder, limits) = unsafe { (self::folder(folder, folder_len)?, self::limits(limits)?) };
        handle::publish(Folder(Telemetry::open(folder, limits)))
    })
}

/// The state of the folder as JSON.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_telemetry_status_json(
    telemetry: *const selvedge_telemetry,
    out: *mut *mut selvedge_buffer,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || handle::publish(Buffer::from(json(&resolve(telemetry)?.status()).to_string().as_str())))
}

/// Frees the handle.
#[unsafe(no_mangle)]
pub extern "C" fn selvedge_telemetry_free(telemetry: *mut selvedge_telemetry) -> selvedge_status {
    guard::status(|| handle::retire::<Folder>(telemetry).map(drop))
}

/// The telemetry of a handle.
pub(crate) fn resolve(telemetry: *const selvedge_telemetry) -> Result<Telemetry> {
    handle::read::<Folder, _>(telemetry, |object| object.0.clone())
}

/// Borrows the name of a folder.
///
/// # Safety
///
/// As of [`memory::name`].
pub(crate) unsafe fn folder<'a>(place: *const c_char, len: usize) -> Result<&'a str> {
    // SAFETY: the caller vouches for it.
    let folder = unsafe { memory::name("folder", place, len) }?;
    if folder.is_empty() || folder.contains('\0') {
        return Err(invalid(format!("folder: expected the name of a folder, got {folder:?}")));
    }
    Ok(folder)
}

/// A status as JSON.
pub(crate) fn json(status: &Status) -> Value {
    let (mode, why) = match &status.mode {
        Mode::Counting { why } => ("counting", Some(why)),
        _ => ("durable", None),
    };
    let dropped: BTreeMap<&str, u64> = status.dropped.iter().map(|(reason, n)| (reason.name(), *n)).collect();
    json!({
        "mode": mode,
        "why": why,
        "code": status.code.map(|code| code as i32),
        "bytes": status.bytes,
        "history_bytes": status.history_bytes,
        "segments": status.segments,
        "recovered": status.recovered,
        "torn": status.torn,
        "quarantined": status.quarantined,
        "unacked": status.unacked,
        "oldest": status.oldest.map(|at| json!({ "epoch": at.epoch, "seq": at.seq })),
        "dropped": dropped,
    })
}

/// # Safety
///
/// As of [`memory::read_optional`].
unsafe fn limits(place: *const selvedge_limits) -> Result<Limits> {
    // SAFETY: the caller vouches for it.
    let given = unsafe { memory::read_optional(place) }?.unwrap_or_default();
    check_flags("selvedge_limits.flags", given.flags, 0)?;
    let mut limits = Limits::default().durability(match given.durability {
        SELVEDGE_DURABILITY_PROCESS => Durability::Process,
        SELVEDGE_DURABILITY_POWER => Durability::Power,
        other => return Err(unknown("selvedge_durability", other)),
    });
    let or = |given: u64, default: u64| if given == 0 { default } else { given };
    limits.bytes = or(given.bytes, limits.bytes);
    limits.history_bytes = or(given.history_bytes, limits.history_bytes);
    limits.segment_bytes = or(given.segment_bytes, limits.segment_bytes);
    limits.slots = if given.slots == 0 { limits.slots } else { given.slots };
    if given.lanes > 0 {
        let lanes = u16::try_from(given.lanes);
        let beyond = |_| invalid(format!("selvedge_limits.lanes: expected at most 65535, got {}", given.lanes));
        limits.lanes = lanes.map_err(beyond)?;
    }
    Ok(limits)
}

/// An open folder behind its handle.
struct Folder(Telemetry);

object!(Folder, selvedge_telemetry, Tag::Telemetry);
