//! A device that recorded offline: real telemetry, of which the test counts every row itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;
use selvedge::drift::{Bins, Profile};
use selvedge::sync::{Outbox, OutboxOptions};
use selvedge::telemetry::{
    AlertCode, AlertRecord, Exponential, Limits, ModelInfo, ModelSlot, Outcome, Record, Stamp, Telemetry, Window,
};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::received::Histogram;

pub(crate) const HOUR: u64 = 3600 * 1_000_000_000;
pub(crate) const DAY: u64 = 24 * HOUR;
const FEATURES: [&str; 3] = ["wind", "temperature", "rain"];
/// The life of the device's clock in which its windows were counted.
const BOOT: [u8; 16] = [0xb0; 16];

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64
}

/// `T` is a running device, or what is left of a closed one.
pub(crate) struct Device<T = Telemetry> {
    folder: TempDir,
    telemetry: T,
    profile: Profile,
    random: u64,
    begun: u64,
    counted: Vec<(u64, Vec<Vec<u64>>)>,
    pub(crate) windows: usize,
    pub(crate) alerts: usize,
}

impl Device {
    /// Counting begins at a time of the past, in ns since 1970.
    pub(crate) fn new(seed: u64, begun: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_clock(folder.path(), begun);
        let telemetry = Telemetry::open(folder.path(), Limits::default());
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let rows: Vec<[f32; 3]> = (0..500).map(|_| FEATURES.map(|_| (next(&mut random) >> 40) as f32 / 1e4)).collect();
        let fit = FEATURES.iter().fold(Profile::fit().model([7; 32]), |fit, name| fit.number(*name));
        let profile = fit.of_rows(&rows).unwrap();
        announce(&telemetry, &profile);
        Self { folder, telemetry, profile, random, begun, counted: vec![], windows: 0, alerts: 0 }
    }

    /// Seals a window of random counts that closed so many seconds after counting began.
    pub(crate) fn window(&mut self, seconds: u64) {
        self.seal(seconds, |_| Window::default());
    }

    /// Seals a window that counts all that a window can count.
    pub(crate) fn full_window(&mut self, seconds: u64) {
        self.seal(seconds, |random| {
            let mut counts = |n: usize| (0..n).map(|_| next(random) % 40).collect::<Vec<_>>();
            let classes = (0..).zip(counts(4)).collect();
            let (confidence, entropy) = (counts(20), counts(10));
            let mut latency = Exponential::default();
            let mut first_token = Exponential::default();
            for _ in 0..100 {
                // From no time at all to 34 s.
                latency.record((next(random) & 0x1ff_ffff) >> (next(random) % 27));
                first_token.record(next(random) % 5000);
            }
            let (tokens_in, tokens_out) = (next(random) % 100_000, next(random) % 1000);
            Window { classes, confidence, entropy, latency, first_token, tokens_in, tokens_out, ..Window::default() }
        });
    }

    fn seal(&mut self, seconds: u64, rest: impl FnOnce(&mut u64) -> Window) {
        let random = &mut self.random;
        let mut counts = |bins: &Bins| (0..bins.len()).map(|_| next(random) % 40).collect();
        let features: Vec<Vec<u64>> = self.profile.features.iter().map(|f| counts(&f.bins)).collect();
        let at = |seconds: u64| Stamp { boot: BOOT, monotonic_ns: seconds * 1_000_000_000, ..Stamp::default() };
        let previous = self.counted.last().map_or(0, |(seconds, _)| *seconds);
        let window = Window {
            model_slot: ModelSlot(1),
            rows: 100,
            opened: at(previous),
            closed: at(seconds),
            features: features.clone(),
            outcomes: vec![(Outcome::answered(1), 99), (Outcome::from_bits(7), 1)],
            ..rest(&mut self.random)
        };
        self.telemetry.seal(&Record::Window(window)).unwrap();
        self.counted.push((seconds, features));
        self.windows += 1;
    }

    pub(crate) fn alert(&mut self) {
        let evidence = vec![("chi2".into(), 91.5)];
        let (model_slot, code) = (ModelSlot(1), AlertCode::from_name("drift"));
        let alert = AlertRecord { model_slot, code, severity: 1, raised: true, evidence, ..Default::default() };
        self.telemetry.seal(&Record::Alert(alert)).unwrap();
        self.alerts += 1;
    }

    pub(crate) fn outbox(&self, options: OutboxOptions) -> Outbox {
        Outbox::open(&self.telemetry, self.folder.path(), options).unwrap()
    }

    /// The app ends; the folder stays.
    #[allow(dead_code, reason = "the command posts what a closed device left")]
    pub(crate) fn close(self) -> Device<()> {
        let Self { folder, profile, random, begun, counted, windows, alerts, telemetry } = self;
        drop(telemetry);
        Device { folder, telemetry: (), profile, random, begun, counted, windows, alerts }
    }
}

impl Device<()> {
    /// The app begins again.
    #[allow(dead_code, reason = "the command posts what a closed device left")]
    pub(crate) fn open(self) -> Device {
        let Self { folder, profile, random, begun, counted, windows, alerts, telemetry: () } = self;
        let telemetry = Telemetry::open(folder.path(), Limits::default());
        announce(&telemetry, &profile);
        Device { folder, telemetry, profile, random, begun, counted, windows, alerts }
    }
}

fn announce(telemetry: &Telemetry, profile: &Profile) {
    let bytes = profile.encode();
    let info = ModelInfo {
        slot: ModelSlot(1),
        name: "rain".into(),
        version: Some("7".into()),
        digest: [7; 32],
        backend: "tract".into(),
        profile_digest: Sha256::digest(&bytes).into(),
        profile: bytes,
        ..ModelInfo::default()
    };
    telemetry.seal(&Record::Model(info)).unwrap();
}

impl<T> Device<T> {
    #[allow(dead_code, reason = "the command posts what a closed device left")]
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What a receiver must have of each feature: totals at the end of each window.
    pub(crate) fn expected(&self) -> BTreeMap<(String, u64), Histogram> {
        let mut expected = BTreeMap::new();
        for (i, feature) in self.profile.features.iter().enumerate() {
            let Bins::Numeric { edges, .. } = &feature.bins else { panic!("a number") };
            let mut buckets = vec![0; edges.len() + 1];
            for (seconds, features) in &self.counted {
                buckets.iter_mut().zip(&features[i]).for_each(|(total, count)| *total += count);
                let point = Histogram { start: self.begun, buckets: buckets.clone(), bounds: edges.clone() };
                expected.insert((feature.name.clone(), self.begun + seconds * 1_000_000_000), point);
            }
        }
        expected
    }
}

/// An xorshift generator: the same windows each time.
fn next(random: &mut u64) -> u64 {
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 8
}

/// A state of sync that knows when the boot was: a device that has reported all it had before, and was offline since.
pub(crate) fn write_clock(folder: &Path, unix: u64) {
    #[derive(Message)]
    struct State {
        #[prost(bytes = "vec", tag = "1")]
        install: Vec<u8>,
        #[prost(message, repeated, tag = "5")]
        anchors: Vec<Clock>,
    }
    #[derive(Message)]
    struct Clock {
        #[prost(bytes = "vec", tag = "1")]
        boot: Vec<u8>,
        #[prost(uint64, tag = "2")]
        monotonic: u64,
        #[prost(uint64, tag = "3")]
        unix: u64,
    }
    let clock = Clock { boot: BOOT.to_vec(), monotonic: 0, unix };
    let message = State { install: unix.to_le_bytes().repeat(2), anchors: vec![clock] }.encode_to_vec();
    let mut bytes = b"SLVSYNC1".to_vec();
    bytes.extend(crc32c::crc32c(&message).to_le_bytes());
    bytes.extend((message.len() as u32).to_le_bytes());
    bytes.extend(message);
    fs::write(folder.join("sync.state"), bytes).unwrap();
}
