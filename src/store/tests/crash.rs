//! A loss of power at any moment: what is current is the old version or the new one, whole, and nothing acknowledged is lost.

use std::collections::BTreeSet;

use super::craft::{self, Files, id, import, open};
use crate::disk::sim::{Image, SimDisk};
use crate::store::Store;
use crate::store::trust::Ratchet;
use crate::{Digest, Result};

/// What a store holds once a step is done.
#[derive(Clone, Debug, PartialEq)]
struct Held {
    current: Option<Digest>,
    versions: Vec<Digest>,
    ratchet: Ratchet,
    quarantined: bool,
}

type Step<'a> = &'a dyn Fn(&Store) -> Result<()>;

impl Held {
    fn by(store: &Store, watched: Digest) -> Result<Self> {
        let mut versions: Vec<Digest> = store.versions()?.iter().map(|version| version.id()).collect();
        versions.sort_by_key(|id| id.0);
        let quarantined = store.standing(watched)?.quarantined;
        Ok(Self { current: store.current()?.map(|v| v.id()), versions, ratchet: store.ratchet(), quarantined })
    }
}

/// What does not change.
struct Known {
    /// The version that may be in quarantine.
    watched: Digest,
    signatures: BTreeSet<Vec<u8>>,
}

/// What is wrong with a disk that a crash left between two steps.
fn wrong(image: &Image, before: &Held, after: &Held, known: &Known) -> Result<(), String> {
    let Known { watched, signatures } = known;
    let store = open(&SimDisk::holding(image.clone())).map_err(|e| format!("it does not open: {e:#}"))?;
    let held = Held::by(&store, *watched).map_err(|e| format!("it cannot be read: {e:#}"))?;
    let is_one = |what, holds: bool| if holds { Ok(()) } else { Err(format!("{what}: {held:?}")) };
    is_one("current", held.current == before.current || held.current == after.current)?;
    is_one("ratchet", held.ratchet == before.ratchet || held.ratchet == after.ratchet)?;
    is_one("quarantine", held.quarantined == before.quarantined || held.quarantined == after.quarantined)?;
    let is_known = |id: &Digest| before.versions.contains(id) || after.versions.contains(id);
    is_one("versions", held.versions.iter().all(is_known))?;
    let acknowledged = before.versions.iter().filter(|id| after.versions.contains(id));
    is_one("lost", acknowledged.into_iter().all(|id| held.versions.contains(id)))?;
    for version in store.versions().map_err(|e| e.to_string())? {
        version.verify().map_err(|e| format!("version {}: {e:#}", version.number()))?;
        let signature = image.get(&format!("versions/{}/model.sig", version.id()));
        is_one("signature", signature.is_some_and(|signature| signatures.contains(signature)))?;
    }
    Ok(())
}

/// Runs steps on a disk, and looks at what crashes may leave meanwhile, each or every so many: how many states there were,
/// and what was wrong.
fn run(disk: &SimDisk, steps: &[Step<'_>], watched: Digest, every: usize) -> (usize, Vec<String>) {
    let store = open(disk).unwrap();
    let mut held = vec![Held::by(&store, watched).unwrap()];
    disk.sim().moments.clear();
    let mut known = Known { watched, signatures: BTreeSet::new() };
    let mut look = || {
        let image = craft::image(disk);
        known
            .signatures
            .extend(image.into_iter().filter(|(name, _)| name.ends_with("model.sig")).map(|(_, bytes)| bytes));
    };
    look();
    for step in steps {
        step(&store).unwrap();
        look();
        held.push(Held::by(&store, watched).unwrap());
        disk.sim().steps += 1;
        disk.sim().keep_moment();
    }
    let moments = std::mem::take(&mut disk.sim().moments);
    let (mut seen, mut found) = (BTreeSet::new(), Vec::new());
    for moment in moments {
        let (before, after) = (&held[moment.steps], &held[(moment.steps + 1).min(steps.len())]);
        for image in moment.crashes().into_iter().step_by(every) {
            if seen.insert((moment.steps, image.clone()))
                && let Err(what) = wrong(&image, before, after, &known)
            {
                found.push(format!("step {}: {what}", moment.steps));
            }
        }
    }
    (seen.len(), found)
}

fn holding(versions: &[&Files]) -> SimDisk {
    let disk = SimDisk::default();
    let store = open(&disk).unwrap();
    for files in versions {
        let version = import(&store, files).unwrap();
        store.activate(version.id()).unwrap();
    }
    SimDisk::holding(craft::image(&disk))
}

#[test]
fn a_crash_leaves_the_old_version_or_the_new_one() {
    let [one, two, three] = [1, 2, 3].map(craft::version);
    let steps: [Step<'_>; 8] = [
        &|store| import(store, &two).map(drop),
        &|store| store.activate(id(&two)).map(drop),
        &|store| store.rollback().map(drop),
        &|store| store.activate(id(&two)).map(drop),
        &|store| import(store, &three).map(drop),
        &|store| store.activate(id(&three)).map(drop),
        &|store| store.quarantine(id(&three), "it gives no answers"),
        &|store| store.gc(0).map(drop),
    ];
    let (states, found) = run(&holding(&[&one]), &steps, id(&three), 1);
    println!("{states} states that crashes leave");
    assert!(found.is_empty(), "{} of {states}, such as: {}", found.len(), found[0]);
    assert!(states > 500, "{states} states are too few to say anything");
}

#[test]
fn a_crash_of_the_first_import_leaves_an_empty_store_or_the_version() {
    let one = craft::version(1);
    let steps: [Step<'_>; 2] = [&|store| import(store, &one).map(drop), &|store| store.activate(id(&one)).map(drop)];
    let (_, found) = run(&SimDisk::default(), &steps, id(&one), 1);
    assert!(found.is_empty(), "{}: {}", found.len(), found[0]);
}

/// A disk that says of all it was told to keep that it did.
#[test]
fn a_disk_that_lies_is_noticed() {
    let [one, two] = [1, 2].map(craft::version);
    let disk = holding(&[&one]);
    disk.sim().ignores_sync = true;
    let steps: [Step<'_>; 2] = [&|store| import(store, &two).map(drop), &|store| store.activate(id(&two)).map(drop)];
    let (_, found) = run(&disk, &steps, id(&two), 41);
    let about = |what: &str| found.iter().filter(|found| found.contains(what)).count();
    println!("{} states are wrong; lost {}, ratchet {}", found.len(), about("lost"), about("ratchet"));
    assert!(about("lost") > 0 && about("version") > 0, "{found:?}");
}

/// Imports the second version and activates it, on a disk that `fault` makes worse: what was synced, and what is wrong.
fn with(fault: impl FnOnce(&SimDisk)) -> (Vec<String>, Vec<String>) {
    let [one, two] = [1, 2].map(craft::version);
    let disk = holding(&[&one]);
    fault(&disk);
    let steps: [Step<'_>; 2] = [&|store| import(store, &two).map(drop), &|store| store.activate(id(&two)).map(drop)];
    let (_, found) = run(&disk, &steps, id(&two), 1);
    let syncs = disk.sim().syncs.clone();
    (syncs, found)
}

/// Each sync, left out alone. State and ratchet bear it, because they are there twice; nothing else does.
#[test]
fn a_sync_that_is_left_out_is_noticed() {
    let (mut unnoticed, mut count) = (Vec::new(), 0);
    for left_out in 0.. {
        let (syncs, found) = with(|disk| disk.sim().leaves_out = Some(left_out));
        let Some(what) = syncs.get(left_out) else { break };
        count += 1;
        if found.is_empty() {
            unnoticed.push(what.clone());
        }
    }
    println!("{count} syncs, unnoticed: {unnoticed:?}");
    assert!(count > 20, "{count} syncs");
    let is_twice = |what: &String| what.is_empty() || what == ".state.part" || what == ".ratchet.part";
    assert!(unnoticed.iter().all(is_twice), "{unnoticed:?}");
}

/// Both of the two.
#[test]
fn syncs_of_state_and_ratchet_that_are_left_out_are_noticed() {
    for name in ["", ".state.part", ".ratchet.part"] {
        let (_, found) = with(|disk| disk.sim().leaves_out_all = Some(name.into()));
        println!("{name:?}: {} states are wrong", found.len());
        assert!(!found.is_empty(), "{name:?}");
    }
}

/// What was received before a crash need not be sent again, as far as it was durable.
#[test]
fn an_import_goes_on_after_any_crash() {
    let two = craft::version(2);
    let disk = holding(&[&craft::version(1)]);
    let store = open(&disk).unwrap();
    disk.sim().moments.clear();
    import(&store, &two).unwrap();
    let moments = std::mem::take(&mut disk.sim().moments);
    let mut seen = BTreeSet::new();
    let images = moments.iter().flat_map(|moment| moment.crashes()).filter(|image| seen.insert(image.clone()));
    // Each takes the check of a signature; all of them would take minutes.
    for image in images.step_by(37) {
        let store = open(&SimDisk::holding(image)).unwrap();
        let version = import(&store, &two).unwrap();
        version.verify().unwrap();
        assert_eq!(store.activate(version.id()).unwrap().id(), id(&two));
    }
}
