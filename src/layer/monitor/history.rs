//! History of a model in the log: what is sealed of it, and what the log still holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::alert_code::kind_of;
use crate::Digest;
use crate::drift::{AlertKind, Cohorts, Profile};
use crate::telemetry::{AlertRecord, Cursor, Inference, ModelSlot, Position, Record, Stamp, Telemetry, Wanted, Window};

/// What earlier processes have sealed, as far as the log remembers it.
#[derive(Default)]
pub(super) struct History {
    /// The windows of a slot, oldest first.
    pub(super) windows: Vec<Window>,
    /// The alerts that were raised and not cleared.
    pub(super) alerts: Vec<ActiveAlert>,
    /// The answers of the windows and their labels.
    pub(super) cohorts: Cohorts,
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
/// Memory of the windows' lists: the oldest windows beyond it are kept as sums alone.
const MAX_LISTS: usize = 6 << 20;
/// Alerts that stand at once: more than a model has features.
const MAX_ALERTS: usize = 1024;

impl History {
    /// The history of a slot.
    pub(super) fn read(telemetry: &Telemetry, slot: ModelSlot) -> Self {
        let mut history = Self::default();
        let (mut alerts, mut lists) = (BTreeMap::new(), Lists::default());
        let (unsent, mut epoch) = (telemetry.status().oldest, 0);
        each(telemetry, Wanted::Of(slot), |position, record| {
            // An earlier process.
            if std::mem::replace(&mut epoch, position.epoch) != position.epoch {
                history.cohorts.restart();
            }
            match record {
                Record::Window(window) if window.model_slot == slot && is_plausible(&window) => {
                    history.cohorts.close(window.index, &window.confidence);
                    lists.add(&mut history.windows, window);
                }
                Record::Alert(alert) if alert.model_slot == slot => take(&mut alerts, alert, history.windows.len()),
                Record::Model(info) if info.slot == slot && unsent.is_some_and(|oldest| position >= oldest) => {
                    history.announced = Some(position);
                }
                Record::Feedback(label) if label.model_slot == slot => {
                    if let Some(confidence) = Inference::unit(label.confidence) {
                        history.cohorts.label(label.window, confidence, label.predicted == label.truth);
                    }
                }
                _ => {}
            }
        });
        history.alerts = alerts.into_values().flatten().collect();
        // Of one window, in the order of their making no more.
        history.alerts.sort_by_key(|alert| alert.after);
        history.alerts.drain(..history.alerts.len().saturating_sub(MAX_ALERTS));
        history
    }
}

/// The alerts that stand, by feature, after one more was raised or cleared.
fn take(standing: &mut BTreeMap<String, Vec<ActiveAlert>>, alert: AlertRecord, after: usize) {
    let (Some(kind), feature) = (kind_of(&alert.code), alert.feature.unwrap_or_default()) else { return };
    let of_feature = standing.entry(feature.clone()).or_default();
    // A feature's finding may have changed while the alert stood.
    of_feature.retain(|s| !s.kind.same(kind));
    if alert.raised {
        let (since, evidence) = (alert.since, alert.evidence);
        of_feature.push(ActiveAlert { kind, feature, since, evidence, after });
    } else if of_feature.is_empty() {
        standing.remove(&feature);
    }
}

/// The memory of the lists of windows, oldest first.
#[derive(Default)]
struct Lists {
    memory: usize,
    /// Windows from the first on that have no lists any more.
    without: usize,
}

impl Lists {
    fn add(&mut self, windows: &mut Vec<Window>, window: Window) {
        self.memory += window.memory();
        windows.push(window);
        while self.memory > MAX_LISTS
            && let Some(oldest) = windows.get_mut(self.without)
        {
            self.memory -= oldest.memory();
            let Window { features, classes, confidence, entropy, embedding, .. } = oldest;
            (*features, *classes, *confidence, *entropy, *embedding) = Default::default();
            (oldest.latency, oldest.first_token) = Default::default();
            self.without += 1;
        }
    }
}

/// Whether a monitor can have closed the window: sums of such windows stay far from the end of their numbers.
fn is_plausible(window: &Window) -> bool {
    const MOST: u64 = 1 << 40;
    let requests = window.outcomes.iter().try_fold(0u64, |sum, (_, count)| sum.checked_add(*count));
    let numbers =
        [window.rows, window.latency.count(), window.first_token.count(), window.tokens_in, window.tokens_out];
    requests.is_some_and(|requests| requests <= MOST)
        && window.index < u64::MAX / 2
        && numbers.iter().all(|n| *n <= MOST)
}

/// The profile that an earlier process has learned of this model, if it can still be read.
pub(super) fn learned_profile(telemetry: &Telemetry, model: Digest) -> Option<Arc<Profile>> {
    let mut found = None;
    each(telemetry, Wanted::Models, |_, record| {
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

fn each(telemetry: &Telemetry, wanted: Wanted, mut visit: impl FnMut(Position, Record)) {
    let mut from = Cursor::start();
    loop {
        let records = telemetry.pick(from, CHUNK, true, wanted);
        let Some((last, _)) = records.last() else { return };
        from = Cursor::after(*last);
        records.into_iter().for_each(|(position, record)| visit(position, record));
    }
}

/// Seals a record. What cannot be sealed is counted by the telemetry itself.
pub(super) fn seal(telemetry: &Telemetry, record: &Record) -> Option<Position> {
    telemetry.seal(record).inspect_err(|e| tracing::debug!("a record was not sealed: {e}")).ok()
}
