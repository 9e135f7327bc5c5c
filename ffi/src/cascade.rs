//! Cascades: a cheap engine first, and a costlier one where the answer does not pass its checks; and thresholds of
//! confidence for those checks.

#![expect(unsafe_code, reason = "exports functions of the C ABI")]

use std::ffi::c_char;
use std::sync::Arc;

use selvedge::layer::cascade::{Cascade, CascadeStatus, Check, OnError, Threshold, confidence};
use selvedge::{Engine, Result};
use serde_json::{Value, json};

use crate::abi::*;
use crate::buffer::Buffer;
use crate::config::probes;
use crate::fields::{Field, Fields};
use crate::handle::{self, Tag, object};
use crate::memory::{self, Out, OutStruct, invalid};
use crate::request::{text, unknown};
use crate::{answer, engine, guard};

/// The most characters of a text that a check counts.
const MAX_LENGTH: u64 = 1 << 32;

/// Engines in the order of their cost, as one.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_cascade_new(
    stages: *const selvedge_stage,
    stage_count: usize,
    on_error: i32,
    out: *mut *mut selvedge_cascade,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        // SAFETY: as above.
        let stages = unsafe { memory::read_array("stages", stages, stage_count) }?;
        // SAFETY: as above.
        let mut stages = stages.iter().map(|s| unsafe { Stage::read(s) }).collect::<Result<Vec<_>>>()?;
        let Some(last) = stages.pop() else { return Err(invalid("stages: expected at least two, got none".into())) };
        if !last.checks.is_empty() {
            return Err(invalid("stages: expected no checks in the last one, whose answer stands, got some".into()));
        }
        let cascade = Cascade::builder().on_error(match on_error {
            SELVEDGE_ON_ERROR_ESCALATE => OnError::Escalate,
            SELVEDGE_ON_ERROR_RETURN => OnError::Return,
            other => return Err(unknown("selvedge_on_error", other)),
        });
        let cascade = stages.into_iter().try_fold(cascade, |cascade, stage| {
            let checks = checks(&stage)?;
            Ok::<_, selvedge::Error>(cascade.stage(stage.engine, checks))
        })?;
        handle::publish(CascadeObject(Arc::new(cascade.build(last.engine)?)))
    })
}

/// The engines as one.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_cascade_engine(
    cascade: *const selvedge_cascade,
    out: *mut *mut selvedge_engine,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || engine::export(of(cascade)?))
}

/// What the cascade did, as JSON.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_cascade_status_json(
    cascade: *const selvedge_cascade,
    out: *mut *mut selvedge_buffer,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || handle::publish(Buffer::from(status(&of(cascade)?.status()).to_string().as_str())))
}

/// Frees the handle.
#[unsafe(no_mangle)]
pub extern "C" fn selvedge_cascade_free(cascade: *mut selvedge_cascade) -> selvedge_status {
    guard::status(|| handle::retire::<CascadeObject>(cascade).map(drop))
}

/// How sure a model was of its answer.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_answer_confidence(
    answer: *const selvedge_answer,
    engine: *const selvedge_engine,
    probe: *const c_char,
    probe_len: usize,
    confidence: *mut f64,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (confidence, err) = unsafe { (Out::zeroed("confidence", confidence), Out::optional(err)) };
    guard::give(confidence, err, || {
        let (answer, engine) = (answer::resolve(answer)?, engine::of(engine)?);
        // SAFETY: as above.
        let probe = unsafe { memory::text("probe", probe, probe_len) }?;
        let probe = probes(Field::of_text("probe", probe)?, engine.spec())?;
        Ok(self::confidence(&probe, answer.answer()).map_or(f64::NAN, f64::from))
    })
}

/// The threshold of confidence that keeps an error rate.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_threshold_fit(
    confidences: *const f32,
    right: *const u8,
    row_count: usize,
    error_rate: f64,
    threshold: *mut selvedge_threshold,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (threshold, err) = unsafe { (OutStruct::zeroed(threshold), Out::optional(err)) };
    guard::give(threshold, err, || {
        // SAFETY: as above; nothing of the columns is kept.
        let (confidences, right) = unsafe {
            (memory::borrow_values("confidences", confidences, row_count)?, memory::bytes("right", right, row_count)?)
        };
        let mut held_out = Vec::with_capacity(row_count);
        for (row, (confidence, right)) in confidences.iter().zip(right).enumerate() {
            if *right > 1 {
                return Err(invalid(format!("right: row {row}: expected 0 or 1, got {right}")));
            }
            held_out.push((*confidence, *right == 1));
        }
        Ok(numbers(&Threshold::fit(&held_out, error_rate)?, row_count))
    })
}

fn numbers(t: &Threshold, rows: usize) -> selvedge_threshold {
    let (escalated, wrong) = (t.escalated, t.wrong_of_accepted);
    selvedge_threshold {
        struct_size: 0,
        above: t.above.into(),
        bound: t.bound,
        escalated: escalated.value,
        escalated_low: escalated.low,
        escalated_high: escalated.high,
        wrong_of_accepted: wrong.value,
        wrong_low: wrong.low,
        wrong_high: wrong.high,
        rows: rows as u64,
        accepted: wrong.of,
    }
}

fn of(cascade: *const selvedge_cascade) -> Result<Arc<Cascade>> {
    handle::read::<CascadeObject, _>(cascade, |object| object.0.clone())
}

fn status(status: &CascadeStatus) -> Value {
    let stages = status.stages.iter().map(|s| {
        let refused = s.refused.iter().map(|(check, answers)| json!({ "check": check, "answers": answers }));
        json!({
            "model": s.model, "asked": s.asked, "accepted": s.accepted, "failed": s.failed,
            "refused": refused.collect::<Value>(),
        })
    });
    json!({ "calls": status.calls, "stages": stages.collect::<Value>() })
}

/// A stage as the caller gave it.
struct Stage {
    engine: Arc<dyn Engine>,
    checks: String,
}

impl Stage {
    /// # Safety
    ///
    /// The pointers within are as the header asks.
    unsafe fn read(stage: &selvedge_stage) -> Result<Self> {
        // SAFETY: the caller vouches for it.
        let checks = unsafe { text("selvedge_stage.checks", stage.checks) }?;
        Ok(Self { engine: engine::of(stage.engine)?, checks: checks.into() })
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Finished,
    Length,
    NoRefusal,
    Json,
    Confident,
}

fn checks(stage: &Stage) -> Result<Vec<Check>> {
    if stage.checks.is_empty() {
        // Refused by the builder, in its own words.
        return Ok(Vec::new());
    }
    let checks = Field::of_text("checks", &stage.checks)?.list()?;
    checks.into_iter().map(|field| check(field, stage)).collect()
}

fn check(field: Field, stage: &Stage) -> Result<Check> {
    let mut fields = field.object()?;
    let kind = fields.require("kind")?.one_of(&[
        ("finished", Kind::Finished),
        ("length", Kind::Length),
        ("no_refusal", Kind::NoRefusal),
        ("json", Kind::Json),
        ("confident", Kind::Confident),
    ])?;
    let check = match kind {
        Kind::Finished => Check::finished(),
        Kind::Length => {
            let least = fields.read("least", |f| f.whole(MAX_LENGTH))?.unwrap_or(0);
            let most = fields.read("most", |f| f.whole(MAX_LENGTH))?.unwrap_or(MAX_LENGTH);
            Check::length(least as usize..=most as usize)
        }
        Kind::NoRefusal => Check::no_refusal(texts(fields.require("phrases")?)?),
        Kind::Json => match fields.read("keys", texts)? {
            Some(keys) => Check::json_with(keys),
            None => Check::json(),
        },
        Kind::Confident => confident(&mut fields, stage)?,
    };
    fields.end()?;
    Ok(check)
}

fn confident(fields: &mut Fields, stage: &Stage) -> Result<Check> {
    let probe = probes(fields.require("probe")?, stage.engine.spec())?;
    // JSON has no infinity: what is left out accepts every answer that has a confidence.
    let above = fields.read("above", |f| f.number(f64::MIN, f64::MAX))?.map_or(f32::NEG_INFINITY, |above| above as f32);
    Ok(Check::confident(probe, Threshold::fixed(above)))
}

fn texts(field: Field) -> Result<Vec<String>> {
    field.list()?.into_iter().map(Field::text).collect()
}

/// A cascade behind its handle.
struct CascadeObject(Arc<Cascade>);

object!(CascadeObject, selvedge_cascade, Tag::Cascade);
