//! Crash record: what ended earlier processes, forgotten on demand, and explained by the platform.

#![expect(unsafe_code, reason = "exports functions of the C ABI")]

use std::ffi::c_char;
use std::time::UNIX_EPOCH;

use selvedge::Result;
use selvedge::crash::{CrashEntry, CrashPhase, CrashRecord, Death, Exit, Rung};
use serde_json::{Value, json};

use crate::abi::*;
use crate::buffer::Buffer;
use crate::memory::{self, NO_PLACE, Out, invalid};
use crate::request::{check_flags, unknown};
use crate::{guard, handle, store, telemetry};

/// What is on record as JSON.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_crash_entries(
    folder: *const c_char,
    folder_len: usize,
    out: *mut *mut selvedge_buffer,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        // SAFETY: as above.
        let record = unsafe { record(folder, folder_len) }?;
        let entries = record.entries()?.iter().map(entry_json).collect::<Value>();
        handle::publish(Buffer::from(&*entries.to_string()))
    })
}

/// Forgets all deaths.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_crash_clear(
    folder: *const c_char,
    folder_len: usize,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let err = unsafe { Out::optional(err) };
    // SAFETY: as above.
    guard::give(NO_PLACE, err, || unsafe { record(folder, folder_len) }?.clear())
}

/// Forgets the deaths of one model.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_crash_clear_model(
    folder: *const c_char,
    folder_len: usize,
    digest: *const c_char,
    digest_len: usize,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let err = unsafe { Out::optional(err) };
    guard::give(NO_PLACE, err, || {
        // SAFETY: as above.
        let (record, digest) = unsafe { (record(folder, folder_len)?, store::id("digest", digest, digest_len)?) };
        record.clear_model(digest)
    })
}

/// What the platform says of the end of a process.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_crash_explain(
    folder: *const c_char,
    folder_len: usize,
    process: u32,
    exit: i32,
    signal: i32,
    deaths: *mut usize,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (deaths, err) = unsafe { (Out::zeroed("deaths", deaths), Out::optional(err)) };
    guard::give(deaths, err, || {
        // SAFETY: as above.
        let record = unsafe { record(folder, folder_len) }?;
        let exit = match exit {
            SELVEDGE_EXIT_NATIVE_CRASH => Exit::NativeCrash((signal != 0).then_some(signal)),
            SELVEDGE_EXIT_OTHERWISE => Exit::Otherwise,
            other => return Err(unknown("selvedge_exit", other)),
        };
        record.explain(process, exit)
    })
}

/// The crash record that options ask for; `None` without a folder.
///
/// # Safety
///
/// The pointers within are as the header asks.
pub(crate) unsafe fn of_options(o: &selvedge_options) -> Result<Option<CrashRecord>> {
    // SAFETY: the caller vouches for it, here and below.
    let folder = unsafe { memory::name("selvedge_options.crash_folder", o.crash_folder.data, o.crash_folder.len) }?;
    let version = o.crash_app_version;
    // SAFETY: as above.
    let version = unsafe { memory::name("selvedge_options.crash_app_version", version.data, version.len) }?;
    // SAFETY: as above.
    let rungs = unsafe { memory::read_values("selvedge_options.crash_rungs", o.crash_rungs, o.crash_rung_count) }?;
    let rungs = rungs.into_iter().map(rung).collect::<Result<Vec<_>>>()?;
    if folder.contains('\0') || folder.is_empty() && !(version.is_empty() && rungs.is_empty()) {
        let name = "selvedge_options.crash_folder";
        return Err(invalid(format!("{name}: expected the name of a folder, got {folder:?}")));
    }
    let record = || CrashRecord::new(folder).app_version(version);
    Ok(match (folder.is_empty(), o.crash_rungs.is_null()) {
        (true, _) => None,
        (false, true) => Some(record()),
        (false, false) => Some(record().ladder(rungs)),
    })
}

fn rung(bits: u32) -> Result<Rung> {
    let known = SELVEDGE_RUNG_ONE_THREAD | SELVEDGE_RUNG_READ_WHOLE | SELVEDGE_RUNG_OTHER_RUNTIME;
    check_flags("selvedge_options.crash_rungs", bits, known)?;
    let mut rung = Rung::new();
    rung.one_thread = bits & SELVEDGE_RUNG_ONE_THREAD != 0;
    rung.read_whole = bits & SELVEDGE_RUNG_READ_WHOLE != 0;
    rung.other_runtime = bits & SELVEDGE_RUNG_OTHER_RUNTIME != 0;
    Ok(rung)
}

/// # Safety
///
/// As of [`memory::name`].
unsafe fn record(folder: *const c_char, folder_len: usize) -> Result<CrashRecord> {
    // SAFETY: the caller vouches for it.
    Ok(CrashRecord::from(unsafe { telemetry::folder(folder, folder_len) }?))
}

fn entry_json(entry: &CrashEntry) -> Value {
    json!({
        "model": entry.model,
        "digest": entry.digest.to_string(),
        "app_version": entry.app_version,
        "deaths": entry.deaths.iter().map(death_json).collect::<Value>(),
    })
}

fn death_json(death: &Death) -> Value {
    let phase = match death.phase {
        CrashPhase::Open => "open",
        CrashPhase::Idle => "idle",
        CrashPhase::FirstUse => "first_use",
        CrashPhase::LaterUse => "later_use",
        _ => "other",
    };
    json!({
        "time": death.time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        "phase": phase,
        "signal": death.signal,
        "backend": death.backend,
        "runtime": death.runtime,
        "rung": death.rung,
        "sure": death.is_sure,
        "text": death.to_string(),
    })
}
