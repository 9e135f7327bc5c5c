//! A thousand runs of a device, a network and a receiver, of which everything fails but the receiver's memory.

use std::collections::BTreeSet;
use std::path::Path;

use super::made::{plain, rows};
use super::receiver::Receiver;
use crate::sync::{Batch, Encoding, Outbox, OutboxOptions, Retry, RetryDecision};
use crate::telemetry::{
    AlertCode, AlertRecord, Cursor, Durability, Limits, ModelInfo, ModelSlot, Position, Record, Telemetry, Window,
};
use crate::{Code, Error, Result};

/// What a test does to an outbox. `keep` asks it between its steps.
#[derive(Debug, Default)]
pub(in crate::sync) struct Faults {
    /// Records leave the log before the batch is durable: the order that loses.
    pub swapped: bool,
    pub kill: Option<Kill>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::sync) enum Kill {
    BeforeStore,
    BeforeRelease,
}

impl Faults {
    pub(in crate::sync) fn before_store(&self, telemetry: &Telemetry, through: Position) -> Result<()> {
        if self.swapped && through != Position::default() {
            telemetry.ack(through)?;
        }
        self.at(Kill::BeforeStore)
    }

    pub(in crate::sync) fn before_release(&self) -> Result<()> {
        self.at(Kill::BeforeRelease)
    }

    fn at(&self, step: Kill) -> Result<()> {
        if self.kill == Some(step) { Err(Error::new(Code::Cancelled, "killed")) } else { Ok(()) }
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

struct World {
    random: Random,
    folder: tempfile::TempDir,
    limits: Limits,
    swapped: bool,
    device: Option<(Telemetry, Outbox)>,
    receiver: Receiver,
    /// Copies that are still in the network.
    delayed: Vec<(&'static str, Vec<u8>)>,
    sealed_windows: u16,
    sealed_alerts: u64,
    /// Records of ended epochs, of every kind.
    sealed_before: u64,
    taken: BTreeSet<([u8; 32], u64)>,
    refused_points: u64,
    refused_logs: u64,
}

enum Posted {
    Later,
    TooLarge,
    /// Points and log records that were refused.
    Taken(u64, u64),
}

/// What a run came to.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    lost_windows: u64,
    lost_alerts: u64,
    counted: u64,
    refused_logs: u64,
    /// Sealed and neither in a batch nor counted.
    unaccounted: i64,
    conflicts: usize,
}

fn run(seed: u64, swapped: bool) -> Outcome {
    let shared = Path::new("/dev/shm");
    let folder = if shared.is_dir() { tempfile::tempdir_in(shared) } else { tempfile::tempdir() }.unwrap();
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0xda94_2042_e4dd_58b5);
    // In one run of four the log is too small for what is sealed.
    let bytes = if random.chance(25) { 16 << 10 } else { 2 << 20 };
    // And in one of two, what was acknowledged stays.
    let history_bytes = if random.chance(50) { bytes } else { 0 };
    let durability = Durability::Process;
    let limits = Limits { bytes, history_bytes, segment_bytes: 4 << 10, lanes: 3, slots: 64, durability };
    let mut world = World {
        random,
        folder,
        limits,
        swapped,
        device: None,
        receiver: Receiver::default(),
        delayed: vec![],
        sealed_windows: 0,
        sealed_alerts: 0,
        sealed_before: 0,
        taken: BTreeSet::new(),
        refused_points: 0,
        refused_logs: 0,
    };
    world.boot();
    for _ in 0..40 + world.random.below(60) {
        match world.random.below(100) {
            0..45 => world.seal_window(),
            45..55 => world.seal_alert(),
            55..62 => world.boot(),
            62..70 => world.deliver_late(),
            _ => world.sync(),
        }
    }
    world.end()
}

impl World {
    /// The process ends, at once, and starts again.
    fn boot(&mut self) {
        if let Some((telemetry, outbox)) = self.device.take() {
            self.sealed_before += telemetry.now().seq;
            drop((telemetry, outbox));
        }
        let telemetry = Telemetry::open(self.folder.path(), self.limits);
        let encoding = if self.random.chance(50) { Encoding::Identity } else { Encoding::Gzip };
        let options = OutboxOptions { encoding, ..plain() };
        let mut outbox = Outbox::open(&telemetry, self.folder.path(), options).unwrap();
        outbox.faults.swapped = self.swapped;
        let model = ModelInfo { slot: ModelSlot(1), name: "rain".into(), ..ModelInfo::default() };
        telemetry.seal(&Record::Model(model)).unwrap();
        self.device = Some((telemetry, outbox));
    }

    fn device(&mut self) -> &mut (Telemetry, Outbox) {
        self.device.as_mut().unwrap()
    }

    /// Every window has one row of a class of its own, by which the receiver's set can be reported.
    fn seal_window(&mut self) {
        let class = self.sealed_windows;
        self.sealed_windows += 1;
        let now = self.device().0.now();
        // So large that the small log overflows.
        let confidence = vec![1 << 40; 150];
        let window = Window { opened: now, closed: now, classes: vec![(class, 1)], confidence, ..rows(1) };
        self.device().0.seal(&Record::Window(window)).unwrap();
    }

    fn seal_alert(&mut self) {
        let code = AlertCode::Other(format!("alert {}", self.sealed_alerts));
        self.sealed_alerts += 1;
        let alert = AlertRecord { model_slot: ModelSlot(1), code, severity: 2, raised: true, ..AlertRecord::default() };
        self.device().0.seal(&Record::Alert(alert)).unwrap();
    }

    fn deliver_late(&mut self) {
        if !self.delayed.is_empty() {
            let at = self.random.below(self.delayed.len() as u64) as usize;
            let (path, body) = self.delayed.swap_remove(at);
            self.receiver.take(path, &body);
        }
    }

    fn sync(&mut self) {
        let max_bytes = 500 + self.random.below(30_000) as usize;
        let kill = match self.random.below(100) {
            0..12 => Some(Kill::BeforeStore),
            12..24 => Some(Kill::BeforeRelease),
            _ => None,
        };
        self.device().1.faults.kill = kill;
        let batch = match self.device().1.next_batch(max_bytes) {
            Ok(Some(batch)) => batch,
            Ok(None) => return,
            Err(e) => {
                assert_eq!(e.code(), Code::Cancelled, "{e}");
                // A kill between the two steps leaves the batch to be found.
                return self.boot();
            }
        };
        self.taken.insert((batch.id, batch.records));
        match self.post(&batch) {
            Posted::Later => {}
            Posted::TooLarge => {
                let is_one = batch.points + batch.log_records == 1;
                if self.settle(|outbox| outbox.split(&batch).map(drop)) && !is_one {
                    // Its last part has its records.
                    self.taken.remove(&(batch.id, batch.records));
                }
            }
            Posted::Taken(0, 0) => {
                self.settle(|outbox| outbox.ack(&batch));
            }
            Posted::Taken(points, logs) => {
                let settled = self.settle(|outbox| outbox.refuse(&batch, points + logs));
                if settled {
                    self.refused_points += points;
                    self.refused_logs += logs;
                }
            }
        }
    }

    /// Whether it was durable: the process may be killed before.
    fn settle(&mut self, how: impl FnOnce(&mut Outbox) -> Result<()>) -> bool {
        let kill = self.device().1.faults.kill;
        let settled = how(&mut self.device().1).is_ok();
        if !settled {
            self.boot();
        }
        settled || kill == Some(Kill::BeforeRelease)
    }

    fn post(&mut self, batch: &Batch) -> Posted {
        let mut refused = (0, 0);
        for (path, body) in batch.requests() {
            let body = plain_bytes(batch.encoding, body);
            let status = self.network(path, &body);
            match Retry::default().next(0, status, None, 0) {
                RetryDecision::Accepted => {}
                RetryDecision::Drop if path == "/v1/logs" => refused.1 = batch.log_records,
                RetryDecision::Drop => refused.0 = batch.points,
                RetryDecision::Split => return Posted::TooLarge,
                _ => return Posted::Later,
            }
        }
        Posted::Taken(refused.0, refused.1)
    }

    fn network(&mut self, path: &'static str, body: &[u8]) -> u16 {
        match self.random.below(100) {
            0..10 => 0,
            10..20 => 503,
            20..24 => 400,
            24..34 => {
                // It arrives, the answer does not.
                self.receiver.take(path, body);
                0
            }
            34..42 => {
                // It is thought lost, and arrives when it likes.
                self.delayed.push((path, body.to_vec()));
                0
            }
            42..46 => 413,
            46..52 => {
                self.receiver.take(path, body);
                self.delayed.push((path, body.to_vec()));
                200
            }
            _ => {
                self.receiver.take(path, body);
                200
            }
        }
    }

    /// The network is well again. A last window brings what the totals still hold; since sealing it may push others out of
    /// a full log, one more brings the count of those.
    fn end(mut self) -> Outcome {
        while !self.delayed.is_empty() {
            self.deliver_late();
        }
        self.device().1.faults.kill = None;
        for _ in 0..2 {
            self.seal_window();
            while let Some(batch) = self.device().1.next_batch(20_000).unwrap() {
                self.taken.insert((batch.id, batch.records));
                for (path, body) in batch.requests() {
                    self.receiver.take(path, &plain_bytes(batch.encoding, body));
                }
                self.device().1.ack(&batch).unwrap();
            }
        }
        let (telemetry, outbox) = self.device.take().unwrap();
        let left = telemetry.read(Cursor::after(outbox.through()), usize::MAX).len() as u64;
        let classes = self.receiver.last("selvedge.class", "selvedge.class");
        assert!(classes.values().all(|count| *count == 1), "a window counts twice: {classes:?}");
        let dropped = self.receiver.last("selvedge.dropped", "selvedge.reason");
        let count = |reason: &str| dropped.get(reason).copied().unwrap_or(0);
        assert_eq!(count("refused"), self.refused_points + self.refused_logs);
        let alerts = self.receiver.alerts();
        let sealed = self.sealed_before + telemetry.now().seq;
        let taken: u64 = self.taken.iter().map(|(_, records)| records).sum();
        Outcome {
            lost_windows: u64::from(self.sealed_windows) - classes.len() as u64,
            lost_alerts: self.sealed_alerts - alerts.len() as u64,
            counted: count("limit") + count("no_model"),
            refused_logs: self.refused_logs,
            unaccounted: sealed as i64 - (taken + count("limit") + left) as i64,
            conflicts: self.receiver.conflicts,
        }
    }
}

fn plain_bytes(encoding: Encoding, body: &[u8]) -> Vec<u8> {
    use std::io::Read;
    let mut bytes = vec![];
    match encoding {
        Encoding::Identity => bytes.extend(body),
        _ => drop(flate2::read::GzDecoder::new(body).read_to_end(&mut bytes).unwrap()),
    }
    bytes
}

#[test]
fn a_thousand_runs_of_faults_lose_nothing_uncounted() {
    let (mut lossy, mut refusing) = (0, 0);
    for seed in 0..1000 {
        let outcome = run(seed, false);
        let Outcome { lost_windows, lost_alerts, counted, refused_logs, .. } = outcome;
        assert_eq!((outcome.unaccounted, outcome.conflicts), (0, 0), "seed {seed}: {outcome:?}");
        assert!(lost_windows + lost_alerts <= counted + refused_logs, "seed {seed}: {outcome:?}");
        if counted == 0 {
            assert_eq!((lost_windows, lost_alerts <= refused_logs), (0, true), "seed {seed}: {outcome:?}");
        }
        lossy += u64::from(counted > 0);
        refusing += u64::from(refused_logs > 0);
    }
    println!("1000 runs; in {lossy} the log overflowed, in {refusing} alerts were refused");
    assert!(lossy > 50 && refusing > 50, "the runs do see losses: {lossy}, {refusing}");
}

#[test]
fn letting_go_before_the_batch_is_durable_is_seen() {
    let seen = (0..100).filter(|seed| run(*seed, true).unaccounted > 0).count();
    assert!(seen > 50, "{seen} of 100 runs");
}
