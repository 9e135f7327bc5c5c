//! A disk of which calls fail: the error is told, and the old version serves.

use std::io::ErrorKind;

use super::craft::{self, id, import, open};
use crate::disk::sim::{Fault, SimDisk};
use crate::{Code, Digest};

/// Imports and activates, while call `at` fails; the calls there were.
fn with_fault(image: &crate::disk::sim::Image, fault: Fault, old: Digest, new: &craft::Files) -> Option<()> {
    let disk = SimDisk::holding(image.clone());
    let store = open(&disk).unwrap();
    let begin = disk.sim().calls;
    disk.sim().fault = Some(Fault { at: begin + fault.at, ..fault });
    let done = import(&store, new).and_then(|version| store.activate(version.id()));
    let calls = disk.sim().calls - begin;
    disk.sim().fault = None;
    if let Err(e) = &done {
        // What of a folder cannot be seen may be told as missing or damaged, never as a package that is bad.
        assert!(matches!(e.code(), Code::Io | Code::Corrupt), "call {}: {e:#}", fault.at);
        if fault.kind == ErrorKind::StorageFull {
            assert!(format!("{e:#}").contains("disk is full"), "call {}: {e:#}", fault.at);
        }
    }
    // The same process goes on, and so does another.
    let other = open(&SimDisk::holding(craft::image(&disk))).unwrap();
    for store in [&store, &other] {
        let current = store.current().unwrap().unwrap();
        current.verify().unwrap();
        assert!(current.id() == id(new) || done.is_err() && current.id() == old, "call {}: {done:?}", fault.at);
        store.versions().unwrap().iter().for_each(|version| version.verify().unwrap());
    }
    drop(store);
    // And once the disk is well, so is the import.
    let version = import(&other, new).unwrap();
    other.activate(version.id()).unwrap().verify().unwrap();
    (calls >= fault.at).then_some(())
}

fn sweep(kind: ErrorKind, forever: bool) -> usize {
    let [one, two] = [1, 2].map(craft::version);
    let disk = SimDisk::default();
    let store = open(&disk).unwrap();
    store.activate(import(&store, &one).unwrap().id()).unwrap();
    let image = craft::image(&disk);
    (1..)
        .take_while(|at| with_fault(&image, Fault { at: *at, forever, kind, lies: false }, id(&one), &two).is_some())
        .count()
}

#[test]
fn any_call_may_fail_once() {
    let calls = sweep(ErrorKind::Other, false);
    println!("{calls} calls");
    assert!(calls > 100, "{calls} calls");
}

#[test]
fn any_call_may_fail_for_ever() {
    assert!(sweep(ErrorKind::Other, true) > 100);
}

#[test]
fn the_disk_may_be_full_at_any_call() {
    assert!(sweep(ErrorKind::StorageFull, true) > 100);
}

/// A sync that failed says nothing of the second try: the file is removed, and is written anew.
#[test]
fn a_file_whose_sync_failed_is_not_believed() {
    let two = craft::version(2);
    let (mut failed, mut at) = (0, 0);
    loop {
        let disk = SimDisk::default();
        let store = open(&disk).unwrap();
        disk.sim().syncs.clear();
        disk.sim().fails_sync = Some(at);
        let done = import(&store, &two);
        let syncs = disk.sim().syncs.clone();
        let Some(what) = syncs.get(at) else { break };
        let e = done.unwrap_err();
        assert_eq!(e.code(), Code::Io, "{what}: {e:#}");
        if what.starts_with("staging/") {
            // Neither under the name that it had nor under the one that it was to have.
            let left = craft::image(&disk);
            let name = what.trim_end_matches(".part");
            assert!(!left.keys().any(|left| left.starts_with(name)), "{what}: {:?}", left.keys());
            failed += 1;
        }
        at += 1;
    }
    assert!(failed >= 3, "{failed} files");
}
