//! Alerts: raised once, cleared with hysteresis.

use super::compare::FeatureDrift;
use super::finding::Finding;
use super::health::Breach;
use super::judge::Verdict;

/// The kind of an alert: what it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AlertKind {
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

impl AlertKind {
    /// The name, for people: the finding's name, `embedding drift`, `change`, `concept drift`, `broken promise`.
    pub fn name(self) -> &'static str {
        match self {
            AlertKind::Feature(finding) => finding.name(),
            AlertKind::Embedding => "embedding drift",
            AlertKind::Stream => "change",
            AlertKind::Concept => "concept drift",
            AlertKind::Health => "broken promise",
        }
    }

    /// Whether two alerts are about the same thing: a feature's finding may change while it stands.
    pub(crate) fn same(self, other: AlertKind) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }

    fn action(self) -> Action {
        match self {
            AlertKind::Feature(Finding::Shift) | AlertKind::Embedding | AlertKind::Concept | AlertKind::Stream => {
                Action::Retrain
            }
            AlertKind::Feature(_) => Action::CheckPipeline,
            AlertKind::Health => Action::RollBack,
        }
    }

    fn severity(self) -> Severity {
        match self {
            AlertKind::Feature(Finding::DeadFeature) | AlertKind::Concept => Severity::Critical,
            _ => Severity::Warning,
        }
    }
}

/// The action that the app may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action {
    /// Train the model on newer data. [`Evidence`](crate::report::Evidence) is what whoever does it wants to know.
    Retrain,
    /// Go back to the version before.
    RollBack,
    /// Look at what feeds the model.
    CheckPipeline,
}

/// The severity of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// Worth a look.
    Warning,
    /// The answers cannot be relied on.
    Critical,
}

/// An alert: something that has drifted, or a promise that is broken.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Alert {
    /// The kind.
    pub kind: AlertKind,
    /// The feature, stream or SLO it is about.
    pub feature: String,
    /// The numbers behind it, in words.
    pub evidence: String,
    /// The time at which it was raised, on the caller's clock (monotonic nanoseconds, or a window's index).
    pub since: u64,
    /// The severity.
    pub severity: Severity,
    /// The action that the app may take.
    pub action: Action,
}

/// An event of an alert: it was raised, or cleared.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum AlertEvent {
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

/// An observation of one feature, stream or promise.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Observation {
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
/// # Examples
///
/// ```
/// use selvedge::drift::{Alerts, AlertEvent, Observation, AlertKind};
/// let mut alerts = Alerts::new(2);
/// let error = || Observation::Firing("accuracy 61 %".into());
/// assert!(matches!(alerts.observe(AlertKind::Concept, "label", error(), 10), Some(AlertEvent::Raised(_))));
/// assert_eq!(alerts.observe(AlertKind::Concept, "label", error(), 11), None); // once
/// assert_eq!(alerts.observe(AlertKind::Concept, "label", Observation::Calm, 12), None);
/// assert_eq!(alerts.observe(AlertKind::Concept, "label", Observation::Holding, 13), None); // not calm: counts anew
/// assert_eq!(alerts.observe(AlertKind::Concept, "label", Observation::Calm, 14), None);
/// let cleared = alerts.observe(AlertKind::Concept, "label", Observation::Calm, 15);
/// assert!(matches!(cleared, Some(AlertEvent::Cleared { at: 15, .. })));
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
    pub fn observe(&mut self, kind: AlertKind, feature: &str, observation: Observation, at: u64) -> Option<AlertEvent> {
        self.observe_in(kind, feature, observation, at, 0)
    }

    /// The same, in a window of so many rows.
    fn observe_in(
        &mut self,
        kind: AlertKind,
        feature: &str,
        observation: Observation,
        at: u64,
        rows: u64,
    ) -> Option<AlertEvent> {
        let known = self.standing.iter().position(|a| a.kind.same(kind) && a.feature == feature);
        match (known, observation) {
            (None, Observation::Firing(evidence)) => {
                let (severity, action) = (kind.severity(), kind.action());
                let alert = Alert { kind, feature: feature.into(), evidence, since: at, severity, action };
                self.standing.push(alert.clone());
                self.calms.push(0);
                self.rows.push(rows);
                Some(AlertEvent::Raised(alert))
            }
            (Some(i), Observation::Firing(evidence)) => {
                (self.calms[i], self.rows[i]) = (0, rows);
                let alert = &mut self.standing[i];
                (alert.kind, alert.evidence) = (kind, evidence);
                (alert.severity, alert.action) = (kind.severity(), kind.action());
                None
            }
            (Some(i), Observation::Holding) => {
                self.calms[i] = 0;
                None
            }
            // A few rows look calm whatever they are of.
            (Some(i), Observation::Calm) if rows < self.rows[i] / 2 => None,
            (Some(i), Observation::Calm) => {
                self.calms[i] += 1;
                (self.calms[i] >= self.calm).then(|| {
                    self.calms.remove(i);
                    self.rows.remove(i);
                    AlertEvent::Cleared { alert: self.standing.remove(i), at }
                })
            }
            (None, Observation::Holding | Observation::Calm) => None,
        }
    }

    /// Rows of the window that showed it last.
    fn rows_of(&self, kind: AlertKind, feature: &str) -> u64 {
        let known = self.standing.iter().position(|a| a.kind.same(kind) && a.feature == feature);
        known.map_or(0, |i| self.rows[i])
    }

    /// Takes in a verdict: a feature fires once it has drifted, and is calm while its p is above 0.01. A window of less than
    /// half as many rows as the last one that fired neither raises the count of calm windows nor ends it.
    pub fn observe_verdict(&mut self, verdict: &Verdict, at: u64) -> Vec<AlertEvent> {
        let mut changes = Vec::new();
        for feature in &verdict.features {
            let kind = AlertKind::Feature(feature.finding.unwrap_or(Finding::Shift));
            let observation = match (feature.drifted && feature.finding.is_some(), feature.p) {
                (true, _) => Observation::Firing(evidence(feature)),
                (false, p) if p <= CALM_P => Observation::Holding,
                (false, _) => Observation::Calm,
            };
            // What windows show together may go on in a window of a few rows, which is no measure of a calm one.
            let shown = feature.accumulated.map_or(0, |_| self.rows_of(kind, &feature.name));
            changes.extend(self.observe_in(kind, &feature.name, observation, at, verdict.rows.max(shown)));
        }
        if let Some(embedding) = verdict.embedding {
            let observation = match embedding.drifted && embedding.rejected {
                true => Observation::Firing(format!("MMD² {:.3e}, p {}", embedding.mmd2, describe_p(embedding.ln_p))),
                false if embedding.p <= CALM_P => Observation::Holding,
                false => Observation::Calm,
            };
            changes.extend(self.observe_in(AlertKind::Embedding, "embedding", observation, at, verdict.rows));
        }
        changes
    }

    /// Takes in the promises broken in a window; those not among them are calm.
    pub fn observe_health(&mut self, breaches: &[Breach], at: u64) -> Vec<AlertEvent> {
        let kept: Vec<String> =
            self.standing.iter().filter(|a| a.kind == AlertKind::Health).map(|a| a.feature.clone()).collect();
        let calm = kept.into_iter().filter(|name| breaches.iter().all(|b| b.slo != name));
        let mut changes: Vec<AlertEvent> =
            calm.filter_map(|name| self.observe(AlertKind::Health, &name, Observation::Calm, at)).collect();
        for b in breaches {
            let evidence = format!("{} against {} promised, over {} cases", b.value, b.bound, b.of);
            changes.extend(self.observe(AlertKind::Health, b.slo, Observation::Firing(evidence), at));
        }
        changes
    }
}

fn evidence(f: &FeatureDrift) -> String {
    if let Some(together) = f.accumulated {
        return together.evidence(&describe_p(together.ln_p));
    }
    let mut text = format!("p {}, χ² {:.1} on {}, PSI {:.3}, KS {:.3}", describe_p(f.ln_p), f.chi2, f.df, f.psi, f.ks);
    for (share, of) in [(f.missing, "missing"), (f.new_category, "in new categories"), (f.out_of_range, "out of range")]
    {
        if share > 0.0 {
            text += &format!(", {:.1} % {of}", 100.0 * share);
        }
    }
    if f.constant {
        text += ", all rows in one bin";
    }
    text
}

/// A probability by its logarithm, also below the smallest float: `3.2e-7`, `1e-412`.
fn describe_p(ln_p: f64) -> String {
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
