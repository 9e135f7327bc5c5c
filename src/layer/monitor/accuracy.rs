//! Accuracy of a model: by the labels of its answers, and as estimated from its confidences.

use crate::drift::{Concept, Observation, Proportion, Reliability};
use crate::telemetry::Inference;

pub(super) struct Accuracy {
    pub(super) concept: Concept,
    /// The accuracy before it fell, while it has not recovered.
    pub(super) before_drift: Option<f64>,
    estimated: Option<Proportion>,
}

impl Accuracy {
    pub(super) fn new(unlabelled: usize) -> Self {
        Self { concept: Concept::new(unlabelled), before_drift: None, estimated: None }
    }

    /// Adds an answer, which waits for its label from now on.
    pub(super) fn add(&mut self, inference: &Inference) {
        let confidence = Inference::unit(inference.confidence).unwrap_or(f32::NAN);
        match inference.id {
            // It can have no label.
            0 => self.concept.unlabelled(confidence),
            id => self.concept.predicted(id, inference.class, confidence),
        }
    }

    /// Takes over the labels of an earlier monitor of the same model.
    pub(super) fn take_over(&mut self, earlier: Accuracy) {
        self.concept = earlier.concept;
        self.before_drift = earlier.before_drift;
    }

    /// Ends a window: estimates the accuracy from its confidences.
    pub(super) fn close_window(&mut self, reliability: Option<&Reliability>) {
        self.estimated = reliability.and_then(|reliability| self.concept.estimated(reliability));
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
