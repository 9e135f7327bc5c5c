//! The store after a loss of power, held against what was told before it.

use std::collections::BTreeSet;
use std::path::Path;

use selvedge::Code;
use selvedge::store::Store;

use super::held::Held;
use crate::craft::{put_signed, trust};

/// What is wrong with a store that lost its power between two steps, or in one.
pub(super) fn wrong(store: &Path, packages: &Path, before: &Held, after: &Held) -> Result<(), String> {
    let store = Store::open(store, trust()).map_err(|e| format!("it does not open: {e:#}"))?;
    let known: BTreeSet<String> = before.known().chain(after.known()).collect();
    let held = Held::by(&store, &known, 0).map_err(|e| format!("it cannot be read: {e:#}"))?;
    let is_one = |what, holds: bool| {
        if holds { Ok(()) } else { Err(format!("{what}: {held:?}, before {before:?}, after {after:?}")) }
    };
    is_one("current", held.current == before.current || held.current == after.current)?;
    is_between("lost", &held.versions, &before.versions, &after.versions)?;
    is_between("quarantine", &held.quarantined, &before.quarantined, &after.quarantined)?;
    for version in store.versions().map_err(|e| e.to_string())? {
        version.verify().map_err(|e| format!("version {}: {e:#}", version.number()))?;
    }
    goes_on(&store, packages, before.admitted, after.admitted)
}

/// What was there before and after is there, and nothing that was neither.
fn is_between(
    what: &str,
    held: &BTreeSet<String>,
    before: &BTreeSet<String>,
    after: &BTreeSet<String>,
) -> Result<(), String> {
    let is_there = before.intersection(after).all(|id| held.contains(id));
    let is_known = held.iter().all(|id| before.contains(id) || after.contains(id));
    if is_there && is_known { Ok(()) } else { Err(format!("{what}: {held:?}, before {before:?}, after {after:?}")) }
}

/// No way back below what was admitted; and the next version comes.
fn goes_on(store: &Store, packages: &Path, admitted: u64, later: u64) -> Result<(), String> {
    if admitted > 0 {
        // Of the same number, with other files.
        let other = put_signed(&packages.join("other"), admitted, 1000);
        match store.import(other, |_| Ok(())) {
            Err(e) if e.code() == Code::Untrusted => {}
            other => return Err(format!("ratchet: expected Untrusted, got {other:?}")),
        }
    }
    let next = put_signed(&packages.join("next"), later + 100, 30_000);
    let current = store.import(next, |_| Ok(())).and_then(|version| {
        store.activate(version.id())?;
        store.current()
    });
    match current {
        Ok(Some(version)) if version.number() == later + 100 => Ok(()),
        other => Err(format!("the next version: {other:?}")),
    }
}
