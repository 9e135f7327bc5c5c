//! Speed of an import beside hashing and copying the same bytes, and what an activation of a large model reads and writes.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use selvedge::store::{Artifact, Package, Release, Store, Trust, Version, sign};
use selvedge::weights::WeightFile;
use selvedge::{Digest, Loading};
use sha2::{Digest as _, Sha256};

use crate::rounds::median;

/// Numbers of the model, of four bytes each: 100 MB.
const NUMBERS: usize = 25_000_000;
const ROUNDS: u64 = 7;
/// The least speed of an import, as a share of that of its peers.
const IMPORT_BAR: f64 = 0.7;
/// The most bytes that an activation may write, or read besides what it verifies: state, manifest and the like.
const MARKS: u64 = 256 << 10;
const CHUNK: usize = 1 << 20;

const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgevZzL1gdAFr88hb2
OF/2NxApJCzGCEDdfSp6VQO30hyhRANCAAQRWz+jn65BtOMvdyHKcvjBeBSDZH2r
1RTwjmYSi9R/zpBnuQ4EiMnCqfMPWiZqB4QdbAd0E7oH50VpuZ1P087G
-----END PRIVATE KEY-----
";
const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEVs/o5+uQbTjL3chynL4wXgUg2R9
q9UU8I5mEovUf86QZ7kOBIjJwqnzD1omageEHWwHdBO6B+dFabmdT9POxg==
-----END PUBLIC KEY-----
";

fn trust() -> Trust {
    Trust::new().key(PUBLIC).expect("a key")
}

pub(crate) fn bench() {
    let folder = tempfile::tempdir().expect("a folder");
    let (package, store) = (folder.path().join("package"), folder.path().join("store"));
    fs::create_dir(&package).expect("a folder");
    fs::write(package.join("model.safetensors"), model()).expect("the model is written");
    import(folder.path(), &package, &store);
    activate(&package, &store);
}

/// A file of weights whose bytes look random.
fn model() -> Vec<u8> {
    let header = format!(r#"{{"w":{{"dtype":"F32","shape":[{NUMBERS}],"data_offsets":[0,{}]}}}}"#, 4 * NUMBERS);
    let mut bytes = [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat();
    let mut state = 1u64;
    bytes.extend((0..NUMBERS).flat_map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32).to_le_bytes()
    }));
    bytes
}

/// Makes the package one of this number, and signs it.
fn number(package: &Path, number: u64) -> Package {
    fs::write(package.join("selvedge.json"), Release::new("large", number, "model.safetensors").to_json())
        .expect("the release is written");
    let _ = fs::remove_file(package.join("model.sig"));
    let artifact = Artifact::of_folder(package).expect("the files of the package");
    let files: Vec<(String, Digest)> =
        artifact.files().iter().map(|file| (file.name().to_owned(), file.blob().digest())).collect();
    fs::write(package.join("model.sig"), sign("large", &files, PRIVATE).expect("a signature")).expect("it is written");
    Package::folder(package)
}

/// One version after the other, in turns with what does no more than to hash and copy its model, durably.
fn import(folder: &Path, package: &Path, store: &Path) {
    let store = Store::open(store, trust()).expect("a store");
    let (file, copy) = (package.join("model.safetensors"), folder.join("copy"));
    let has_tools = Command::new("sha256sum").arg("--version").output().is_ok_and(|output| output.status.success());
    let (mut ours, mut crates, mut tools) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let arrives = number(package, round + 1);
        let imported = time(|| drop(store.import(arrives, |_| Ok(())).expect("it is imported")));
        let version = store.versions().expect("versions").remove(0);
        assert_eq!((version.number(), version.verify().is_ok()), (round + 1, true));
        store.remove(version.id()).expect("there is room again");
        let by_crates = time(|| hash_and_copy(&file, &copy));
        fs::remove_file(&copy).expect("there is room again");
        let by_tools = has_tools.then(|| {
            let time = time(|| {
                for command in [&["sha256sum"][..], &["cp"], &["sync"]] {
                    let mut run = Command::new(command[0]);
                    match command[0] {
                        "cp" => run.arg(&file).arg(&copy),
                        "sync" => run.arg(&copy),
                        _ => run.arg(&file),
                    };
                    assert!(run.output().expect("it runs").status.success());
                }
            });
            fs::remove_file(&copy).expect("there is room again");
            time
        });
        // The first warms up.
        if round > 0 {
            ours.push(imported);
            crates.push(by_crates);
            tools.extend(by_tools);
        }
    }
    let mb = 4.0 * NUMBERS as f64 / 1e6;
    let ours = median(&mut ours);
    for (name, times) in [("sha2_and_copy", &mut crates), ("sha256sum_and_cp", &mut tools)] {
        if times.is_empty() {
            println!("import beside {name}: not measured, no such command");
            continue;
        }
        let theirs = median(times);
        println!("import: {:.0} MB/s, {name} {:.0} MB/s", mb / ours, mb / theirs);
        println!("RATIO import_speed_beside_{name} {:.3} >={IMPORT_BAR}", theirs / ours);
    }
}

/// As the store does: read once and hashed, a copy, and both the copy and its name durable.
fn hash_and_copy(from: &Path, to: &Path) {
    let (mut file, mut hash, mut chunk) = (File::open(from).expect("a file"), Sha256::new(), vec![0; CHUNK]);
    loop {
        match file.read(&mut chunk).expect("it is read") {
            0 => break,
            read => hash.update(&chunk[..read]),
        }
    }
    std::hint::black_box(hash.finalize());
    fs::copy(from, to).expect("it is copied");
    File::open(to).and_then(|copy| copy.sync_all()).expect("it is kept");
    let folder = to.parent().expect("a folder");
    if cfg!(unix) {
        File::open(folder).and_then(|folder| folder.sync_all()).expect("its name is kept");
    }
}

fn activate(package: &Path, at: &Path) {
    let size = fs::metadata(package.join("model.safetensors")).expect("the model").len();
    let store = Store::open(at, trust()).expect("the store");
    let first = store.import(number(package, 100), |_| Ok(())).expect("it is imported");
    let second = store.import(number(package, 101), |_| Ok(())).expect("it is imported");
    // In the process that imported it: nothing of the model is read. In a later one: it is read once, to be verified.
    measured("activation_after_import", 0, || drop(store.activate(first.id()).expect("it serves")));
    drop(store);
    let store = Store::open(at, trust()).expect("the store");
    measured("activation_after_a_restart", size, || drop(store.activate(second.id()).expect("it serves")));
    let current = store.current().expect("it can be read").expect("one serves");
    assert_eq!(current.number(), 101);
    measured("opening_what_serves", 0, || is_mapped(&current, at, size));
    std::io::stdout().flush().expect("a place to print");
}

/// What is opened is the store's own file, mapped where it lies.
fn is_mapped(version: &Version, store: &Path, size: u64) {
    let weights = WeightFile::open(version.model().expect("it is whole"), Loading::Mapped).expect("it opens");
    if cfg!(target_os = "linux") {
        let path = store.join("versions").join(version.id().to_string()).join("files/model.safetensors");
        let maps = fs::read_to_string("/proc/self/maps").expect("the maps of this process");
        let line =
            maps.lines().find(|line| line.ends_with(&*path.to_string_lossy())).expect("the store's file is mapped");
        let ends: Vec<u64> = line.split([' ', '-']).take(2).map(|n| u64::from_str_radix(n, 16).expect("hex")).collect();
        assert!(ends[1] - ends[0] >= size, "mapped as a whole: {line}");
    }
    drop(weights);
}

/// Runs it, and asserts that it read `read` bytes and marks, and wrote marks alone.
fn measured(name: &str, read: u64, work: impl FnOnce()) {
    let before = read_and_written();
    let seconds = time(work);
    let after = read_and_written();
    let (Some(before), Some(after)) = (before, after) else {
        return println!("{name}: {:.3} ms; this system does not count bytes", seconds * 1e3);
    };
    let (got, written) = (after.0 - before.0, after.1 - before.1);
    println!("{name}: {:.3} ms, {got} bytes read, {written} written", seconds * 1e3);
    assert!((read..=read + MARKS).contains(&got), "{name}: {got} bytes read, expected {read} and marks");
    println!("RATIO {name}_bytes_written {written} <={MARKS}");
    assert!(written <= MARKS, "{name}: {written} bytes written");
}

/// Bytes that this process has read and written by calls of the system.
fn read_and_written() -> Option<(u64, u64)> {
    let io = fs::read_to_string("/proc/self/io").ok()?;
    let of = |key: &str| io.lines().find_map(|line| line.strip_prefix(key)?.trim().parse().ok());
    Some((of("rchar:")?, of("wchar:")?))
}

fn time(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}
