use std::fs;

use crate::Code;
use crate::disk::sim::{Image, SimDisk};
use crate::sync::state::{Bins, Model, Spread, State};
use crate::telemetry::Exponential;

fn some() -> State {
    let mut state = State::fresh().unwrap();
    (state.through.epoch, state.through.seq) = (3, 17);
    let mut model = Model { key: 1, name: "rain".into(), start: 5, ..Model::default() };
    model.totals.features = vec![Bins { given: vec![1, 2, 3], held: vec![0, 0, 9] }];
    state.models.push(model);
    state.add_loss("refused", 2);
    state
}

#[test]
fn it_reads_what_it_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sync.state");
    assert_eq!(State::load(&path).unwrap(), None);
    some().store(&path).unwrap();
    let state = State { acked: vec![1; 32], ..some() };
    state.store(&path).unwrap();
    assert_eq!(State::load(&path).unwrap(), Some(state));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing lies beside it");
}

#[test]
fn damage_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sync.state");
    some().store(&path).unwrap();
    let whole = fs::read(&path).unwrap();
    for end in 0..whole.len() {
        fs::write(&path, &whole[..end]).unwrap();
        assert_eq!(State::load(&path).unwrap_err().code(), Code::Corrupt, "cut at {end}");
    }
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &bytes).unwrap();
        let code = State::load(&path).unwrap_err().code();
        // The version is the one byte whose change means a later writer, not damage.
        assert_eq!(code, if bit / 8 == 7 { Code::Unsupported } else { Code::Corrupt }, "bit {bit}");
    }
}

/// The layout of version 1 stays readable.
#[test]
fn the_bytes_are_pinned() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sync.state");
    let mut state = some();
    state.install = (0..16).collect();
    state.store(&path).unwrap();
    let hex: String = fs::read(&path).unwrap().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(hex, PINNED);
}

const PINNED: &str = "534c5653594e4331dd463e9f4d000000\
    0a10000102030405060708090a0b0c0d0e0f\
    120408031011\
    1a22080112047261696e400552161a0a0a030102031203000009220032003a004a005200\
    320f1a0b0a077265667573656410022001";

#[test]
fn an_empty_spread_takes_the_scale_of_what_comes() {
    let mut spread = Spread::default();
    let mut window = Exponential::default();
    [3, 900, 0, 12].iter().for_each(|v| window.record(*v));
    spread.merge(&window);
    assert_eq!(spread.exponential(), window);
    spread.merge(&Exponential::default());
    spread.merge(&window);
    assert_eq!((spread.exponential().count(), spread.sum), (8, 2 * 915));
}

/// What crashes leave that is neither the state before nor the one after.
fn broken(ignores_sync: bool) -> usize {
    let mut before = some();
    before.models[0].name = "rain".repeat(2000);
    let after = State { acked: vec![1; 32], ..before.clone() };
    let path = std::path::Path::new("sync.state");
    let disk = SimDisk::default();
    before.store_on(&mut disk.clone(), "sync.state", path).unwrap();
    disk.sim().moments.clear();
    disk.sim().ignores_sync = ignores_sync;
    after.store_on(&mut disk.clone(), "sync.state", path).unwrap();
    let moments = std::mem::take(&mut disk.sim().moments);
    let is_whole = |image: &Image| {
        let read = image.get("sync.state").map(|bytes| State::read(bytes, "sync.state"));
        matches!(read, Some(Ok(state)) if state == before || state == after)
    };
    moments.iter().flat_map(|moment| moment.crashes()).filter(|image| !is_whole(image)).count()
}

#[test]
fn a_crash_leaves_the_state_before_or_after() {
    assert_eq!(broken(false), 0);
    assert!(broken(true) > 0, "syncs that do nothing are not noticed");
}
