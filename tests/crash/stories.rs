//! The stories that the crash record is there for, each by its name. All with tract, which any build has.

use std::fs;
use std::path::Path;

use selvedge::backend::inspect;
use selvedge::crash::CrashRecord;
use selvedge::{Code, Options, open};

use crate::child::{Order, rain};

/// A start that is lost at load.
fn lose_one(folder: &Path) -> Order {
    let order = Order::dying(folder, "load", "fuse abort");
    let ended = order.run();
    assert_eq!(ended.signal(), Some(6), "{ended:?}");
    order
}

#[test]
fn a_crash_is_recorded_for_its_model_backend_and_version_of_the_runtime() {
    let folder = tempfile::tempdir().unwrap();
    let order = lose_one(folder.path());
    let entries = order.record().entries().unwrap();
    let (entry, death) = (&entries[0], &entries[0].deaths[0]);
    let provenance = open(rain(), Options::new()).unwrap().spec().provenance.clone();
    assert_eq!((&entry.model, entry.digest), (&provenance.model, provenance.digest));
    assert_eq!((&*death.backend, &death.runtime, death.rung), (provenance.backend, &provenance.runtime, 0));
    // Other options are another matter.
    let other = Order { threads: 1, when: "never", ..order }.run();
    assert!(other.is_well() && !other.choice().unwrap().contains("rung"), "{other:?}");
}

#[test]
fn it_survives_a_force_stop_and_a_new_boot() {
    let folder = tempfile::tempdir().unwrap();
    let order = lose_one(folder.path());
    let mut stopped = Order { when: "never", ..order.clone() }.spawn();
    stopped.kill().unwrap();
    stopped.wait().unwrap();
    // All that a boot leaves is the folder: no process, no lock.
    let moved = tempfile::tempdir().unwrap();
    for file in fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), moved.path().join(file.file_name())).unwrap();
    }
    let ended = Order { folder: moved.path().into(), when: "never", ..order }.run();
    assert!(ended.choice().unwrap().contains("rung 1 of the crash record"), "{ended:?}");
}

#[test]
fn the_next_start_goes_the_gentler_way_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let order = Order { when: "never", ..lose_one(folder.path()) };
    for _ in 0..3 {
        let ended = order.run();
        let choice = ended.choice().unwrap();
        assert!(choice.contains("rung 1") && choice.contains("by signal 6 (SIGABRT)") && ended.is_well(), "{ended:?}");
    }
}

#[test]
fn the_file_is_never_called_invalid() {
    let folder = tempfile::tempdir().unwrap();
    let order = lose_one(folder.path());
    order.run();
    let error = open(rain(), order.options()).err().unwrap();
    assert_eq!(error.code(), Code::Quarantined);
    let said = error.to_string().to_lowercase();
    assert!(said.contains("the file may be sound"), "{said}");
    for word in ["invalid", "corrupt", "broken", "damaged"] {
        assert!(!said.contains(word), "{said}");
    }
}

#[test]
fn a_new_version_of_the_app_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let order = lose_one(folder.path());
    order.run();
    assert!(order.run().refused().is_some());
    let ended = Order { version: "2", when: "never", ..order }.run();
    assert!(ended.is_well() && !ended.choice().unwrap().contains("rung"), "{ended:?}");
}

#[test]
fn the_app_can_look_at_it_and_reset_it() {
    let folder = tempfile::tempdir().unwrap();
    let order = lose_one(folder.path());
    order.run();
    assert_eq!(order.record().entries().unwrap()[0].deaths.len(), 2);
    assert_eq!(open(rain(), order.options()).err().unwrap().code(), Code::Quarantined);
    order.record().clear().unwrap();
    assert_eq!(order.record().entries().unwrap(), []);
    assert!(Order { when: "never", ..order }.run().is_well());
}

#[test]
fn reads_and_opens_that_reach_no_runtime_burn_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let order = lose_one(folder.path());
    let before = order.record().entries().unwrap();
    let broken = folder.path().join("broken.onnx");
    fs::write(&broken, &fs::read(rain()).unwrap()[..200]).unwrap();
    for _ in 0..25 {
        assert_eq!(order.record().entries().unwrap(), before);
        inspect(rain(), &order.options()).unwrap();
        assert_eq!(open("no.onnx", order.options()).err().unwrap().code(), Code::NotFound);
        let broken = open(&broken, order.options()).err().unwrap().code();
        assert!([Code::Corrupt, Code::Unsupported].contains(&broken), "{broken:?}");
        assert_eq!(open(rain(), order.options().memory_limit(1)).err().unwrap().code(), Code::OutOfMemory);
    }
    assert_eq!(order.record().entries().unwrap(), before);
    assert!(Order { when: "never", ..order }.run().is_well());
}

#[test]
fn a_healthy_model_is_not_locked_out() {
    // Beside one that dies, in the same folder, and whatever lies there.
    let folder = tempfile::tempdir().unwrap();
    let order = lose_one(folder.path());
    let healthy = folder.path().join("healthy.onnx");
    let mut bytes = fs::read(rain()).unwrap();
    // One more entry of its metadata: another digest.
    bytes.extend(*b"\x72\x06\x0a\x01k\x12\x01v");
    fs::write(&healthy, bytes).unwrap();
    fs::write(folder.path().join(format!("{}.deaths", "0".repeat(32))), [1; 999]).unwrap();
    fs::write(folder.path().join(format!("{}.mark", "0".repeat(32))), [2; 336]).unwrap();
    let well = Order { model: healthy, when: "never", ..order };
    let ended = well.run();
    assert!(ended.is_well() && !ended.choice().unwrap().contains("rung"), "{ended:?}");
}

#[test]
fn a_folder_that_cannot_be_written_is_no_reason_not_to_open() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, b"").unwrap();
    let engine = open(rain(), Options::new().crash_record(CrashRecord::new(file.join("below")))).unwrap();
    assert_eq!(engine.spec().choice, open(rain(), Options::new()).unwrap().spec().choice);
}
