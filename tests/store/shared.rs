//! Two processes, one folder: one writes, the other reads, and a second writer is told that it comes too late.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use selvedge::Code;
use selvedge::store::Store;

use super::craft::{current, put_signed, trust};

const FOLDER: &str = "SELVEDGE_STORE_SHARED_FOLDER";

#[test]
fn child() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let folder = Path::new(&folder);
    let store = Store::open(folder.join("store"), trust()).unwrap();
    std::io::stderr().write_all(b"open\n").unwrap();
    let mut go = String::new();
    std::io::stdin().read_line(&mut go).unwrap();
    for number in 2..12 {
        let version = store.import(put_signed(&folder.join("package"), number, 100_000), |_| Ok(())).unwrap();
        store.activate(version.id()).unwrap();
        store.gc(1).unwrap();
    }
}

#[test]
fn one_process_writes_while_another_reads() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("store");
    let store = Store::open(&at, trust()).unwrap();
    let first = store.import(put_signed(&folder.path().join("package"), 1, 100_000), |_| Ok(())).unwrap();
    store.activate(first.id()).unwrap();
    drop(store);
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "shared::child", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    stderr.read_line(&mut line).unwrap();
    assert_eq!(line, "open\n");
    assert_eq!(Store::open(&at, trust()).unwrap_err().code(), Code::Busy);
    let reader = Store::open_read_only(&at).unwrap();
    assert_eq!(current(&reader), 1);
    child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    let (mut last, mut reads) = (1, 0);
    while child.try_wait().unwrap().is_none() {
        // A version may be taken away between two looks: then there is a later one.
        match reader.current().and_then(|version| version.unwrap().model().map(|_| ())) {
            Ok(()) => {}
            Err(e) => assert_eq!(e.code(), Code::NotFound, "{e:#}"),
        }
        let now = reader.current().map_or(last, |version| version.unwrap().number());
        assert!(now >= last, "{now} after {last}");
        (last, reads) = (now, reads + 1);
    }
    assert!(child.wait().unwrap().success());
    assert_eq!((current(&reader), current(&Store::open(&at, trust()).unwrap())), (11, 11));
    println!("{reads} reads");
    assert!(reads > 0);
}
