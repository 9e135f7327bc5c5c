//! Accuracy of a model: by the labels of its answers, and as estimated from its confidences.

use crate::drift::{AdjustedAccuracy, Cohorts, Concept, Observation, Proportion, Reliability, bins_of};
use crate::telemetry::{Inference, Window};

pub(super) struct Accuracy {
    pub(super) concept: Concept,
    /// The accuracy before it fell, while it has not recovered.
    pub(super) before_drift: Option<f64>,
    estimated: Option<Proportion>,
    /// The answers of each window and their labels, late as they come; empty where nothing can be estimated.
    cohorts: Cohorts,
}

impl Accuracy {
    pub(super) fn new(unlabelled: usize) -> Self {
        Self { concept: Concept::new(unlabelled), before_drift: None, estimated: None, cohorts: Cohorts::default() }
    }

    /// Adds an answer of the window of this number, which waits for its label from now on.
    pub(super) fn add(&mut self, inference: &Inference, window: u64) {
        let confidence = Inference::unit(inference.confidence).unwrap_or(f32::NAN);
        match inference.id {
            // It can have no label.
            0 => self.concept.unlabelled(confidence),
            id => self.concept.predicted_in(window, id, inference.class, confidence),
        }
    }

    /// Takes over the labels of an earlier monitor of the same model.
    pub(super) fn take_over(&mut self, earlier: Accuracy) {
        self.concept = earlier.concept;
        self.before_drift = earlier.before_drift;
        self.estimated = earlier.estimated;
        self.cohorts = earlier.cohorts;
    }

    /// Goes on where the log ends: with the answers of its windows and their labels.
    pub(super) fn resume(&mut self, cohorts: Cohorts, last: Option<&Window>, reliability: Option<&Reliability>) {
        let Some(reliability) = reliability else { return };
        self.estimated = last.and_then(|window| reliability.expected(&bins_of(&window.confidence)));
        self.cohorts = cohorts;
        // No label can come for what an earlier process answered.
        self.cohorts.restart();
    }

    /// A label came for an answer of this confidence, given in the window of this number.
    pub(super) fn label(&mut self, window: u64, confidence: f32, right: bool) {
        self.cohorts.label(window, confidence, right);
    }

    /// Ends a window: estimates the accuracy from its confidences.
    pub(super) fn close_window(&mut self, reliability: Option<&Reliability>, window: u64, confidence: &[u64]) {
        self.estimated = reliability.and_then(|reliability| self.concept.estimated(reliability));
        if reliability.is_some() {
            self.cohorts.close(window, confidence);
        }
        self.concept.next_window();
    }

    /// The accuracy by labels.
    pub(super) fn of_labels(&self) -> Option<Proportion> {
        self.concept.accuracy()
    }

    /// The accuracy to expect of the last closed window's confidences.
    pub(super) fn estimated(&self) -> Option<Proportion> {
        self.estimated
    }

    /// The same, by the labels, too.
    pub(super) fn adjusted(&self, reliability: Option<&Reliability>) -> Option<AdjustedAccuracy> {
        self.cohorts.estimate(reliability?)
    }

    /// The signal of a window about drift that a label has shown: whether it is over, and that not by a few labels.
    pub(super) fn signal(&mut self) -> Observation {
        const FEW: u64 = 30;
        match (self.before_drift, self.concept.accuracy()) {
            (Some(before), now) if now.is_none_or(|now| now.of < FEW || now.high < before) => Observation::Holding,
            _ => {
                self.before_drift = None;
                Observation::Calm
            }
        }
    }
}
