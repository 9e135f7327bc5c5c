//! Report of a monitor, for people and programs.

use std::fmt;

use super::streams::Shift;
use crate::drift::{AdjustedAccuracy, Alert, Breach, Health, Proportion, Reach, Verdict};
use crate::telemetry::{Mode, Status, Window};

/// A monitor's report: the latest windows, the active alerts, and the status of the telemetry.
///
/// Displayed, it is a table for people.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MonitorReport {
    /// The model's name.
    pub model: String,
    /// The model's version, if it has one.
    pub version: Option<String>,
    /// The reference that windows are compared with.
    pub reference: Reference,
    /// The rows that a profile is being learned from; `None` if none is.
    pub learning: Option<Learning>,
    /// How soon each feature would be seen to break, in these windows and with this reference. Empty without a profile.
    pub reach: Vec<Reach>,
    /// The latest closed windows, oldest first; at most [`MonitorReport::WINDOWS`].
    pub windows: Vec<Summary>,
    /// Rows and failures in the window in progress.
    pub in_progress: u64,
    /// The active alerts.
    pub alerts: Vec<Alert>,
    /// Sums over all windows that the folder still holds, and those of this process.
    pub totals: Totals,
    /// Accuracy by labels, since the last drift. `None` without labels.
    pub accuracy: Option<Proportion>,
    /// Accuracy to expect of the last closed window, by its confidences (CBPE). `None` without a profile whose rows had
    /// labels.
    pub estimated_accuracy: Option<Proportion>,
    /// The same, corrected by the labels that have come so far, late as they are (delay-adjusted CBPE), or how many are missing.
    /// `None` without such a profile, or a closed window.
    pub adjusted_accuracy: Option<AdjustedAccuracy>,
    /// The status of the telemetry.
    pub telemetry: Status,
    /// Panics of the probe that were contained.
    pub probe_panics: u64,
    /// Panics of the alert callback, and of the upkeep of windows, that were contained.
    pub other_panics: u64,
    /// Rows beyond [`Rows::MAX`](crate::layer::probe::Rows::MAX) of one call, and embeddings that could not be added.
    pub missed_rows: u64,
    /// Records of models that nobody monitors.
    pub unclaimed: u64,
}

impl MonitorReport {
    /// The number of windows that are kept for reports.
    pub const WINDOWS: usize = 32;
}

/// The reference that windows are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reference {
    /// Nothing: there is no profile, and none is being learned.
    None,
    /// A profile is being learned.
    Learning {
        /// Rows still to come.
        left: u64,
    },
    /// A profile made from the running model's first rows.
    Learned,
    /// A profile made from training data.
    Given,
}

/// The rows that a profile is being learned from. No window is judged before there are enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Learning {
    /// Rows learned so far, in this process.
    pub rows: u64,
    /// Rows that it takes: those of so many full windows, or fewer where windows close for their age (see
    /// [`MonitorBuilder::learn`](super::MonitorBuilder::learn)).
    pub of: u64,
}

/// The summary of a closed window: its counts, and what follows from them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Summary {
    /// The counts, as they were sealed.
    pub window: Window,
    /// The comparison with the profile; `None` without one.
    pub verdict: Option<Verdict>,
    /// Latencies and shares of errors, refusals and length stops.
    pub health: Health,
    /// The service level objectives that were broken.
    pub breaches: Vec<Breach>,
    /// Changes found in the streams of confidence, errors and latency.
    pub shifts: Vec<Shift>,
}

/// Totals over windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// Closed windows.
    pub windows: u64,
    /// Rows of answers.
    pub rows: u64,
    /// Requests, answered or not.
    pub requests: u64,
    /// Requests that failed by the engine's own fault.
    pub faults: u64,
    /// Tokens of all prompts.
    pub tokens_in: u64,
    /// Tokens generated.
    pub tokens_out: u64,
}

impl fmt::Display for MonitorReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = self.version.as_deref().map(|v| format!(" {v}")).unwrap_or_default();
        writeln!(f, "model      {}{version}", self.model)?;
        match self.reference {
            Reference::None => writeln!(f, "reference  none")?,
            Reference::Learning { left } => match self.learning {
                Some(Learning { rows, of }) => writeln!(f, "reference  learning: {rows} of {of} rows")?,
                None => writeln!(f, "reference  learning: {left} rows to come")?,
            },
            Reference::Learned => writeln!(f, "reference  learned from the first windows")?,
            Reference::Given => writeln!(f, "reference  training data")?,
        }
        let t = &self.totals;
        let open = self.in_progress;
        writeln!(f, "windows    {} closed, {} rows, {open} records in progress", t.windows, t.rows)?;
        writeln!(f, "requests   {}, {} failed", t.requests, t.faults)?;
        if let Mode::Counting { why } = &self.telemetry.mode {
            writeln!(f, "telemetry  counts only: {why}")?;
        }
        for (name, share) in [("accuracy", self.accuracy), ("estimated", self.estimated_accuracy)] {
            if let Some(s) = share {
                let [value, low, high] = [s.value, s.low, s.high].map(|share| share * 100.0);
                writeln!(f, "{name:<10} {value:.1} % of {} ({low:.1} to {high:.1})", s.of)?;
            }
        }
        if let Some(adjusted) = self.adjusted_accuracy {
            writeln!(f, "adjusted   {adjusted}")?;
        }
        self.features(f)?;
        for reach in self.reach.iter().filter(|reach| !reach.blind().is_empty()) {
            writeln!(f, "blind      {}: not seen if {}", reach.feature, reach.blind().join(", "))?;
        }
        for alert in &self.alerts {
            let (what, feature, evidence) = (alert.kind.name(), &alert.feature, &alert.evidence);
            writeln!(f, "\nALERT {feature}: {what}, since window {}\n      {evidence}", alert.since)?;
        }
        Ok(())
    }
}

impl MonitorReport {
    /// One line per feature: the last window's numbers, and the PSI over the windows.
    fn features(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let judged: Vec<&Verdict> = self.windows.iter().filter_map(|w| w.verdict.as_ref()).collect();
        let Some(last) = judged.last().filter(|v| !v.features.is_empty()) else { return Ok(()) };
        let longest = last.features.iter().map(|d| d.name.chars().count()).max().unwrap_or(0).max("feature".len());
        writeln!(f, "\n{:<longest$}       PSI        p  over the windows", "feature")?;
        for (i, drift) in last.features.iter().enumerate() {
            let history: Vec<f64> = judged.iter().filter_map(|v| Some(v.features.get(i)?.psi)).collect();
            let found = drift.finding.map_or("", |finding| finding.name());
            let (line, name) = (sparkline(&history), &drift.name);
            // What windows show together may be more than the last one shows.
            let p = drift.accumulated.map_or(drift.p, |together| together.p());
            writeln!(f, "{name:<longest$}  {:>8.3}  {p:>7.0e}  {line}  {found}", drift.psi)?;
        }
        Ok(())
    }
}

/// Numbers as a line of bars, from 0 to at least 0.25.
fn sparkline(numbers: &[f64]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = numbers.iter().copied().fold(0.25, f64::max);
    numbers.iter().map(|n| BARS[((n / most * 8.0) as usize).min(7)]).collect()
}
