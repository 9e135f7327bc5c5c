//! The process that works on a store while the power may go. It tells before each step and after it, and waits until it was
//! heard: what it told is then known to have happened before all that the disk gets later.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use selvedge::store::{Store, Version};
use selvedge::{Code, Error, Result};

use super::held::Held;
use crate::craft::{put_signed, trust};
use crate::random::splitmix64;

pub(super) const FOLDER: &str = "SELVEDGE_POWER_FOLDER";
/// Where packages are put together: not on the disk that is looked at.
pub(super) const PACKAGES: &str = "SELVEDGE_POWER_PACKAGES";
pub(super) const SEED: &str = "SELVEDGE_POWER_SEED";
const STEPS: usize = 40;

#[test]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let packages = std::env::var_os(PACKAGES).unwrap();
    let mut random = std::env::var(SEED).unwrap().parse().unwrap();
    tell("begin");
    let store = Store::open(Path::new(&folder).join("store"), trust()).unwrap();
    let mut work = Work { store, packages: Path::new(&packages), known: BTreeSet::new(), number: 0 };
    work.tell();
    for _ in 0..STEPS {
        tell("begin");
        match work.step(&mut random) {
            // What is refused changes nothing.
            Err(e) if matches!(e.code(), Code::NotFound | Code::Untrusted | Code::Quarantined | Code::Cancelled) => {}
            done => done.unwrap(),
        }
        work.tell();
    }
}

fn tell(what: &str) {
    std::io::stderr().write_all(format!("{what}\n").as_bytes()).unwrap();
    let mut heard = String::new();
    std::io::stdin().read_line(&mut heard).unwrap();
    assert_eq!(heard, "heard\n");
}

struct Work<'a> {
    store: Store,
    packages: &'a Path,
    known: BTreeSet<String>,
    number: u64,
}

impl Work<'_> {
    fn tell(&self) {
        let held = Held::by(&self.store, &self.known, self.number).unwrap();
        tell(&format!("done {}", serde_json::to_string(&held).unwrap()));
    }

    fn step(&mut self, random: &mut u64) -> Result<()> {
        let what = splitmix64(random) % 12;
        let any = splitmix64(random) as usize;
        let versions = self.store.versions()?;
        let any = |versions: &[Version]| versions.get(any % versions.len().max(1)).map(Version::id);
        match what {
            0..=2 => self.import(),
            3 => self.import_half(),
            4..=6 => {
                let is_fit = |version: &Version| Ok(!self.store.standing(version.id())?.quarantined);
                let mut fit = versions.iter().filter_map(|v| is_fit(v).map(|fit| fit.then_some(v.id())).transpose());
                fit.next().map_or(Ok(()), |id| self.store.activate(id?).map(drop))
            }
            7 => self.store.rollback().map(drop),
            8 => self.store.gc(1).map(drop),
            9 => any(&versions).map_or(Ok(()), |id| self.store.quarantine(id, "it gives no answers")),
            10 => any(&versions).map_or(Ok(()), |id| self.store.miss(id, "it crashed").map(drop)),
            _ => any(&versions).map_or(Ok(()), |id| self.store.pardon(id)),
        }
    }

    fn import(&mut self) -> Result<()> {
        let package = put_signed(&self.packages.join("package"), self.number + 1, size(self.number + 1));
        let version = self.store.import(package, |_| Ok(()))?;
        self.number += 1;
        self.known.insert(version.id().to_string());
        Ok(())
    }

    /// One that ends in the middle of a file, and is gone on with by the next.
    fn import_half(&self) -> Result<()> {
        let package = put_signed(&self.packages.join("package"), self.number + 1, size(self.number + 1));
        let end = |at: selvedge::store::ImportProgress<'_>| {
            if at.file == "rain.onnx" && at.done > 0 { Err(Error::new(Code::Cancelled, "enough")) } else { Ok(()) }
        };
        self.store.import(package, end).map(drop)
    }
}

/// Bytes of a version's model.
fn size(number: u64) -> usize {
    20_000 + (number * 7919 % 150_000) as usize
}
