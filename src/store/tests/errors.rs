//! A disk of which calls fail: the error is told, and the old version serves.

use std::io::ErrorKind;

use super::craft::{self, id, import, open};
use crate::disk::sim::{Fault, Image, SimDisk};
use crate::{Code, Digest, Error};

/// Imports and activates, while call `at` fails: whether there were so many calls, or what is wrong after it.
fn with_fault(image: &Image, fault: Fault, old: Digest, new: &craft::Files) -> Result<bool, String> {
    let said = |e: Error| format!("call {}: {e:#}", fault.at);
    let disk = SimDisk::holding(image.clone());
    let store = open(&disk).map_err(said)?;
    let begin = disk.sim().calls;
    disk.sim().fault = Some(Fault { at: begin + fault.at, ..fault });
    let done = import(&store, new).and_then(|version| store.activate(version.id()));
    let calls = disk.sim().calls - begin;
    disk.sim().fault = None;
    if let Err(e) = &done {
        // What of a folder cannot be seen may be told as missing or damaged, never as a package that is bad.
        let is_the_disks = matches!(e.code(), Code::Io | Code::Corrupt);
        let is_named = fault.kind != ErrorKind::StorageFull || format!("{e:#}").contains("disk is full");
        if !is_the_disks || !is_named {
            return Err(said(e.clone()));
        }
    }
    // The same process goes on, and so does another.
    let other = open(&SimDisk::holding(craft::image(&disk))).map_err(said)?;
    for store in [&store, &other] {
        let current = store.current().map_err(said)?.ok_or("none is current")?;
        current.verify().map_err(said)?;
        if current.id() != id(new) && (done.is_ok() || current.id() != old) {
            return Err(format!("call {}: {done:?}, and current is {current:?}", fault.at));
        }
        store.versions().and_then(|all| all.iter().try_for_each(|version| version.verify())).map_err(said)?;
    }
    drop(store);
    // And once the disk is well, so is the import.
    let again = import(&other, new).and_then(|version| other.activate(version.id())?.verify());
    again.map_err(said)?;
    Ok(calls >= fault.at)
}

fn sweep(kind: ErrorKind, forever: bool) -> usize {
    let [one, two] = [1, 2].map(craft::version);
    let image = holding(&one);
    let fault = |at| Fault { at, forever, kind, lies: false };
    (1..).take_while(|at| with_fault(&image, fault(*at), id(&one), &two).unwrap()).count()
}

fn holding(version: &craft::Files) -> Image {
    let disk = SimDisk::default();
    let store = open(&disk).unwrap();
    store.activate(import(&store, version).unwrap().id()).unwrap();
    craft::image(&disk)
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

/// The control: a call that was not done, and says that it was.
#[test]
fn a_call_that_lies_is_noticed() {
    let [one, two] = [1, 2].map(craft::version);
    let image = holding(&one);
    let lie = |at| Fault { at, forever: false, kind: ErrorKind::Other, lies: true };
    let is_noticed = |at| match with_fault(&image, lie(at), id(&one), &two) {
        Ok(is_reached) => is_reached.then_some(false),
        Err(_) => Some(true),
    };
    let noticed: Vec<bool> = (1..).map_while(is_noticed).collect();
    let count = noticed.iter().filter(|noticed| **noticed).count();
    println!("{count} of {} lies were noticed", noticed.len());
    // The others are about what is read anew, or was so already.
    assert!(count >= 3, "{count} of {}", noticed.len());
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
