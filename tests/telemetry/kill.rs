//! Processes that record from four threads and are killed at any instruction.
//!
//! The child is this test binary again. After each record and each sealed window it tells so through a pipe; the parent
//! kills it with SIGKILL, opens the folder and holds what is there against what was reported. 300 kills, or 2,000 with
//! `SELVEDGE_LONG=1`. A kill says nothing about loss of power: the simulated disk of the log's own tests does.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use selvedge::telemetry::{
    Cursor, Durability, Inference, Limits, Mode, ModelSlot, Position, Reason, Record, Telemetry, Window,
};

const THREADS: u64 = 4;
const FOLDER: &str = "SELVEDGE_KILL_FOLDER";
/// The number of the first record of each thread, with commas between; and how the child goes about it.
const BEGIN: &str = "SELVEDGE_KILL_BEGIN";
const WAY: &str = "SELVEDGE_KILL_WAY";
/// A message of the child: who, and the number of the record or window.
const WINDOWS: u8 = 100;
const MESSAGE: usize = 9;

/// How the child records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    /// Records and tells, as fast as it can; the lanes are overwritten.
    Overwrite,
    /// Records so slowly that nothing is overwritten; a fifth thread drains and seals windows.
    Seal,
    /// Tells before it records: what the parent must notice.
    TellFirst,
}

fn limits(way: Way) -> Limits {
    // A record that was drained, is in no window yet and is overwritten, would end with the process.
    let slots = if way == Way::Seal { 8192 } else { 512 };
    // Six lanes: four threads with one of their own.
    Limits::default().lanes(6).slots(slots).durability(Durability::Process)
}

/// Bins that follow from the number of the record, of one, two or three slots.
fn bins(id: u64) -> Vec<u8> {
    (0..id % 90).map(|i| (id * 7 + i) as u8).collect()
}

fn id(thread: u64, number: u64) -> u64 {
    thread << 48 | number
}

// --- The child --------------------------------------------------------------------------------------------------------

#[test]
fn child() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let begin: Vec<u64> = std::env::var(BEGIN).unwrap().split(',').map(|n| n.parse().unwrap()).collect();
    let way = match &*std::env::var(WAY).unwrap() {
        "Overwrite" => Way::Overwrite,
        "Seal" => Way::Seal,
        _ => Way::TellFirst,
    };
    let telemetry = Telemetry::open(folder, limits(way));
    assert_eq!(telemetry.status().mode, Mode::Durable);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (telemetry, begin) = (telemetry.clone(), begin[thread as usize]);
            scope.spawn(move || record_forever(&telemetry, thread, begin, way));
        }
        if way == Way::Seal {
            seal_forever(&telemetry, begin[THREADS as usize]);
        }
    });
}

fn record_forever(telemetry: &Telemetry, thread: u64, begin: u64, way: Way) {
    let lane = telemetry.lane();
    for number in begin.. {
        let bins = bins(number);
        let inference = Inference {
            id: id(thread, number),
            model_slot: ModelSlot(1),
            tokens_in: 3,
            bins: &bins,
            ..Inference::default()
        };
        if way == Way::TellFirst {
            tell(thread as u8, number);
        }
        lane.record(&inference);
        if way != Way::TellFirst {
            tell(thread as u8, number);
        }
        if way == Way::Seal {
            std::thread::sleep(Duration::from_micros(10));
        }
    }
}

/// Windows of five records, each with the sum of their numbers.
fn seal_forever(telemetry: &Telemetry, mut index: u64) {
    let mut window = Window::default();
    loop {
        telemetry.drain(&mut |inference| {
            window.rows += 1;
            window.tokens_in += inference.id;
            if window.rows == 5 {
                let full = Window { model_slot: ModelSlot(1), index, ..std::mem::take(&mut window) };
                telemetry.seal(&Record::Window(full)).unwrap();
                tell(WINDOWS, index);
                index += 1;
            }
        });
    }
}

/// One write of a few bytes into a pipe is whole or not at all.
fn tell(who: u8, number: u64) {
    let mut message = [who; MESSAGE];
    message[1..].copy_from_slice(&number.to_le_bytes());
    let _ = std::io::stderr().write_all(&message);
}

// --- The parent -------------------------------------------------------------------------------------------------------

/// What was seen over all kills.
#[derive(Default, Debug)]
struct Seen {
    kills: u64,
    records: u64,
    windows: u64,
    overwritten: u64,
    /// Records that were reported and not there.
    lost: u64,
    /// Records that were there and not reported.
    in_flight: u64,
}

/// What the parent remembers from kill to kill.
#[derive(Default)]
struct Memory {
    next: [u64; THREADS as usize],
    window: u64,
    overwritten: u64,
    cursor: Cursor,
    /// What the next look acknowledges, and what the last one did.
    acked: Position,
    gone: Position,
}

/// The last number that each thread reported, and the last window.
fn kill_one(folder: &Path, way: Way, memory: &Memory, after: Duration) -> BTreeMap<u8, u64> {
    let begin: Vec<String> = memory.next.iter().chain([&memory.window]).map(u64::to_string).collect();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::child", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env(BEGIN, begin.join(","))
        .env(WAY, format!("{way:?}"))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stderr.take().unwrap();
    let mut reported = vec![0; MESSAGE];
    pipe.read_exact(&mut reported).unwrap();
    let reader = std::thread::spawn(move || {
        pipe.read_to_end(&mut reported).unwrap();
        reported
    });
    std::thread::sleep(after);
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success());
    let reported = reader.join().unwrap();
    let mut last = BTreeMap::new();
    for message in reported.chunks_exact(MESSAGE) {
        assert!(message[0] < THREADS as u8 || message[0] == WINDOWS, "{}", String::from_utf8_lossy(&reported));
        last.insert(message[0], u64::from_le_bytes(message[1..].try_into().unwrap()));
    }
    last
}

/// Opens what a kill left and holds it against what was reported.
fn look(folder: &Path, way: Way, reported: &BTreeMap<u8, u64>, memory: &mut Memory, seen: &mut Seen) {
    let telemetry = Telemetry::open(folder, limits(way));
    assert_eq!((telemetry.status().mode, telemetry.status().quarantined), (Mode::Durable, 0));
    let mut next = memory.next;
    let mut rows = 0;
    telemetry.drain(&mut |inference| {
        let (thread, number) = (inference.id >> 48, inference.id & ((1 << 48) - 1));
        // Nothing is there that nobody recorded, in order, and nothing of earlier kills comes again.
        assert_eq!((inference.model_slot.0, inference.tokens_in, inference.bins), (1, 3, &bins(number)[..]));
        let next = &mut next[thread as usize];
        assert!(number >= *next, "thread {thread}: {number}, expected {next} or later");
        *next = number + 1;
        rows += 1;
    });
    let first_window = memory.window;
    // What was acknowledged before the kill is remembered, and does not come again.
    let read = telemetry.read(Cursor::start(), usize::MAX);
    assert!(read.iter().all(|(position, _)| *position > memory.gone), "{:?} came again", memory.gone);
    let recalled = telemetry.recall(Cursor::start(), usize::MAX);
    let old = recalled.iter().filter(|(position, _)| *position <= memory.gone).count();
    assert!(recalled.ends_with(&read) && (old > 0 || memory.gone == Position::default()), "{:?}", telemetry.status());
    for (position, record) in telemetry.read(memory.cursor, usize::MAX) {
        memory.cursor = position.into();
        if let Record::Window(window) = record
            && window.rows == 5
        {
            assert_eq!(window.index, memory.window);
            memory.window += 1;
        }
    }
    if let Some(index) = reported.get(&WINDOWS) {
        assert!(memory.window > *index, "window {index} was reported, there are {}", memory.window);
    }
    let losses = telemetry.status().dropped;
    assert!(losses.iter().all(|(reason, _)| *reason == Reason::Overwritten), "{losses:?}");
    let overwritten = losses.first().map_or(0, |(_, n)| *n) - memory.overwritten;
    for thread in 0..THREADS {
        let reported = reported.get(&(thread as u8)).map_or(memory.next[thread as usize], |last| last + 1);
        let there = &mut next[thread as usize];
        // At most the one that was recorded when the kill came, before it could be reported.
        assert!(*there <= reported + 1, "thread {thread}: {there}, reported {reported}");
        *there = (*there).max(reported);
    }
    // Each record that was reported is in one window, comes now, or was overwritten and counted.
    let reported: u64 = next.iter().sum::<u64>() - memory.next.iter().sum::<u64>();
    let windows = memory.window - first_window;
    let there = windows * 5 + rows + overwritten;
    assert!(there <= reported + THREADS, "{there} records, {reported} reported: one was counted twice");
    seen.lost += reported.saturating_sub(there);
    seen.in_flight += there.saturating_sub(reported);
    seen.kills += 1;
    seen.records += there;
    seen.windows += windows;
    seen.overwritten += overwritten;
    memory.overwritten += overwritten;
    memory.next = next;
    // The rest goes into a window of its own, so that the next child begins afresh; the child of after next finds this
    // acknowledged.
    telemetry.ack(memory.acked).unwrap();
    memory.gone = memory.acked;
    memory.acked = telemetry.read(Cursor::start(), usize::MAX).last().map_or(memory.acked, |(position, _)| *position);
    let rest = Window { model_slot: ModelSlot(1), index: u64::MAX, rows: 1000 + rows, ..Window::default() };
    memory.cursor = telemetry.seal(&Record::Window(rest)).unwrap().into();
}

fn kills(way: Way, kills: u64) -> Seen {
    // Between fork and exec, the child of one test would hold the locked folder of another.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let (mut memory, mut seen) = (Memory::default(), Seen::default());
    for kill in 0..kills {
        // 0 to 3 ms after the first record, each time another moment.
        let after = Duration::from_nanos(kill * 7_919_777 % 3_000_000);
        let reported = kill_one(folder.path(), way, &memory, after);
        look(folder.path(), way, &reported, &mut memory, &mut seen);
    }
    println!("{way:?}: {seen:?}");
    seen
}

/// How often, in all.
fn all_kills() -> u64 {
    if std::env::var_os("SELVEDGE_LONG").is_some() { 2000 } else { 300 }
}

#[test]
fn a_kill_loses_no_record_that_was_made() {
    let seen = kills(Way::Overwrite, all_kills() / 2);
    assert_eq!(seen.lost, 0, "{seen:?}");
    assert!(seen.records > 100 * seen.kills && seen.overwritten > 0, "{seen:?}");
}

#[test]
fn a_kill_loses_no_window_and_counts_no_record_twice() {
    // A slow machine seals fewer windows between two kills: it is killed more often, until as many were seen.
    let mut windows = 0;
    while windows <= all_kills() {
        let seen = kills(Way::Seal, all_kills() / 2);
        assert_eq!((seen.lost, seen.overwritten), (0, 0), "{seen:?}");
        assert!(seen.windows > 0, "{seen:?}");
        windows += seen.windows;
    }
}

/// The control: a child that tells before it records must be found out.
#[test]
fn a_record_that_was_told_too_early_is_noticed() {
    let seen = kills(Way::TellFirst, 60);
    assert!(seen.lost > 0, "{seen:?}");
}
