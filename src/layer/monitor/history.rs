//! History of a model in the log: what is sealed of it, and what the log still holds.

use std::sync::Arc;

use super::alert_code::kind_of;
use crate::Digest;
use crate::drift::{AlertKind, Profile};
use crate::telemetry::{AlertRecord, Cursor, ModelSlot, Position, Record, Stamp, Telemetry, Window};

/// What earlier processes have sealed, as far as the log remembers it.
#[derive(Default)]
pub(super) struct History {
    /// The windows of a slot, oldest first.
    pub(super) windows: Vec<Window>,
    /// The alerts that were raised and not cleared.
    pub(super) alerts: Vec<ActiveAlert>,
    /// The record that maps the slot to the model, if it is still to be sent. One that was acknowledged does not count:
    /// whoever received it may have forgotten it, and it gives way in time.
    pub(super) announced: Option<Position>,
}

/// An alert that was raised and not cleared.
pub(super) struct ActiveAlert {
    pub(super) kind: AlertKind,
    pub(super) feature: String,
    pub(super) since: Stamp,
    pub(super) evidence: Vec<(String, f64)>,
    /// How many of the windows were closed when it was raised.
    pub(super) after: usize,
}

/// Bytes that are read at once.
const CHUNK: usize = 256 << 10;

impl History {
    /// The history of a slot.
    pub(super) fn read(telemetry: &Telemetry, slot: ModelSlot) -> Self {
        let mut history = Self::default();
        let unsent = telemetry.status().oldest;
        each(telemetry, |position, record| match record {
            Record::Window(window) if window.model_slot == slot => history.windows.push(window),
            Record::Alert(alert) if alert.model_slot == slot => history.alert(alert),
            Record::Model(info) if info.slot == slot && unsent.is_some_and(|oldest| position >= oldest) => {
                history.announced = Some(position);
            }
            _ => {}
        });
        history
    }

    fn alert(&mut self, alert: AlertRecord) {
        let (Some(kind), feature) = (kind_of(&alert.code), alert.feature.unwrap_or_default()) else { return };
        // A feature's finding may have changed while the alert stood.
        self.alerts.retain(|s| s.feature != feature || !s.kind.same(kind));
        if alert.raised {
            let (since, evidence, after) = (alert.since, alert.evidence, self.windows.len());
            self.alerts.push(ActiveAlert { kind, feature, since, evidence, after });
        }
    }
}

/// The profile that an earlier process has learned of this model, if it can still be read.
pub(super) fn learned_profile(telemetry: &Telemetry, model: Digest) -> Option<Arc<Profile>> {
    let mut found = None;
    each(telemetry, |_, record| {
        if let Record::Model(info) = record
            && info.digest == model.0
            && let Ok(profile) = Profile::decode(&info.profile)
            && profile.learned
        {
            found = Some(Arc::new(profile));
        }
    });
    found
}

fn each(telemetry: &Telemetry, mut visit: impl FnMut(Position, Record)) {
    let mut from = Cursor::start();
    loop {
        let records = telemetry.recall(from, CHUNK);
        let Some((last, _)) = records.last() else { return };
        from = Cursor::after(*last);
        records.into_iter().for_each(|(position, record)| visit(position, record));
    }
}

/// Seals a record. What cannot be sealed is counted by the telemetry itself.
pub(super) fn seal(telemetry: &Telemetry, record: &Record) -> Option<Position> {
    telemetry.seal(record).inspect_err(|e| tracing::debug!("a record was not sealed: {e}")).ok()
}
