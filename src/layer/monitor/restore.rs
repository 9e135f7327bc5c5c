//! AlertKind the log still holds of a model.

use std::sync::Arc;

use super::board::kind_of;
use crate::Digest;
use crate::drift::{AlertKind, Profile};
use crate::telemetry::{AlertRecord, Cursor, ModelSlot, Position, Record, Stamp, Telemetry, Window};

/// AlertKind earlier processes have sealed, as far as the log remembers it.
#[derive(Default)]
pub(super) struct Past {
    /// The windows of a slot, oldest first.
    pub(super) windows: Vec<Window>,
    /// The alerts that were raised and not cleared.
    pub(super) standing: Vec<Standing>,
    /// The record that tells who the slot is, if it is still to be sent. One that was acknowledged does not count: whoever
    /// took it may have forgotten it, and it gives way in time.
    pub(super) introduced: Option<Position>,
}

pub(super) struct Standing {
    pub(super) what: AlertKind,
    pub(super) feature: String,
    pub(super) since: Stamp,
    pub(super) evidence: Vec<(String, f64)>,
    /// How many of the windows were closed when it was raised.
    pub(super) after: usize,
}

/// Bytes that are read at once.
const CHUNK: usize = 256 << 10;

pub(super) fn past(telemetry: &Telemetry, slot: ModelSlot) -> Past {
    let mut past = Past::default();
    let unsent = telemetry.status().oldest;
    each(telemetry, |position, record| match record {
        Record::Window(window) if window.model_slot == slot => past.windows.push(window),
        Record::Alert(alert) if alert.model_slot == slot => past.alert(alert),
        Record::Model(info) if info.slot == slot && unsent.is_some_and(|oldest| position >= oldest) => {
            past.introduced = Some(position);
        }
        _ => {}
    });
    past
}

impl Past {
    fn alert(&mut self, alert: AlertRecord) {
        let (Some(what), feature) = (kind_of(&alert.code), alert.feature.unwrap_or_default()) else { return };
        // A feature's finding may have changed while the alert stood.
        self.standing.retain(|s| s.feature != feature || !s.what.same(what));
        if alert.raised {
            let (since, evidence, after) = (alert.since, alert.evidence, self.windows.len());
            self.standing.push(Standing { what, feature, since, evidence, after });
        }
    }
}

/// The profile that an earlier process has learned of this model, if it can still be read.
pub(super) fn learned(telemetry: &Telemetry, model: Digest) -> Option<Arc<Profile>> {
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

fn each(telemetry: &Telemetry, mut look: impl FnMut(Position, Record)) {
    let mut from = Cursor::start();
    loop {
        let records = telemetry.recall(from, CHUNK);
        let Some((last, _)) = records.last() else { return };
        from = Cursor::after(*last);
        records.into_iter().for_each(|(position, record)| look(position, record));
    }
}
