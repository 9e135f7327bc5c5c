//! What the log still holds of a model.

use std::sync::Arc;

use crate::drift::{Profile, What};
use crate::engine::Digest;
use crate::telemetry::{AlertRecord, Cursor, Position, Record, Stamp, Telemetry, Window};

/// What earlier processes have sealed, and nobody has acknowledged.
#[derive(Default)]
pub(super) struct Past {
    /// The windows of a slot, oldest first.
    pub(super) windows: Vec<Window>,
    /// The alerts that were raised and not cleared.
    pub(super) standing: Vec<Standing>,
    /// The record that tells who the slot is.
    pub(super) introduced: Option<Position>,
}

pub(super) struct Standing {
    pub(super) what: What,
    pub(super) feature: String,
    pub(super) since: Stamp,
    pub(super) evidence: Vec<(String, f64)>,
}

/// Bytes that are read at once.
const CHUNK: usize = 256 << 10;

pub(super) fn past(telemetry: &Telemetry, slot: u32) -> Past {
    let mut past = Past::default();
    each(telemetry, |record| match record {
        Record::Window(window) if window.model == slot => past.windows.push(window),
        Record::Alert(alert) if alert.model == slot => past.alert(alert),
        Record::Model(info) if info.slot == slot => past.introduced = Some(info.stamp.position()),
        _ => {}
    });
    past
}

impl Past {
    /// The number of the last window that was closed by then.
    pub(super) fn number_at(&self, moment: &Stamp) -> u64 {
        let until = (moment.epoch, moment.monotonic_ns);
        let closed = self.windows.iter().rev().find(|w| (w.closed.epoch, w.closed.monotonic_ns) <= until);
        closed.or(self.windows.first()).map_or(0, |window| window.index)
    }

    fn alert(&mut self, alert: AlertRecord) {
        let (Some(what), feature) = (What::of_log(&alert.what), alert.feature.unwrap_or_default()) else { return };
        // A feature's finding may have changed while the alert stood.
        self.standing.retain(|s| s.feature != feature || !s.what.same(what));
        if alert.raised {
            self.standing.push(Standing { what, feature, since: alert.since, evidence: alert.evidence });
        }
    }
}

/// The profile that an earlier process has learned of this model, if it can still be read.
pub(super) fn learned(telemetry: &Telemetry, model: Digest) -> Option<Arc<Profile>> {
    let mut found = None;
    each(telemetry, |record| {
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

fn each(telemetry: &Telemetry, mut look: impl FnMut(Record)) {
    let mut from = Cursor::start();
    loop {
        let records = telemetry.read(from, CHUNK);
        let Some((last, _)) = records.last() else { return };
        from = Cursor::after(*last);
        records.into_iter().for_each(|(_, record)| look(record));
    }
}
