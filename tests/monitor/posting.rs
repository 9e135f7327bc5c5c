//! Posting of a monitor's records: what it sealed goes out whole, however often its process began and however long there was no network.

use std::collections::BTreeMap;
use std::path::Path;

use prost::Message;
use selvedge::layer::monitor::Monitor;
use selvedge::layer::probe::Columns;
use selvedge::sync::{Encoding, Outbox, OutboxOptions, Privacy};
use selvedge::telemetry::{Durability, Limits, Reason, Telemetry};

use crate::{COLUMNS, Noise, ask, echo, profile};

#[path = "../../src/sync/otlp.rs"]
#[allow(dead_code, reason = "a test reads a part of the messages")]
mod otlp;
use otlp::{Data, ExportMetricsServiceRequest, Number, Value};

const WINDOW: u64 = 100;

fn monitor(telemetry: &Telemetry) -> Monitor {
    let probe = Columns::of("x", COLUMNS);
    Monitor::builder(echo().build(), telemetry.clone(), probe).profile(profile()).window(WINDOW).build().unwrap()
}

/// The last totals of a counter, summed over all models, and those of what was lost, by reason.
fn posted(telemetry: &Telemetry, folder: &Path) -> (i64, BTreeMap<String, i64>) {
    let options = OutboxOptions::new("posting").encoding(Encoding::Identity).privacy(Privacy::NONE);
    let mut outbox = Outbox::open(telemetry, folder, options).unwrap();
    let (mut windows, mut lost) = (0, BTreeMap::new());
    while let Some(batch) = outbox.next_batch(1 << 20).unwrap() {
        let request = ExportMetricsServiceRequest::decode(&batch.metrics[..]).unwrap();
        let metrics = request.resource_metrics.iter().flat_map(|r| &r.scope_metrics).flat_map(|s| &s.metrics);
        for metric in metrics {
            let Some(Data::Sum(sum)) = &metric.data else { continue };
            for point in &sum.data_points {
                let Some(Number::Int(value)) = point.value else { panic!("{point:?}") };
                match &*metric.name {
                    "selvedge.windows" => windows = value,
                    "selvedge.dropped" => {
                        let reason = point.attributes[0].value.clone().unwrap().value;
                        let Some(Value::String(reason)) = reason else { panic!("{point:?}") };
                        lost.insert(reason, value);
                    }
                    _ => {}
                }
            }
        }
        outbox.ack(&batch).unwrap();
    }
    (windows, lost)
}

#[test]
fn windows_of_several_processes_are_posted_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut noise = Noise(20);
    let open = || Telemetry::open(folder.path(), Limits::default().durability(Durability::Process));
    for _ in 0..3 {
        let telemetry = open();
        let monitor = monitor(&telemetry);
        (0..2 * WINDOW).for_each(|_| ask(&monitor, noise.row(), 0));
    }
    assert_eq!(posted(&open(), folder.path()), (6, BTreeMap::new()));
}

#[test]
fn a_log_that_overflowed_still_says_whose_windows_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let mut noise = Noise(21);
    let limits = Limits::default().bytes(32 << 10).segment_bytes(4 << 10).durability(Durability::Process);
    let telemetry = Telemetry::open(folder.path(), limits);
    let monitor = monitor(&telemetry);
    (0..300 * WINDOW).for_each(|_| ask(&monitor, noise.row(), 0));
    let status = telemetry.status();
    let gave_way = status.dropped.iter().find(|(reason, _)| *reason == Reason::Limit).map_or(0, |(_, n)| *n as i64);
    assert!(gave_way > 50, "{status:?}");
    let (windows, lost) = posted(&telemetry, folder.path());
    assert_eq!(lost, BTreeMap::from([("limit".to_string(), gave_way)]));
    // What gave way are windows, and the few records that go with them.
    assert!(windows > 20 && windows >= 300 - gave_way, "{windows} windows arrived, {gave_way} records gave way");
}
