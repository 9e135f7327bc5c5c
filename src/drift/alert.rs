//! Alerts: raised once, cleared with hysteresis.

use super::judge::Finding;

/// What an alert is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum What {
    /// A feature of the input, or of the output, has drifted.
    Feature(Finding),
    /// The embeddings have drifted.
    Embedding,
    /// A scalar stream (confidence, latency, errors) has changed.
    Stream,
    /// The model is wrong more often than it was.
    Concept,
    /// A service level objective is broken.
    Health,
}

/// What the app may do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action {
    /// Train the model on newer data.
    Retrain,
    /// Go back to the version before.
    RollBack,
    /// Look at what feeds the model.
    CheckPipeline,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// Worth a look.
    Warning,
    /// The answers cannot be relied on.
    Critical,
}

/// An alert.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Alert {
    /// What kind.
    pub what: What,
    /// The feature, stream or SLO it is about.
    pub feature: String,
    /// The numbers behind it, in words.
    pub evidence: String,
    /// When it was raised, on the caller's clock (monotonic nanoseconds, or a window's index).
    pub since: u64,
    /// How bad it is.
    pub severity: Severity,
    /// What the app may do.
    pub action: Action,
}

/// A change of the set of alerts.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Change {
    /// A new alert.
    Raised(Alert),
    /// One that is over, and since when.
    Cleared(Alert, u64),
}

/// The alerts that stand.
#[derive(Clone, Debug)]
pub struct Alerts {
    standing: Vec<Alert>,
}

impl Alerts {
    /// Clears an alert after `calm` observations without a sign of it.
    pub fn new(calm: u32) -> Self {
        let _ = calm;
        Self { standing: Vec::new() }
    }

    /// The alerts that stand.
    pub fn standing(&self) -> &[Alert] {
        &self.standing
    }
}
