//! The folder on a disk whose power goes at any moment.

use super::super::folder::{
    MAX_RECORDS, Verdict, by_evidence, by_exit, keep, load, marks, name_of, put_mark, records, settle,
};
use super::super::format::MarkFile;
use super::super::mark::is_alive;
use super::{ASKED, death, mark, subject};
use crate::Digest;
use crate::crash::{CrashPhase, Death, Exit};
use crate::disk::Folder;
use crate::disk::sim::{Image, SimDisk};

fn dead(_: &str) -> bool {
    false
}

fn settle_all(disk: &mut SimDisk) -> usize {
    settle(disk, &dead, &|mark| by_evidence(mark, true)).unwrap()
}

/// The disks that a crash may leave at the moments from the `from`th on.
fn crashes(disk: &SimDisk, from: usize) -> Vec<Image> {
    disk.sim().moments.iter().skip(from).flat_map(|moment| moment.crashes()).collect()
}

/// Native code is entered once the mark is written: from then on every crash must leave it.
fn marks_missing_after_a_crash(ignores_sync: bool, is_entered_before: bool) -> usize {
    let mut disk = SimDisk::default();
    disk.sim().ignores_sync = ignores_sync;
    disk.sim().keep_moment();
    if !is_entered_before {
        put_mark(&mut disk, &mark(1, 0)).unwrap();
    }
    let entered = disk.sim().moments.len() - 1;
    if is_entered_before {
        put_mark(&mut disk, &mark(1, 0)).unwrap();
    }
    let images = crashes(&disk, entered);
    assert!(!images.is_empty());
    let has_mark = |image: Image| marks(&mut SimDisk::holding(image), &dead).unwrap().len() == 1;
    images.into_iter().filter(|image| !has_mark(image.clone())).count()
}

#[test]
fn a_mark_is_there_after_any_loss_of_power_once_native_code_is_entered() {
    assert_eq!(marks_missing_after_a_crash(false, false), 0);
}

#[test]
fn the_check_sees_a_mark_that_is_not_synced_and_one_that_is_written_after_the_call() {
    assert!(marks_missing_after_a_crash(true, false) > 0, "not synced");
    assert!(marks_missing_after_a_crash(false, true) > 0, "after the call");
}

#[test]
fn a_death_is_recorded_once_whenever_power_goes_while_it_is_settled() {
    let mut seen = 0;
    let mut disk = SimDisk::default();
    keep(&mut disk, &subject(1), vec![death(9, ASKED)]).unwrap();
    put_mark(&mut disk, &mark(1, 11)).unwrap();
    let before = disk.sim().moments.len();
    assert_eq!(settle_all(&mut disk), 1);
    for image in crashes(&disk, before - 1) {
        let mut after = SimDisk::holding(image);
        settle_all(&mut after);
        let deaths = load(&mut after, &subject(1)).unwrap();
        let ids: Vec<u8> = deaths.iter().map(|death| death.id[0]).collect();
        assert_eq!(ids, [9, 1], "a death was lost, or counted twice");
        assert_eq!(marks(&mut after, &dead).unwrap(), []);
        seen += 1;
    }
    assert!(seen > 10, "{seen} crash states");
}

#[test]
fn a_failing_disk_leaves_the_mark_for_the_next_time() {
    for at in 1..40 {
        let mut disk = SimDisk::default();
        put_mark(&mut disk, &mark(1, 11)).unwrap();
        let calls = disk.sim().calls;
        let fault = crate::disk::sim::Fault {
            at: calls + at,
            forever: true,
            kind: std::io::ErrorKind::StorageFull,
            lies: false,
        };
        disk.sim().fault = Some(fault);
        let _ = settle(&mut disk, &dead, &|mark| by_evidence(mark, true));
        disk.sim().fault = None;
        settle_all(&mut disk);
        assert_eq!(load(&mut disk, &subject(1)).unwrap().len(), 1, "call {at}");
    }
}

#[test]
fn a_death_without_a_signal_counts_for_nothing_and_without_signals_for_half() {
    let early = [CrashPhase::Open, CrashPhase::FirstUse];
    for phase in [CrashPhase::Open, CrashPhase::Idle, CrashPhase::FirstUse, CrashPhase::LaterUse] {
        let mark = MarkFile { phase, runs: 1, ..mark(1, 0) };
        assert_eq!(by_evidence(&mark, true), Verdict::Nothing);
        let half = Verdict::Death { signal: None, is_sure: false };
        assert_eq!(by_evidence(&mark, false), if early.contains(&phase) { half } else { Verdict::Nothing });
    }
}

#[test]
fn a_platform_explains_the_death_of_its_process_alone() {
    let crash = Exit::NativeCrash(Some(11));
    let in_use = MarkFile { phase: CrashPhase::LaterUse, runs: 1, ..mark(1, 0) };
    assert_eq!(by_exit(&in_use, 41, crash), Verdict::Leave);
    assert_eq!(by_exit(&in_use, 42, crash), Verdict::Death { signal: Some(11), is_sure: false });
    assert_eq!(by_exit(&MarkFile { runs: 0, ..in_use }, 42, crash), Verdict::Nothing, "it did nothing");
    assert_eq!(by_exit(&mark(1, 6), 42, crash), Verdict::Death { signal: Some(6), is_sure: true }, "as noted");
    assert_eq!(by_exit(&mark(1, 6), 42, Exit::Otherwise), Verdict::Nothing);
}

#[test]
fn a_living_process_is_left_alone() {
    let mut disk = SimDisk::default();
    put_mark(&mut disk, &mark(1, 11)).unwrap();
    assert_eq!(settle(&mut disk, &|_| true, &|mark| by_evidence(mark, true)).unwrap(), 0);
    assert_eq!(marks(&mut disk, &dead).unwrap().len(), 1);
}

#[test]
fn forged_files_are_no_record_and_do_no_harm() {
    let name = name_of(&subject(1));
    let of_another = {
        let mut other = SimDisk::default();
        keep(&mut other, &subject(2), vec![death(1, ASKED)]).unwrap();
        other.sim().moments.last().unwrap().crashes().pop().unwrap().remove(&name_of(&subject(2))).unwrap()
    };
    let bad_mark = format!("{}.mark", "a".repeat(32));
    for bytes in [vec![], vec![0; 336], b"SLVDEAD1".to_vec(), vec![0xff; 5000], of_another] {
        let image =
            Image::from([(name.clone(), bytes.clone()), (bad_mark.clone(), bytes), ("notes.txt".into(), vec![1])]);
        let mut disk = SimDisk::holding(image);
        assert_eq!(settle_all(&mut disk), 0);
        assert_eq!(load(&mut disk, &subject(1)).unwrap(), []);
        put_mark(&mut disk, &mark(1, 11)).unwrap();
        assert_eq!(settle_all(&mut disk), 1);
        assert_eq!(load(&mut disk, &subject(1)).unwrap().len(), 1);
        let left = disk.sim().moments.last().unwrap().crashes().pop().unwrap();
        assert!(left.contains_key("notes.txt") && !left.contains_key(&bad_mark), "{:?}", left.keys());
    }
}

#[test]
fn records_are_bounded_and_the_oldest_go() {
    let mut disk = SimDisk::default();
    let key = |n: usize| {
        let mut subject = subject(1);
        subject.key = Digest([0; 32]);
        subject.key.0[..8].copy_from_slice(&(n as u64).to_be_bytes());
        subject
    };
    let by_now = |n: usize| Death { time: super::time_of(n as u64), ..death(1, ASKED) };
    for n in 0..MAX_RECORDS + 3 {
        keep(&mut disk, &key(n), vec![by_now(n + 1)]).unwrap();
    }
    put_mark(&mut disk, &mark(1, 11)).unwrap();
    settle_all(&mut disk);
    let kept = records(&mut disk).unwrap();
    assert_eq!(kept.len(), MAX_RECORDS);
    assert!(kept.iter().all(|of| of.subject.key != key(0).key && of.subject.key != key(3).key), "the oldest are there");
    assert_eq!(load(&mut disk, &subject(1)).unwrap().len(), 1, "the newest has gone");
}

/// Whoever closes an engine asks nobody: its mark may go between any two looks of somebody else.
#[test]
fn a_mark_that_goes_while_it_is_looked_at_is_not_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let [mut disk, other] = [0; 2].map(|_| Folder::new(folder.path().into()));
    for goes_first in [true, false] {
        put_mark(&mut disk, &mark(1, 6)).unwrap();
        let looked = |name: &str| {
            let path = folder.path().join(name);
            if goes_first {
                std::fs::remove_file(&path).unwrap();
            }
            let alive = is_alive(&other, name);
            assert_eq!((alive, path.exists()), (goes_first, !goes_first));
            if !goes_first {
                std::fs::remove_file(&path).unwrap();
            }
            alive
        };
        assert_eq!(settle(&mut disk, &looked, &|_| panic!("it is judged")).unwrap(), 0);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
