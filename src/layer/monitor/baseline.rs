//! Baseline of a model that has no profile: one is learned from its first rows.

use std::sync::{Arc, Mutex, OnceLock};

use super::report::Learning;
use crate::Digest;
use crate::drift::{CellValue, Fit, Learner, Profile, Row, RowDependence};
use crate::layer::probe::ProbeFeature;
use crate::threads::unpoisoned;

/// A learner that collects rows until there are enough: as many as so many full windows have, or fewer where windows close
/// for their age.
#[derive(Debug)]
pub(super) struct BaselineLearner {
    model: Digest,
    features: Vec<ProbeFeature>,
    /// Windows to learn from, and the rows of a full one.
    windows: u64,
    window: u64,
    collected: Mutex<Collected>,
    learned: OnceLock<Arc<Profile>>,
}

/// Rows so far, and the pace at which they came.
#[derive(Debug, Default)]
struct Collected {
    learner: Option<Learner>,
    /// Windows that closed, and the rows that there were when the last one did.
    windows: u64,
    before: u64,
    /// Rows of the longest window, the one in progress among them.
    longest: u64,
}

/// Rows of the smallest reference of windows that are not full: fewer show little.
const MIN_ROWS: u64 = 512;

impl BaselineLearner {
    /// A learner of so many windows of so many rows.
    pub(super) fn new(model: Digest, features: &[ProbeFeature], windows: u64, window: u64) -> Self {
        let (collected, learned) = (Mutex::default(), OnceLock::new());
        Self { model, features: features.into(), windows, window, collected, learned }
    }

    /// Learns a row. A row given while another thread is at it is left out: nobody waits.
    pub(super) fn push(&self, values: &[f32], embedding: &[f32]) {
        let nothing = values.is_empty() && embedding.is_empty();
        let Ok(mut collected) = self.collected.try_lock() else { return };
        if nothing || self.learned.get().is_some() {
            return;
        }
        let values: Vec<CellValue<'_>> = values.iter().map(|v| CellValue::Number(*v)).collect();
        let row = Row::new(&values).embedding(embedding);
        let in_progress = (collected.kept() + 1).saturating_sub(collected.before);
        collected.longest = collected.longest.max(in_progress);
        let rows = self.wanted(&collected);
        let learner = collected.learner.get_or_insert_with(|| Learner::new(self.fit(embedding.len()), rows));
        learner.set_rows(rows);
        match learner.push(&row) {
            Ok(None) => {}
            Ok(Some(profile)) => {
                let _ = self.learned.set(Arc::new(profile));
            }
            Err(e) => tracing::debug!("a row or a profile could not be learned: {e:#}"),
        }
    }

    /// A window closed, full or not.
    pub(super) fn close_window(&self) {
        let mut collected = unpoisoned(self.collected.lock());
        collected.windows += 1;
        collected.before = collected.kept();
    }

    /// Rows that it takes: those of so many full windows, until so many have closed. From then on it is known how many rows
    /// a window has, and a reference has as many times that.
    fn wanted(&self, collected: &Collected) -> u64 {
        let full = self.windows.saturating_mul(self.window);
        if collected.windows < self.windows {
            return full;
        }
        self.windows.saturating_mul(collected.longest).max(MIN_ROWS).min(full)
    }

    fn fit(&self, embedding: usize) -> Fit {
        // Rows are in the order of time, and may well depend on each other.
        let mut fit = Profile::fit().model(self.model.0).block(RowDependence::Estimate);
        for feature in &self.features {
            fit = match feature.category {
                true => fit.category(&feature.name),
                false => fit.output(&feature.name, feature.source),
            };
        }
        if embedding > 0 { fit.embedding(embedding) } else { fit }
    }

    pub(super) fn learned(&self) -> Option<&Arc<Profile>> {
        self.learned.get()
    }

    /// How far it is.
    pub(super) fn progress(&self) -> Learning {
        let collected = unpoisoned(self.collected.lock());
        let of = self.wanted(&collected);
        Learning { rows: collected.kept().min(of), of }
    }
}

impl Collected {
    fn kept(&self) -> u64 {
        self.learner.as_ref().map_or(0, Learner::kept)
    }
}
