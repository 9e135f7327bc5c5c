//! Batches that a receiver does not take whole.

use prost::Message;

use super::made::{plain, rows, sums};
use crate::Code;
use crate::sync::otlp::{ExportLogsServiceRequest, ExportMetricsServiceRequest};
use crate::sync::{Batch, Encoding, Outbox, OutboxOptions};
use crate::telemetry::{AlertRecord, Durability, Limits, ModelInfo, ModelSlot, Record, Telemetry, Window};

const WINDOWS: u64 = 7;
const ALERTS: u64 = 3;

struct Device {
    folder: tempfile::TempDir,
    telemetry: Telemetry,
}

impl Device {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let telemetry = Telemetry::open(folder.path(), Limits::default().durability(Durability::Process));
        let device = Self { folder, telemetry };
        device.seal();
        device
    }

    fn seal(&self) {
        let model = ModelInfo { slot: ModelSlot(1), name: "rain".into(), ..ModelInfo::default() };
        self.telemetry.seal(&Record::Model(model)).unwrap();
        for _ in 0..WINDOWS {
            let now = self.telemetry.now();
            self.telemetry.seal(&Record::Window(Window { opened: now, closed: now, ..rows(10) })).unwrap();
        }
        for _ in 0..ALERTS {
            self.telemetry
                .seal(&Record::Alert(AlertRecord { model_slot: ModelSlot(1), ..Default::default() }))
                .unwrap();
        }
    }

    fn outbox(&self, encoding: Encoding) -> Outbox {
        let options = OutboxOptions { encoding, ..plain() };
        Outbox::open(&self.telemetry, self.folder.path(), options).unwrap()
    }
}

fn next(outbox: &mut Outbox) -> Option<Batch> {
    outbox.next_batch(1 << 20).unwrap()
}

fn metrics(batch: &Batch) -> ExportMetricsServiceRequest {
    ExportMetricsServiceRequest::decode(&batch.encoding.decode(&batch.metrics).unwrap()[..]).unwrap()
}

/// Every point and log record, as text.
fn contents(batch: &Batch) -> Vec<String> {
    use crate::sync::otlp::Data;
    let mut contents = vec![];
    for metric in metrics(batch).resource_metrics.iter().flat_map(|r| &r.scope_metrics).flat_map(|s| &s.metrics) {
        match metric.data.as_ref().unwrap() {
            Data::Sum(sum) => contents.extend(sum.data_points.iter().map(|p| format!("{} {p:?}", metric.name))),
            Data::Histogram(h) => contents.extend(h.data_points.iter().map(|p| format!("{} {p:?}", metric.name))),
            Data::ExponentialHistogram(h) => {
                contents.extend(h.data_points.iter().map(|p| format!("{} {p:?}", metric.name)));
            }
        }
    }
    let logs = ExportLogsServiceRequest::decode(&batch.encoding.decode(&batch.logs).unwrap()[..]).unwrap();
    let logs = logs.resource_logs.iter().flat_map(|r| &r.scope_logs).flat_map(|s| &s.log_records);
    contents.extend(logs.map(|log| format!("{log:?}")));
    contents.sort();
    contents
}

#[test]
fn parts_hold_all_of_a_batch_once_down_to_single_points() {
    for encoding in [Encoding::Identity, Encoding::Gzip, Encoding::Zstd] {
        let device = Device::new();
        let mut outbox = device.outbox(encoding);
        let whole = next(&mut outbox).unwrap();
        let all = contents(&whole);
        assert_eq!(all.len() as u64, whole.points + whole.log_records);
        let (mut parts, mut records) = (vec![], 0);
        while let Some(batch) = next(&mut outbox) {
            assert_eq!(next(&mut outbox).as_ref(), Some(&batch), "a part stays as a batch does");
            if outbox.split(&batch).unwrap() {
                assert!(outbox.ack(&batch).is_err(), "it is not there any more");
                // Another process goes on with the parts.
                drop(outbox);
                outbox = device.outbox(Encoding::Identity);
                continue;
            }
            assert_eq!(batch.points + batch.log_records, 1);
            assert_eq!(batch.encoding, encoding);
            records += batch.records;
            parts.extend(contents(&batch));
            outbox.ack(&batch).unwrap();
            outbox.ack(&batch).unwrap();
        }
        parts.sort();
        assert_eq!((parts, records), (all, whole.records), "{encoding:?}");
        assert_eq!(outbox.refused(), 0);
    }
}

#[test]
fn metrics_and_logs_are_parted_first() {
    let device = Device::new();
    let mut outbox = device.outbox(Encoding::Identity);
    let whole = next(&mut outbox).unwrap();
    assert!(outbox.split(&whole).unwrap());
    let first = next(&mut outbox).unwrap();
    assert_eq!((&first.metrics, first.logs.len()), (&whole.metrics, 0), "the same bytes");
    outbox.ack(&first).unwrap();
    let second = next(&mut outbox).unwrap();
    assert_eq!((&second.logs, second.metrics.len()), (&whole.logs, 0));
    let error = outbox.split(&whole).unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
}

/// A bad point costs itself and nothing else, wherever it stands.
#[test]
fn bisection_finds_the_bad_ones() {
    for bad in 1..=WINDOWS {
        let device = Device::new();
        let mut outbox = device.outbox(Encoding::Gzip);
        let all = next(&mut outbox).map(|batch| batch.points + batch.log_records).unwrap();
        let is_bad = |batch: &Batch| {
            sums(&metrics(batch), "selvedge.windows").iter().any(|(_, _, windows)| *windows == bad as i64)
        };
        let (mut taken, mut posts) = (0, 0);
        while let Some(batch) = next(&mut outbox) {
            posts += 1;
            if !is_bad(&batch) {
                taken += batch.points + batch.log_records;
                outbox.ack(&batch).unwrap();
            } else if !outbox.bisect(&batch).unwrap() {
                outbox.refuse(&batch, batch.points + batch.log_records).unwrap();
            }
        }
        assert_eq!((taken, outbox.refused()), (all - 1, 1), "{bad}");
        assert!(posts < 16, "{posts} posts for {all}");
    }
}

#[test]
fn who_refuses_everything_is_not_asked_by_ever_smaller_parts() {
    let device = Device::new();
    let mut outbox = device.outbox(Encoding::Identity);
    let drain = |outbox: &mut Outbox| {
        let (mut refused, mut asked) = (0, 0);
        while let Some(batch) = next(outbox) {
            asked += 1;
            if !outbox.bisect(&batch).unwrap() {
                refused += batch.points + batch.log_records;
                outbox.refuse(&batch, batch.points + batch.log_records).unwrap();
            }
        }
        (refused, asked)
    };
    let (refused, asked) = drain(&mut outbox);
    assert!(refused > 20 && asked < 32, "{asked} posts for {refused}");
    assert_eq!(outbox.refused(), refused);
    drop(outbox);
    let mut outbox = device.outbox(Encoding::Identity);
    assert_eq!(outbox.refused(), refused, "it is kept");
    device.seal();
    assert_eq!(drain(&mut outbox).1, 1, "the next batch is asked for once");
    // One that takes something again is asked for each.
    device.seal();
    let batch = next(&mut outbox).unwrap();
    outbox.refuse(&batch, 1).unwrap();
    device.seal();
    let batch = next(&mut outbox).unwrap();
    assert!(outbox.bisect(&batch).unwrap());
}
