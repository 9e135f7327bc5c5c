//! Cost of telemetry, beside a bare ring in memory and a database, in the same process.
//!
//! `cargo bench -p selvedge-benches --features peers --bench telemetry`. Each part first asserts that what it timed is there, then prints
//! medians of alternating rounds and one line per figure: `RATIO name value <=bar`.

#[path = "../../tests/support/counting.rs"]
mod counting;
#[path = "../engine/rounds.rs"]
#[allow(dead_code, reason = "the rounds of the other bench, of which this one needs less")]
mod rounds;

use std::sync::Barrier;
use std::time::Instant;

use counting::allocations;
use selvedge::telemetry::{
    Cursor, Durability, Exponential, Inference, Limits, Mode, ModelSlot, Outcome, Position, Reason, Record, Stamp,
    Telemetry, Window,
};

const BINS: [u8; 8] = [0, 3, 15, 7, 7, 255, 1, 2];

fn main() {
    record();
    threads();
    window();
}

fn inference(id: u64) -> Inference<'static> {
    let latency_us = 800 + id as u32 % 100;
    Inference {
        id,
        model_slot: ModelSlot(1),
        latency_us,
        confidence: 240,
        entropy: 30,
        class: 1,
        bins: &BINS,
        ..Inference::default()
    }
}

fn limits() -> Limits {
    Limits::default().slots(1 << 16)
}

/// One record of 8 features and 4 scalars.
fn record() {
    let folder = tempfile::tempdir().expect("a folder");
    let telemetry = Telemetry::open(folder.path(), limits());
    assert_eq!(telemetry.status().mode, Mode::Durable);
    let lane = telemetry.lane();
    let (mut push, mut taken) = bare_ring();
    let insert = database(folder.path());
    let mut id = 0;
    // The first turn around the lane touches its pages for the first time; an app does that once.
    (0..1 << 16).for_each(|id| lane.record(&inference(id)));
    telemetry.drain(&mut |_| {});
    let mut nanos = vec![0u64; 200_000];
    let before = allocations();
    for slot in &mut nanos {
        let start = Instant::now();
        lane.record(&inference(id));
        *slot = start.elapsed().as_nanos() as u64;
        id += 1;
        if id % 50_000 == 0 {
            telemetry.drain(&mut |_| {});
        }
    }
    let allocated = allocations() - before;
    assert_eq!(allocated, 0, "recording allocated");
    let clock = clock_nanos();
    nanos.sort_unstable();
    let at = |q: f64| nanos[(q * nanos.len() as f64) as usize].saturating_sub(clock) as f64;
    println!(
        "record: p50 {} ns, p99 {} ns, p99.9 {} ns, without the {clock} ns of the stopwatch",
        at(0.5),
        at(0.99),
        at(0.999)
    );
    println!("RATIO telemetry/record_p50_ns {} <=250", at(0.5));
    println!("RATIO telemetry/record_p99_ns {} <=1000", at(0.99));
    println!("RATIO telemetry/record_allocations {allocated} <=0");

    let bare = rounds::alternate(
        15,
        20_000,
        1,
        || {
            lane.record(&inference(id));
            id += 1;
        },
        || {
            if !push() {
                taken();
            }
        },
    );
    bare.at_most("telemetry/record_beside_rtrb_push_64_bytes", 50.0);
    let mut n = 0;
    let database = rounds::alternate(
        5,
        2_000,
        1,
        || {
            lane.record(&inference(id));
            id += 1;
        },
        || {
            insert(n);
            n += 1;
        },
    );
    database.at_most("telemetry/record_beside_sqlite_wal_insert", 0.02);
    let mut last = 0;
    telemetry.drain(&mut |inference| {
        assert_eq!(inference.bins, BINS);
        last = inference.id;
    });
    assert_eq!(last, id - 1);
}

/// What two readings of the clock take at least.
fn clock_nanos() -> u64 {
    let reading = || {
        let start = Instant::now();
        start.elapsed().as_nanos() as u64
    };
    let mut nanos: Vec<u64> = (0..10_001).map(|_| reading()).collect();
    nanos.sort_unstable();
    nanos[5000]
}

fn bare_ring() -> (impl FnMut() -> bool, impl FnMut()) {
    let (mut producer, mut consumer) = rtrb::RingBuffer::<[u64; 8]>::new(1 << 16);
    let mut n = 0;
    let push = move || {
        n += 1;
        producer.push([n; 8]).is_ok()
    };
    (push, move || while consumer.pop().is_ok() {})
}

fn database(folder: &std::path::Path) -> impl Fn(u64) {
    let database = rusqlite::Connection::open(folder.join("peer.db")).expect("a database");
    database
        .execute_batch(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;
             CREATE TABLE inference (id INTEGER PRIMARY KEY, at INTEGER, model INTEGER, latency INTEGER, class INTEGER,
                                     confidence INTEGER, entropy INTEGER, bins BLOB);",
        )
        .expect("a table");
    move |id| {
        let mut insert = database
            .prepare_cached("INSERT INTO inference VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")
            .expect("a statement");
        let i = inference(id);
        let row = rusqlite::params![id, id, i.model_slot.0, i.latency_us, i.class, i.confidence, i.entropy, i.bins];
        assert_eq!(insert.execute(row).expect("an insert"), 1);
    }
}

/// Four threads against one: what each record takes when nothing is shared. With fewer than four cores, as many threads
/// as there are cores.
fn threads() {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (most, each) = (cores.min(4), 400_000u64);
    let folder = tempfile::tempdir().expect("a folder");
    let telemetry = Telemetry::open(folder.path(), limits());
    let rate = |threads: usize| {
        let start = Barrier::new(threads);
        let nanos: Vec<f64> = std::thread::scope(|scope| {
            let running: Vec<_> = (0..threads)
                .map(|_| {
                    scope.spawn(|| {
                        let lane = telemetry.lane();
                        (0..1 << 16).for_each(|id| lane.record(&inference(id)));
                        start.wait();
                        let begin = Instant::now();
                        (0..each).for_each(|id| lane.record(&inference(id)));
                        begin.elapsed().as_nanos() as f64 / each as f64
                    })
                })
                .collect();
            running.into_iter().map(|t| t.join().expect("a thread")).collect()
        });
        nanos.iter().map(|n| 1e3 / n).sum::<f64>()
    };
    let (mut one, mut many): (Vec<f64>, Vec<f64>) = (0..9).map(|_| (rate(1), rate(most))).unzip();
    let (one, many) = (rounds::median(&mut one), rounds::median(&mut many));
    let lost = telemetry.status().dropped;
    assert!(lost.iter().all(|(reason, _)| *reason == Reason::Overwritten), "{lost:?}");
    println!("threads: {one:.2} million records a second from one, {many:.2} from {most} on {cores} cores");
    println!("RATIO telemetry/scaling_{most}_threads {:.3} >={:.2}", many / one, 0.75 * most as f64);
}

/// A sealed window of ten features, and how long sealing takes.
fn window() {
    let folder = tempfile::tempdir().expect("a folder");
    let limits = Limits::default().durability(Durability::Process).bytes(8 << 20);
    let telemetry = Telemetry::open(folder.path(), limits);
    let mut latency = Exponential::default();
    (0..1024u64).for_each(|i| latency.record(500 + i * 7919 % 9000));
    let stamp = Stamp::default();
    let window = Record::Window(Window {
        model_slot: ModelSlot(1),
        rows: 1024,
        features: (0..10).map(|f| (0..19).map(|b| (f * b * 7) % 110).collect()).collect(),
        outcomes: vec![(Outcome::default(), 1000), (Outcome::from_bits(7), 24)],
        classes: vec![(0, 400), (1, 624)],
        confidence: vec![102; 10],
        entropy: vec![102; 10],
        first_token: latency.clone(),
        latency,
        opened: stamp,
        closed: stamp,
        ..Window::default()
    });
    telemetry.seal(&window).expect("a sealed window");
    let (before, count) = (telemetry.status().bytes, 500);
    let start = Instant::now();
    let mut last = Position::default();
    (0..count).for_each(|_| last = telemetry.seal(&window).expect("a sealed window"));
    let micros = start.elapsed().as_secs_f64() * 1e6 / f64::from(count);
    let bytes = (telemetry.status().bytes - before) as f64 / f64::from(count);
    assert_eq!(telemetry.read(Cursor::start(), usize::MAX).last().map(|r| r.0), Some(last));
    println!("window of 10 features: {bytes:.0} bytes, sealed in {micros:.1} µs without a sync");
    println!("RATIO telemetry/window_bytes {bytes:.0} <=1024");
}
