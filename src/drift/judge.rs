//! The verdict on a closed window.

use std::sync::Arc;

use super::calibrate::FalseAlarm;
use super::profile::Profile;
use super::window::Counts;
use crate::{Error, Result};

/// How windows are judged.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Policy {
    /// Mean time to a false alarm of the whole family of features.
    pub false_alarm: FalseAlarm,
    /// A feature has drifted if it was rejected in `persistence.0` of the last `persistence.1` windows.
    pub persistence: (u8, u8),
}

/// What is wrong with a feature, the most telling first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Finding {
    /// Every row has the same value, or none has one, and the reference varies: a pipeline that broke.
    DeadFeature,
    /// More values are missing than in the reference.
    Missing,
    /// Categories that the reference does not name.
    NewCategory,
    /// Values outside the reference's range.
    OutOfRange,
    /// The values are distributed otherwise.
    Shift,
}

/// The comparison of one feature's window with its reference.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FeatureDrift {
    /// The feature's name.
    pub name: String,
    /// χ² of homogeneity over the value bins.
    pub chi2: f64,
    /// Degrees of freedom of `chi2`.
    pub df: u32,
    /// Probability of evidence as strong as this window's without drift; decides.
    pub p: f64,
    /// Natural logarithm of `p`, exact where `p` itself is 0.
    pub ln_p: f64,
    /// Population stability index, of smoothed shares. Reported, never decides.
    pub psi: f64,
    /// Largest distance of the cumulative shares, in 0..=1.
    pub ks: f64,
    /// Jensen-Shannon distance, base 2, in 0..=1.
    pub js: f64,
    /// Hellinger distance, in 0..=1.
    pub hellinger: f64,
    /// First Wasserstein distance in the feature's unit; `None` for categories.
    pub wasserstein: Option<f64>,
    /// Share of missing values in the window.
    pub missing: f64,
    /// Every row of the window lies in one bin.
    pub constant: bool,
    /// Share of the window in categories that the reference does not name.
    pub new_category: f64,
    /// Share of the window outside the reference's range.
    pub out_of_range: f64,
    /// What is wrong, if this window is rejected.
    pub finding: Option<Finding>,
    /// Rejected in enough of the last windows: an alert is due.
    pub drifted: bool,
}

/// The comparison of a window's embeddings with their reference.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct EmbeddingDrift {
    /// Squared maximum mean discrepancy.
    pub mmd2: f64,
    /// Probability of so large an `mmd2` without drift.
    pub p: f64,
    /// Natural logarithm of `p`.
    pub ln_p: f64,
    /// This window is rejected.
    pub rejected: bool,
    /// Rejected in enough of the last windows.
    pub drifted: bool,
}

/// What a window says.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Verdict {
    /// Rows of the window.
    pub rows: u64,
    /// The family-wise level the window was judged at.
    pub level: f64,
    /// One entry per feature of the profile, in its order.
    pub features: Vec<FeatureDrift>,
    /// The embedding, where profile and window have one.
    pub embedding: Option<EmbeddingDrift>,
}

impl Verdict {
    /// Some feature, or the embedding, has drifted.
    pub fn drifted(&self) -> bool {
        self.features.iter().any(|f| f.drifted) || self.embedding.as_ref().is_some_and(|e| e.drifted)
    }
}

/// Judges windows against a profile, and remembers the last few verdicts.
#[derive(Debug)]
pub struct Judge {
    profile: Arc<Profile>,
    policy: Policy,
}

impl Judge {
    /// A judge of windows of `profile`.
    pub fn new(profile: Arc<Profile>, policy: Policy) -> Result<Self> {
        Ok(Self { profile, policy })
    }

    /// Judges a closed window.
    ///
    /// Errors: `InvalidArgument` for counts of another profile.
    pub fn judge(&mut self, _window: &Counts) -> Result<Verdict> {
        let _ = (&self.profile, self.policy);
        Err(Error::unsupported("judge"))
    }
}
