//! The part of a monitor that answers pass through: never waits, never fails.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use super::hub::Hub;
use super::learning::Learning;
use super::outcome::answered;
use super::sorting::Sorting;
use crate::engine::{Answer, Engine, Provenance, Spec};
use crate::layer::probe::{Decision, Feature, Probe, Rows, Sheet};
use crate::telemetry::{Inference, ModelSlot, Outcome, Telemetry};

pub(super) struct Core {
    pub(super) engine: Arc<dyn Engine>,
    /// That of the engine, with the route through this layer.
    pub(super) spec: Spec,
    pub(super) telemetry: Telemetry,
    pub(super) hub: Arc<Hub>,
    pub(super) probe: Box<dyn Probe>,
    pub(super) seen: Arc<Seen>,
    pub(super) sheets: Mutex<Vec<Sheet>>,
}

/// AlertKind the threads that answer leave for the one that closes windows.
pub(super) struct Seen {
    /// The profile; empty while there is none.
    pub(super) sorting: OnceLock<Sorting>,
    /// The slot of the model while there is no profile.
    pub(super) bare_slot: ModelSlot,
    pub(super) features: Vec<Feature>,
    /// `None` if no profile is to be learned.
    pub(super) learning: Option<Learning>,
    pub(super) probe_panics: AtomicU64,
    pub(super) missed_rows: AtomicU64,
}

/// Sheets kept for later calls, and the most bytes of one that is kept.
const SHEETS: usize = 16;
const SHEET_BYTES: usize = 1 << 20;

impl Core {
    pub(super) fn sheet(&self) -> Sheet {
        let kept = self.sheets.try_lock().ok().and_then(|mut sheets| sheets.pop());
        kept.unwrap_or_else(|| Sheet::new(self.seen.features.len()))
    }

    pub(super) fn put_back(&self, mut sheet: Sheet) {
        sheet.clear();
        if let Ok(mut sheets) = self.sheets.try_lock()
            && sheets.len() < SHEETS
            && sheet.bytes() <= SHEET_BYTES
        {
            sheets.push(sheet);
        }
    }

    /// Lets the probe look; what it panics about is its own affair. A sheet that it left half written counts for nothing.
    pub(super) fn look(&self, sheet: &mut Sheet, look: impl FnOnce(&dyn Probe, &mut Rows<'_>)) {
        let looked = catch_unwind(AssertUnwindSafe(|| look(&*self.probe, &mut Rows::new(sheet))));
        if looked.is_err() {
            self.seen.probe_panics.fetch_add(1, Ordering::Relaxed);
            sheet.clear();
        }
    }

    pub(super) fn record_failure(&self, id: u64, outcome: Outcome, waited: Duration) {
        let failure =
            Inference { id, model_slot: self.seen.slot(), outcome, latency_us: micros(waited), ..Inference::default() };
        self.telemetry.record(&failure);
        self.hub.noted();
    }

    /// One record per row of the answer, and at least one.
    pub(super) fn record_answer(
        &self,
        id: u64,
        answer: &Answer,
        sheet: &Sheet,
        waited: Duration,
        first_token: Option<Duration>,
    ) {
        let seen = &*self.seen;
        seen.missed_rows.fetch_add(sheet.missed, Ordering::Relaxed);
        let finish = answer.finish.number();
        let (mut bins, unseen) = ([0; Inference::MAX_BINS], Decision::default());
        for row in 0..sheet.rows().max(1) {
            let (values, decision) = if row < sheet.rows() { sheet.row(row) } else { (&[][..], &unseen) };
            let sorting = seen.sorting.get();
            let mut inference = Inference {
                id: if id == 0 { 0 } else { id.wrapping_add(row as u64) },
                model_slot: sorting.map_or(seen.bare_slot, |s| s.slot),
                outcome: answered(finish, decision),
                confidence: Inference::quantize(decision.confidence),
                entropy: Inference::quantize(share_of_most(decision)),
                class: decision.class.unwrap_or(Inference::NO_CLASS),
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
            match sorting {
                // An answer that the probe did not understand has no row to compare.
                Some(sorting) if row < sheet.rows() => {
                    let sorted = sorting.sort(values, decision, waited.as_secs_f32() * 1e3, &mut bins);
                    let signed = sorting.sign(sheet.embedding(row), &mut bins);
                    seen.missed_rows.fetch_add(u64::from(signed.is_none()), Ordering::Relaxed);
                    inference.bins = &bins[..sorted + signed.unwrap_or(0)];
                }
                Some(_) => {}
                None => seen.learn(row, sheet),
            }
            self.telemetry.record(&inference);
            self.hub.noted();
        }
    }

    /// The provenance of an answer, with this layer as the outermost of its route.
    pub(super) fn route(&self, told: Arc<Provenance>) -> Arc<Provenance> {
        let usual = &self.engine.spec().provenance;
        if Arc::ptr_eq(&told, usual) || told == *usual { self.spec.provenance.clone() } else { through(&told) }
    }
}

/// The provenance with this layer on its route.
pub(super) fn through(provenance: &Provenance) -> Arc<Provenance> {
    let mut routed = provenance.clone();
    routed.route.insert(0, "monitor".into());
    Arc::new(routed)
}

/// The entropy as a share of the largest it can have; NaN where either is not known.
fn share_of_most(decision: &Decision) -> f32 {
    if decision.most_entropy > 0.0 { decision.entropy / decision.most_entropy } else { f32::NAN }
}

impl Seen {
    pub(super) fn slot(&self) -> ModelSlot {
        self.sorting.get().map_or(self.bare_slot, |sorting| sorting.slot)
    }

    fn learn(&self, row: usize, sheet: &Sheet) {
        let Some(learning) = &self.learning else { return };
        if row < sheet.rows() {
            learning.push(sheet.row(row).0, sheet.embedding(row));
        }
    }
}

/// Saturates after 71 minutes.
fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}
