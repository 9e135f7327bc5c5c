//! Concept drift: whether the model is still right.

use std::collections::{HashMap, VecDeque};

use foldhash::fast::RandomState;

use super::adwin::Adwin;
use super::ddm::Ddm;
use super::profile::Reliability;

/// A proportion of cases, with an interval that holds the true share in 95 of 100 times.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Proportion {
    /// Cases.
    pub of: u64,
    /// The proportion itself, in 0..=1.
    pub value: f64,
    /// Lower bound.
    pub low: f64,
    /// Upper bound.
    pub high: f64,
}

impl Proportion {
    /// `part` of `of` cases, with Wilson's score interval (*Probable inference, the law of succession, and statistical
    /// inference*, 1927), which stays in 0..=1 and holds for few cases, too. `None` for no cases.
    pub fn wilson(part: u64, of: u64) -> Option<Self> {
        if of == 0 || part > of {
            return None;
        }
        let (n, p, z) = (of as f64, part as f64 / of as f64, Z95);
        let (middle, all) = (p + z * z / (2.0 * n), 1.0 + z * z / n);
        let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
        Some(Self { of, value: p, low: ((middle - half) / all).max(0.0), high: ((middle + half) / all).min(1.0) })
    }
}

/// Two-sided 95 % of the normal distribution.
const Z95: f64 = 1.959_963_984_540_054;

/// The verdict that a label brings: how the error rate goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LabelVerdict {
    /// The error rate goes on as it was.
    Steady {
        /// The prediction was right.
        right: bool,
    },
    /// The error rate is high for the model's best days (DDM). That happens by chance, too.
    Suspect {
        /// The prediction was right.
        right: bool,
    },
    /// The error rate has risen (ADWIN): concept drift.
    Drifted {
        /// The prediction was right.
        right: bool,
    },
    /// No prediction of that id is remembered: never made, too old, labelled before, or of an earlier process.
    Unknown,
}

/// Accuracy from labels that come any time later, and an estimate of it without them.
///
/// # Examples
///
/// ```
/// use selvedge::drift::{Concept, LabelVerdict};
/// let mut concept = Concept::new(1000);
/// concept.predicted(7, 2, 0.9);
/// assert_eq!(concept.feedback(7, 2), LabelVerdict::Steady { right: true });
/// assert_eq!(concept.feedback(7, 2), LabelVerdict::Unknown); // labelled before
/// assert_eq!(concept.accuracy().map(|a| (a.value, a.of)), Some((1.0, 1)));
/// ```
#[derive(Clone, Debug)]
pub struct Concept {
    capacity: usize,
    /// Predictions that wait for their label.
    waiting: HashMap<u64, Waiting, RandomState>,
    /// Their ids in the order they came; some may have their label already.
    order: VecDeque<u64>,
    forgotten: u64,
    labelled: u64,
    right: u64,
    adwin: Adwin,
    ddm: Ddm,
    /// Predictions of this window per bin of confidence.
    confidences: [u64; Reliability::BINS],
}

/// A prediction that waits for its label.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    /// The window that it was made in, by the caller's count.
    pub(crate) window: u64,
    /// NaN where it is not known.
    pub(crate) confidence: f32,
    pub(crate) class: u16,
}

impl Concept {
    /// Remembers up to `capacity` predictions that wait for their label, at least 1; about 60 bytes each.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            waiting: HashMap::default(),
            order: VecDeque::new(),
            forgotten: 0,
            labelled: 0,
            right: 0,
            adwin: Adwin::new(),
            ddm: Ddm::new(),
            confidences: [0; Reliability::BINS],
        }
    }

    /// Counts the confidence of a prediction for which no label will come.
    pub fn unlabelled(&mut self, confidence: f32) {
        if let Some(bin) = Reliability::bin(confidence) {
            self.confidences[bin] += 1;
        }
    }

    /// Remembers a prediction. The oldest goes where there is no room. A second prediction of one id replaces the first.
    pub fn predicted(&mut self, id: u64, class: u16, confidence: f32) {
        self.predicted_in(0, id, class, confidence);
    }

    /// The same, of a prediction that was made in the window of this number.
    pub(crate) fn predicted_in(&mut self, window: u64, id: u64, class: u16, confidence: f32) {
        self.unlabelled(confidence);
        if self.waiting.insert(id, Waiting { window, confidence, class }).is_some() {
            return;
        }
        self.order.push_back(id);
        while self.waiting.len() > self.capacity {
            if let Some(oldest) = self.order.pop_front() {
                self.forgotten += u64::from(self.waiting.remove(&oldest).is_some());
            }
        }
        if self.order.len() > 2 * self.capacity {
            self.order.retain(|id| self.waiting.contains_key(id));
        }
    }

    /// The true class of an earlier prediction.
    pub fn feedback(&mut self, id: u64, truth: u16) -> LabelVerdict {
        match self.waiting.remove(&id) {
            Some(prediction) => self.record(prediction.class == truth),
            None => LabelVerdict::Unknown,
        }
    }

    /// Whether an earlier prediction was right, where the truth is no class.
    pub fn feedback_right(&mut self, id: u64, right: bool) -> LabelVerdict {
        match self.waiting.remove(&id) {
            Some(_) => self.record(right),
            None => LabelVerdict::Unknown,
        }
    }

    fn record(&mut self, right: bool) -> LabelVerdict {
        self.labelled += 1;
        self.right += u64::from(right);
        let before = self.adwin.mean();
        let changed = self.adwin.update(if right { 0.0 } else { 1.0 });
        let suspect = self.ddm.update(!right);
        if changed {
            // What is said of the accuracy from here on is said of the new times.
            let errors = (self.adwin.mean() * self.adwin.width() as f64).round() as u64;
            self.labelled = self.adwin.width();
            self.right = self.labelled.saturating_sub(errors);
        }
        match (changed, self.adwin.mean() > before) {
            (true, true) => LabelVerdict::Drifted { right },
            _ if suspect => LabelVerdict::Suspect { right },
            _ => LabelVerdict::Steady { right },
        }
    }

    /// Accuracy over the labels since the error rate last changed. `None` without labels.
    pub fn accuracy(&self) -> Option<Proportion> {
        Proportion::wilson(self.right, self.labelled)
    }

    /// Accuracy that the confidences of this window's predictions let expect, by how often the model was right at each
    /// confidence in the reference (confidence-based performance estimation). Sees a model that has become unsure, not
    /// one that is surely wrong. `None` without predictions.
    pub fn estimated(&self, reliability: &Reliability) -> Option<Proportion> {
        reliability.expected(&self.confidences)
    }

    /// Begins a new window of predictions for [`estimated`](Self::estimated).
    pub fn next_window(&mut self) {
        self.confidences = [0; Reliability::BINS];
    }

    /// The class predicted under an id that waits for its label.
    pub fn class_of(&self, id: u64) -> Option<u16> {
        self.waiting_for(id).map(|prediction| prediction.class)
    }

    /// The prediction under an id that waits for its label.
    pub(crate) fn waiting_for(&self, id: u64) -> Option<Waiting> {
        self.waiting.get(&id).copied()
    }

    /// Predictions that wait for their label.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Predictions whose place was taken before their label came.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }
}

impl Reliability {
    /// The accuracy to expect of predictions with these counts per bin of confidence. A bin the reference hardly saw
    /// leans on the confidence itself, as one more case. The interval (normal, 95 %) holds the chance of both samples.
    pub fn expected(&self, confidences: &[u64; Reliability::BINS]) -> Option<Proportion> {
        let of: u64 = confidences.iter().sum();
        if of == 0 {
            return None;
        }
        let (mut value, mut variance) = (0.0, 0.0);
        for (bin, n) in confidences.iter().enumerate() {
            let (accuracy, seen) = (self.accuracy(bin), self.rows[bin] as f64 + 1.0);
            let weight = *n as f64 / of as f64;
            value += weight * accuracy;
            variance += accuracy * (1.0 - accuracy) * (weight * weight / seen + weight / of as f64);
        }
        let half = Z95 * variance.sqrt();
        Some(Proportion { of, value, low: (value - half).max(0.0), high: (value + half).min(1.0) })
    }

    /// The accuracy of the reference in a bin, which leans on the middle of the bin as on one more case.
    pub(super) fn accuracy(&self, bin: usize) -> f64 {
        let middle = (bin as f64 + 0.5) / Self::BINS as f64;
        (self.right[bin] as f64 + middle) / (self.rows[bin] as f64 + 1.0)
    }
}
