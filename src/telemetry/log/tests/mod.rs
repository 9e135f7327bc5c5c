//! The log on a disk that fails: the same workload, cut at every call.

mod crash;
mod errors;
mod history;

use std::collections::BTreeMap;

use super::super::loss::Losses;
use super::super::record::*;
use super::super::status::{Durability, Limits};
use super::open::Found;
use super::{Log, Moment, Rules};
use crate::disk::sim::SimDisk;

/// What holds after a step of the workload.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// The last record for which sealing returned.
    sealed: Position,
    /// The last record that must survive a loss of power.
    durable: Position,
    /// What was acknowledged, or dropped and counted.
    floor: Position,
}

/// What was sealed, and what was known after each step.
#[derive(Default)]
struct History {
    records: BTreeMap<Position, Record>,
    /// The positions that sealing returned.
    sealed: Vec<Position>,
    known: Vec<Known>,
}

struct Driver {
    disk: SimDisk,
    rules: Rules,
    limits: Limits,
    log: Option<Log>,
    losses: Losses,
    clock: u64,
    history: History,
}

fn limits(durability: Durability) -> Limits {
    Limits { bytes: 48 << 10, history_bytes: 16 << 10, segment_bytes: 8 << 10, durability, ..Limits::default() }
}

impl Driver {
    fn new(disk: SimDisk, limits: Limits, rules: Rules) -> Self {
        let mut driver = Self {
            disk,
            rules,
            limits,
            log: None,
            losses: Losses::default(),
            clock: 0,
            history: History { known: vec![Known::default()], ..History::default() },
        };
        driver.open();
        driver
    }

    /// The same each time: records of all sizes, acknowledgements behind them, new opens.
    fn run(&mut self, steps: u64) {
        for i in 0..steps {
            match i % 23 {
                6 | 13 => self.ack(i % 4 * 3),
                19 => self.open(),
                n => self.seal(&record(i, [30, 700, 1400, 5000][(n % 4) as usize])),
            }
            self.done();
        }
    }

    fn open(&mut self) {
        self.log = None;
        if let Ok(found) = Found::look_by(Box::new(self.disk.clone()), self.limits, self.rules) {
            let epoch = found.last_epoch + 1;
            let torn = found.torn;
            self.log = Some(found.begin(epoch, [epoch as u8; 16], Boot { torn, ..Boot::default() }));
        }
    }

    fn seal(&mut self, record: &Record) {
        let Some(log) = &mut self.log else { return };
        self.clock += 1_000_000;
        let now = Anchor { monotonic_ns: self.clock, unix_ns: self.clock as i64, ..Anchor::default() };
        let sealed = log.seal(record, &Moment { now, losses: self.losses, next: &[self.clock, 5] });
        self.losses = self.losses.plus(&log.take_losses());
        if let Ok(position) = sealed {
            self.history.sealed.push(position);
            let before = Cursor::after(self.history.known[self.history.known.len() - 1].sealed);
            self.history.records.extend(log.read(before, usize::MAX));
            assert_eq!(log.last(), position);
        }
    }

    /// Acknowledges all but the last few.
    fn ack(&mut self, behind: u64) {
        let Some(log) = &mut self.log else { return };
        let mut last = log.last();
        last.seq = last.seq.saturating_sub(behind);
        // An error is one of the disk: the workload goes on as an app would.
        let _ = log.ack(last);
    }

    fn done(&mut self) {
        let mut known = self.history.known[self.history.known.len() - 1];
        if let Some(log) = &self.log {
            known.sealed = log.last();
            known.floor = log.floor;
            if !self.disk.has_unsynced_data() || self.disk.sim().ignores_sync {
                known.durable = known.sealed;
            }
        }
        self.history.known.push(known);
        self.disk.sim().steps += 1;
    }
}

/// A record of about this many bytes, and no other like it.
fn record(i: u64, bytes: usize) -> Record {
    if i.is_multiple_of(3) {
        let features = (0..bytes / 40).map(|f| (0..19).map(|b| (i + f as u64) * b % 300).collect()).collect();
        let (embedded, embedding) = (i + 1, vec![i, 0, 1]);
        return Record::Window(Window {
            model_slot: ModelSlot(1),
            index: i,
            rows: 256,
            features,
            embedded,
            embedding,
            ..Window::default()
        });
    }
    let profile = (0..bytes).map(|b| (b as u64 * 31 + i) as u8).collect();
    Record::Model(ModelInfo { slot: ModelSlot(i as u32), name: format!("model {i}"), profile, ..ModelInfo::default() })
}
