//! Becoming current, going back, misses, quarantine, and making room.

use super::craft::{self, id, import, open};
use crate::disk::sim::SimDisk;
use crate::store::{Release, Store};
use crate::{Code, Digest};

/// A store in which each of so many versions was current, the last one is.
fn served(count: u64) -> (SimDisk, Store, Vec<Digest>) {
    let disk = SimDisk::default();
    let store = open(&disk).unwrap();
    let ids = (1..=count).map(|number| {
        let version = import(&store, &craft::version(number)).unwrap();
        store.activate(version.id()).unwrap().id()
    });
    let ids = ids.collect();
    (disk, store, ids)
}

fn current(store: &Store) -> Option<u64> {
    store.current().unwrap().map(|version| version.number())
}

#[test]
fn an_import_serves_only_once_it_is_activated() {
    let (disk, store, _) = served(1);
    let two = import(&store, &craft::version(2)).unwrap();
    assert_eq!(current(&store), Some(1));
    let numbers: Vec<u64> = store.versions().unwrap().iter().map(|version| version.number()).collect();
    assert_eq!(numbers, [2, 1]);
    store.activate(two.id()).unwrap();
    let again = open(&SimDisk::holding(craft::image(&disk))).unwrap();
    assert_eq!((current(&store), current(&again)), (Some(2), Some(2)));
    assert_eq!(store.activate(Digest::default()).unwrap_err().code(), Code::NotFound);
}

#[test]
fn going_back_passes_over_what_is_not_fit() {
    let (disk, store, ids) = served(4);
    assert_eq!(store.rollback().unwrap().number(), 3);
    store.quarantine(ids[1], "wrong answers").unwrap();
    assert_eq!(store.rollback().unwrap().number(), 1);
    let e = store.rollback().unwrap_err();
    assert_eq!((e.code(), current(&store)), (Code::NotFound, Some(1)));
    // A version that served is no downgrade: forward again, and back to one that is whole.
    store.activate(ids[2]).unwrap();
    store.activate(ids[3]).unwrap();
    disk.flip(&format!("versions/{}/files/rain.onnx", ids[2]), 100);
    let store = open(&SimDisk::holding(craft::image(&disk))).unwrap();
    assert_eq!(store.rollback().unwrap().number(), 1);
}

#[test]
fn a_version_that_never_served_is_no_way_back() {
    let (_, store, _) = served(1);
    let two = import(&store, &craft::version(2)).unwrap();
    let three = import(&store, &craft::version(3)).unwrap();
    store.activate(three.id()).unwrap();
    assert_eq!(store.activate(two.id()).unwrap_err().code(), Code::Untrusted);
    assert_eq!(store.rollback().unwrap().number(), 1);
}

#[test]
fn nobody_goes_back_below_the_minimum() {
    let (_, store, ids) = served(2);
    let mut release = Release::new("rain", 3, "rain.onnx");
    release.minimum = 2;
    let three = import(&store, &craft::signed(craft::of_release(&release))).unwrap();
    store.activate(three.id()).unwrap();
    assert_eq!(store.rollback().unwrap().number(), 2);
    assert_eq!(store.rollback().unwrap_err().code(), Code::NotFound);
    assert_eq!(store.activate(ids[0]).unwrap_err().code(), Code::Untrusted);
}

#[test]
fn the_second_miss_is_quarantine_and_the_version_before_serves() {
    let (disk, store, ids) = served(2);
    let first = store.miss(ids[1], "it crashed").unwrap();
    assert_eq!((first.misses, first.quarantined, current(&store)), (1, false, Some(2)));
    let store = open(&SimDisk::holding(craft::image(&disk))).unwrap();
    let second = store.miss(ids[1], "it crashed again").unwrap();
    assert_eq!((second.misses, second.quarantined, &*second.why), (2, true, "it crashed again"));
    assert_eq!(current(&store), Some(1));
    let e = store.activate(ids[1]).unwrap_err();
    assert!(e.to_string().contains("it crashed again"), "{e}");
    // With no version to go to, none serves.
    store.quarantine(ids[0], "no answers").unwrap();
    assert_eq!(current(&store), None);
    store.pardon(ids[1]).unwrap();
    assert_eq!(store.standing(ids[1]).unwrap(), Default::default());
    assert_eq!(store.activate(ids[1]).unwrap().number(), 2);
}

#[test]
fn room_is_made_of_what_nobody_goes_back_to() {
    let (disk, store, ids) = served(4);
    let five = import(&store, &craft::version(5)).unwrap();
    drop(store.stage(Digest([7; 32]), 10).unwrap());
    let removed = store.gc(1).unwrap();
    assert_eq!(removed.len(), 2);
    assert!(removed.contains(&ids[0]) && removed.contains(&ids[1]));
    let left: Vec<u64> = store.versions().unwrap().iter().map(|version| version.number()).collect();
    assert_eq!(left, [5, 4, 3]);
    assert!(!craft::image(&disk).keys().any(|name| name.starts_with("staging/") && name.len() > 8));
    store.quarantine(five.id(), "no").unwrap();
    assert_eq!(store.gc(1).unwrap(), [five.id()]);
    assert_eq!(store.remove(ids[3]).unwrap_err().code(), Code::InvalidArgument);
    store.remove(ids[2]).unwrap();
    assert_eq!(store.remove(ids[2]).unwrap_err().code(), Code::NotFound);
    assert_eq!(current(&store), Some(4));
}

#[test]
fn a_version_that_was_removed_comes_again() {
    let (_, store, ids) = served(2);
    store.remove(ids[0]).unwrap();
    // The first is below what was admitted; the second stands.
    assert_eq!(import(&store, &craft::version(1)).unwrap_err().code(), Code::Untrusted);
    store.quarantine(ids[1], "no").unwrap();
    store.remove(ids[1]).unwrap();
    let again = import(&store, &craft::version(2)).unwrap();
    again.verify().unwrap();
    assert_eq!(again.id(), id(&craft::version(2)));
    assert!(store.activate(again.id()).is_err(), "it is in quarantine, however often it comes");
}

#[test]
fn a_damaged_version_is_told_and_comes_anew() {
    for name in ["files/rain.onnx", "files/selvedge.json", "manifest"] {
        let (disk, store, ids) = served(2);
        drop(store);
        disk.flip(&format!("versions/{}/{name}", ids[1]), 20);
        let store = open(&SimDisk::holding(craft::image(&disk))).unwrap();
        let model = store.current().and_then(|current| current.unwrap().model());
        assert_eq!(model.unwrap_err().code(), Code::Corrupt, "{name}");
        let version = import(&store, &craft::version(2)).unwrap();
        version.verify().unwrap();
        assert_eq!(current(&store), Some(2), "{name}");
    }
}
