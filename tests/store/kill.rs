//! Processes that import and activate versions, and are killed at any instruction.
//!
//! The child is this test binary again. It tells through a pipe what it begins and what is done; the parent kills it with
//! SIGKILL, opens the store and holds what is there against that. 100 kills, or 2,000 with `SELVEDGE_LONG=1`. A kill says
//! nothing about loss of power: the simulated disk of the room's own tests does.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use selvedge::store::Store;

use super::craft::{current, put, trust};

const FOLDER: &str = "SELVEDGE_STORE_KILL_FOLDER";
/// Set for the control: it tells before it is done.
const TELL_FIRST: &str = "SELVEDGE_STORE_TELL_FIRST";

#[test]
fn child() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let (folder, tells_first) = (Path::new(&folder), std::env::var_os(TELL_FIRST).is_some());
    let store = Store::open(folder.join("store"), trust()).unwrap();
    let tell = |what: &str, number: u64| {
        let mut pipe = std::io::stderr();
        pipe.write_all(format!("{what} {number}\n").as_bytes()).unwrap();
    };
    tell("open", 0);
    let mut number = store.versions().unwrap().first().map_or(0, |version| version.number());
    loop {
        number += 1;
        let package = put(&folder.join("package"), number, 100_000);
        tell("begin", number);
        if tells_first {
            tell("installed", number);
            tell("current", number);
        }
        let version = store.import(package, |_| Ok(())).unwrap();
        if !tells_first {
            tell("installed", number);
        }
        store.activate(version.id()).unwrap();
        if !tells_first {
            tell("current", number);
        }
        store.gc(1).unwrap();
    }
}

#[derive(Debug, Default)]
struct Seen {
    kills: u64,
    /// Kills between the begin of an import and its version being current.
    halfway: u64,
    wrong: Vec<String>,
    last: u64,
}

fn kill_one(folder: &Path, tells_first: bool, after: Duration, seen: &mut Seen) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "kill::child", "--nocapture", "--test-threads=1"]).env(FOLDER, folder);
    if tells_first {
        command.env(TELL_FIRST, "1");
    }
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    assert_eq!(first, "open 0", "the child does not begin");
    let reader = std::thread::spawn(move || lines.map_while(Result::ok).collect::<Vec<String>>());
    std::thread::sleep(after);
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success());
    let told = reader.join().unwrap();
    let last = |what: &str| {
        let number = |line: &String| line.strip_prefix(what)?.trim().parse::<u64>().ok();
        told.iter().filter_map(number).next_back().unwrap_or(0)
    };
    let (begun, installed, acknowledged) = (last("begin"), last("installed"), last("current").max(seen.last));
    let store = Store::open(folder.join("store"), trust()).unwrap();
    let versions = store.versions().unwrap();
    versions.iter().for_each(|version| version.verify().unwrap());
    let now = current(&store);
    // A version that was installed by one child and not yet current is passed over by the next.
    if now != acknowledged && (now != begun || begun < acknowledged) {
        seen.wrong.push(format!("current is {now}, told {acknowledged}, begun {begun}"));
    }
    if installed > 0 && !versions.iter().any(|version| version.number() == installed) {
        seen.wrong.push(format!("version {installed} is lost"));
    }
    seen.kills += 1;
    seen.halfway += u64::from(begun > now);
    seen.last = now;
}

/// At least so many, and until so many versions were current: a slow machine takes longer for one.
fn kills(tells_first: bool, count: u64, versions: u64) -> Seen {
    let folder = tempfile::tempdir().unwrap();
    let mut seen = Seen::default();
    while seen.kills < count || seen.last < versions {
        let after = Duration::from_nanos(seen.kills * 7_919_777 % 60_000_000) * (1 + seen.kills as u32 / 30);
        kill_one(folder.path(), tells_first, after, &mut seen);
    }
    println!("{} kills, {} half way, {} versions, {} wrong", seen.kills, seen.halfway, seen.last, seen.wrong.len());
    seen
}

#[test]
fn a_kill_leaves_the_old_version_or_the_new_one() {
    let count = if std::env::var_os("SELVEDGE_LONG").is_some() { 2000 } else { 100 };
    let seen = kills(false, count, 10);
    assert!(seen.wrong.is_empty(), "{seen:?}");
    assert!(seen.halfway > count / 20, "{seen:?}");
}

/// The control: a child that tells before it is done must be found out.
#[test]
fn a_version_that_was_told_too_early_is_noticed() {
    let seen = kills(true, 60, 0);
    assert!(!seen.wrong.is_empty(), "{seen:?}");
}
