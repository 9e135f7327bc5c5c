//! Reports: the page of a folder, and the state of a monitor as JSON.

#![expect(unsafe_code, reason = "exports functions of the C ABI")]

use std::ffi::c_char;
use std::path::Path;

use selvedge::Result;
use selvedge::crash::CrashRecord;
use selvedge::drift::{AdjustedAccuracy, Alert, Proportion};
use selvedge::layer::monitor::{MonitorReport, Reference, Summary};
use selvedge::report::{Evidence, Story};
use selvedge::sync::Privacy;
use serde_json::{Value, json};

use crate::abi::{selvedge_buffer, selvedge_error, selvedge_status};
use crate::buffer::Buffer;
use crate::memory::{self, Out, invalid};
use crate::{alert, guard, handle, source, telemetry};

/// What happened on this device, as a page.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_report_html(
    folder: *const c_char,
    folder_len: usize,
    out: *mut *mut selvedge_buffer,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        // SAFETY: as above.
        let folder = unsafe { telemetry::folder(folder, folder_len) }?;
        handle::publish(Buffer::from(Story::read(Path::new(folder))?.html().as_str()))
    })
}

/// The same, with a store and a crash record beside it.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_report_html_with(
    folder: *const c_char,
    folder_len: usize,
    store: *const c_char,
    store_len: usize,
    crashes: *const c_char,
    crashes_len: usize,
    out: *mut *mut selvedge_buffer,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (out, err) = unsafe { (Out::zeroed("out", out), Out::optional(err)) };
    guard::give(out, err, || {
        // SAFETY: as above.
        let (folder, store, crashes) = unsafe {
            (
                telemetry::folder(folder, folder_len)?,
                beside("store", store, store_len)?,
                beside("crashes", crashes, crashes_len)?,
            )
        };
        let mut story = Story::read(Path::new(folder))?;
        if let Some(store) = store {
            story = story.with_store(store)?;
        }
        if let Some(crashes) = crashes {
            story = story.with_crash_record(&CrashRecord::new(crashes))?;
        }
        handle::publish(Buffer::from(story.html().as_str()))
    })
}

/// Borrows the name of a folder; an empty one is none.
///
/// # Safety
///
/// As of [`memory::name`].
unsafe fn beside<'a>(name: &str, place: *const c_char, len: usize) -> Result<Option<&'a Path>> {
    // SAFETY: the caller vouches for it.
    let folder = unsafe { memory::name(name, place, len) }?;
    if folder.contains('\0') {
        return Err(invalid(format!("{name}: expected the name of a folder, got {folder:?}")));
    }
    Ok((!folder.is_empty()).then_some(Path::new(folder)))
}

/// Why models should be retrained, as files.
///
/// # Safety
///
/// Pointers are as the header asks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selvedge_report_evidence(
    folder: *const c_char,
    folder_len: usize,
    to: *const c_char,
    to_len: usize,
    min_count: u64,
    epsilon: f64,
    alerts: *mut u64,
    err: *mut *mut selvedge_error,
) -> selvedge_status {
    // SAFETY: the caller vouches for the pointers, here and below.
    let (alerts, err) = unsafe { (Out::zeroed("alerts", alerts), Out::optional(err)) };
    guard::give(alerts, err, || {
        // SAFETY: as above.
        let (folder, to) = unsafe { (telemetry::folder(folder, folder_len)?, source::path("to", to, to_len)?) };
        let default = Privacy::default();
        let privacy = default.min_count(if min_count == 0 { default.min_count } else { min_count });
        let privacy = privacy.epsilon((epsilon != 0.0).then_some(epsilon));
        let evidence = Evidence::of(&Story::read(Path::new(folder))?, privacy)?;
        evidence.write(to)?;
        Ok(evidence.alerts() as u64)
    })
}

/// A monitor's report as JSON.
pub(crate) fn json(report: &MonitorReport) -> Value {
    let t = &report.totals;
    let reach = report.reach.iter().map(|r| {
        json!({
            "feature": r.feature, "shift": r.shift, "missing": r.missing, "out_of_range": r.out_of_range, "dead": r.dead,
        })
    });
    json!({
        "model": report.model,
        "version": report.version,
        "reference": match report.reference {
            Reference::None => "none",
            Reference::Learning { .. } => "learning",
            Reference::Learned => "learned",
            Reference::Given => "given",
            _ => "other",
        },
        "learning": report.learning.map(|l| json!({ "rows": l.rows, "of": l.of })),
        "totals": {
            "requests": t.requests, "rows": t.rows, "faults": t.faults, "tokens_in": t.tokens_in,
            "tokens_out": t.tokens_out, "windows": t.windows,
        },
        "in_progress": report.in_progress,
        "missed_rows": report.missed_rows,
        "unclaimed": report.unclaimed,
        "alerts": report.alerts.iter().map(standing).collect::<Value>(),
        "accuracy": report.accuracy.map(proportion),
        "estimated_accuracy": report.estimated_accuracy.map(proportion),
        "adjusted_accuracy": report.adjusted_accuracy.map(adjusted),
        "reach": reach.collect::<Value>(),
        "windows": report.windows.iter().map(window).collect::<Value>(),
        "telemetry": telemetry::json(&report.telemetry),
    })
}

fn standing(a: &Alert) -> Value {
    json!({
        "kind": alert::kind_name(a.kind),
        "feature": a.feature,
        "severity": alert::severity_name(a.severity),
        "action": alert::action_name(a.action),
        "since": a.since,
        "evidence": a.evidence,
    })
}

fn proportion(p: Proportion) -> Value {
    json!({ "value": p.value, "low": p.low, "high": p.high, "of": p.of })
}

fn adjusted(a: AdjustedAccuracy) -> Value {
    json!({
        "value": a.value, "of": a.of, "adjusted": a.is_adjusted(), "offset": a.offset, "rows": a.rows, "labels": a.labels,
        "right": a.right, "wrong": a.wrong,
    })
}

fn window(summary: &Summary) -> Value {
    let verdict = summary.verdict.as_ref();
    let features = verdict.map_or(&[][..], |v| &v.features).iter().map(|f| {
        json!({
            "name": f.name, "p": f.p, "psi": f.psi, "drifted": f.drifted, "finding": f.finding.map(alert::finding_name),
        })
    });
    json!({
        "index": summary.window.index,
        "rows": summary.window.rows,
        "drifted": verdict.map(|v| v.drifted()),
        "features": features.collect::<Value>(),
    })
}
