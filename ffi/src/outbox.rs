//! Outboxes: what is to be posted of a telemetry folder, and what to do about the answers.

#![expect(unsafe_code, reason = "exports functions of the C ABI")]

use std::ffi::c_char;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::time::Duration;

use selvedge::sync::{Encoding, Outbox, OutboxOptions, Privacy};
use selvedge::{Code, Error, Result};
use serde_json::json;

use crate::abi::*;
use crate::batch::{BatchObject, given, position};
use crate::buffer::Buffer;
use crate::handle::{self, Tag, object};
use crate::memory::{self, NO_PLACE, Out, OutStruct, invalid};
use crate::request::{check_flags, unknown};
use crate::text::Text;
use crate::{guard, retry, telemetry};

/// Opens the outbox of a telemetry.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_outbox_open(
    telemetry: *const selvedge_telemetry,
    folder: *const c_char,
    folder_len: usize,
    options: *const selvedge_outbox_options,
    out: *mut *mut selvedge_outbox,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        let telemetry = telemetry::resolve(telemetry)?;
        // SAFETY: as above.
        let (folder, options) = unsafe { (telemetry::folder(folder, folder_len)?, read_options(options)?) };
        let outbox = Outbox::open(&telemetry, folder, options)?;
        let state = State { outbox, reason: "".into() };
        handle::publish(OutboxObject { freed: AtomicBool::new(false), state: Mutex::new(state) })
    })
}

/// The next batch; NULL when there is none.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_outbox_next_batch(
    outbox: *mut selvedge_outbox,
    max_bytes: usize,
    out: *mut *mut selvedge_batch,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        let object = handle::resolve::<OutboxObject>(outbox)?;
        let next = object.lock()?.outbox.next_batch(max_bytes)?;
        next.map_or(Ok(std::ptr::null_mut()), |batch| handle::publish(BatchObject::from(batch)))
    })
}

/// Whether to begin to post now.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_outbox_begin(
    outbox: *mut selvedge_outbox,
    policy: *const selvedge_retry,
    network: u32,
    judgement: *mut selvedge_judgement,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (judgement, err) = unsafe { (OutStruct::zeroed(judgement), Out::optional(err)) };
    guard::give(judgement, err, || {
        let object = handle::resolve::<OutboxObject>(outbox)?;
        // SAFETY: as above.
        let policy = unsafe { retry::policy(policy) }?;
        let (judgement, reason) = retry::begin(&policy, retry::hints(network)?);
        object.explain(judgement, &reason)
    })
}

/// What to do after the answer to a request.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_outbox_judge(
    outbox: *mut selvedge_outbox,
    batch: *const selvedge_batch,
    index: usize,
    attempt: u32,
    policy: *const selvedge_retry,
    response: *const selvedge_http_response,
    judgement: *mut selvedge_judgement,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (judgement, err) = unsafe { (OutStruct::zeroed(judgement), Out::optional(err)) };
    guard::give(judgement, err, || {
        let object = handle::resolve::<OutboxObject>(outbox)?;
        let path = handle::resolve::<BatchObject>(batch)?.path(index)?;
        let failed = attempt.checked_sub(1).ok_or_else(|| invalid("attempt: expected 1 or more, got 0".into()))?;
        // SAFETY: as above.
        let (policy, response) = unsafe { (retry::policy(policy)?, retry::response(response)?) };
        // Without random numbers the wait is the longest one, which is no reason to fail.
        let random = getrandom::u64().unwrap_or(u64::MAX);
        let judged = policy.judge(failed, path, &response, random);
        object.explain(retry::judgement(&judged), &judged.reason)
    })
}

/// Notes that a batch has arrived.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_outbox_ack(
    outbox: *mut selvedge_outbox,
    batch: *const selvedge_batch,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointer.
    let err = unsafe { Out::optional(err) };
    guard::give(NO_PLACE, err, || {
        let (outbox, batch) = pair(outbox, batch)?;
        outbox.lock()?.outbox.ack(&batch.batch)
    })
}

/// Notes that of a batch so much was refused.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_outbox_refuse(
    outbox: *mut selvedge_outbox,
    batch: *const selvedge_batch,
    refused: u64,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointer.
    let err = unsafe { Out::optional(err) };
    guard::give(NO_PLACE, err, || {
        let (outbox, batch) = pair(outbox, batch)?;
        let all = batch.batch.points.saturating_add(batch.batch.log_records);
        outbox.lock()?.outbox.refuse(&batch.batch, refused.min(all))
    })
}

/// Puts two halves in the place of a batch that is too large.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_outbox_split(
    outbox: *mut selvedge_outbox,
    batch: *const selvedge_batch,
    split: *mut i32,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (split, err) = unsafe { (Out::zeroed("split", split), Out::optional(err)) };
    guard::give(split, err, || {
        let (outbox, batch) = pair(outbox, batch)?;
        outbox.lock()?.outbox.split(&batch.batch).map(i32::from)
    })
}

/// Puts two halves in the place of a batch whose content was refused.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_outbox_bisect(
    outbox: *mut selvedge_outbox,
    batch: *const selvedge_batch,
    split: *mut i32,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (split, err) = unsafe { (Out::zeroed("split", split), Out::optional(err)) };
    guard::give(split, err, || {
        let (outbox, batch) = pair(outbox, batch)?;
        outbox.lock()?.outbox.bisect(&batch.batch).map(i32::from)
    })
}

/// The outbox as JSON.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_outbox_status_json(
    outbox: *mut selvedge_outbox,
    out: *mut *mut selvedge_buffer,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        let object = handle::resolve::<OutboxObject>(outbox)?;
        let state = object.lock()?;
        let status = json!({
            "install_id": state.outbox.install_id(),
            "refused": state.outbox.refused(),
            "through": position(state.outbox.through()),
            "damage": state.outbox.damage(),
        });
        handle::publish(Buffer::from(&*status.to_string()))
    })
}

/// Draws another install id.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_outbox_reset_install_id(
    outbox: *mut selvedge_outbox,
    out: *mut *mut selvedge_buffer,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        let object = handle::resolve::<OutboxObject>(outbox)?;
        let id = object.lock()?.outbox.reset_install_id()?;
        handle::publish(Buffer::from(&*id))
    })
}

/// Frees an outbox.
#[unsafe(no_mangle)]
pub extern "C" fn selvedge_outbox_free(outbox: *mut selvedge_outbox) -> selvedge_status {
    guard::status(|| {
        if let Some(outbox) = handle::retire::<OutboxObject>(outbox)? {
            outbox.freed.store(true, Ordering::Release);
        }
        Ok(())
    })
}

/// An outbox behind its handle.
struct OutboxObject {
    freed: AtomicBool,
    state: Mutex<State>,
}

struct State {
    outbox: Outbox,
    /// What the last judgement points to.
    reason: Text,
}

impl OutboxObject {
    fn lock(&self) -> Result<MutexGuard<'_, State>> {
        match self.state.try_lock() {
            Ok(state) => Ok(state),
            Err(TryLockError::Poisoned(state)) => Ok(state.into_inner()),
            Err(TryLockError::WouldBlock) => Err(Error::new(Code::Busy, "the outbox is in use by another thread")),
        }
    }

    /// Keeps the reason of a judgement until the next one.
    fn explain(&self, mut judgement: selvedge_judgement, reason: &str) -> Result<selvedge_judgement> {
        let mut state = self.lock()?;
        state.reason.set(reason);
        judgement.reason = given(&state.reason);
        // What it points to goes with the handle.
        if self.freed.load(Ordering::Acquire) {
            return Err(Error::new(Code::Cancelled, "the outbox was freed while it was asked"));
        }
        Ok(judgement)
    }
}

fn pair(outbox: *const selvedge_outbox, batch: *const selvedge_batch) -> Result<(Arc<OutboxObject>, Arc<BatchObject>)> {
    Ok((handle::resolve(outbox)?, handle::resolve(batch)?))
}

/// # Safety
///
/// As of [`memory::read`], and the pointers within are as the header asks.
unsafe fn read_options(place: *const selvedge_outbox_options) -> Result<OutboxOptions> {
    // SAFETY: the caller vouches for it, here and below.
    let o = unsafe { memory::read(place) }?;
    let flags = SELVEDGE_OUTBOX_EXACT_COUNTS | SELVEDGE_OUTBOX_ANY_COUNT;
    check_flags("selvedge_outbox_options.flags", o.flags, flags)?;
    // SAFETY: as above.
    let app = unsafe { memory::name("selvedge_outbox_options.app", o.app.data, o.app.len) }?;
    if app.is_empty() {
        return Err(invalid("selvedge_outbox_options.app: expected the name of the app, got none".into()));
    }
    // SAFETY: as above.
    let version =
        unsafe { memory::name("selvedge_outbox_options.app_version", o.app_version.data, o.app_version.len) }?;
    let mut options = OutboxOptions::new(app).privacy(privacy(&o)).encoding(match o.encoding {
        SELVEDGE_ENCODING_DEFAULT => Encoding::default(),
        SELVEDGE_ENCODING_IDENTITY => Encoding::Identity,
        SELVEDGE_ENCODING_GZIP => Encoding::Gzip,
        SELVEDGE_ENCODING_ZSTD => Encoding::Zstd,
        other => return Err(unknown("selvedge_encoding", other)),
    });
    options.app_version = (!version.is_empty()).then(|| version.into());
    if o.interval_ms > 0 {
        options.interval = Duration::from_millis(o.interval_ms);
    }
    // SAFETY: as above.
    let given = unsafe { memory::read_values("selvedge_outbox_options.attributes", o.attributes, o.attribute_count) }?;
    for pair in given {
        // SAFETY: as above.
        let (name, value) = unsafe { attribute(pair) }?;
        check_attribute(&options, name)?;
        options = options.attribute(name, value);
    }
    Ok(options)
}

fn privacy(o: &selvedge_outbox_options) -> Privacy {
    let privacy = match (o.flags & SELVEDGE_OUTBOX_ANY_COUNT != 0, o.min_count) {
        (true, _) => Privacy::default().min_count(Privacy::NONE.min_count),
        (false, 0) => Privacy::default(),
        (false, rows) => Privacy::default().min_count(rows),
    };
    match (o.flags & SELVEDGE_OUTBOX_EXACT_COUNTS != 0, o.epsilon) {
        (true, _) => privacy.epsilon(None),
        (false, 0.0) => privacy,
        (false, epsilon) => privacy.epsilon(epsilon),
    }
}

/// # Safety
///
/// The pointers are as the header asks.
unsafe fn attribute<'a>(pair: selvedge_pair) -> Result<(&'a str, &'a str)> {
    // SAFETY: the caller vouches for it, here and below.
    let name = unsafe { memory::name("selvedge_outbox_options.attributes.name", pair.name.data, pair.name.len) }?;
    // SAFETY: as above.
    let value = unsafe { memory::name("selvedge_outbox_options.attributes.value", pair.value.data, pair.value.len) }?;
    Ok((name, value))
}

/// A resource has each attribute once.
fn check_attribute(options: &OutboxOptions, name: &str) -> Result<()> {
    let own = ["service.name", "service.version", "service.instance.id", "app.installation.id"];
    let why = if name.is_empty() {
        "expected a name, got none"
    } else if own.contains(&name) || name.starts_with("selvedge.") {
        "this one is the library's own"
    } else if options.attributes.iter().any(|(known, _)| known == name) {
        "it is there twice"
    } else {
        return Ok(());
    };
    Err(invalid(format!("selvedge_outbox_options.attributes '{name}': {why}")))
}

object!(OutboxObject, selvedge_outbox, Tag::Outbox);
