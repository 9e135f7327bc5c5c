//! Alerts: how they are told, by a callback and by a queue.

#![expect(unsafe_code, reason = "calls the caller's functions")]

use std::collections::VecDeque;
use std::ffi::c_void;
use std::sync::{Mutex, MutexGuard, PoisonError};

use selvedge::drift::{Action, Alert, AlertEvent, AlertKind, Finding, Severity};

use crate::abi::*;
use crate::release::Release;
use crate::text::Text;

/// The most alerts that wait to be asked for.
const MAX_WAITING: usize = 1024;

/// Alerts that wait to be asked for; of too many, the oldest are lost.
#[derive(Default)]
pub(crate) struct Waiting(Mutex<VecDeque<AlertEvent>>);

impl Waiting {
    pub(crate) fn push(&self, event: &AlertEvent) {
        let mut waiting = self.lock();
        if waiting.len() == MAX_WAITING {
            waiting.pop_front();
        }
        waiting.push_back(event.clone());
    }

    /// Takes the oldest.
    pub(crate) fn next(&self) -> Option<AlertEvent> {
        self.lock().pop_front()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<AlertEvent>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The caller's function for alerts.
pub(crate) struct Listener {
    on_alert: selvedge_alert_fn,
    /// Has its user data, and says when it is no longer needed.
    owner: Release,
}

impl Listener {
    /// # Safety
    ///
    /// The functions may be called with `user_data`, by any thread, until it has been released.
    pub(crate) unsafe fn new(
        on_alert: selvedge_alert_fn,
        user_data: *mut c_void,
        release: selvedge_release_fn,
    ) -> Self {
        // SAFETY: the caller vouches for it.
        Self { on_alert, owner: unsafe { Release::new(release, user_data) } }
    }

    pub(crate) fn tell(&self, event: &AlertEvent) {
        let Some(on_alert) = self.on_alert else { return };
        let mut texts = Texts::default();
        let alert = texts.keep(event);
        // SAFETY: whoever made this vouched for it; the alert and its texts live until the function returns.
        unsafe { on_alert(self.owner.user_data(), &raw const alert) };
    }
}

/// What the texts of an alert point to.
pub(crate) struct Texts([Text; 3]);

impl Default for Texts {
    fn default() -> Self {
        Self(["", "", ""].map(Text::from))
    }
}

impl Texts {
    /// An alert, whose texts live until the next one is kept.
    pub(crate) fn keep(&mut self, event: &AlertEvent) -> selvedge_alert {
        let (number, alert, at) = match event {
            AlertEvent::Raised(alert) => (SELVEDGE_ALERT_RAISED, alert, alert.since),
            AlertEvent::Cleared { alert, at } => (SELVEDGE_ALERT_CLEARED, alert, *at),
            // The contract may grow; what is not known is not told as something else.
            _ => return selvedge_alert { struct_size: size_of::<selvedge_alert>(), ..Default::default() },
        };
        let [kind, feature, evidence] = &mut self.0;
        let keep = |text: &mut Text, with: &str| {
            text.set(with);
            let (data, len) = text.raw();
            selvedge_text { data, len }
        };
        selvedge_alert {
            struct_size: size_of::<selvedge_alert>(),
            event: number,
            severity: severity(alert),
            action: action(alert),
            reserved: 0,
            since: alert.since,
            at,
            kind: keep(kind, kind_name(alert.kind)),
            feature: keep(feature, &alert.feature),
            evidence: keep(evidence, &alert.evidence),
        }
    }
}

fn severity(alert: &Alert) -> i32 {
    if alert.severity == Severity::Warning { SELVEDGE_SEVERITY_WARNING } else { SELVEDGE_SEVERITY_CRITICAL }
}

fn action(alert: &Alert) -> i32 {
    match alert.action {
        Action::CheckPipeline => SELVEDGE_ACTION_CHECK_PIPELINE,
        Action::Retrain => SELVEDGE_ACTION_RETRAIN,
        Action::RollBack => SELVEDGE_ACTION_ROLL_BACK,
        _ => 0,
    }
}

/// The name of a kind, as in the telemetry folder.
pub(crate) fn kind_name(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::Feature(finding) => finding_name(finding),
        AlertKind::Embedding => "embedding_drift",
        AlertKind::Stream => "change",
        AlertKind::Concept => "concept_drift",
        AlertKind::Health => "broken_promise",
        _ => "other",
    }
}

/// The name of a finding, as in the telemetry folder.
pub(crate) fn finding_name(finding: Finding) -> &'static str {
    match finding {
        Finding::DeadFeature => "dead_feature",
        Finding::Missing => "missing_values",
        Finding::NewCategory => "new_category",
        Finding::OutOfRange => "out_of_range",
        Finding::Shift => "shift",
        _ => "other",
    }
}

pub(crate) fn severity_name(severity: Severity) -> &'static str {
    if severity == Severity::Warning { "warning" } else { "critical" }
}

pub(crate) fn action_name(action: Action) -> &'static str {
    match action {
        Action::CheckPipeline => "check_pipeline",
        Action::Retrain => "retrain",
        Action::RollBack => "roll_back",
        _ => "other",
    }
}
