//! Batches against a real receiver: an OpenTelemetry Collector that writes what it got into files.
//!
//! `tests/run` builds the Collector (tests/tools/collector) and names it in `SELVEDGE_COLLECTOR`. Without that variable, and
//! without a binary at target/collector, the tests say so and pass. The same batches against VictoriaMetrics: see there.

mod collector;
mod device;
mod http;
#[path = "../../src/sync/otlp.rs"]
#[allow(dead_code, reason = "a test reads a part of the messages")]
mod otlp;
mod privacy;
mod process;
mod received;
mod victoria_metrics;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::Mutex;
use std::time::Duration;

use selvedge::sync::{Batch, Encoding, Outbox, OutboxOptions, Privacy};

use collector::Collector;
use device::{DAY, Device, HOUR, now};
use received::{check, read};

/// Every window is reported, as it is.
fn exact() -> OutboxOptions {
    OutboxOptions::new("sync-test").interval(Duration::ZERO).privacy(Privacy::NONE)
}

fn post(port: u16, batch: &Batch) -> std::io::Result<u16> {
    let mut worst = 200;
    for (path, body) in batch.requests() {
        worst = worst.max(http::post(port, path, batch.encoding.header(), body)?.status);
    }
    Ok(worst)
}

/// Posts and acknowledges all there is; gives how many batches that took.
fn drain(outbox: &mut Outbox, port: u16, max_bytes: usize) -> usize {
    let mut batches = 0;
    while let Some(batch) = outbox.next_batch(max_bytes).unwrap() {
        assert_eq!(post(port, &batch).unwrap(), 200, "{batch:?}");
        outbox.ack(&batch).unwrap();
        batches += 1;
    }
    batches
}

#[test]
fn every_bucket_arrives_in_every_encoding() {
    for encoding in [Encoding::Identity, Encoding::Gzip, Encoding::Zstd] {
        let folder = tempfile::tempdir().unwrap();
        let Some(collector) = Collector::start(folder.path()) else { return };
        let mut device = Device::new(1, now() - HOUR);
        (1..=60).for_each(|minute| device.window(minute * 60));
        (0..3).for_each(|_| device.alert());
        let mut outbox = device.outbox(exact().encoding(encoding));
        let batches = drain(&mut outbox, collector.port, 20_000);
        assert!(batches > 3, "{batches} batches");
        let received = check(&device, folder.path());
        assert_eq!(received.conflicts, 0);
        assert_eq!(received.attribute("service.instance.id"), Some(&outbox.install_id()));
        assert_eq!(received.attribute("selvedge.model.version").map(|v| &**v), Some("7"));
        println!("{encoding:?}: {} points in {batches} batches", received.points);
    }
}

#[test]
fn late_data_keeps_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let Some(collector) = Collector::start(folder.path()) else { return };
    let begun = now() - 30 * DAY;
    let mut device = Device::new(2, begun);
    for (seconds, _) in [(60, "30 days ago"), (23 * 86_400, "7 days ago"), (30 * 86_400 - 5, "now")] {
        device.window(seconds);
    }
    drain(&mut device.outbox(exact()), collector.port, 1 << 20);
    let received = check(&device, folder.path());
    let times: Vec<u64> = received.histograms.keys().map(|(_, time)| (time - begun) / 1_000_000_000).collect();
    assert_eq!((times.iter().min(), times.iter().max()), (Some(&60), Some(&(30 * 86_400 - 5))));
}

#[test]
fn a_resend_says_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let Some(collector) = Collector::start(folder.path()) else { return };
    let mut device = Device::new(3, now() - DAY);
    (1..=5).for_each(|hour| device.window(hour * 3600));
    device.alert();
    let mut outbox = device.outbox(exact());
    let batch = outbox.next_batch(1 << 20).unwrap().unwrap();
    assert_eq!(post(collector.port, &batch).unwrap(), 200);
    // The answer is lost and the app ends; more is sealed before it comes back, with other options.
    drop(outbox);
    device.window(6 * 3600);
    let mut outbox = device.outbox(exact().encoding(Encoding::Zstd));
    let again = outbox.next_batch(1 << 20).unwrap().unwrap();
    assert_eq!(again, batch, "byte for byte");
    assert_eq!(post(collector.port, &again).unwrap(), 200);
    outbox.ack(&again).unwrap();
    assert_eq!(drain(&mut outbox, collector.port, 1 << 20), 1);
    let received = check(&device, folder.path());
    assert_eq!(received.conflicts, 0, "copies of a point agree");
    assert!(received.points > received.histograms.len() + 5, "the copies did arrive");
}

/// Two tests may find the same free port: the one that comes later must not take the other's Collector for its own.
#[test]
fn a_port_that_another_took_is_left_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let taken = Mutex::new(vec![]);
    let take = |port| {
        let mut taken = taken.lock().unwrap();
        if taken.is_empty() {
            // Unless a test beside this one has just done so.
            taken.extend(TcpListener::bind(("127.0.0.1", port)));
        }
    };
    let Some(collector) = Collector::start_after(folder.path(), take) else { return };
    let mut device = Device::new(5, now() - DAY);
    device.window(3600);
    assert_eq!(drain(&mut device.outbox(exact()), collector.port, 1 << 20), 1);
    check(&device, folder.path());
}

#[test]
fn nothing_is_lost_when_the_collector_is_killed_amid_a_batch() {
    let folder = tempfile::tempdir().unwrap();
    let Some(first) = Collector::start(folder.path()) else { return };
    let mut device = Device::new(4, now() - DAY);
    (1..=20).for_each(|hour| device.window(hour * 3600));
    device.alert();
    let mut outbox = device.outbox(exact());
    let batch = outbox.next_batch(10_000).unwrap().unwrap();
    assert_eq!(post(first.port, &batch).unwrap(), 200);
    process::wait(|| (read(folder.path()).points as u64 >= batch.points).then_some(()));
    outbox.ack(&batch).unwrap();
    // Half of the next batch's body is on the wire when the Collector dies.
    let batch = outbox.next_batch(10_000).unwrap().unwrap();
    let half = http::begin(first.port, "/v1/metrics", batch.encoding.header(), &batch.metrics, batch.metrics.len() / 2);
    let port = first.port;
    first.kill();
    assert!(half.finish().is_err(), "no answer came");
    assert!(post(port, &batch).is_err(), "nobody listens");
    let second = Collector::start(folder.path()).unwrap();
    drain(&mut outbox, second.port, 10_000);
    let received = check(&device, folder.path());
    assert_eq!(received.conflicts, 0);
}

#[test]
fn the_check_sees_a_bucket_that_is_off_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let Some(collector) = Collector::start(folder.path()) else { return };
    let mut device = Device::new(5, now() - HOUR);
    device.window(60);
    drain(&mut device.outbox(exact()), collector.port, 1 << 20);
    let received = check(&device, folder.path());
    let mut expected: BTreeMap<_, _> = device.expected();
    expected.values_mut().next().unwrap().buckets[1] += 1;
    assert_ne!(received.histograms, expected);
}
