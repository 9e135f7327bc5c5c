//! Cost of a device's day on the wire, and the processor time of making its batch.
//!
//! `cargo bench -p selvedge-benches --bench sync`

use std::time::{Duration, Instant};

use selvedge::drift::Profile;
use selvedge::sync::{Encoding, Outbox, OutboxOptions, Privacy};
use selvedge::telemetry::{
    Durability, Exponential, Limits, ModelInfo, ModelSlot, Outcome, Record, Stamp, Telemetry, Window,
};

const FEATURES: usize = 10;
/// A window of 256 rows every quarter of an hour: an inference every 3.5 s.
const WINDOWS: u64 = 96;
const QUARTER: u64 = 900 * 1_000_000_000;

fn main() {
    println!("one device, one day: {WINDOWS} windows, {FEATURES} features of 16 quantile bins, one batch");
    println!("{:>10} {:>9} {:>8} {:>12} {:>12}", "interval", "encoding", "points", "bytes", "batch, ms");
    for (name, interval) in [("none", 0), ("1 h", 3600), ("1 day", 86_400)] {
        let mut plain = 0;
        for encoding in [Encoding::Identity, Encoding::Gzip, Encoding::Zstd] {
            let (points, bytes, took) = day(Duration::from_secs(interval), encoding);
            if encoding == Encoding::Identity {
                plain = bytes;
            } else {
                assert!(bytes < plain / 2, "{encoding:?} makes {plain} bytes {bytes}");
            }
            let millis = took.as_secs_f64() * 1e3;
            println!("{name:>10} {:>9} {points:>8} {bytes:>12} {millis:>12.1}", format!("{encoding:?}"));
        }
    }
}

/// Points and bytes of the day's batch, and how long it took to make.
fn day(interval: Duration, encoding: Encoding) -> (u64, usize, Duration) {
    let folder = tempfile::tempdir().expect("a folder");
    let limits = Limits::default().durability(Durability::Process);
    let telemetry = Telemetry::open(folder.path(), limits);
    let mut random = 7u64;
    let mut next = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        random >> 33
    };
    let rows: Vec<[f32; FEATURES]> = (0..5000).map(|_| [0; FEATURES].map(|_| next() as f32 / 1e9)).collect();
    let fit = (0..FEATURES).fold(Profile::fit(), |fit, i| fit.number(format!("feature_{i}")));
    let profile = fit.of_rows(&rows).expect("a profile");
    let bytes = profile.encode();
    let info = ModelInfo {
        slot: ModelSlot(1),
        name: "rain".into(),
        profile: bytes,
        profile_digest: [1; 32],
        ..ModelInfo::default()
    };
    telemetry.seal(&Record::Model(info)).expect("sealed");
    let begun = telemetry.now();
    let at = |quarter: u64| Stamp { monotonic_ns: begun.monotonic_ns + quarter * QUARTER, ..begun };
    for index in 0..WINDOWS {
        let mut latency = Exponential::default();
        let mut features: Vec<Vec<u64>> = profile.features.iter().map(|f| vec![0; f.bins.len()]).collect();
        for _ in 0..256 {
            latency.record(700 + next() % 500);
            for (feature, counts) in profile.features.iter().zip(&mut features) {
                counts[usize::from(feature.bin(next() as f32 / 1e9))] += 1;
            }
        }
        let (opened, closed, outcomes) = (at(index), at(index + 1), vec![(Outcome::default(), 256)]);
        let window = Window {
            model_slot: ModelSlot(1),
            index,
            rows: 256,
            opened,
            closed,
            features,
            outcomes,
            latency,
            ..Window::default()
        };
        telemetry.seal(&Record::Window(window)).expect("sealed");
    }
    let options = OutboxOptions::new("bench").interval(interval).encoding(encoding).privacy(Privacy::NONE);
    let mut outbox = Outbox::open(&telemetry, folder.path(), options).expect("an outbox");
    let begun = Instant::now();
    let batch = outbox.next_batch(16 << 20).expect("a batch").expect("news");
    let took = begun.elapsed();
    assert!(batch.records >= WINDOWS, "{batch:?}");
    outbox.ack(&batch).expect("acknowledged");
    assert_eq!(outbox.next_batch(16 << 20).expect("none"), None);
    (batch.points, batch.metrics.len() + batch.logs.len(), took)
}
