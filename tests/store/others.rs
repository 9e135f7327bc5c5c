//! Packages that another tool signed, through the door that an app has.

use std::fs;
use std::path::{Path, PathBuf};

#[cfg(feature = "keyless")]
use selvedge::Code;
use selvedge::store::{Store, Trust};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/trust");

/// The package of `made` with this signature in it.
fn package(dir: &Path, signature: &str) -> PathBuf {
    let to = dir.join("package");
    copy(&Path::new(DATA).join("made/package"), &to);
    fs::copy(Path::new(DATA).join(signature), to.join("model.sig")).unwrap();
    to
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let place = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &place);
        } else {
            fs::copy(entry.path(), place).unwrap();
        }
    }
}

/// `model-signing` sorts by the parts of names, where `a/b.txt` comes before `a-b/c.txt`, and so is the version known.
#[test]
fn a_package_that_model_signing_signed_is_imported_found_and_whole() {
    let dir = tempfile::tempdir().unwrap();
    let pem = fs::read_to_string(Path::new(DATA).join("made/keys/p256.pub.pem")).unwrap();
    let place = dir.path().join("store");
    let store = Store::open(&place, Trust::new().key(&pem).unwrap()).unwrap();
    let id = store.import(&*package(dir.path(), "made/p256.sig"), |_| Ok(())).unwrap().id();
    store.activate(id).unwrap();
    drop(store);

    let version = Store::open_read_only(&place).unwrap().current().unwrap().unwrap();
    assert_eq!(version.id(), id);
    version.verify().unwrap();
    version.model().unwrap();
    let names: Vec<&str> = version.files().map(|(name, _)| name).collect();
    assert!(names.is_sorted() && names.len() == 7, "{names:?}");
}

#[cfg(feature = "keyless")]
fn trust(authority: &str) -> Trust {
    let pem = fs::read_to_string(Path::new(DATA).join(format!("made/certificates/{authority}.pem"))).unwrap();
    Trust::new().authority(&pem).unwrap()
}

#[cfg(feature = "keyless")]
#[test]
fn a_package_by_a_certified_key_is_imported_served_and_kept_and_a_strangers_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let package = package(dir.path(), "made/certified/good.sig");
    let place = dir.path().join("store");

    let store = Store::open(&place, trust("stranger")).unwrap();
    let refused = store.import(&*package, |_| Ok(())).unwrap_err();
    assert_eq!(refused.code(), Code::Untrusted, "{refused}");
    assert!(store.versions().unwrap().is_empty());
    drop(store);

    let store = Store::open(&place, trust("root")).unwrap();
    let version = store.import(&*package, |_| Ok(())).unwrap();
    store.activate(version.id()).unwrap();
    assert!(version.key().is_some());
    // A file that was changed is refused for what it is, whoever signed.
    fs::write(package.join("rain.onnx"), "other weights\n").unwrap();
    assert_eq!(store.import(&*package, |_| Ok(())).unwrap_err().code(), Code::Corrupt);
    drop(store);

    // What runs is not stopped when nobody trusts its signer any more.
    let store = Store::open(&place, trust("stranger")).unwrap();
    assert_eq!(store.current().unwrap().map(|version| version.id()), Some(version.id()));
}
