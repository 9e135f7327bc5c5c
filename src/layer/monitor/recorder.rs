//! Recorder of answers: the part of a monitor that they pass through. It never waits and never fails.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::call_record::CallRecord;
use super::drain::FolderDrain;
use super::outcome::answered;
use super::shared::Shared;
use crate::engine::{Answer, Engine, Provenance, Spec};
use crate::layer::probe::{Prediction, Probe, Rows, Sheet};
use crate::layer::route;
use crate::telemetry::{Inference, Outcome, Telemetry};

pub(super) struct Recorder {
    pub(super) engine: Arc<dyn Engine>,
    /// That of the engine, with the route through this layer.
    pub(super) spec: Spec,
    pub(super) telemetry: Telemetry,
    pub(super) drain: Arc<FolderDrain>,
    pub(super) probe: Box<dyn Probe>,
    pub(super) shared: Arc<Shared>,
    /// Boxed, since a call's moves with its run.
    #[expect(clippy::vec_box, reason = "a sheet is lent and comes back without being copied")]
    pub(super) sheets: Mutex<Vec<Box<Sheet>>>,
}

/// The name of this layer on a route.
pub(super) const LAYER: &str = "monitor";
/// Sheets kept for later calls, and the most bytes of one that is kept.
const SHEETS: usize = 16;
const SHEET_BYTES: usize = 1 << 20;

impl Recorder {
    pub(super) fn sheet(&self) -> Box<Sheet> {
        let kept = self.sheets.try_lock().ok().and_then(|mut sheets| sheets.pop());
        kept.unwrap_or_else(|| Box::new(Sheet::new(self.shared.features.len())))
    }

    pub(super) fn put_back(&self, mut sheet: Box<Sheet>) {
        sheet.clear();
        if let Ok(mut sheets) = self.sheets.try_lock()
            && sheets.len() < SHEETS
            && sheet.bytes() <= SHEET_BYTES
        {
            sheets.push(sheet);
        }
    }

    /// Observes a request or an answer by the probe, whose panics are contained. A sheet that it left half written
    /// counts for nothing.
    pub(super) fn observe(&self, sheet: &mut Sheet, observe: impl FnOnce(&dyn Probe, &mut Rows<'_>)) {
        let observed = catch_unwind(AssertUnwindSafe(|| observe(&*self.probe, &mut Rows::new(sheet))));
        if observed.is_err() {
            self.shared.probe_panics.fetch_add(1, Ordering::Relaxed);
            sheet.clear();
        }
    }

    pub(super) fn record_failure(&self, call: &CallRecord, outcome: Outcome) {
        let failure = Inference {
            id: call.id,
            model_slot: self.shared.slot(),
            arm: call.arm,
            outcome,
            latency_us: micros(call.waited),
            ..Inference::default()
        };
        self.telemetry.record_at(&failure, call.ended);
        self.drain.after_record(call.ended);
    }

    /// One record per row of the answer, and at least one.
    pub(super) fn record_answer(&self, call: &CallRecord, answer: &Answer) {
        let CallRecord { id, arm, sheet, waited, first_token, .. } = call;
        let (id, waited, first_token, shared) = (*id, *waited, *first_token, &*self.shared);
        shared.missed_rows.fetch_add(sheet.missed, Ordering::Relaxed);
        let finish = answer.finish.number();
        let (mut bins, unseen) = ([0; Inference::MAX_BINS], Prediction::default());
        for row in 0..sheet.rows().max(1) {
            let (values, prediction) = if row < sheet.rows() { sheet.row(row) } else { (&[][..], &unseen) };
            let binning = shared.binning.get();
            let mut inference = Inference {
                id: if id == 0 { 0 } else { id.wrapping_add(row as u64) },
                model_slot: binning.map_or(shared.bare_slot, |s| s.slot),
                arm: *arm,
                outcome: answered(finish, prediction),
                confidence: Inference::quantize(prediction.confidence),
                entropy: Inference::quantize(share_of_max(prediction)),
                class: prediction.class.unwrap_or(Inference::NO_CLASS),
                ..Inference::default()
            };
            if row == 0 {
                inference.latency_us = micros(waited);
                // 0 would say that there was none.
                inference.first_token_us = first_token.map_or(0, |time| micros(time).max(1));
                inference.tokens_in = u32::try_from(answer.usage.input_tokens).unwrap_or(u32::MAX);
                inference.tokens_out = u32::try_from(answer.usage.output_tokens).unwrap_or(u32::MAX);
            } else {
                inference.outcome = inference.outcome.further();
            }
            match binning {
                // An answer that the probe did not understand has no row to compare.
                Some(binning) if row < sheet.rows() => {
                    let binned = binning.bin(values, prediction, waited.as_secs_f32() * 1e3, &mut bins);
                    let signed = binning.sign(sheet.embedding(row), &mut bins);
                    shared.missed_rows.fetch_add(u64::from(signed.is_none()), Ordering::Relaxed);
                    inference.bins = &bins[..binned + signed.unwrap_or(0)];
                }
                Some(_) => {}
                None => shared.learn(row, sheet),
            }
            self.telemetry.record_at(&inference, call.ended);
            self.drain.after_record(call.ended);
        }
    }

    /// The provenance of an answer, with this layer on its route.
    pub(super) fn route(&self, answer: Arc<Provenance>) -> Arc<Provenance> {
        route::provenance(LAYER, answer, &self.engine.spec().provenance, &self.spec.provenance)
    }
}

/// The entropy as a share of the largest it can have; NaN where either is not known.
fn share_of_max(prediction: &Prediction) -> f32 {
    if prediction.max_entropy > 0.0 { prediction.entropy / prediction.max_entropy } else { f32::NAN }
}

/// Saturates after 71 minutes.
fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}
