//! Whether the model is still right.

use super::profile::Profile;

/// Accuracy from labels that come any time later, and an estimate of it without them.
#[derive(Debug)]
pub struct Concept;

/// A share with its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// Cases.
    pub of: u64,
    /// The share itself, in 0..=1.
    pub value: f64,
    /// Lower bound.
    pub low: f64,
    /// Upper bound.
    pub high: f64,
}

/// What a label brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Feedback {
    /// The prediction was right or wrong, and the error rate goes on as it was.
    Known {
        /// The prediction was right.
        right: bool,
    },
    /// The error rate has risen.
    Drifted {
        /// The prediction was right.
        right: bool,
    },
    /// No prediction of that id is remembered: never made, too old, or told before.
    Unknown,
}

impl Concept {
    /// Remembers up to `capacity` predictions that wait for their label.
    pub fn new(capacity: usize) -> Self {
        let _ = capacity;
        Self
    }

    /// Remembers a prediction.
    pub fn predicted(&mut self, _id: u64, _class: u16, _confidence: f32) {}

    /// The truth about an earlier prediction.
    pub fn feedback(&mut self, _id: u64, _truth: u16) -> Feedback {
        Feedback::Unknown
    }

    /// Accuracy over the labels so far since the last drift, with a 95 % Wilson interval. `None` without labels.
    pub fn accuracy(&self) -> Option<Share> {
        None
    }

    /// Expected accuracy of the predictions so far, by their confidence. `None` without a calibrated profile.
    pub fn estimated(&self, _profile: &Profile) -> Option<Share> {
        None
    }
}
