//! Schedules: queues over engines; and engines whose calls are made for one caller.

#![expect(unsafe_code, reason = "exports functions of the C ABI")]

use std::ffi::c_char;
use std::sync::Arc;

use selvedge::layer::schedule::{Schedule, ScheduleOptions};
use selvedge::{Call, Engine, Request, Result, Run, Spec, Tokenizer, Trim};
use serde_json::json;

use crate::abi::*;
use crate::buffer::Buffer;
use crate::fields::{Field, Fields};
use crate::handle::{self, Tag, object};
use crate::memory::{self, Out};
use crate::{engine, guard};

/// A queue without engines.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_schedule_new(
    config: *const c_char,
    config_len: usize,
    out: *mut *mut selvedge_schedule,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        // SAFETY: as above.
        let config = unsafe { memory::text("config", config, config_len) }?;
        handle::publish(ScheduleObject(Schedule::new(options(config)?)?))
    })
}

/// An engine with its runs in the queue.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_schedule_around(
    schedule: *const selvedge_schedule,
    engine: *const selvedge_engine,
    slots: usize,
    out: *mut *mut selvedge_engine,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        let (schedule, engine) = (of(schedule)?, engine::of(engine)?);
        engine::export(match slots {
            0 => schedule.around(engine),
            slots => schedule.around_with(engine, slots)?,
        })
    })
}

/// What waits and computes, as JSON.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_schedule_status_json(
    schedule: *const selvedge_schedule,
    out: *mut *mut selvedge_buffer,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        let s = of(schedule)?.status();
        let json = json!({
            "waiting": s.waiting, "computing": s.computing, "granted": s.granted, "busy": s.busy, "too_late": s.too_late,
        });
        handle::publish(Buffer::from(json.to_string().as_str()))
    })
}

/// Frees the handle.
#[unsafe(no_mangle)]
pub extern "C" fn selvedge_schedule_free(schedule: *mut selvedge_schedule) -> selvedge_status {
    guard::status(|| handle::retire::<ScheduleObject>(schedule).map(drop))
}

/// An engine whose calls are made for one caller.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_engine_for_caller(
    engine: *const selvedge_engine,
    caller: u64,
    out: *mut *mut selvedge_engine,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || engine::export(Arc::new(ForCaller { engine: engine::of(engine)?, caller })))
}

fn of(schedule: *const selvedge_schedule) -> Result<Schedule> {
    handle::read::<ScheduleObject, _>(schedule, |object| object.0.clone())
}

/// The options of a configuration; the default ones if it is empty.
fn options(config: &str) -> Result<ScheduleOptions> {
    const MOST: u64 = u32::MAX as u64;
    let mut options = ScheduleOptions::new();
    if config.is_empty() {
        return Ok(options);
    }
    let mut fields = Fields::of_text("config", config)?;
    if let Some(runs) = fields.read("capacity", |f| f.whole(MOST))? {
        options = options.capacity(runs as usize);
    }
    if let Some(runs) = fields.read("caller_capacity", |f| f.whole(MOST))? {
        options = options.caller_capacity(runs as usize);
    }
    if let Some(runs) = fields.read("at_once", |f| f.whole(MOST))? {
        options = options.at_once(runs as usize);
    }
    for field in fields.read("weights", Field::list)?.unwrap_or_default() {
        let mut one = field.object()?;
        let (caller, weight) = (one.require("caller")?.whole(u64::MAX)?, one.require("weight")?.whole(MOST)?);
        one.end()?;
        options = options.weight(caller, weight as u32);
    }
    fields.end()?;
    Ok(options)
}

/// An engine, and whom its calls are made for.
struct ForCaller {
    engine: Arc<dyn Engine>,
    caller: u64,
}

impl Engine for ForCaller {
    fn spec(&self) -> &Spec {
        self.engine.spec()
    }

    fn start(&self, request: Request, call: Call) -> Result<Box<dyn Run>> {
        self.engine.start(request, call.caller(self.caller))
    }

    fn tokenizer(&self) -> Option<&dyn Tokenizer> {
        self.engine.tokenizer()
    }

    fn trim(&self, level: Trim) -> Result<u64> {
        self.engine.trim(level)
    }
}

/// A schedule behind its handle.
struct ScheduleObject(Schedule);

object!(ScheduleObject, selvedge_schedule, Tag::Schedule);
