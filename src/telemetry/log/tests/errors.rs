//! Every call of the disk fails once, or from then on.

use std::collections::BTreeSet;
use std::io::ErrorKind;

use super::super::super::record::*;
use super::super::super::status::Durability;
use super::super::Rules;
use super::{Driver, limits};
use crate::disk::sim::{Fault, SimDisk};

const STEPS: u64 = 60;

/// Runs the workload with a fault; then the disk is well again. Returns what was broken.
fn run(fault: Fault) -> Result<(), String> {
    let disk = SimDisk::default();
    disk.sim().fault = Some(fault);
    let mut driver = Driver::new(disk.clone(), limits(Durability::Power), Rules::ALL);
    driver.run(STEPS);
    if fault.forever
        && let Some(log) = &driver.log
    {
        let trouble = log.trouble().ok_or("all calls fail, and nothing is said")?.to_string();
        if !trouble.contains(&fault.kind.to_string()) {
            return Err(format!("{trouble:?} does not tell of {}", fault.kind));
        }
    }
    disk.sim().fault = None;
    let floor = driver.log.as_ref().map_or(Position::default(), |log| log.floor);
    let sealed = driver.history.sealed.clone();
    // The same process goes on once the disk is well, and so does the next one.
    if let Some(log) = &mut driver.log {
        let read: BTreeSet<Position> =
            log.read(Cursor::start(), usize::MAX).into_iter().map(|(position, _)| position).collect();
        if let Some(lost) = sealed.iter().find(|p| **p > floor && !read.contains(p)) {
            return Err(format!("{lost:?}: lost to the process that sealed it"));
        }
        if read.last().is_some_and(|last| *last > log.last()) {
            return Err(format!("{:?}: read, though it was not sealed", read.last()));
        }
        let before = log.last();
        driver.seal(&super::record(1, 100));
        let log = driver.log.as_ref().ok_or("no log")?;
        if log.last() <= before || log.trouble().is_some() {
            return Err(format!("still in trouble: {:?}", log.trouble()));
        }
    }
    driver.open();
    let log = driver.log.as_mut().ok_or("no log on a disk that is well")?;
    let read: BTreeSet<Position> =
        log.read(Cursor::start(), usize::MAX).into_iter().map(|(position, _)| position).collect();
    match sealed.iter().find(|p| **p > log.floor && !read.contains(p)) {
        Some(lost) => Err(format!("{lost:?}: lost")),
        None => Ok(()),
    }
}

/// How many calls the workload makes.
fn calls() -> usize {
    let disk = SimDisk::default();
    Driver::new(disk.clone(), limits(Durability::Power), Rules::ALL).run(STEPS);
    disk.sim().calls
}

#[test]
fn no_failing_call_fails_the_host() {
    let calls = calls();
    assert!(calls > 150, "{calls} calls");
    for kind in [ErrorKind::StorageFull, ErrorKind::ReadOnlyFilesystem, ErrorKind::Other] {
        for forever in [false, true] {
            for at in 1..=calls {
                let fault = Fault { at, forever, kind, lies: false };
                run(fault).unwrap_or_else(|e| panic!("{fault:?}: {e}"));
            }
        }
    }
}

#[test]
fn a_disk_that_lies_is_noticed() {
    let lies = |at| run(Fault { at, forever: false, kind: ErrorKind::Other, lies: true });
    let noticed = (1..=calls()).filter(|at| lies(*at).is_err()).count();
    // Most lies are about what is acknowledged, dropped or begun anew later on.
    assert!(noticed >= 3, "{noticed} lies noticed");
}
