//! Baseline of a model that has no profile: one is learned from its first rows.

use std::sync::{Arc, Mutex, OnceLock};

use crate::Digest;
use crate::drift::{CellValue, Fit, Learner, Profile, Row, RowDependence};
use crate::layer::probe::ProbeFeature;

/// A learner that collects rows until there are enough.
#[derive(Debug)]
pub(super) struct BaselineLearner {
    model: Digest,
    features: Vec<ProbeFeature>,
    rows: u64,
    learner: Mutex<Option<Learner>>,
    learned: OnceLock<Arc<Profile>>,
}

impl BaselineLearner {
    pub(super) fn new(model: Digest, features: &[ProbeFeature], rows: u64) -> Self {
        Self { model, features: features.into(), rows, learner: Mutex::new(None), learned: OnceLock::new() }
    }

    /// Learns a row. A row given while another thread is at it is left out: nobody waits.
    pub(super) fn push(&self, values: &[f32], embedding: &[f32]) {
        let nothing = values.is_empty() && embedding.is_empty();
        let Ok(mut learner) = self.learner.try_lock() else { return };
        if nothing || self.learned.get().is_some() {
            return;
        }
        let values: Vec<CellValue<'_>> = values.iter().map(|v| CellValue::Number(*v)).collect();
        let row = Row::new(&values).embedding(embedding);
        let learner = learner.get_or_insert_with(|| Learner::new(self.fit(embedding.len()), self.rows));
        match learner.push(&row) {
            Ok(None) => {}
            Ok(Some(profile)) => {
                let _ = self.learned.set(Arc::new(profile));
            }
            Err(e) => tracing::debug!("a row or a profile could not be learned: {e:#}"),
        }
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

    /// Rows that it takes.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Rows still to come.
    pub(super) fn remaining(&self) -> u64 {
        match self.learner.lock() {
            Ok(learner) => learner.as_ref().map_or(self.rows, Learner::left),
            Err(_) => 0,
        }
    }
}
