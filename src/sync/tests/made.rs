//! Records as the telemetry seals them, made by hand.

use crate::drift::Profile;
use crate::sync::otlp::{Data, ExportMetricsServiceRequest, KeyValue, Number, Value};
use crate::sync::{OutboxOptions, Privacy};
use crate::telemetry::{Anchor, Exponential, ModelInfo, ModelSlot, Outcome, Position, Record, Stamp, Window};

pub(super) const SECOND: u64 = 1_000_000_000;
/// 2026-01-01T00:00:00Z.
pub(super) const T0: u64 = 1_767_225_600 * SECOND;

/// A log whose clock the test turns.
pub(super) struct Log {
    pub boot: [u8; 16],
    pub epoch: u64,
    pub seq: u64,
    pub now: u64,
    pub records: Vec<(Position, Record)>,
}

impl Log {
    pub(super) fn new() -> Self {
        Self { boot: [7; 16], epoch: 1, seq: 0, now: 0, records: vec![] }
    }

    pub(super) fn stamp(&self) -> Stamp {
        Stamp { boot: self.boot, epoch: self.epoch, seq: self.seq, monotonic_ns: self.now }
    }

    pub(super) fn boot(&mut self) {
        (self.epoch, self.seq, self.now) = (self.epoch + 1, 0, 0);
        self.boot = [self.epoch as u8; 16];
    }

    fn seal(&mut self, make: impl FnOnce(Stamp) -> Record) {
        self.seq += 1;
        let stamp = self.stamp();
        self.records.push((stamp.position(), make(stamp)));
    }

    pub(super) fn anchor(&mut self, unix: u64) {
        let monotonic_ns = self.now;
        self.seal(|stamp| Record::Anchor(Anchor { stamp, monotonic_ns, unix_ns: unix as i64, uncertainty_ns: 1000 }));
    }

    pub(super) fn model(&mut self, slot: u32, name: &str, profile: Option<&Profile>) {
        let profile = profile.map_or_else(Vec::new, Profile::encode);
        let profile_digest = [profile.len() as u8; 32];
        let (name, version) = (name.to_string(), Some("3".to_string()));
        self.seal(|stamp| {
            let backend = "tract".into();
            let digest = [9; 32];
            let slot = ModelSlot(slot);
            Record::Model(ModelInfo { stamp, slot, name, version, digest, backend, profile, profile_digest })
        });
    }

    /// A window of so many seconds up to now.
    pub(super) fn window(&mut self, seconds: u64, window: Window) {
        let closed = self.stamp();
        let opened = Stamp { monotonic_ns: self.now.saturating_sub(seconds * SECOND), ..closed };
        self.seal(|stamp| Record::Window(Window { stamp, opened, closed, ..window }));
    }

    pub(super) fn other(&mut self, make: impl FnOnce(Stamp) -> Record) {
        self.seal(make);
    }

    pub(super) fn take(&mut self) -> Vec<(Position, Record)> {
        std::mem::take(&mut self.records)
    }
}

pub(super) fn rows(rows: u64) -> Window {
    let mut latency = Exponential::default();
    (0..rows).for_each(|i| latency.record(1000 + i));
    Window { model_slot: ModelSlot(1), rows, outcomes: vec![(Outcome::default(), rows)], latency, ..Window::default() }
}

/// Every window is reported, as it is.
pub(super) fn plain() -> OutboxOptions {
    OutboxOptions { interval: std::time::Duration::ZERO, privacy: Privacy::NONE, ..OutboxOptions::new("test") }
}

pub(super) fn attribute<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    match attributes.iter().find(|a| a.key == key)?.value.as_ref()?.value.as_ref()? {
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// Start, time and value of the points of a sum, over all resources.
pub(super) fn sums(request: &ExportMetricsServiceRequest, name: &str) -> Vec<(u64, u64, i64)> {
    let metrics = request.resource_metrics.iter().flat_map(|r| &r.scope_metrics).flat_map(|s| &s.metrics);
    let mut found = vec![];
    for metric in metrics.filter(|m| m.name == name) {
        let Some(Data::Sum(sum)) = &metric.data else { panic!("{name} is no sum") };
        assert!(sum.is_monotonic);
        for point in &sum.data_points {
            let Some(Number::Int(value)) = point.value else { panic!("{name} has no value") };
            found.push((point.start_time_unix_nano, point.time_unix_nano, value));
        }
    }
    found
}
