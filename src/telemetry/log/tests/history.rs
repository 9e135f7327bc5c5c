//! History: what is acknowledged stays for a while, and is in nobody's way.

use super::super::super::codec::Wanted;
use super::super::super::loss::Reason;
use super::super::super::record::*;
use super::super::super::status::{Durability, Limits};
use super::super::{BLOCK, Rules, Segment};
use super::{Driver, limits, record};
use crate::disk::sim::{Fault, SimDisk};

fn driver(limits: Limits) -> Driver {
    Driver::new(SimDisk::default(), limits, Rules::ALL)
}

impl Driver {
    /// Seals so many records of 1400 bytes.
    fn seal_many(&mut self, records: u64) {
        for i in 0..records {
            self.seal(&record(i * 3 + 1, 1400));
            self.done();
        }
    }

    fn recalled(&mut self) -> Vec<Position> {
        let records = self.log.as_mut().unwrap().recall(Cursor::start(), usize::MAX);
        assert!(records.iter().all(|(position, record)| self.history.records.get(position) == Some(record)));
        records.into_iter().map(|(position, _)| position).collect()
    }

    fn read(&mut self) -> Vec<Position> {
        let records = self.log.as_mut().unwrap().read(Cursor::start(), usize::MAX);
        records.into_iter().map(|(position, _)| position).collect()
    }

    /// What history takes on the disk.
    fn room(&self) -> u64 {
        self.log.as_ref().unwrap().history().map(Segment::room).sum()
    }

    fn lost(&self) -> Vec<(Reason, u64)> {
        self.losses.plus(&self.log.as_ref().unwrap().losses()).occurred()
    }
}

#[test]
fn it_is_bounded_and_the_oldest_goes_first() {
    let limits = limits(Durability::Power);
    let mut driver = driver(limits);
    for _ in 0..40 {
        driver.seal_many(5);
        driver.ack(0);
        assert!(driver.room() <= limits.history_bytes, "{} bytes", driver.room());
        assert_eq!(driver.read(), []);
        let recalled = driver.recalled();
        let sealed: Vec<Position> = driver.history.records.keys().copied().collect();
        assert!(sealed.ends_with(&recalled), "{recalled:?} are not the latest of what was sealed");
    }
    assert!(driver.room() > limits.history_bytes - 2 * BLOCK, "{} bytes", driver.room());
    assert!(driver.recalled().len() >= 10 && driver.lost().is_empty(), "{:?}", driver.lost());
    // The next open keeps it, and one with a lower bound keeps less.
    let (kept, room) = (driver.recalled(), driver.room());
    driver.open();
    assert_eq!((driver.recalled(), driver.room(), driver.read()), (kept.clone(), room, vec![]));
    driver.limits.history_bytes = 8 << 10;
    driver.open();
    assert!(driver.room() <= 8 << 10 && !driver.recalled().is_empty() && driver.recalled().len() < kept.len());
    assert_eq!((driver.read(), driver.lost()), (vec![], vec![]));
}

#[test]
fn without_room_for_it_all_goes_with_its_segment() {
    let mut driver = driver(Limits { history_bytes: 0, ..limits(Durability::Power) });
    driver.seal_many(20);
    driver.ack(0);
    let log = driver.log.as_ref().unwrap();
    assert_eq!((log.segments(), log.history_bytes()), (1, 0));
}

/// What waits to be sent takes the place of history, and nothing of it is lost before history is gone.
#[test]
fn it_gives_way_to_what_waits() {
    let mut driver = driver(Limits { history_bytes: u64::MAX, ..limits(Durability::Power) });
    driver.seal_many(25);
    driver.ack(0);
    let most = driver.room();
    assert!(most >= 16 << 10, "{most} bytes");
    let mut waiting = Vec::new();
    while driver.lost().is_empty() {
        let room = driver.room();
        driver.seal_many(1);
        if driver.lost().is_empty() {
            waiting = driver.read();
        } else {
            assert_eq!(room, 0, "{:?} although there was history", driver.lost());
        }
    }
    // As many as ever: three segments, and what is written to.
    assert!(waiting.len() >= 3 * 5, "{}", waiting.len());
    assert_eq!(driver.lost()[0].0, Reason::Limit);
}

#[test]
fn the_limit_holds_at_every_moment() {
    for history_bytes in [0, 16 << 10, u64::MAX] {
        for durability in [Durability::Power, Durability::Process] {
            let limits = Limits { history_bytes, ..limits(durability) };
            let mut driver = driver(limits);
            driver.run(400);
            let most = driver.disk.sim().most_room;
            assert!(most <= limits.bytes && most > limits.bytes / 2, "{most} bytes");
        }
    }
}

/// A disk that is full: what was acknowledged goes, and nothing else.
#[test]
fn it_gives_way_on_a_full_disk() {
    let mut driver = driver(Limits { history_bytes: u64::MAX, ..limits(Durability::Power) });
    // Small files: one record and a floor in each.
    for _ in 0..4 {
        driver.open();
        driver.seal_many(1);
        driver.ack(0);
    }
    driver.open();
    driver.seal_many(1);
    let (room, waiting) = (driver.room(), driver.read());
    let at = driver.disk.sim().calls + 1;
    driver.disk.sim().fault = Some(Fault { at, forever: false, kind: std::io::ErrorKind::StorageFull, lies: false });
    driver.seal_many(1);
    assert!(driver.room() + driver.limits.segment_bytes <= room, "{} of {room} bytes left", driver.room());
    assert!(driver.read().starts_with(&waiting) && driver.read().len() > waiting.len());
    assert!(driver.lost().is_empty(), "{:?}", driver.lost());
}

/// Damage in it is no loss, is not reported at each open again, and takes nothing but what it hits.
#[test]
fn damage_in_it_is_passed_over() {
    let mut driver = driver(limits(Durability::Power));
    driver.seal_many(12);
    driver.ack(0);
    driver.open();
    driver.seal_many(1);
    let (recalled, waiting) = (driver.recalled(), driver.read());
    let name = driver.log.as_ref().unwrap().files[0].name.clone();
    driver.disk.flip(&name, 700);
    let found = || super::Found::look_by(Box::new(driver.disk.clone()), driver.limits, Rules::ALL).unwrap();
    assert_eq!((found().torn, found().quarantined, found().log.losses().occurred()), (0, 0, vec![]));
    let mut driver = Driver { log: None, ..driver };
    driver.open();
    assert_eq!((driver.recalled().len(), driver.read()), (recalled.len() - 1, waiting.clone()));
    // Its header: the file is set aside, and still nothing is lost.
    driver.disk.flip(&name, 20);
    let found = super::Found::look_by(Box::new(driver.disk.clone()), driver.limits, Rules::ALL).unwrap();
    assert_eq!((found.quarantined, found.log.losses().occurred()), (1, vec![]));
    driver.open();
    assert!(driver.recalled().len() < recalled.len() - 1 && driver.read() == waiting);
    // A file of it that is gone.
    let name = driver.log.as_ref().unwrap().files[0].name.clone();
    assert!(driver.room() > 0);
    crate::disk::Disk::remove(&mut driver.disk.clone(), &name).unwrap();
    assert!(!driver.recalled().is_empty());
    assert_eq!((driver.read(), driver.lost()), (waiting, vec![]));
}

/// Three readers in turn, of pieces of any size, while records are sealed: each gets what one reading gives.
#[test]
fn pieces_are_those_of_one_reading() {
    let mut driver = driver(Limits { bytes: 1 << 20, history_bytes: 1 << 20, ..limits(Durability::Process) });
    let wanted = [Wanted::All, Wanted::Models, Wanted::Of(ModelSlot(1))];
    let mut read: [Vec<Position>; 3] = Default::default();
    let (mut state, mut ended) = (1u64, [false; 3]);
    while ended != [true; 3] {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (random, i) = ((state >> 33) as usize, (state >> 60) as usize % 3);
        let is_full = driver.history.records.len() >= 300;
        for more in 0..if is_full { 0 } else { random % 9 } {
            driver.seal(&record((random + more) as u64, (random + more * 700) % 2000));
            driver.done();
        }
        let log = driver.log.as_mut().unwrap();
        let from = read[i].last().map_or(Cursor::start(), |last| Cursor::after(*last));
        let pieces = log.pick(from, random % 9000, true, wanted[i]);
        ended[i] |= is_full && pieces.is_empty();
        read[i].extend(pieces.into_iter().map(|(position, _)| position));
    }
    for (read, wanted) in read.into_iter().zip(wanted) {
        let log = driver.log.as_mut().unwrap();
        log.stopped = None;
        let whole: Vec<Position> =
            log.pick(Cursor::start(), usize::MAX, true, wanted).into_iter().map(|(position, _)| position).collect();
        assert!(whole.len() > 90, "{wanted:?}: {} records", whole.len());
        assert_eq!(read, whole, "{wanted:?}");
    }
}
