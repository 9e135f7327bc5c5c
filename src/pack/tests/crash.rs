//! Loss of power at every call: a folder under its name is complete.

use super::*;
use crate::disk::sim::{Image, SimDisk};
use crate::pack::write::{Place, pack_model};

const NAME: &str = "packed";

fn small() -> OpenedFile {
    let craft = Craft::new()
        .input("x", FLOAT, &[0, 64])
        .node("MatMul", &["x", "W"], "y")
        .weight("W", &[64, 48], &weights(64 * 48))
        .output("y", &[0, 48]);
    OpenedFile::open(Source::from(craft.model()), Access::new()).unwrap()
}

fn run(disk: &SimDisk, scheme: Scheme) {
    let mut place = Place { disk: &mut disk.clone(), name: NAME.into(), path: Path::new(NAME) };
    pack_model(&small(), &mut place, &Packing::new(scheme).overwrite(true), &mut |_| {}).unwrap();
}

/// The files of the folders whose name is this, or begins and ends so.
fn folder(image: &Image, is_meant: impl Fn(&str) -> bool) -> Image {
    let files = image.iter().filter_map(|(name, bytes)| {
        let (folder, file) = name.split_once('/')?;
        is_meant(folder).then(|| (file.into(), bytes.clone()))
    });
    files.collect()
}

fn last(disk: &SimDisk) -> Image {
    disk.sim().keep_moment();
    let images = disk.sim().moments.pop().unwrap().crashes();
    assert_eq!(images.len(), 1, "all of it is durable");
    images.into_iter().next().unwrap()
}

/// How many disks a crash leaves of a packing in place of `old`, and how many of them are broken.
fn crashes(old: &Image, new: &Image, ignores_sync: bool) -> (usize, usize) {
    let held = old.iter().map(|(file, bytes)| (format!("{NAME}/{file}"), bytes.clone()));
    let disk = SimDisk::holding(held.collect());
    disk.sim().ignores_sync = ignores_sync;
    run(&disk, Scheme::Int8);
    let moments = std::mem::take(&mut disk.sim().moments);
    let (mut all, mut broken) = (0, 0);
    for image in moments.iter().flat_map(|moment| moment.crashes()) {
        all += 1;
        let named = folder(&image, |name| name == NAME);
        let aside = folder(&image, |name| name.ends_with(".old"));
        let is_there = named == *old || named == *new || named.is_empty() && aside == *old;
        broken += usize::from(!is_there);
    }
    (all, broken)
}

#[test]
fn a_crash_leaves_a_whole_model_or_the_one_before() {
    let [old, new] = [Scheme::F16, Scheme::Int8].map(|scheme| {
        let disk = SimDisk::default();
        run(&disk, scheme);
        folder(&last(&disk), |name| name == NAME)
    });
    assert!(old != new && old.len() == 2 && new.len() == 2, "{:?} {:?}", old.keys(), new.keys());
    for before in [&Image::new(), &old] {
        let (all, broken) = crashes(before, &new, false);
        assert!(all > 50 && broken == 0, "{broken} of {all}");
        assert!(crashes(before, &new, true).1 > 0, "syncs that do nothing are not noticed");
    }
}

#[test]
fn on_a_disk_is_what_is_in_a_folder() {
    let disk = SimDisk::default();
    run(&disk, Scheme::Int8);
    let root = tempfile::tempdir().unwrap();
    let to = root.path().join(NAME);
    let packing = Packing::new(Scheme::Int8);
    let (mut real, name) = crate::disk::Folder::around(&to).unwrap();
    let mut place = Place { disk: &mut real, name, path: &to };
    pack_model(&small(), &mut place, &packing, &mut |_| {}).unwrap();
    for (name, bytes) in folder(&last(&disk), |name| name == NAME) {
        assert!(fs::read(to.join(&name)).unwrap() == bytes, "{name}");
    }
}
