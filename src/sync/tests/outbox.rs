use std::fs;
use std::path::Path;

use super::faults::Kill;
use super::made::{plain, rows, sums};
use crate::Code;
use crate::sync::otlp::{ExportMetricsServiceRequest, ExportMetricsServiceResponse, Resource};
use crate::sync::{Batch, Encoding, Outbox, OutboxOptions, Privacy, partial_success};
use crate::telemetry::{Cursor, Durability, Limits, ModelInfo, ModelSlot, Position, Record, Telemetry, Window};
use prost::Message;

fn telemetry(folder: &Path) -> Telemetry {
    let limits = Limits { lanes: 3, slots: 64, durability: Durability::Process, ..Limits::default() };
    let telemetry = Telemetry::open(folder, limits);
    let model = ModelInfo { slot: ModelSlot(1), name: "rain".into(), ..ModelInfo::default() };
    telemetry.seal(&Record::Model(model)).unwrap();
    telemetry
}

fn window(telemetry: &Telemetry) -> Position {
    let now = telemetry.now();
    telemetry.seal(&Record::Window(Window { opened: now, closed: now, ..rows(10) })).unwrap()
}

fn open(telemetry: &Telemetry, folder: &Path) -> Outbox {
    Outbox::open(telemetry, folder, OutboxOptions { encoding: Encoding::Identity, ..plain() }).unwrap()
}

fn totals(batch: &Batch) -> Vec<i64> {
    let request = ExportMetricsServiceRequest::decode(&batch.metrics[..]).unwrap();
    sums(&request, "selvedge.requests").iter().map(|(_, _, value)| *value).collect()
}

fn next(outbox: &mut Outbox) -> Batch {
    outbox.next_batch(1 << 20).unwrap().unwrap()
}

#[test]
fn a_batch_stays_until_it_is_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let log = telemetry(folder.path());
    let mut outbox = open(&log, folder.path());
    assert_eq!(outbox.next_batch(1 << 20).unwrap(), None, "a model alone is no news");
    window(&log);
    let through = window(&log);
    let first = next(&mut outbox);
    assert_eq!((totals(&first), first.through), (vec![10, 20], through));
    assert!(first.logs.is_empty());
    assert_eq!(first.requests().map(|(path, _)| path).collect::<Vec<_>>(), ["/v1/metrics"]);
    window(&log);
    assert_eq!(next(&mut outbox), first);
    outbox.ack(&first).unwrap();
    outbox.ack(&first).unwrap();
    let second = next(&mut outbox);
    assert_eq!(totals(&second), [30]);
    assert_ne!(second.id, first.id);
    // The last but one may be acknowledged again and does not take the place of the pending one.
    outbox.ack(&first).unwrap();
    assert_eq!(next(&mut outbox), second);
    outbox.ack(&second).unwrap();
    let error = outbox.ack(&first).unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    assert!(error.message().starts_with("batch: expected none, got "), "{error}");
    assert_eq!(outbox.next_batch(1 << 20).unwrap(), None);
    assert_eq!(log.status().unacked, 0);
}

#[test]
fn a_kill_between_the_steps_counts_nothing_twice_and_loses_nothing() {
    for kill in [Kill::BeforeStore, Kill::BeforeRelease] {
        let folder = tempfile::tempdir().unwrap();
        let log = telemetry(folder.path());
        let mut outbox = open(&log, folder.path());
        window(&log);
        outbox.faults.kill = Some(kill);
        assert!(outbox.next_batch(1 << 20).is_err());
        drop((outbox, log));
        let log = telemetry(folder.path());
        let mut outbox = open(&log, folder.path());
        window(&log);
        let mut seen = vec![];
        while let Some(batch) = outbox.next_batch(1 << 20).unwrap() {
            seen.extend(totals(&batch));
            outbox.faults.kill = Some(kill);
            assert!(outbox.ack(&batch).is_err());
            drop(outbox);
            outbox = open(&log, folder.path());
            outbox.faults.kill = None;
            // Killed before the store, it is still there; after it, it is gone.
            assert_eq!(outbox.pending().is_some(), kill == Kill::BeforeStore, "{kill:?}");
            outbox.ack(&batch).unwrap();
        }
        assert_eq!(seen, [10, 20], "{kill:?}");
    }
}

#[test]
fn a_refused_batch_is_counted_and_its_totals_come_later() {
    let folder = tempfile::tempdir().unwrap();
    let log = telemetry(folder.path());
    let mut outbox = open(&log, folder.path());
    window(&log);
    let batch = next(&mut outbox);
    let refused = batch.points;
    outbox.refuse(&batch, refused).unwrap();
    window(&log);
    let batch = next(&mut outbox);
    assert_eq!(totals(&batch), [20]);
    drop((outbox, log));
    // The count goes out with the next loss or, here, is kept until there is one.
    let log = telemetry(folder.path());
    let mut outbox = open(&log, folder.path());
    outbox.ack(&batch).unwrap();
    log.seal(&Record::Window(Window { model_slot: ModelSlot(9), ..rows(1) })).unwrap();
    let request = ExportMetricsServiceRequest::decode(&next(&mut outbox).metrics[..]).unwrap();
    let dropped: Vec<i64> = sums(&request, "selvedge.dropped").iter().map(|s| s.2).collect();
    assert_eq!(dropped, [refused as i64, 1]);
}

#[test]
fn one_outbox_per_folder() {
    let folder = tempfile::tempdir().unwrap();
    let log = telemetry(folder.path());
    let outbox = open(&log, folder.path());
    let error = Outbox::open(&log, folder.path(), plain()).unwrap_err();
    assert_eq!(error.code(), Code::Busy, "{error}");
    drop(outbox);
    open(&log, folder.path());
}

#[test]
fn a_damaged_state_is_set_aside_and_counting_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sync.state");
    let log = telemetry(folder.path());
    let mut outbox = open(&log, folder.path());
    window(&log);
    let batch = next(&mut outbox);
    outbox.ack(&batch).unwrap();
    let id = outbox.install_id();
    drop(outbox);
    let mut bytes = fs::read(&file).unwrap();
    bytes[40] ^= 1;
    fs::write(&file, &bytes).unwrap();
    let outbox = open(&log, folder.path());
    assert!(outbox.damage().unwrap().contains("it fails its checksum"), "{:?}", outbox.damage());
    assert_ne!(outbox.install_id(), id);
    assert_eq!(fs::read(folder.path().join("sync.state.damaged")).unwrap(), bytes);
    drop(outbox);
    fs::write(&file, b"SLVSYNC2 and more than the head").unwrap();
    let error = Outbox::open(&log, folder.path(), plain()).unwrap_err();
    assert_eq!(error.code(), Code::Unsupported, "a later version is nobody's to throw away: {error}");
}

/// Neither the next process, nor one that has lost all that the outbox knew, gets what has arrived.
#[test]
fn what_is_remembered_is_never_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    {
        let log = telemetry(folder.path());
        let mut outbox = open(&log, folder.path());
        for _ in 0..5 {
            window(&log);
        }
        let batch = next(&mut outbox);
        outbox.ack(&batch).unwrap();
    }
    for is_lost in [false, true] {
        if is_lost {
            fs::remove_file(folder.path().join("sync.state")).unwrap();
        }
        let log = telemetry(folder.path());
        let windows = log.recall(Cursor::start(), usize::MAX).into_iter();
        assert_eq!(windows.filter(|(_, r)| matches!(r, Record::Window(_))).count(), 5 + usize::from(is_lost));
        let mut outbox = open(&log, folder.path());
        assert_eq!(outbox.next_batch(1 << 20).unwrap(), None);
        window(&log);
        let batch = next(&mut outbox);
        assert_eq!(totals(&batch), [if is_lost { 10 } else { 60 }]);
        outbox.ack(&batch).unwrap();
    }
}

#[test]
fn a_new_install_id_has_no_tie_to_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let log = telemetry(folder.path());
    let mut outbox = open(&log, folder.path());
    window(&log);
    let old = next(&mut outbox);
    let (before, after) = (outbox.install_id(), outbox.reset_install_id().unwrap());
    assert_ne!(before, after);
    assert!(outbox.ack(&old).is_err());
    window(&log);
    let batch = next(&mut outbox);
    assert_eq!(totals(&batch), [10], "counted from zero");
    let request = ExportMetricsServiceRequest::decode(&batch.metrics[..]).unwrap();
    let Resource { attributes } = request.resource_metrics[0].resource.clone().unwrap();
    assert_eq!(super::made::attribute(&attributes, "app.installation.id"), Some(&*after));
    drop((outbox, log));
    let log = telemetry(folder.path());
    assert_eq!(open(&log, folder.path()).install_id(), after, "it survives");
}

/// To a receiver an update of the app is another series: what it counted before must not be in both.
#[test]
fn totals_begin_anew_with_another_version_of_the_app() {
    let folder = tempfile::tempdir().unwrap();
    let log = telemetry(folder.path());
    let reported = |options: OutboxOptions, counts: &[i64]| {
        let mut outbox = Outbox::open(&log, folder.path(), options).unwrap();
        window(&log);
        let batch = next(&mut outbox);
        assert_eq!(totals(&batch), counts);
        batch
    };
    let settle = |batch: &Batch, options: OutboxOptions| {
        Outbox::open(&log, folder.path(), options).unwrap().ack(batch).unwrap();
    };
    let of =
        |version: &str| OutboxOptions { app_version: Some(version.into()), encoding: Encoding::Identity, ..plain() };
    for (version, count) in [("1", 10), ("1", 20), ("2", 10), ("2", 20), ("1", 10)] {
        settle(&reported(of(version), &[count]), of(version));
    }
    // A batch on its way is the old version's, to the byte; the next one tells what came since.
    let batch = reported(of("1"), &[20]);
    let mut outbox = Outbox::open(&log, folder.path(), of("3")).unwrap();
    assert_eq!(next(&mut outbox), batch);
    outbox.ack(&batch).unwrap();
    window(&log);
    let batch = next(&mut outbox);
    assert_eq!(totals(&batch), [10]);
    let request = ExportMetricsServiceRequest::decode(&batch.metrics[..]).unwrap();
    let Resource { attributes } = request.resource_metrics[0].resource.clone().unwrap();
    assert_eq!(super::made::attribute(&attributes, "service.version"), Some("3"));
}

#[test]
fn a_log_begun_anew_is_read_from_its_start() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        let log = telemetry(folder.path());
        let mut outbox = open(&log, folder.path());
        window(&log);
        let batch = next(&mut outbox);
        outbox.ack(&batch).unwrap();
    }
    // Everything but the state of sync is lost.
    for entry in fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if !path.to_str().unwrap().contains("sync.") {
            fs::remove_file(path).unwrap();
        }
    }
    let log = telemetry(folder.path());
    window(&log);
    assert_eq!(totals(&next(&mut open(&log, folder.path()))), [40]);
}

#[test]
fn a_folder_that_cannot_be_written_fails_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let log = telemetry(folder.path());
    let mut outbox = open(&log, folder.path());
    window(&log);
    // A folder in the file's place: nothing can be written there, whoever asks.
    let part = folder.path().join("sync.part");
    fs::create_dir(&part).unwrap();
    let error = outbox.next_batch(1 << 20).unwrap_err();
    assert_eq!(error.code(), Code::Io, "{error}");
    fs::remove_dir(&part).unwrap();
    assert_eq!(totals(&next(&mut outbox)), [10]);
}

#[test]
fn a_partial_success_is_read() {
    use crate::sync::otlp::ExportMetricsPartialSuccess;
    let answer = |rejected_data_points, message: &str| {
        let error_message = message.to_string();
        let partial_success = Some(ExportMetricsPartialSuccess { rejected_data_points, error_message });
        let body = ExportMetricsServiceResponse { partial_success }.encode_to_vec();
        partial_success_of(&body)
    };
    assert_eq!(answer(3, "too old"), Some((3, "too old".into())));
    assert_eq!(answer(0, "soon full"), Some((0, "soon full".into())));
    assert_eq!(answer(0, ""), None);
    assert_eq!(partial_success_of(b"{}"), None, "JSON is no answer to protobuf");
}

fn partial_success_of(body: &[u8]) -> Option<(u64, String)> {
    partial_success("/v1/metrics", body).map(|p| (p.refused, p.message))
}

#[test]
fn options_out_of_range_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let log = telemetry(folder.path());
    let options = OutboxOptions { privacy: Privacy { min_count: 1, epsilon: Some(-1.0) }, ..plain() };
    assert_eq!(Outbox::open(&log, folder.path(), options).unwrap_err().code(), Code::InvalidArgument);
}

#[test]
fn losses_are_counted_anew_under_a_new_install_id() {
    let folder = tempfile::tempdir().unwrap();
    let log = telemetry(folder.path());
    let mut outbox = open(&log, folder.path());
    let dropped = |batch: &Batch| -> Vec<i64> {
        let request = ExportMetricsServiceRequest::decode(&batch.metrics[..]).unwrap();
        sums(&request, "selvedge.dropped").iter().map(|s| s.2).collect()
    };
    let stranger = || log.seal(&Record::Window(Window { model_slot: ModelSlot(9), ..rows(1) })).unwrap();
    (0..3).for_each(|_| _ = stranger());
    window(&log);
    let batch = next(&mut outbox);
    assert_eq!(dropped(&batch).last(), Some(&3));
    outbox.ack(&batch).unwrap();
    outbox.reset_install_id().unwrap();
    window(&log);
    let batch = next(&mut outbox);
    assert!(dropped(&batch).is_empty(), "what was lost before says who this was");
    outbox.ack(&batch).unwrap();
    stranger();
    assert_eq!(dropped(&next(&mut outbox)), [1]);
}

/// The limit of the log has taken the record that reported who a slot is; the monitor reported it again, after windows of it.
#[test]
fn a_model_that_is_told_later_has_its_windows() {
    let folder = tempfile::tempdir().unwrap();
    let log = telemetry(folder.path());
    let mut outbox = open(&log, folder.path());
    let slot = ModelInfo::slot_of(&[4; 32], &[]);
    let seal = |model_slot: ModelSlot| {
        let now = log.now();
        log.seal(&Record::Window(Window { opened: now, closed: now, model_slot, ..rows(10) })).unwrap()
    };
    seal(slot);
    seal(ModelSlot(8));
    for (slot, name) in [(slot, "sun"), (ModelSlot(8), "a number that any model may have")] {
        log.seal(&Record::Model(ModelInfo { slot, name: name.into(), digest: [4; 32], ..ModelInfo::default() }))
            .unwrap();
    }
    seal(slot);
    let batch = next(&mut outbox);
    assert_eq!(totals(&batch), [10, 20]);
    let request = ExportMetricsServiceRequest::decode(&batch.metrics[..]).unwrap();
    assert_eq!(sums(&request, "selvedge.dropped").last().map(|s| s.2), Some(1));
}
