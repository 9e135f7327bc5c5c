//! Loss of power under a store on a real file system.
//!
//! ```text
//!   child: import, activate, roll back, gc, quarantine      tells before and after each step
//!     ext4 on a loop device
//!       a file in a folder of FUSE, past the caches
//!         disk: a list of all writes and flushes, in order
//! ```
//!
//! A disk keeps what came before a flush that it answered; of what came later it may lose any part. So each moment of the
//! list gives images that a loss of power may leave. They are mounted, and the store in them is held against what the child
//! had told by then: what was acknowledged is there, `current` is the old version or the new one, the ratchet holds, the
//! next version can be imported, and ext4 itself finds nothing wrong.
//!
//! It needs root, FUSE, loop devices and ext4: `tests/long/power` looks for them and sets `SELVEDGE_POWER` to the number of
//! images. Without it these tests say so and pass.

mod check;
mod child;
mod disk;
mod fuse;
mod held;
mod mounts;

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use disk::{Disk, Moment};
use fuse::DiskFile;
use held::Held;
use mounts::{Mount, run};

use crate::random::splitmix64;

const STATES: &str = "SELVEDGE_POWER";
const DISK: u64 = 32 << 20;
/// How ext4 is mounted: as most do, and with the least that it promises, where a file that was renamed into place is empty
/// unless it was synced before.
const MODES: [&str; 2] = ["commit=1", "commit=1,data=writeback,noauto_da_alloc"];

#[test]
fn what_was_acknowledged_survives_a_loss_of_power() {
    let Some(states) = states() else { return };
    for (i, mode) in MODES.iter().enumerate() {
        let (mut left, mut seed) = (states.div_ceil(MODES.len()), i as u64);
        while left > 0 {
            let count = left.min(250);
            let wrong = record(mode, seed, None).unwrap().first_wrong(mode, count).unwrap();
            assert_eq!(wrong, None, "{mode}, seed {seed}");
            left -= count;
            seed += MODES.len() as u64;
        }
    }
}

/// The control: a child whose fsync does nothing, for files, for folders or for both.
#[test]
fn a_sync_that_does_nothing_is_noticed() {
    if states().is_none() {
        return;
    }
    for mode in MODES {
        for what in ["all", "files", "folders"] {
            let wrong = record(mode, 7, Some(what)).unwrap().first_wrong(mode, 100).unwrap();
            let wrong = wrong.unwrap_or_else(|| panic!("{mode}: without fsync of {what}, nothing was noticed"));
            println!("{mode}: without fsync of {what}: {wrong:.160}");
        }
    }
}

fn states() -> Option<usize> {
    let states = std::env::var(STATES).ok().map(|states| states.parse().unwrap());
    if states.is_none() {
        println!("no loss of power: tests/long/power sets {STATES}");
    }
    states
}

/// What happened on a disk.
struct Record {
    disk: Disk,
    /// When each step began, and what the store held when it was done.
    told: Vec<(Moment, Option<Held>)>,
    seed: u64,
}

/// Runs the child on a new disk, `without` some of its syncs.
fn record(mode: &str, seed: u64, without: Option<&str>) -> Result<Record, String> {
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let disk = Disk::new(formatted(&folder.path().join("image"))?);
    let file = DiskFile::serve(&disk, &folder.path().join("disk"))?;
    let mounted = folder.path().join("mounted");
    let mount = Mount::of(file.path(), &mounted, mode, true)?;
    let is_over = AtomicBool::new(false);
    let told = std::thread::scope(|scope| {
        scope.spawn(|| flush_now_and_then(&mounted, seed, &is_over));
        let told = watch(&disk, &mounted, folder.path(), seed, without);
        is_over.store(true, Ordering::SeqCst);
        told
    });
    drop((mount, file));
    let told = told?;
    println!("{mode}, seed {seed}: {} steps, {} orders, {} flushes", told.len() / 2, disk.now(), disk.flushes());
    Ok(Record { disk, told, seed })
}

fn formatted(image: &Path) -> Result<Vec<u8>, String> {
    std::fs::File::create(image).and_then(|file| file.set_len(DISK)).map_err(|e| e.to_string())?;
    run(Command::new("mkfs.ext4").args(["-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0"]).arg(image))?;
    std::fs::read(image).map_err(|e| e.to_string())
}

/// As the system does on its own, at times that nobody chose: so that some of what a step writes is kept before the rest.
fn flush_now_and_then(mounted: &Path, seed: u64, is_over: &AtomicBool) {
    let mut random = seed;
    while !is_over.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_millis(splitmix64(&mut random) % 60));
        let _ = run(Command::new("sync").arg("--file-system").arg(mounted));
    }
}

/// Listens to the child until it ends.
fn watch(
    disk: &Disk,
    mounted: &Path,
    folder: &Path,
    seed: u64,
    without: Option<&str>,
) -> Result<Vec<(Moment, Option<Held>)>, String> {
    let mut command = Command::new(std::env::current_exe().map_err(|e| e.to_string())?);
    command.args(["--exact", "power::child::child", "--nocapture", "--test-threads=1"]);
    command.env(child::FOLDER, mounted).env(child::PACKAGES, folder).env(child::SEED, seed.to_string());
    if let Some(what) = without {
        command.env("NO_SYNC", what).env("LD_PRELOAD", no_sync(folder)?);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|e| e.to_string())?;
    let (mut answers, lines) = (child.stdin.take().unwrap(), BufReader::new(child.stderr.take().unwrap()).lines());
    let (mut told, mut other) = (Vec::new(), String::new());
    for line in lines.map_while(Result::ok) {
        if line == "begin" || line.starts_with("done ") {
            told.push((disk.now(), line));
            // A child that has died is told of below.
            let _ = answers.write_all(b"heard\n");
        } else {
            other += &format!("{line}\n");
        }
    }
    if !child.wait().map_err(|e| e.to_string())?.success() {
        return Err(format!("the child failed: {other}"));
    }
    let held = |line: &str| line.strip_prefix("done ").map(serde_json::from_str).transpose();
    let told = told.into_iter().map(|(moment, line)| Ok((moment, held(&line)?)));
    told.collect::<serde_json::Result<_>>().map_err(|e| e.to_string())
}

/// The library that takes the place of fsync.
fn no_sync(folder: &Path) -> Result<std::path::PathBuf, String> {
    let library = folder.join("no_sync.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/store/power/no_sync.c");
    run(Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).args([library.as_os_str(), OsStr::new(source)]))?;
    Ok(library)
}

impl Record {
    /// Looks at so many images that a loss of power may leave: what is wrong with the first that is.
    fn first_wrong(&self, mode: &str, states: usize) -> Result<Option<String>, String> {
        let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
        let (mut random, mut halfway) = (self.seed ^ 0x5eed, 0);
        for i in 0..states {
            let at = self.moment(i, &mut random);
            let (before, after) = self.told_by(at);
            halfway += usize::from(before != after);
            let image = self.disk.after_a_loss_of_power(at, &mut random);
            if let Err(what) = look_at(folder.path(), &image, mode, &before, &after)? {
                return Ok(Some(format!("image {i}, order {at}: {what}")));
            }
        }
        println!("{states} images, {halfway} of them within a step that changes something: nothing is wrong");
        Ok(None)
    }

    /// Any moment, or one right after something was told.
    fn moment(&self, i: usize, random: &mut u64) -> Moment {
        let any = splitmix64(random) as usize;
        if i.is_multiple_of(2) { any % (self.disk.now() + 1) } else { self.told[any % self.told.len()].0 }
    }

    /// What was told last before a moment; and what the step that had begun by then made of it.
    fn told_by(&self, at: Moment) -> (Held, Held) {
        let told = self.told.partition_point(|(moment, _)| *moment <= at);
        let done = |told: &[(Moment, Option<Held>)]| told.iter().find_map(|(_, held)| held.clone());
        let before = self.told[..told].iter().rev().find_map(|(_, held)| held.clone()).unwrap_or_default();
        let is_begun = told > 0 && self.told[told - 1].1.is_none();
        let after = if is_begun { done(&self.told[told..]) } else { None };
        (before.clone(), after.unwrap_or(before))
    }
}

/// Mounts an image, which replays ext4's journal, and looks at the store and the file system in it.
fn look_at(folder: &Path, image: &[u8], mode: &str, before: &Held, after: &Held) -> Result<Result<(), String>, String> {
    let (file, mounted) = (folder.join("image"), folder.join("mounted"));
    std::fs::write(&file, image).map_err(|e| e.to_string())?;
    let mount = Mount::of(&file, &mounted, mode, false)?;
    let found = check::wrong(&mounted.join("store"), folder, before, after);
    drop(mount);
    run(Command::new("e2fsck").args(["-f", "-n"]).arg(&file)).map_err(|e| format!("no image of a disk: {e}"))?;
    Ok(found)
}
