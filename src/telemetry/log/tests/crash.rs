//! Loss of power at every call: what a crash may leave is listed, opened and held against what was promised.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};

use super::super::super::loss::{Losses, Reason};
use super::super::super::record::*;
use super::super::super::status::{Durability, Limits};
use super::super::open::Found;
use super::super::{Moment, Rules, Segment};
use super::{Driver, History, Known, limits, record};
use crate::disk::sim::SimDisk;

/// Runs the workload, crashes it everywhere, and returns how many different disks there were and what was broken.
fn crash_everywhere(limits: Limits, rules: Rules, ignores_sync: bool, steps: u64) -> (usize, Vec<String>) {
    let disk = SimDisk::default();
    disk.sim().ignores_sync = ignores_sync;
    let mut driver = Driver::new(disk.clone(), limits, rules);
    driver.run(steps);
    let moments = std::mem::take(&mut disk.sim().moments);
    let (mut seen, mut broken) = (BTreeSet::new(), Vec::new());
    for moment in moments {
        let before = driver.history.known[moment.steps];
        let after = driver.history.known.get(moment.steps + 1).copied().unwrap_or(before);
        for image in moment.crashes() {
            let mut hasher = DefaultHasher::new();
            (&image, moment.steps).hash(&mut hasher);
            if !seen.insert(hasher.finish()) {
                continue;
            }
            let checked = check(image, limits, rules, &driver.history, before, after);
            broken.extend(checked.err().map(|e| format!("after {} steps: {e}", moment.steps)));
            // A control needs no more.
            if broken.len() > 20 {
                return (seen.len(), broken);
            }
        }
    }
    (seen.len(), broken)
}

/// What must hold of a disk that a crash left between two steps.
fn check(
    image: BTreeMap<String, Vec<u8>>,
    limits: Limits,
    rules: Rules,
    history: &History,
    before: Known,
    after: Known,
) -> Result<(), String> {
    let disk = SimDisk::holding(image);
    let found = Found::look_by(Box::new(disk.clone()), limits, rules).map_err(|e| format!("open: {e}"))?;
    let missing: Vec<(Reason, u64)> = found.log.losses().occurred();
    if limits.durability == Durability::Power && !missing.is_empty() {
        return Err(format!("reported as lost: {missing:?}"));
    }
    let (epoch, quarantined) = (found.last_epoch + 1, found.quarantined);
    let mut log = found.begin(epoch, [9; 16], Boot::default());
    let read = log.read(Cursor::start(), usize::MAX);
    for (position, record) in &read {
        if history.records.get(position) != Some(record) {
            return Err(format!("{position:?}: not what was sealed"));
        }
        if *position <= before.floor {
            return Err(format!("{position:?}: came back from below {:?}", before.floor));
        }
    }
    // What is remembered was sealed too, in its order, and is what is read from the floor on.
    let recalled = log.recall(Cursor::start(), usize::MAX);
    if let Some((position, _)) = recalled.iter().find(|(p, record)| history.records.get(p) != Some(record)) {
        return Err(format!("{position:?}: recalled, and not what was sealed"));
    }
    if !recalled.ends_with(&read) || !recalled.is_sorted_by_key(|(position, _)| *position) {
        return Err("what is recalled does not end with what is read".into());
    }
    let room: u64 = log.history().map(Segment::room).sum();
    if room > limits.history_bytes {
        return Err(format!("{room} bytes of history"));
    }
    let read: BTreeSet<Position> = read.into_iter().map(|(position, _)| position).collect();
    let must = history.records.keys().filter(|p| **p <= before.durable && **p > after.floor);
    if let Some(lost) = must.into_iter().find(|p| !read.contains(p)) {
        return Err(format!("{lost:?}: lost; {quarantined} files quarantined"));
    }
    // And it goes on from there.
    let now = Anchor { monotonic_ns: 1, ..Anchor::default() };
    let moment = Moment { now, losses: Losses::default(), next: &[] };
    let next = log.seal(&record(1, 100), &moment).map_err(|e| format!("seal: {e}"))?;
    let last = log.read(Cursor::start(), usize::MAX).pop().map(|(position, _)| position);
    if last != Some(next) || read.last().is_some_and(|last| *last >= next) {
        return Err(format!("sealed {next:?} after {:?}, read {last:?}", read.last()));
    }
    log.ack(next).map_err(|e| format!("ack: {e}"))
}

#[test]
fn no_crash_breaks_a_promise() {
    let (power, broken) = crash_everywhere(limits(Durability::Power), Rules::ALL, false, 300);
    assert!(broken.is_empty(), "{broken:#?}");
    let (process, broken) = crash_everywhere(limits(Durability::Process), Rules::ALL, false, 50);
    assert!(broken.is_empty(), "{broken:#?}");
    let forgetful = Limits { history_bytes: 0, ..limits(Durability::Power) };
    let (_, broken) = crash_everywhere(forgetful, Rules::ALL, false, 100);
    assert!(broken.is_empty(), "{broken:#?}");
    println!("{power} disks with a sync per record, {process} without");
    assert!(power >= 10_000 && process >= 10_000, "{power} and {process} disks");
}

#[test]
fn without_checksums_the_crashes_are_noticed() {
    let rules = Rules { checksums: false, ..Rules::ALL };
    let (_, broken) = crash_everywhere(limits(Durability::Power), rules, false, 92);
    assert!(broken.iter().any(|b| b.contains("not what was sealed")), "{broken:#?}");
}

#[test]
fn without_syncs_the_crashes_are_noticed() {
    let (_, broken) = crash_everywhere(limits(Durability::Power), Rules::ALL, true, 12);
    assert!(broken.iter().any(|b| b.contains(": lost;")), "{broken:#?}");
}

#[test]
fn without_a_floor_before_the_removal_the_crashes_are_noticed() {
    let rules = Rules { floor_before_removal: false, ..Rules::ALL };
    let limits = Limits { history_bytes: 0, ..limits(Durability::Power) };
    let (_, broken) = crash_everywhere(limits, rules, false, 92);
    assert!(broken.iter().any(|b| b.contains("reported as lost")), "{broken:#?}");
}
