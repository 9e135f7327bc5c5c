//! State shared by the threads that answer and the one that closes windows.

use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;

use super::baseline::BaselineLearner;
use super::binning::Binning;
use crate::layer::probe::{ProbeFeature, Sheet};
use crate::telemetry::ModelSlot;

pub(super) struct Shared {
    /// The profile; empty while there is none.
    pub(super) binning: OnceLock<Binning>,
    /// The slot of the model while there is no profile.
    pub(super) bare_slot: ModelSlot,
    pub(super) features: Vec<ProbeFeature>,
    /// `None` if no profile is to be learned.
    pub(super) baseline: Option<BaselineLearner>,
    pub(super) probe_panics: AtomicU64,
    pub(super) missed_rows: AtomicU64,
}

impl Shared {
    pub(super) fn slot(&self) -> ModelSlot {
        self.binning.get().map_or(self.bare_slot, |binning| binning.slot)
    }

    pub(super) fn learn(&self, row: usize, sheet: &Sheet) {
        let Some(baseline) = &self.baseline else { return };
        if row < sheet.rows() {
            baseline.push(sheet.row(row).0, sheet.embedding(row));
        }
    }
}
