//! Files that come piece by piece, and go on where they ended.

use std::cell::Cell;
use std::io::{Cursor, Read, Write};

use super::craft::{self, content, id, image, import, open, package};
use crate::disk::sim::SimDisk;
use crate::store::sealed::digest;
use crate::store::{Package, Store};
use crate::{Code, Digest, Error, Result};

fn written(disk: &SimDisk) -> u64 {
    disk.sim().appended
}

#[test]
fn a_staged_file_goes_on_where_it_ended() {
    let disk = SimDisk::default();
    let bytes = content(1, 5000);
    let (name, size) = (digest(&bytes), bytes.len() as u64);
    let mut staged = open(&disk).unwrap().stage(name, size).unwrap();
    staged.write_all(&bytes[..3000]).unwrap();
    drop(staged);
    let store = reopened(&disk);
    let mut staged = store.stage(name, size).unwrap();
    assert_eq!((staged.offset(), staged.size(), staged.is_whole()), (3000, 5000, false));
    assert_eq!(store.stage(name, size).unwrap_err().code(), Code::Busy);
    staged.write_all(&bytes[3000..]).unwrap();
    assert!(staged.write_all(b"more").is_err());
    staged.finish().unwrap();
    let staged = store.stage(name, size).unwrap();
    assert_eq!((staged.offset(), staged.is_whole()), (5000, true));
    staged.finish().unwrap();
}

#[test]
fn a_staged_file_of_other_bytes_is_removed() {
    let disk = SimDisk::default();
    let store = open(&disk).unwrap();
    let bytes = content(1, 2000);
    let (name, size) = (digest(&bytes), bytes.len() as u64);
    let mut staged = store.stage(name, size).unwrap();
    staged.write_all(&bytes[..1000]).unwrap();
    assert_eq!(staged.finish().unwrap_err().code(), Code::InvalidArgument, "bytes are missing, and may come");
    // The receiver's disk, or the sender, has turned a bit of what came first.
    disk.flip(&format!("staging/{name}.part"), 500);
    let store = reopened(&disk);
    let mut staged = store.stage(name, size).unwrap();
    assert_eq!(staged.offset(), 1000);
    staged.write_all(&bytes[1000..]).unwrap();
    assert_eq!(staged.finish().unwrap_err().code(), Code::Corrupt);
    let mut staged = store.stage(name, size).unwrap();
    assert_eq!(staged.offset(), 0);
    staged.write_all(&bytes).unwrap();
    staged.finish().unwrap();
    // One that is damaged once it is whole is not taken for it.
    assert_eq!(store.stage(name, size + 1).unwrap().offset(), 0);
}

/// Ends an import after so many calls of its progress.
fn ended(store: &Store, files: &craft::Files, after: usize) -> Result<()> {
    let calls = Cell::new(0);
    let progress = |_: crate::store::ImportProgress<'_>| {
        calls.set(calls.get() + 1);
        if calls.get() > after { Err(Error::new(Code::Cancelled, "enough")) } else { Ok(()) }
    };
    store.import(package(files), progress).map(drop)
}

#[test]
fn an_import_that_was_ended_goes_on() {
    let files = craft::version(1);
    let mut ends = 0;
    for after in 0.. {
        let disk = SimDisk::default();
        let store = open(&disk).unwrap();
        if ended(&store, &files, after).is_ok() {
            break;
        }
        assert!(store.versions().unwrap().is_empty());
        let first = written(&disk);
        let again = SimDisk::holding(image(&disk));
        // What came is not written again, but for what each opening and signature takes.
        let version = import(&open(&again).unwrap(), &files).unwrap();
        reopened(&again).version(version.id()).unwrap().verify().unwrap();
        let whole = SimDisk::default();
        import(&open(&whole).unwrap(), &files).unwrap();
        assert_eq!(first + written(&again), written(&whole), "after {after} calls");
        ends += 1;
    }
    assert!(ends > 5, "{ends} ends");
}

/// What a loss of power left of a file may be anything: what differs from the package is written anew.
#[test]
fn a_damaged_part_is_cut_where_it_differs() {
    let files = craft::version(1);
    let name = digest(&files["rain.onnx"]);
    for at in [0, 1023, 1024, 2000] {
        let disk = SimDisk::default();
        let store = open(&disk).unwrap();
        let mut part = files["rain.onnx"][..2100].to_vec();
        part[at] ^= 1;
        let mut staged = store.stage(name, 2600).unwrap();
        staged.write_all(&part).unwrap();
        drop(staged);
        let version = import(&store, &files).unwrap();
        reopened(&disk).version(version.id()).unwrap().verify().unwrap();
    }
}

/// Another process's store: it knows no digest, and reads what it verifies.
fn reopened(disk: &SimDisk) -> Store {
    open(&SimDisk::holding(image(disk))).unwrap()
}

#[test]
fn a_package_that_breaks_off_goes_on() {
    let files = craft::version(1);
    let whole = craft::tar(&files);
    let disk = SimDisk::default();
    let store = open(&disk).unwrap();
    for len in (0..whole.len() - 1024).step_by(700) {
        let broken = Cursor::new(whole[..len].to_vec()).chain(Broken);
        let e = store.import(Package::tar(broken), |_| Ok(())).unwrap_err();
        assert_eq!(e.code(), Code::Io, "{len}: {e:#}");
    }
    assert_eq!(import(&store, &files).unwrap().id(), id(&files));
}

struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::ConnectionReset.into())
    }
}

#[test]
fn one_import_at_a_time() {
    let store = open(&SimDisk::default()).unwrap();
    let files = craft::version(1);
    let inner = Cell::new(None);
    let outer = store.import(package(&files), |_| {
        inner.set(inner.take().or_else(|| import(&store, &files).err().map(|e| e.code())));
        Ok(())
    });
    assert_eq!((outer.unwrap().number(), inner.get()), (1, Some(Code::Busy)));
}

#[test]
fn what_is_being_written_is_no_waste() {
    let store = open(&SimDisk::default()).unwrap();
    let bytes = content(1, 100);
    let mut staged = store.stage(digest(&bytes), 100).unwrap();
    staged.write_all(&bytes[..50]).unwrap();
    drop(store.stage(Digest([1; 32]), 100).unwrap());
    store.gc(0).unwrap();
    staged.write_all(&bytes[50..]).unwrap();
    staged.finish().unwrap();
}
