//! Links, pipes, folders, holes and modes in a telemetry folder: nothing is followed, nobody waits, nothing of others is
//! changed, and what is made is for its owner alone.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use selvedge::Code;
use selvedge::report::Story;
use selvedge::sync::{Outbox, OutboxOptions, Privacy};
use selvedge::telemetry::{
    Cursor, Inference, Limits, Mode, ModelInfo, ModelSlot, Record, Status, Telemetry, Window, peek,
};

/// Every name that a folder of ours may have, beside those that no name foretells.
const NAMES: [&str; 12] = [
    "telemetry.live",
    "telemetry.live.part",
    "telemetry.live.bad",
    "telemetry.lock",
    "sync.state",
    "sync.part",
    "sync.lock",
    "sync.state.damaged",
    "0000000000000001-00000000.seg",
    "0000000000000002-00000000.seg",
    "0000000000000001-00000000.seg.bad",
    "ffffffffffffffff-00000000.seg",
];

fn limits() -> Limits {
    Limits::default().lanes(4).slots(64)
}

/// Records, seals, posts and reports; in place of a hang, a panic. What the folder says of itself, and whether an outbox
/// could be opened.
fn use_folder(folder: &Path) -> (Status, selvedge::Result<()>) {
    let (say, hear) = mpsc::channel();
    let path = folder.to_path_buf();
    let user = std::thread::spawn(move || say.send(use_all(&path)).is_ok());
    match hear.recv_timeout(Duration::from_secs(60)) {
        Ok(seen) => seen,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("{}: somebody waits", folder.display()),
        Err(mpsc::RecvTimeoutError::Disconnected) => std::panic::resume_unwind(user.join().unwrap_err()),
    }
}

fn use_all(folder: &Path) -> (Status, selvedge::Result<()>) {
    let telemetry = Telemetry::open(folder, limits());
    telemetry.record(&Inference { id: 5, model_slot: ModelSlot(1), ..Inference::default() });
    let mut seen = Vec::new();
    telemetry.drain(&mut |inference| seen.push(inference.id));
    assert_eq!(seen, [5], "{}", folder.display());
    let info = ModelInfo { slot: ModelSlot(1), name: "m".into(), ..ModelInfo::default() };
    let window = Window { model_slot: ModelSlot(1), rows: 1, ..Window::default() };
    for record in [Record::Model(info), Record::Window(window)] {
        // Where nothing is kept, this says why.
        let _ = telemetry.seal(&record);
    }
    peek(folder).unwrap();
    Story::read(folder).unwrap();
    let outbox = Outbox::open(&telemetry, folder, OutboxOptions::new("test").privacy(Privacy::NONE));
    let posted = outbox.and_then(|mut outbox| match outbox.next_batch(1 << 20)? {
        Some(batch) => outbox.ack(&batch),
        None => Ok(()),
    });
    (telemetry.status(), posted)
}

/// Whether the one thing in the way leaves all else as it should be.
fn check(name: &str, status: &Status, posted: &selvedge::Result<()>) {
    let is_lock = name == "telemetry.lock";
    if is_lock {
        assert!(
            matches!(&status.mode, Mode::Counting { why } if why.contains("expected a regular file")),
            "{status:?}"
        );
    } else {
        assert_eq!(status.mode, Mode::Durable, "{name}");
    }
    assert_eq!(status.code, is_lock.then_some(Code::Io), "{name}");
    match posted {
        Ok(()) => assert!(name != "sync.lock"),
        Err(e) => assert_eq!((name, e.code()), ("sync.lock", Code::Io), "{e}"),
    }
}

#[test]
fn no_link_is_followed() {
    for name in NAMES {
        let (folder, others) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mine = others.path().join("mine");
        fs::write(&mine, "mine").unwrap();
        symlink(&mine, folder.path().join(name)).unwrap();
        let (status, posted) = use_folder(folder.path());
        check(name, &status, &posted);
        assert_eq!(fs::read(&mine).unwrap(), b"mine", "{name}");
        // And one to nowhere makes nothing there.
        let folder = tempfile::tempdir().unwrap();
        let nowhere = others.path().join("nowhere");
        symlink(&nowhere, folder.path().join(name)).unwrap();
        let (status, posted) = use_folder(folder.path());
        check(name, &status, &posted);
        assert!(!nowhere.exists(), "{name}");
        assert_eq!(fs::read_dir(others.path()).unwrap().count(), 1, "{name}");
    }
}

/// A file of ours that lies elsewhere: even what looks right is not taken through a link.
#[test]
fn a_link_to_a_real_file_is_none_of_the_folder() {
    let (folder, others) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    use_folder(others.path()).1.unwrap();
    for name in ["telemetry.live", "0000000000000001-00000000.seg", "sync.state"] {
        symlink(others.path().join(name), folder.path().join(name)).unwrap();
    }
    let before: Vec<Vec<u8>> = NAMES.iter().filter_map(|name| fs::read(others.path().join(name)).ok()).collect();
    assert!(peek(folder.path()).unwrap().is_empty());
    let (status, posted) = use_folder(folder.path());
    posted.unwrap();
    assert_eq!((status.mode, status.quarantined, status.recovered), (Mode::Durable, 2, 0));
    let after: Vec<Vec<u8>> = NAMES.iter().filter_map(|name| fs::read(others.path().join(name)).ok()).collect();
    assert!(before.len() >= 4 && before == after);
}

#[test]
fn a_second_name_of_a_file_keeps_what_it_has() {
    let (folder, backup) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    use_folder(folder.path()).1.unwrap();
    let kept = backup.path().join("telemetry.live");
    fs::hard_link(folder.path().join("telemetry.live"), &kept).unwrap();
    let before = fs::read(&kept).unwrap();
    let (status, posted) = use_folder(folder.path());
    posted.unwrap();
    assert_eq!((status.mode, status.quarantined), (Mode::Durable, 1));
    assert!(fs::read(&kept).unwrap() == before);
}

#[test]
fn a_pipe_makes_nobody_wait() {
    for name in NAMES {
        let folder = tempfile::tempdir().unwrap();
        let made = Command::new("mkfifo").arg(folder.path().join(name)).status();
        if !made.is_ok_and(|status| status.success()) {
            return println!("not tried: no mkfifo here");
        }
        let (status, posted) = use_folder(folder.path());
        check(name, &status, &posted);
    }
}

/// A folder in the way is nobody's to move or delete. What cannot be kept beside it is said.
#[test]
fn a_folder_of_others_stays() {
    for name in NAMES {
        let folder = tempfile::tempdir().unwrap();
        let theirs = folder.path().join(name);
        fs::create_dir(&theirs).unwrap();
        fs::write(theirs.join("mine"), "mine").unwrap();
        for _ in 0..4 {
            let (status, posted) = use_folder(folder.path());
            match name {
                "telemetry.live" | "telemetry.live.part" | "telemetry.lock" => {
                    assert_eq!(status.code, Some(Code::Io), "{name}: {status:?}");
                }
                "sync.state" | "sync.part" | "sync.lock" => {
                    posted.unwrap_err();
                }
                _ => check(name, &status, &posted),
            }
            assert_eq!(fs::read(theirs.join("mine")).unwrap(), b"mine", "{name}");
        }
    }
}

#[test]
fn what_is_made_is_for_its_owner_alone() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("a/b");
    let (status, posted) = use_folder(&folder);
    posted.unwrap();
    assert_eq!(status.mode, Mode::Durable);
    let mode = |path: &Path| fs::symlink_metadata(path).unwrap().mode() & 0o777;
    assert_eq!([mode(&root.path().join("a")), mode(&folder)], [0o700; 2]);
    let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 5, "{files:?}");
    files.iter().for_each(|file| assert_eq!(mode(file), 0o600, "{}", file.display()));
    // What an earlier version made is closed.
    for name in ["telemetry.live", "telemetry.lock", "sync.lock"] {
        fs::set_permissions(folder.join(name), Permissions::from_mode(0o666)).unwrap();
    }
    use_folder(&folder).1.unwrap();
    files.iter().filter(|file| file.exists()).for_each(|file| assert_eq!(mode(file), 0o600, "{}", file.display()));
}

/// `cp --sparse=always` leaves out what is zeros. Writing there through a map needs room that a full disk has not, and
/// that would be a signal.
#[test]
fn holes_of_the_lanes_are_filled() {
    let folder = tempfile::tempdir().unwrap();
    let live = folder.path().join("telemetry.live");
    let record = |limits| {
        let telemetry = Telemetry::open(folder.path(), limits);
        telemetry.record(&Inference { id: 8, ..Inference::default() });
        assert_eq!(telemetry.status().mode, Mode::Durable);
        telemetry
    };
    drop(record(Limits::default()));
    let whole = fs::read(&live).unwrap();
    let make_sparse = || {
        fs::remove_file(&live).unwrap();
        let sparse = File::create(&live).unwrap();
        sparse.set_len(whole.len() as u64).unwrap();
        for (i, block) in whole.chunks(4096).enumerate().filter(|(_, block)| block.iter().any(|byte| *byte != 0)) {
            sparse.write_all_at(block, i as u64 * 4096).unwrap();
        }
        assert!(sparse.metadata().unwrap().blocks() * 512 < whole.len() as u64, "no holes on this file system");
    };
    make_sparse();
    let telemetry = Telemetry::open(folder.path(), Limits::default());
    assert_eq!((telemetry.status().mode, telemetry.status().recovered), (Mode::Durable, 1));
    assert!(fs::metadata(&live).unwrap().blocks() * 512 >= whole.len() as u64);
    drop(telemetry);
    // One that is larger than what would be made could take any room: it is set aside.
    make_sparse();
    let telemetry = Telemetry::open(folder.path(), limits());
    assert_eq!((telemetry.status().mode, telemetry.status().quarantined), (Mode::Durable, 1));
}

/// A gigabyte of nothing in a segment or in the state takes none of it in memory.
#[test]
fn a_hole_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let telemetry = Telemetry::open(folder.path(), limits());
    telemetry.seal(&Record::Window(Window::default())).unwrap();
    let all = telemetry.read(Cursor::start(), usize::MAX);
    let names = ["0000000000000001-00000000.seg", "0000000000000001-00000001.seg", "sync.state"];
    for (name, len) in names.into_iter().zip([200 << 20, 200 << 20, 1 << 30]) {
        File::options().create(true).append(true).open(folder.path().join(name)).unwrap().set_len(len).unwrap();
    }
    drop(telemetry);
    let ((telemetry, read), peak) = crate::counting::peak_of(|| {
        let telemetry = Telemetry::open(folder.path(), limits());
        let read = (telemetry.read(Cursor::start(), usize::MAX), peek(folder.path()).unwrap());
        (telemetry, read)
    });
    assert_eq!(read, (all.clone(), all));
    assert!(peak < 4 << 20, "{peak} bytes");
    let (outbox, peak) =
        crate::counting::peak_of(|| Outbox::open(&telemetry, folder.path(), OutboxOptions::new("test")).unwrap());
    assert!(outbox.damage().is_some());
    assert!(peak < 4 << 20, "{peak} bytes");
}

#[test]
fn a_lock_that_others_hold_is_said_by_a_code() {
    let folder = tempfile::tempdir().unwrap();
    let theirs = File::create(folder.path().join("telemetry.lock")).unwrap();
    theirs.lock().unwrap();
    let (status, _) = use_folder(folder.path());
    assert_eq!(status.code, Some(Code::Busy));
    assert_ne!(status.mode, Mode::Durable);
    // Closed alone, it would stay locked while a child that another test forks has it open.
    theirs.unlock().unwrap();
    let (status, _) = use_folder(folder.path());
    assert_eq!((status.code, status.mode), (None, Mode::Durable));
}

#[test]
fn names_that_are_no_text_stay() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join(OsStr::from_bytes(b"telemetry-\xff"));
    fs::create_dir(&folder).unwrap();
    let names: [&[u8]; 4] = [b"\xff", b"\xff.seg", b"\xff.seg.bad", b"000000000000000\xff-00000000.seg"];
    let mut theirs: Vec<_> = names.iter().map(|name| folder.join(OsStr::from_bytes(name))).collect();
    // Nor are those ours that only look alike.
    theirs
        .extend(["a.seg.bad", "b.seg.bad", "c.seg.bad", "+000000000000001-00000000.seg"].map(|name| folder.join(name)));
    theirs.iter().for_each(|path| fs::write(path, "mine").unwrap());
    let (status, posted) = use_folder(&folder);
    posted.unwrap();
    assert_eq!((status.mode, status.quarantined), (Mode::Durable, 0));
    theirs.iter().for_each(|path| assert_eq!(fs::read(path).unwrap(), b"mine", "{}", path.display()));
}
