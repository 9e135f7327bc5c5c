//! Restart of a monitored model where the log ends.

use super::history::History;
use super::model_watch::{MonitoredModel, reliability};
use super::outcome::health_of;
use crate::drift::{AlertKind, WindowCounts};

/// Windows that are judged again: a report has fewer, and what they show together is seldom of more.
const JUDGED: usize = 128;

impl MonitoredModel {
    /// Goes on where the log ends: with the numbers and sums of its windows, the judge's memory and the alerts.
    pub(super) fn resume(&mut self, history: History) {
        self.announcement.sealed = history.announced;
        let concept = history.alerts.iter().find(|alert| alert.kind == AlertKind::Concept);
        let before = concept.and_then(|alert| alert.evidence.iter().find(|(name, _)| name == "before"));
        self.accuracy.before_drift = before.map(|(_, n)| *n);
        let reliability = reliability(&self.judge);
        self.accuracy.resume(history.cohorts, history.windows.last(), reliability);
        let judged_from = history.windows.len().saturating_sub(JUDGED);
        let mut index = 0u64;
        let mut alerts = history.alerts.into_iter().peekable();
        for (i, window) in history.windows.into_iter().enumerate() {
            while let Some(alert) = alerts.next_if(|alert| alert.after <= i) {
                self.alerts.restore(alert, index.saturating_sub(1));
            }
            index = index.max(window.index + 1);
            let counts = self.judge.as_ref().filter(|_| i >= judged_from).and_then(|judge| {
                let mut counts = WindowCounts::new(judge.profile());
                let fits = counts.features.len() == window.features.len();
                (counts.rows, counts.features) = (window.rows, window.features.clone());
                if window.embedding.len() == counts.embedding.len() {
                    (counts.embedded, counts.embedding) = (window.embedded, window.embedding.clone());
                }
                fits.then_some(counts)
            });
            let health = health_of(&window);
            // Its alerts were reported, and sealed, at the time.
            let summary = self.summarize(window, counts, health, Vec::new());
            if i >= judged_from {
                self.alerts.replay(&summary);
            }
            self.closed.push(summary);
        }
        for alert in alerts {
            self.alerts.restore(alert, index.saturating_sub(1));
        }
        self.window.window.index = index;
    }
}
