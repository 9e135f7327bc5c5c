//! Packages and small files that are not as they should be: nothing of them is believed, and what stands stays.

use std::io::Cursor;

use super::craft::{self, Files, id, import, open, package, signed, unsigned};
use crate::disk::sim::SimDisk;
use crate::store::{Package, Release, Store, Trust};
use crate::{Code, Error, Result};

/// A store whose current version is the first.
fn standing() -> (SimDisk, Store) {
    let disk = SimDisk::default();
    let store = open(&disk).unwrap();
    store.activate(import(&store, &craft::version(1)).unwrap().id()).unwrap();
    (disk, store)
}

/// What an import of this says; the version that stands is untouched.
fn refusal(store: &Store, package: Package) -> Error {
    let error = store.import(package, |_| Ok(())).unwrap_err();
    let current = store.current().unwrap().unwrap();
    assert_eq!((current.number(), store.versions().unwrap().len()), (1, 1), "{error}");
    current.verify().unwrap();
    error
}

fn tar(bytes: Vec<u8>) -> Package {
    Package::tar(Cursor::new(bytes))
}

#[test]
fn a_package_is_what_was_signed_and_nothing_else() {
    let (_, store) = standing();
    let changed = |change: &dyn Fn(&mut Files)| {
        let mut files = craft::version(2);
        change(&mut files);
        refusal(&store, package(&files))
    };
    let flip = |name: &'static str| move |files: &mut Files| files.get_mut(name).unwrap()[10] ^= 1;
    let cases: [(&str, Error, Code); 8] = [
        ("a bit of a file", changed(&flip("rain.onnx")), Code::Corrupt),
        ("a bit of what it says of itself", changed(&flip("selvedge.json")), Code::Corrupt),
        ("a file too many", changed(&|files| drop(files.insert("extra".into(), b"1".into()))), Code::Corrupt),
        (
            "a file in a folder too many",
            changed(&|files| drop(files.insert("data/x".into(), b"1".into()))),
            Code::Corrupt,
        ),
        ("a file less", changed(&|files| drop(files.remove("rain.onnx"))), Code::Corrupt),
        ("a longer file", changed(&|files| files.get_mut("rain.onnx").unwrap().push(0)), Code::Corrupt),
        ("a shorter file", changed(&|files| files.get_mut("rain.onnx").unwrap().truncate(2599)), Code::Corrupt),
        ("no signature", changed(&|files| drop(files.remove("model.sig"))), Code::Untrusted),
    ];
    for (what, error, code) in cases {
        assert_eq!(error.code(), code, "{what}: {error:#}");
    }
    // And as it was signed, it comes in.
    import(&store, &craft::version(2)).unwrap();
}

#[test]
fn the_signature_may_come_last() {
    let (_, store) = standing();
    let files = craft::version(2);
    let last = |files: &Files| {
        let mut list: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (&**name, &**bytes)).collect();
        list.sort_by_key(|(name, _)| *name == "model.sig");
        tar(craft::tar_of(list.into_iter()))
    };
    let mut changed = files.clone();
    changed.get_mut("rain.onnx").unwrap()[7] ^= 1;
    assert_eq!(refusal(&store, last(&changed)).code(), Code::Corrupt);
    changed = files.clone();
    changed.insert("extra".into(), b"1".into());
    assert_eq!(refusal(&store, last(&changed)).code(), Code::Corrupt);
    let version = store.import(last(&files), |_| Ok(())).unwrap();
    version.verify().unwrap();
    assert_eq!(version.id(), id(&files));
}

#[test]
fn a_name_leads_nowhere_else() {
    let (_, store) = standing();
    for name in
        ["../state", "/etc/state", "a/../../state", "a\\b", "nul", "C:x", "a/./b", "a ", "SELVEDGE.JSON", "rain.onnx/x"]
    {
        let mut files = unsigned(2);
        files.insert(name.into(), b"1".into());
        // One that nobody could sign is put beside those that were signed.
        let signature = signed(unsigned(2)).remove("model.sig").unwrap();
        files.insert("model.sig".into(), signature);
        let code = refusal(&store, package(&files)).code();
        assert!(matches!(code, Code::Corrupt | Code::Unsupported), "{name}: {code:?}");
    }
}

#[test]
fn a_tar_that_is_cut_or_flipped_is_refused() {
    let (_, store) = standing();
    let files = craft::version(2);
    let whole = craft::tar(&files);
    let end = whole.len() - 1024;
    for len in (0..end).step_by(97) {
        refusal(&store, tar(whole[..len].to_vec()));
    }
    let (mut taken, mut refused) = (0, 0);
    for at in (0..end).step_by(53) {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        // What pads a file, or says when it was made, is nobody's.
        match store.import(tar(flipped), |_| Ok(())) {
            Ok(version) => {
                assert_eq!(version.id(), id(&files));
                version.verify().unwrap();
                store.remove(version.id()).unwrap();
                taken += 1;
            }
            Err(e) => {
                assert!(matches!(e.code(), Code::Corrupt | Code::Untrusted | Code::Unsupported), "{at}: {e:#}");
                refused += 1;
            }
        }
    }
    println!("{refused} flips refused, {taken} of no matter");
    assert!(refused > taken, "{refused} refused, {taken} taken");
}

#[test]
fn who_signed_counts() {
    let disk = SimDisk::default();
    let store = Store::on_disk("store".into(), Box::new(disk.clone()), Trust::new(), None).unwrap();
    assert_eq!(import(&store, &craft::version(1)).unwrap_err().code(), Code::Untrusted);
    let anybody = Trust::new().accept_unsigned_packages();
    let store = Store::on_disk("store".into(), Box::new(disk), anybody, None).unwrap();
    let version = import(&store, &unsigned(1)).unwrap();
    assert_eq!((version.key(), version.number()), (None, 1));
}

#[test]
fn a_lower_number_is_refused_and_so_is_the_same_for_other_files() {
    let (disk, store) = standing();
    store.activate(import(&store, &craft::version(3)).unwrap().id()).unwrap();
    let other = |store: &Store, files: &Files| import(store, files).unwrap_err().code();
    let mut third = unsigned(3);
    third.insert("more".into(), b"1".into());
    // Also once the versions are gone, and after a restart.
    let again = open(&SimDisk::holding(craft::image(&disk))).unwrap();
    again.rollback().unwrap();
    again.remove(id(&craft::version(3))).unwrap();
    for store in [&store, &again] {
        assert_eq!(other(store, &craft::version(2)), Code::Untrusted);
        assert_eq!(other(store, &signed(third.clone())), Code::Untrusted);
    }
    // The control: nothing is wrong with them where nothing was admitted before.
    import(&open(&SimDisk::default()).unwrap(), &craft::version(2)).unwrap();
    import(&open(&SimDisk::default()).unwrap(), &signed(third)).unwrap();
    // The same once more is the same version.
    assert_eq!(import(&store, &craft::version(3)).unwrap().id(), id(&craft::version(3)));
    assert_eq!(import(&again, &craft::version(3)).unwrap().id(), id(&craft::version(3)));
}

#[test]
fn a_store_holds_versions_of_one_model() {
    let (_, store) = standing();
    let snow = craft::of_release(&Release::new("snow", 2, "rain.onnx"));
    assert_eq!(refusal(&store, package(&signed(snow))).code(), Code::InvalidArgument);
}

#[test]
fn a_signed_statement_leads_back() {
    let (_, store) = standing();
    let (one, two) = (craft::version(1), craft::version(2));
    store.activate(import(&store, &two).unwrap().id()).unwrap();
    let statement = signed(craft::of_release(&Release::rollback("rain", 3, 1, id(&one))));
    let target = import(&store, &statement).unwrap();
    assert_eq!(target.id(), id(&one));
    assert_eq!(store.activate(target.id()).unwrap().number(), 1);
    // One that was removed meanwhile may come again, and no other.
    store.activate(id(&two)).unwrap_or_else(|e| panic!("{e}"));
}

/// Every beginning of each small file, and each byte turned: the store opens with what it knew, or says that it is damaged;
/// it never takes another version for current.
#[test]
fn a_small_file_that_is_damaged_does_no_harm() -> Result<()> {
    let (disk, store) = standing();
    store.activate(import(&store, &craft::version(2))?.id())?;
    drop(store);
    let image = craft::image(&disk);
    let small = |name: &&String| !name.contains("files/") && !name.ends_with("model.sig") && !name.ends_with('/');
    let names: Vec<&String> = image.keys().filter(small).collect();
    assert_eq!(names.len(), 6, "{names:?}");
    for name in names {
        let (bytes, mut opened) = (&image[name], 0);
        let cut = (0..bytes.len()).map(|len| bytes[..len].to_vec());
        let flipped = (0..bytes.len()).map(|at| {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1;
            bytes
        });
        for damaged in cut.chain(flipped) {
            let mut image = image.clone();
            image.insert(name.clone(), damaged);
            let store = open(&SimDisk::holding(image))?;
            match store.current() {
                Ok(current) => {
                    assert_eq!(current.unwrap().number(), 2, "{name}");
                    opened += 1;
                }
                Err(e) => {
                    assert_eq!((e.code(), name.starts_with("versions/")), (Code::Corrupt, true), "{name}: {e:#}");
                    assert_eq!(store.rollback()?.number(), 1);
                }
            }
            assert!(store.versions()?.iter().all(|version| version.verify().is_ok()), "{name}");
        }
        assert!(opened == 2 * bytes.len() || name.starts_with("versions/"), "{name}: {opened}");
    }
    // Both of a pair.
    for name in ["state", "ratchet"] {
        let mut image = image.clone();
        for name in [name.to_string(), format!("{name}.copy")] {
            image.get_mut(&name).unwrap().truncate(20);
        }
        assert_eq!(open(&SimDisk::holding(image)).unwrap_err().code(), Code::Corrupt, "{name}");
    }
    // A store without its ratchet is not a new one.
    let mut without = image;
    without.retain(|name, _| !name.starts_with("ratchet"));
    assert_eq!(open(&SimDisk::holding(without)).unwrap_err().code(), Code::Corrupt);
    Ok(())
}
