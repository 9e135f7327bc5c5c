//! A telemetry folder as an app uses it.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Barrier;
use std::thread;

use super::super::*;
use super::{examples, sealable};
use crate::Code;

fn small() -> Limits {
    Limits { lanes: 4, slots: 64, ..Limits::default() }
}

fn inference(id: u64, bins: &[u8]) -> Inference<'_> {
    let (model_slot, latency_us) = (ModelSlot(7), id as u32);
    Inference { id, model_slot, latency_us, class: 3, confidence: 200, bins, ..Inference::default() }
}

fn drained(telemetry: &Telemetry) -> Vec<u64> {
    let mut ids = Vec::new();
    telemetry.drain(&mut |i| ids.push(i.id));
    ids
}

fn dropped(telemetry: &Telemetry, reason: Reason) -> u64 {
    telemetry.status().dropped.iter().find(|(r, _)| *r == reason).map_or(0, |(_, n)| *n)
}

#[test]
fn it_crosses_threads() {
    fn crosses<T: Send>() {}
    fn is_shared<T: Send + Sync>() {}
    crosses::<Lane>();
    is_shared::<Telemetry>();
}

const LATER: [Option<RolloutArm>; 2] = [Some(RolloutArm::Canary), Some(RolloutArm::Shadow)];

#[test]
fn what_is_recorded_is_drained() {
    let dir = tempfile::tempdir().unwrap();
    let telemetry = Telemetry::open(dir.path(), small());
    assert_eq!(telemetry.status().mode, Mode::Durable);
    let lane = telemetry.lane();
    let many: Vec<u8> = (0..=255).cycle().take(Inference::MAX_BINS).collect();
    // Every length at which another slot begins, with tokens and without.
    for len in [0, 1, 8, 9, 20, 21, 56, 57, 68, 69, 100, 1023, 1024] {
        for (tokens, arm) in [0, 5, 0, 5].into_iter().zip([None, Some(RolloutArm::Current)].into_iter().chain(LATER)) {
            let reported = Inference {
                id: len as u64,
                model_slot: ModelSlot(u32::MAX),
                arm,
                outcome: Outcome::from_bits(0x0107),
                latency_us: u32::MAX,
                first_token_us: tokens,
                tokens_in: tokens * 2,
                tokens_out: tokens * 3,
                confidence: 1,
                entropy: 255,
                class: 9,
                bins: &many[..len],
                ..Inference::default()
            };
            lane.record(&reported);
            let mut seen = 0;
            telemetry.drain(&mut |got| {
                assert_eq!(*got, Inference { at: got.at, epoch: 1, ..reported });
                assert!(got.at > 0 && got.at < telemetry.now().monotonic_ns);
                seen += 1;
            });
            assert_eq!(seen, 1, "{len} bins");
        }
    }
    lane.record(&inference(1, &[0; Inference::MAX_BINS + 1]));
    assert_eq!((drained(&telemetry), dropped(&telemetry, Reason::TooLarge)), (vec![], 1));
}

#[test]
fn the_oldest_is_overwritten_and_counted_exactly() {
    let dir = tempfile::tempdir().unwrap();
    let telemetry = Telemetry::open(dir.path(), small());
    let lane = telemetry.lane();
    // Records of one, two and three slots, so that overwriting cuts records apart.
    for id in 0..1000 {
        lane.record(&inference(id, &[1; 100][..id as usize % 100]));
    }
    let ids = drained(&telemetry);
    assert_eq!(ids.len() as u64 + dropped(&telemetry, Reason::Overwritten), 1000);
    assert!(ids.len() > 64 / 3 - 2 && ids.last() == Some(&999) && ids.is_sorted(), "{ids:?}");
    lane.record(&inference(1000, &[]));
    assert_eq!(drained(&telemetry), [1000]);
    assert_eq!(dropped(&telemetry, Reason::Overwritten), 1000 - ids.len() as u64);
}

#[test]
fn threads_share_what_lanes_there_are() {
    let dir = tempfile::tempdir().unwrap();
    let telemetry = Telemetry::open(dir.path(), Limits { slots: 4096, ..small() });
    let (threads, each) = (8, 500);
    let start = Barrier::new(threads);
    thread::scope(|scope| {
        for t in 0..threads as u64 {
            let (telemetry, start) = (&telemetry, &start);
            scope.spawn(move || {
                start.wait();
                for i in 0..each {
                    telemetry.record(&inference(t << 32 | i, &[]));
                }
            });
        }
    });
    let mut by_thread: BTreeMap<u64, u64> = BTreeMap::new();
    telemetry.drain(&mut |i| *by_thread.entry(i.id >> 32).or_default() += 1);
    let seen: u64 = by_thread.values().sum();
    assert_eq!(seen + dropped(&telemetry, Reason::NoLane), threads as u64 * each);
    // The two threads that have a lane of their own lose nothing.
    assert!(by_thread.values().filter(|n| **n == each).count() >= 2, "{by_thread:?}");
    // All lanes came back when the threads ended.
    let lanes = [telemetry.lane(), telemetry.lane()];
    lanes.iter().for_each(|lane| lane.record(&inference(1, &[])));
    assert_eq!(drained(&telemetry).len(), 2);
}

#[test]
fn a_second_process_only_counts() {
    let dir = tempfile::tempdir().unwrap();
    let first = Telemetry::open(dir.path(), small());
    let second = Telemetry::open(dir.path(), small());
    let Mode::Counting { why } = second.status().mode else { panic!("{:?}", second.status()) };
    assert!(why.contains("another process"), "{why}");
    second.record(&inference(1, &[2]));
    assert_eq!((drained(&first), drained(&second)), (vec![], vec![1]));
    assert_eq!(second.seal(&Record::Window(Window::default())).unwrap_err().code(), Code::Busy);
    assert_eq!(second.ack(Position::default()).unwrap_err().code(), Code::Busy);
    assert_eq!((second.read(Cursor::start(), 1 << 20), dropped(&second, Reason::Counting)), (vec![], 1));
    drop(second);
    // A lane keeps the folder; a thread that recorded does not.
    first.record(&inference(2, &[]));
    let lane = first.lane();
    drop(first);
    assert_ne!(Telemetry::open(dir.path(), small()).status().mode, Mode::Durable);
    drop(lane);
    let third = Telemetry::open(dir.path(), small());
    assert_eq!((third.status().mode, drained(&third)), (Mode::Durable, vec![2]));
}

#[test]
fn no_folder_is_no_failure() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "in the way").unwrap();
    let telemetry = Telemetry::open(file.join("below"), small());
    assert_ne!(telemetry.status().mode, Mode::Durable);
    telemetry.record(&inference(5, &[]));
    assert_eq!(drained(&telemetry), [5]);
    assert_eq!(telemetry.seal(&Record::Window(Window::default())).unwrap_err().code(), Code::Io);
    // A live file that cannot be one: the log works on.
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("telemetry.live")).unwrap();
    let telemetry = Telemetry::open(dir.path(), small());
    assert_ne!(telemetry.status().mode, Mode::Durable);
    telemetry.record(&inference(6, &[]));
    assert_eq!(drained(&telemetry), [6]);
    telemetry.seal(&Record::Window(Window::default())).unwrap();
}

#[test]
fn sealed_records_come_back_until_they_are_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let telemetry = Telemetry::open(dir.path(), small());
    let sealed: Vec<Position> = sealable().iter().map(|r| telemetry.seal(r).unwrap()).collect();
    assert!(sealed.is_sorted());
    for record in examples(Stamp::default()).iter().filter(|r| !sealable().contains(r)) {
        assert_eq!(telemetry.seal(record).unwrap_err().code(), Code::InvalidArgument);
    }
    let read = telemetry.read(Cursor::start(), usize::MAX);
    // A boot mark and an anchor come first by themselves.
    assert!(matches!(read[0].1, Record::Boot(_)) && matches!(read[1].1, Record::Anchor(_)));
    let reported = sealable();
    for ((position, got), reported) in read[read.len() - reported.len()..].iter().zip(&reported) {
        let stamp = *got.stamp();
        assert_eq!(*position, stamp.position());
        assert_eq!((stamp.epoch, stamp.boot), (1, telemetry.now().boot));
        assert_eq!(std::mem::discriminant(got), std::mem::discriminant(reported));
        if let (Record::Window(got), Record::Window(reported)) = (got, reported) {
            assert_eq!(got, &Window { stamp, ..reported.clone() });
        }
    }
    // In small bites.
    let (mut bites, mut cursor) = (Vec::new(), Cursor::start());
    while let [.., (last, _)] = &telemetry.read(cursor, 100)[..] {
        bites.extend(telemetry.read(cursor, 100));
        cursor = (*last).into();
    }
    assert_eq!(bites, read);
    // Half of it, twice, then after a new open.
    let half = read[5].0;
    telemetry.ack(half).unwrap();
    telemetry.ack(half).unwrap();
    telemetry.ack(read[2].0).unwrap();
    assert_eq!(telemetry.read(Cursor::start(), usize::MAX), read[6..]);
    let beyond = Position { epoch: 1, seq: 1000 };
    assert_eq!(telemetry.ack(beyond).unwrap_err().code(), Code::InvalidArgument);
    drop(telemetry);
    let telemetry = Telemetry::open(dir.path(), small());
    assert_eq!(telemetry.read(Cursor::start(), usize::MAX), read[6..]);
    assert_eq!((telemetry.status().oldest, telemetry.status().unacked), (Some(read[6].0), read.len() as u64 - 6));
    let next = telemetry.seal(&reported[0]).unwrap();
    assert_eq!(next.epoch, 2);
    telemetry.ack(next).unwrap();
    let status = telemetry.status();
    assert_eq!((status.unacked, status.segments), (0, 2));
    assert!(status.history_bytes > 0 && status.history_bytes < status.bytes, "{status:?}");
    // What has arrived is remembered, and not given out again.
    assert_eq!(telemetry.read(Cursor::start(), usize::MAX), []);
    let recalled = telemetry.recall(Cursor::start(), usize::MAX);
    assert!(recalled.starts_with(&read) && recalled.last().is_some_and(|(last, _)| *last == next));
    assert_eq!(telemetry.recall(read[6].0.into(), usize::MAX), recalled[7..]);
    assert_eq!(telemetry.recall(Cursor::start(), 1), recalled[..1]);
    assert!(telemetry.status().dropped.is_empty(), "{:?}", telemetry.status());
}

#[test]
fn the_log_stays_within_its_limit_and_counts_what_gave_way() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { bytes: 64 << 10, segment_bytes: 8 << 10, durability: Durability::Process, ..small() };
    let telemetry = Telemetry::open(dir.path(), limits);
    let model = Record::Model(ModelInfo { profile: vec![7; 1000], ..ModelInfo::default() });
    let mut sealed = 2;
    for _ in 0..300 {
        sealed = telemetry.seal(&model).unwrap().seq;
        let segments = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap());
        let segments = segments.filter(|e| e.path().extension().is_some_and(|e| e == "seg"));
        let bytes: u64 = segments.map(|e| e.metadata().unwrap().len().next_multiple_of(4096)).sum();
        assert!(bytes <= limits.bytes, "{bytes} bytes");
    }
    let records = telemetry.read(Cursor::start(), usize::MAX);
    let lost = dropped(&telemetry, Reason::Limit);
    assert!(lost > 100 && records.len() > 20, "{lost} lost, {} kept", records.len());
    assert_eq!(records.len() as u64 + lost, sealed);
    // The count is sealed itself, and outlives the live file.
    let Some(Record::Drops(drops)) = records.iter().rev().map(|(_, r)| r).find(|r| matches!(r, Record::Drops(_)))
    else {
        panic!("no drops among {} records", records.len())
    };
    assert_eq!(drops.totals, [(Reason::Limit, lost)]);
    drop(telemetry);
    fs::remove_file(dir.path().join("telemetry.live")).unwrap();
    let telemetry = Telemetry::open(dir.path(), limits);
    assert_eq!(telemetry.status().dropped, [(Reason::Limit, lost)]);
    assert_eq!(telemetry.read(Cursor::start(), usize::MAX).len(), records.len());
    assert_eq!(telemetry.seal(&model).unwrap().epoch, 2);
    let large = Record::Model(ModelInfo { profile: vec![7; 9000], ..ModelInfo::default() });
    assert_eq!(telemetry.seal(&large).unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(dropped(&telemetry, Reason::TooLarge), 1);
}

#[test]
fn what_is_kept_of_history_is_within_the_limit() {
    let kept = |bytes, history_bytes| Limits { bytes, history_bytes, ..small() }.within_ranges().history_bytes;
    assert_eq!([kept(1 << 20, u64::MAX), kept(0, 1 << 20), kept(1 << 20, 0)], [1 << 20, 16 << 10, 0]);
    // With none, a segment goes with its last acknowledgement.
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { history_bytes: 0, segment_bytes: 4 << 10, ..small() };
    let telemetry = Telemetry::open(dir.path(), limits);
    let model = Record::Model(ModelInfo { profile: vec![7; 1000], ..ModelInfo::default() });
    for _ in 0..20 {
        telemetry.seal(&model).unwrap();
    }
    telemetry.ack(telemetry.now().position()).unwrap();
    assert_eq!((telemetry.status().segments, telemetry.status().history_bytes), (1, 0));
}

#[test]
fn a_window_keeps_what_its_embeddings_say() {
    let dir = tempfile::tempdir().unwrap();
    let reported = Window {
        model_slot: ModelSlot(1),
        rows: 300,
        embedded: 299,
        embedding: (0..128).map(|i| i * 2).collect(),
        ..Window::default()
    };
    let position = Telemetry::open(dir.path(), small()).seal(&Record::Window(reported.clone())).unwrap();
    let read = Telemetry::open(dir.path(), small()).read(Cursor::start(), usize::MAX);
    for records in [read, peek(dir.path()).unwrap()] {
        let (_, record) = records.iter().find(|(at, _)| *at == position).unwrap();
        assert_eq!(*record, Record::Window(Window { stamp: *record.stamp(), ..reported.clone() }));
    }
}

#[test]
fn an_inference_is_kept_until_its_window_is_sealed() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { slots: 1024, ..small() };
    let window = |slot| Record::Window(Window { model_slot: ModelSlot(slot), ..Window::default() });
    {
        let telemetry = Telemetry::open(dir.path(), limits);
        let lane = telemetry.lane();
        for id in 0..100 {
            lane.record(&Inference { id, model_slot: ModelSlot(1 + id as u32 % 2), ..Inference::default() });
        }
        // Model 1 seals a window in the middle of a drain, model 2 has none yet.
        let mut of_one = 0;
        telemetry.drain(&mut |i| {
            of_one += u64::from(i.model_slot == ModelSlot(1));
            if i.model_slot == ModelSlot(1) && of_one == 30 {
                telemetry.seal(&window(1)).unwrap();
            }
            assert_eq!(telemetry.drain(&mut |_| panic!("two drains at once")), 0);
        });
    }
    for _ in 0..2 {
        let telemetry = Telemetry::open(dir.path(), limits);
        assert_eq!(telemetry.status().recovered, 20 + 50);
        let mut seen = [0; 3];
        telemetry.drain(&mut |i| {
            assert_eq!(i.epoch, 1);
            seen[i.model_slot.0 as usize] += 1;
        });
        assert_eq!(seen, [0, 20, 50]);
        assert!(telemetry.status().dropped.is_empty());
    }
    let telemetry = Telemetry::open(dir.path(), limits);
    drained(&telemetry);
    telemetry.seal(&window(2)).unwrap();
    telemetry.seal(&window(1)).unwrap();
    drop(telemetry);
    assert_eq!(Telemetry::open(dir.path(), limits).status().recovered, 0);
    // The log alone knows it too.
    let live = dir.path().join("telemetry.live");
    let mut bytes = fs::read(&live).unwrap();
    bytes[4608..8192].fill(0);
    fs::write(&live, bytes).unwrap();
    assert_eq!(Telemetry::open(dir.path(), limits).status().recovered, 0);
    // Of another live file, the log says nothing.
    fs::remove_file(&live).unwrap();
    Telemetry::open(dir.path(), limits).record(&inference(1, &[]));
    assert_eq!(drained(&Telemetry::open(dir.path(), limits)), [1]);
}

#[test]
fn damage_is_set_aside_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let telemetry = Telemetry::open(dir.path(), small());
    telemetry.record(&inference(1, &[]));
    let records = sealable();
    for record in &records {
        telemetry.seal(record).unwrap();
    }
    let all = telemetry.read(Cursor::start(), usize::MAX);
    let segment = dir.path().join("0000000000000001-00000000.seg");
    drop(telemetry);

    // One byte in the middle costs one record, and it is reported once.
    let whole = fs::read(&segment).unwrap();
    let mut bytes = whole.clone();
    bytes[whole.len() / 2] ^= 1;
    fs::write(&segment, &bytes).unwrap();
    let telemetry = Telemetry::open(dir.path(), small());
    let left = telemetry.read(Cursor::start(), usize::MAX);
    assert_eq!(left.len(), all.len() - 1);
    assert!(left.iter().all(|r| all.contains(r)));
    assert_eq!((telemetry.status().torn, dropped(&telemetry, Reason::Torn)), (1, 1));
    telemetry.seal(&records[0]).unwrap();
    drop(telemetry);
    let telemetry = Telemetry::open(dir.path(), small());
    assert_eq!(dropped(&telemetry, Reason::Torn), 1);
    drop(telemetry);

    // Headers of both kinds, files that end early, files of something else.
    for (name, change) in [("0000000000000001-00000000.seg", 3), ("telemetry.live", 8)] {
        let path = dir.path().join(name);
        let mut bytes = fs::read(&path).unwrap();
        bytes[change] ^= 0xff;
        let second = (change + 2048).min(bytes.len() - 1);
        bytes[second] ^= 0xff;
        fs::write(&path, bytes).unwrap();
    }
    for i in 0..9 {
        fs::write(dir.path().join(format!("000000000000000{i}-00000009.seg")), "something else, long enough".repeat(9))
            .unwrap();
    }
    fs::write(dir.path().join("0000000000000001-00000008.seg"), b"SELV").unwrap();
    let telemetry = Telemetry::open(dir.path(), small());
    assert_eq!((telemetry.status().mode, telemetry.status().quarantined), (Mode::Durable, 11));
    assert!(telemetry.seal(&records[0]).unwrap().epoch > 8);
    let names = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let bad: Vec<String> = names.filter(|n| n.ends_with(".bad")).collect();
    assert_eq!(bad.len(), 3, "{bad:?}");
    // A live file that was cut.
    drop(telemetry);
    let live = fs::OpenOptions::new().write(true).open(dir.path().join("telemetry.live")).unwrap();
    live.set_len(5000).unwrap();
    assert_eq!(Telemetry::open(dir.path(), small()).status().quarantined, 1);
}

/// Slots of random bytes, and every bit of a slot flipped: nothing is handed over that was not recorded.
#[test]
fn a_damaged_slot_is_never_believed() {
    let dir = tempfile::tempdir().unwrap();
    let telemetry = Telemetry::open(dir.path(), small());
    let lane = telemetry.lane();
    for id in 0..3 {
        lane.record(&inference(id, &[1; 25]));
    }
    drop((lane, telemetry));
    let path = dir.path().join("telemetry.live");
    let whole = fs::read(&path).unwrap();
    // The first lane that a thread owns is the third.
    let begin = whole.len() - 2 * 64 * 64;
    for bit in 0..2 * 64 * 8 {
        let mut bytes = whole.clone();
        bytes[begin + 128 + bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, bytes).unwrap();
        let telemetry = Telemetry::open(dir.path(), small());
        assert_eq!(drained(&telemetry), [0, 2], "bit {bit}");
        let lost = dropped(&telemetry, Reason::Torn) + dropped(&telemetry, Reason::Overwritten);
        assert_eq!(lost, 1, "bit {bit}: {:?}", telemetry.status());
        drop(telemetry);
    }
}

/// The present moment is asked for on the way of answers, while another thread may wait for the disk.
#[test]
fn the_present_moment_waits_for_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let telemetry = Telemetry::open(dir.path(), small());
    assert_eq!(telemetry.now().seq, 0);
    let sealed = telemetry.seal(&sealable()[0]).unwrap();
    let at_work = telemetry.shared.log();
    let (say, hear) = std::sync::mpsc::channel();
    let other = telemetry.clone();
    let asking = thread::spawn(move || say.send(other.now()));
    let now = hear.recv_timeout(std::time::Duration::from_secs(5));
    drop(at_work);
    assert_eq!(now.map(|now| now.position()), Ok(sealed));
    asking.join().unwrap().unwrap();
}

/// Windows sealed while the lanes were in memory alone say nothing of the lanes in the file.
#[test]
fn lanes_of_memory_alone_pass_over_none_of_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let live = dir.path().join("telemetry.live");
    let aside = dir.path().join("aside");
    let window = Record::Window(Window { model_slot: ModelSlot(7), ..Window::default() });
    let record = |ids: std::ops::Range<u64>| {
        let telemetry = Telemetry::open(dir.path(), small());
        ids.for_each(|id| telemetry.record(&inference(id, &[])));
        telemetry
    };
    record(0..10).seal(&window).unwrap();
    fs::rename(&live, &aside).unwrap();
    fs::create_dir(&live).unwrap();
    let telemetry = record(100..150);
    assert_ne!(telemetry.status().mode, Mode::Durable);
    assert_eq!(drained(&telemetry).len(), 50);
    telemetry.seal(&window).unwrap();
    drop(telemetry);
    fs::remove_dir(&live).unwrap();
    fs::rename(&aside, &live).unwrap();
    assert_eq!(drained(&record(0..0)), (0..10).collect::<Vec<_>>());
}

#[test]
fn a_damaged_number_of_what_was_drained_stops_no_lane() {
    let dir = tempfile::tempdir().unwrap();
    let telemetry = Telemetry::open(dir.path(), small());
    telemetry.record(&inference(1, &[]));
    assert_eq!(drained(&telemetry), [1]);
    telemetry.seal(&Record::Window(Window { model_slot: ModelSlot(7), ..Window::default() })).unwrap();
    drop(telemetry);
    let live = dir.path().join("telemetry.live");
    let mut bytes = fs::read(&live).unwrap();
    // The first lane that a thread owns is the third.
    bytes[4096 + 2 * 8 + 6] ^= 1;
    fs::write(&live, bytes).unwrap();
    let telemetry = Telemetry::open(dir.path(), small());
    telemetry.record(&inference(2, &[]));
    assert_eq!((drained(&telemetry), telemetry.status().dropped), (vec![2], vec![]));
}

/// A folder may be opened with smaller limits than it was made with.
#[test]
fn a_large_segment_is_read_whatever_the_limits() {
    let dir = tempfile::tempdir().unwrap();
    let telemetry = Telemetry::open(dir.path(), small());
    sealable().iter().for_each(|record| _ = telemetry.seal(record).unwrap());
    let all = telemetry.read(Cursor::start(), usize::MAX);
    drop(telemetry);
    let segment = fs::OpenOptions::new().write(true).open(dir.path().join("0000000000000001-00000000.seg")).unwrap();
    segment.set_len(17 << 20).unwrap();
    let telemetry = Telemetry::open(dir.path(), small());
    assert_eq!((telemetry.status().quarantined, telemetry.read(Cursor::start(), usize::MAX)), (0, all));
}
