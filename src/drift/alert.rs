//! Alerts: raised once, cleared with hysteresis.

use super::compare::FeatureDrift;
use super::health::Breach;
use super::judge::{Finding, Verdict};

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

impl What {
    /// The kind in words: the finding's name, `embedding drift`, `change`, `concept drift`, `broken promise`.
    pub fn name(self) -> &'static str {
        match self {
            What::Feature(finding) => finding.name(),
            What::Embedding => "embedding drift",
            What::Stream => "change",
            What::Concept => "concept drift",
            What::Health => "broken promise",
        }
    }

    /// Whether two alerts are about the same thing: a feature's finding may change while it stands.
    pub(crate) fn same(self, other: What) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }

    fn action(self) -> Action {
        match self {
            What::Feature(Finding::Shift) | What::Embedding | What::Concept | What::Stream => Action::Retrain,
            What::Feature(_) => Action::CheckPipeline,
            What::Health => Action::RollBack,
        }
    }

    fn severity(self) -> Severity {
        match self {
            What::Feature(Finding::DeadFeature) | What::Concept => Severity::Critical,
            _ => Severity::Warning,
        }
    }
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
    /// One that is over.
    Cleared {
        /// The alert as it stood.
        alert: Alert,
        /// When it was cleared, on the caller's clock.
        at: u64,
    },
}

/// What one observation says of one thing.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Signal {
    /// The thing is wrong, and this is the evidence.
    Firing(String),
    /// Not wrong enough to raise an alert, and not calm enough to clear one.
    Holding,
    /// Nothing is wrong.
    Calm,
}

/// Below this p a window is not calm, whatever the level that raises an alert.
const CALM_P: f64 = 0.01;

/// The alerts that stand. Each is raised once, however often its cause is seen, and cleared after so many calm
/// observations in a row.
///
/// ```
/// use selvedge::drift::{Alerts, Change, Signal, What};
/// let mut alerts = Alerts::new(2);
/// let error = || Signal::Firing("accuracy 61 %".into());
/// assert!(matches!(alerts.observe(What::Concept, "label", error(), 10), Some(Change::Raised(_))));
/// assert_eq!(alerts.observe(What::Concept, "label", error(), 11), None); // once
/// assert_eq!(alerts.observe(What::Concept, "label", Signal::Calm, 12), None);
/// assert_eq!(alerts.observe(What::Concept, "label", Signal::Holding, 13), None); // not calm: counts anew
/// assert_eq!(alerts.observe(What::Concept, "label", Signal::Calm, 14), None);
/// assert!(matches!(alerts.observe(What::Concept, "label", Signal::Calm, 15), Some(Change::Cleared { at: 15, .. })));
/// ```
#[derive(Clone, Debug)]
pub struct Alerts {
    calm: u32,
    standing: Vec<Alert>,
    /// Calm observations in a row, one per standing alert.
    calms: Vec<u32>,
    /// Rows of the window that showed it last, one per standing alert; 0 where windows do not matter.
    rows: Vec<u64>,
}

impl Alerts {
    /// Clears an alert after `calm` calm observations in a row, at least 1.
    pub fn new(calm: u32) -> Self {
        Self { calm: calm.max(1), standing: Vec::new(), calms: Vec::new(), rows: Vec::new() }
    }

    /// The alerts that stand, oldest first.
    pub fn standing(&self) -> &[Alert] {
        &self.standing
    }

    /// Takes in what was observed of one thing at `at`. While an alert stands, its evidence and its finding follow the
    /// latest observation.
    pub fn observe(&mut self, what: What, feature: &str, signal: Signal, at: u64) -> Option<Change> {
        self.observe_in(what, feature, signal, at, 0)
    }

    /// The same, in a window of so many rows.
    fn observe_in(&mut self, what: What, feature: &str, signal: Signal, at: u64, rows: u64) -> Option<Change> {
        let known = self.standing.iter().position(|a| a.what.same(what) && a.feature == feature);
        match (known, signal) {
            (None, Signal::Firing(evidence)) => {
                let (severity, action) = (what.severity(), what.action());
                let alert = Alert { what, feature: feature.into(), evidence, since: at, severity, action };
                self.standing.push(alert.clone());
                self.calms.push(0);
                self.rows.push(rows);
                Some(Change::Raised(alert))
            }
            (Some(i), Signal::Firing(evidence)) => {
                (self.calms[i], self.rows[i]) = (0, rows);
                let alert = &mut self.standing[i];
                (alert.what, alert.evidence) = (what, evidence);
                (alert.severity, alert.action) = (what.severity(), what.action());
                None
            }
            (Some(i), Signal::Holding) => {
                self.calms[i] = 0;
                None
            }
            // A few rows look calm whatever they are of.
            (Some(i), Signal::Calm) if rows < self.rows[i] / 2 => None,
            (Some(i), Signal::Calm) => {
                self.calms[i] += 1;
                (self.calms[i] >= self.calm).then(|| {
                    self.calms.remove(i);
                    self.rows.remove(i);
                    Change::Cleared { alert: self.standing.remove(i), at }
                })
            }
            (None, Signal::Holding | Signal::Calm) => None,
        }
    }

    /// Takes in a verdict: a feature fires once it has drifted, and is calm while its p is above 0.01. A window of less than
    /// half as many rows as the last one that fired neither raises the count of calm windows nor ends it.
    pub fn judged(&mut self, verdict: &Verdict, at: u64) -> Vec<Change> {
        let mut changes = Vec::new();
        for feature in &verdict.features {
            let what = What::Feature(feature.finding.unwrap_or(Finding::Shift));
            let signal = match (feature.drifted && feature.finding.is_some(), feature.p) {
                (true, _) => Signal::Firing(evidence(feature)),
                (false, p) if p <= CALM_P => Signal::Holding,
                (false, _) => Signal::Calm,
            };
            changes.extend(self.observe_in(what, &feature.name, signal, at, verdict.rows));
        }
        if let Some(embedding) = verdict.embedding {
            let signal = match embedding.drifted && embedding.rejected {
                true => Signal::Firing(format!("MMD² {:.3e}, p {}", embedding.mmd2, in_words(embedding.ln_p))),
                false if embedding.p <= CALM_P => Signal::Holding,
                false => Signal::Calm,
            };
            changes.extend(self.observe_in(What::Embedding, "embedding", signal, at, verdict.rows));
        }
        changes
    }

    /// Takes in the promises broken in a window; those not among them are calm.
    pub fn health(&mut self, breaches: &[Breach], at: u64) -> Vec<Change> {
        let kept: Vec<String> =
            self.standing.iter().filter(|a| a.what == What::Health).map(|a| a.feature.clone()).collect();
        let calm = kept.into_iter().filter(|name| breaches.iter().all(|b| b.slo != name));
        let mut changes: Vec<Change> =
            calm.filter_map(|name| self.observe(What::Health, &name, Signal::Calm, at)).collect();
        for b in breaches {
            let evidence = format!("{} against {} promised, over {} cases", b.value, b.bound, b.of);
            changes.extend(self.observe(What::Health, b.slo, Signal::Firing(evidence), at));
        }
        changes
    }
}

fn evidence(f: &FeatureDrift) -> String {
    let mut told = format!("p {}, χ² {:.1} on {}, PSI {:.3}, KS {:.3}", in_words(f.ln_p), f.chi2, f.df, f.psi, f.ks);
    for (share, of) in [(f.missing, "missing"), (f.new_category, "in new categories"), (f.out_of_range, "out of range")]
    {
        if share > 0.0 {
            told += &format!(", {:.1} % {of}", 100.0 * share);
        }
    }
    if f.constant {
        told += ", all rows in one bin";
    }
    told
}

/// A probability by its logarithm, also below the smallest float: `3.2e-7`, `1e-412`.
fn in_words(ln_p: f64) -> String {
    let log10 = ln_p / std::f64::consts::LN_10;
    if log10 == f64::NEG_INFINITY {
        return "0".into();
    }
    if log10 > -3.0 {
        return format!("{:.4}", ln_p.exp());
    }
    let exponent = log10.floor();
    format!("{:.1}e{exponent}", 10f64.powf(log10 - exponent))
}
