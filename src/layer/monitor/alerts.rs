//! Active alerts, and what the log has of them.

use super::alert_code::code_of;
use super::history::ActiveAlert;
use super::report::Summary;
use super::streams::{MonitoredStream, Shift};
use crate::drift::{Action, Alert, AlertEvent, AlertKind, Alerts, Breach, Finding, Observation, Proportion, Severity};
use crate::telemetry::{AlertRecord, ModelSlot, Stamp};

pub(super) struct ActiveAlerts {
    alerts: Alerts,
    /// Since when each alert stands.
    since: Vec<(AlertKind, String, Stamp)>,
}

/// The findings of a window when it closes.
pub(super) struct WindowFindings<'a> {
    pub(super) summary: &'a Summary,
    /// The streams that are worse than before.
    pub(super) worse: Vec<Shift>,
    pub(super) concept: Observation,
}

/// A change of the alerts, for the app and for the log.
pub(super) struct AlertChange {
    pub(super) change: AlertEvent,
    pub(super) record: AlertRecord,
}

impl ActiveAlerts {
    pub(super) fn new(calm: u32) -> Self {
        Self { alerts: Alerts::new(calm), since: Vec::new() }
    }

    pub(super) fn standing(&self) -> &[Alert] {
        self.alerts.standing()
    }

    /// An alert that stood when an earlier process ended, raised at the window `at`.
    pub(super) fn restore(&mut self, alert: ActiveAlert, at: u64) {
        let evidence: Vec<String> = alert.evidence.iter().map(|(name, n)| format!("{name} {n}")).collect();
        let signal = Observation::Firing(evidence.join(", "));
        if self.alerts.observe(alert.kind, &alert.feature, signal, at).is_some() {
            self.since.push((alert.kind, alert.feature.clone(), alert.since));
        }
    }

    /// Replays a window that an earlier process closed, so that its calm counts towards the end of an alert: otherwise
    /// none would end where each process lives for less than [`Alerts`] asks for. Reports nothing and ends nothing, as
    /// that was reported then; if the process was killed before it could, the next calm windows report it.
    pub(super) fn replay(&mut self, summary: &Summary) {
        let mut alerts = self.alerts.clone();
        let stands =
            |what: AlertKind, name: &str| self.standing().iter().any(|a| a.kind.same(what) && a.feature == name);
        let mut changes = Vec::new();
        if let Some(mut verdict) = summary.verdict.clone() {
            verdict.features.retain(|f| stands(AlertKind::Feature(Finding::Shift), &f.name));
            verdict.embedding = verdict.embedding.filter(|_| stands(AlertKind::Embedding, EMBEDDING));
            changes.extend(alerts.observe_verdict(&verdict, summary.window.index));
        }
        let broken: Vec<Breach> =
            summary.breaches.iter().filter(|b| stands(AlertKind::Health, b.slo)).cloned().collect();
        changes.extend(alerts.observe_health(&broken, summary.window.index));
        for change in changes {
            if let AlertEvent::Cleared { alert, .. } = change {
                alerts.observe(alert.kind, &alert.feature, Observation::Firing(alert.evidence), alert.since);
            }
        }
        self.alerts = alerts;
    }

    /// Updates the alerts by a closed window.
    pub(super) fn update(&mut self, findings: &WindowFindings<'_>) -> Vec<AlertChange> {
        let window = &findings.summary.window;
        let at = window.index;
        let mut changes = match &findings.summary.verdict {
            Some(verdict) => self.alerts.observe_verdict(verdict, at),
            None => Vec::new(),
        };
        changes.extend(self.alerts.observe_health(&findings.summary.breaches, at));
        for stream in MonitoredStream::ALL {
            let worse = findings.worse.iter().find(|shift| shift.stream == stream);
            let signal = worse
                .map_or(Observation::Calm, |s| Observation::Firing(format!("{} before, {} since", s.before, s.after)));
            changes.extend(self.alerts.observe(AlertKind::Stream, stream.name(), signal, at));
        }
        changes.extend(self.alerts.observe(AlertKind::Concept, LABEL, findings.concept.clone(), at));
        let evidence = |alert: &Alert| numbers(alert, findings);
        changes.into_iter().map(|change| self.change(change, window.model_slot, window.closed, evidence)).collect()
    }

    /// Raises an alert, as the labels say that the model has become worse.
    pub(super) fn accuracy_fell(
        &mut self,
        accuracy: Option<Proportion>,
        before: f64,
        model_slot: ModelSlot,
        index: u64,
        now: Stamp,
    ) -> Option<AlertChange> {
        let share = accuracy?;
        let words = format!("accuracy {:.3} of {} labels, {before:.3} before", share.value, share.of);
        let change = self.alerts.observe(AlertKind::Concept, LABEL, Observation::Firing(words), index)?;
        let evidence = |_: &Alert| named([("accuracy", share.value), ("before", before), ("labels", share.of as f64)]);
        Some(self.change(change, model_slot, now, evidence))
    }

    fn change(
        &mut self,
        change: AlertEvent,
        model_slot: ModelSlot,
        now: Stamp,
        evidence: impl Fn(&Alert) -> Vec<(String, f64)>,
    ) -> AlertChange {
        let (alert, raised) = match &change {
            AlertEvent::Cleared { alert, .. } => (alert, false),
            AlertEvent::Raised(alert) => (alert, true),
        };
        let is_it =
            |(what, feature, _): &(AlertKind, String, Stamp)| what.same(alert.kind) && *feature == alert.feature;
        let since = self.since.iter().position(is_it).map_or(now, |at| self.since.swap_remove(at).2);
        if raised {
            self.since.push((alert.kind, alert.feature.clone(), since));
        }
        let record = AlertRecord {
            model_slot,
            code: code_of(alert.kind),
            feature: Some(alert.feature.clone()),
            severity: if alert.severity == Severity::Critical { 2 } else { 1 },
            raised,
            since,
            evidence: evidence(alert),
            action: Some(action_name(alert.action).into()),
            ..AlertRecord::default()
        };
        AlertChange { change, record }
    }
}

/// What concept drift is about.
const LABEL: &str = "label";
/// What drift of the embeddings is about.
const EMBEDDING: &str = "embedding";

/// The numbers behind an alert.
fn numbers(alert: &Alert, findings: &WindowFindings<'_>) -> Vec<(String, f64)> {
    let verdict = findings.summary.verdict.as_ref();
    match alert.kind {
        AlertKind::Feature(_) => {
            let drift = verdict.and_then(|v| v.features.iter().find(|f| f.name == alert.feature));
            let together = drift.and_then(|f| f.accumulated);
            if let Some(together) = together {
                return named([
                    ("rows", together.rows as f64),
                    ("windows", together.windows as f64),
                    ("p", together.p()),
                    ("psi", together.psi),
                    ("missing", together.missing),
                    ("strange", together.strange),
                ]);
            }
            drift.map_or_else(Vec::new, |f| {
                named([
                    ("rows", findings.summary.window.rows as f64),
                    ("p", f.p),
                    ("chi2", f.chi2),
                    ("df", f64::from(f.df)),
                    ("psi", f.psi),
                    ("ks", f.ks),
                    ("js", f.js),
                    ("missing", f.missing),
                    ("out_of_range", f.out_of_range),
                    ("new_category", f.new_category),
                ])
            })
        }
        AlertKind::Embedding => {
            let rows = findings.summary.window.embedded as f64;
            let judged = verdict.and_then(|v| v.embedding);
            judged.map_or_else(Vec::new, |e| named([("rows", rows), ("mmd2", e.mmd2), ("p", e.p)]))
        }
        AlertKind::Health => {
            let breach = findings.summary.breaches.iter().find(|b| b.slo == alert.feature);
            breach.map_or_else(Vec::new, |b| named([("value", b.value), ("bound", b.bound), ("cases", b.of as f64)]))
        }
        AlertKind::Stream => {
            let shift = findings.worse.iter().find(|s| s.stream.name() == alert.feature);
            let rows = findings.summary.window.rows as f64;
            shift.map_or_else(Vec::new, |s| named([("rows", rows), ("before", s.before), ("after", s.after)]))
        }
        _ => Vec::new(),
    }
}

fn named<const N: usize>(numbers: [(&str, f64); N]) -> Vec<(String, f64)> {
    numbers.map(|(name, number)| (name.to_string(), number)).into()
}

fn action_name(action: Action) -> &'static str {
    match action {
        Action::Retrain => "retrain",
        Action::RollBack => "roll_back",
        Action::CheckPipeline => "check_pipeline",
    }
}
