//! A store in a folder of the file system.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::craft::{self, Files, id, import};
use crate::source::Source;
use crate::store::{Artifact, Store};
use crate::{Code, Digest, Error};

fn put(folder: &Path, files: &Files) {
    for (name, bytes) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

fn open(folder: &Path) -> Store {
    Store::open(folder, craft::trust()).unwrap()
}

fn path_of(source: Source) -> PathBuf {
    match source {
        Source::Path(path) => path,
        other => panic!("{other:?}"),
    }
}

/// With the first version, and its model.
fn standing(folder: &Path) -> (Store, Digest, PathBuf) {
    let store = open(folder);
    let version = import(&store, &craft::version(1)).unwrap();
    let model = path_of(store.activate(version.id()).unwrap().model().unwrap());
    (store, version.id(), model)
}

#[test]
fn a_folder_becomes_a_version_that_lies_there_as_it_came() {
    let root = tempfile::tempdir().unwrap();
    let (package, store) = (root.path().join("package"), root.path().join("deep/store"));
    let files = craft::version(1);
    put(&package, &files);
    let store = open(&store);
    let version = store.import(&package, |_| Ok(())).unwrap();
    assert_eq!(version.id(), id(&files));
    let model = path_of(version.model().unwrap());
    for (name, bytes) in files.iter().filter(|(name, _)| *name != "model.sig") {
        let path = model.parent().unwrap().join(name);
        let meta = path.symlink_metadata().unwrap();
        assert_eq!(&fs::read(&path).unwrap(), bytes, "{name}");
        assert_eq!((meta.permissions().mode() & 0o777, meta.nlink()), (0o444, 1), "{name}");
        assert_eq!(path_of(version.file(name).unwrap()), path);
    }
    assert_eq!(path_of(version.profile().unwrap().unwrap()), model.parent().unwrap().join("data/rain.profile"));
    assert!(version.golden().unwrap().is_none());
    assert_eq!(version.file("none").unwrap_err().code(), Code::NotFound);
}

#[test]
fn one_writes_and_others_read() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(Store::open_read_only(root.path()).unwrap_err().code(), Code::NotFound);
    let (store, first, _) = standing(root.path());
    assert_eq!(Store::open(root.path(), craft::trust()).unwrap_err().code(), Code::Busy);
    let reader = Store::open_read_only(root.path()).unwrap();
    assert_eq!(reader.current().unwrap().unwrap().id(), first);
    let second = import(&store, &craft::version(2)).unwrap();
    store.activate(second.id()).unwrap();
    assert_eq!(reader.current().unwrap().unwrap().id(), second.id());
    reader.current().unwrap().unwrap().model().unwrap();
    let refused: [Error; 6] = [
        import(&reader, &craft::version(3)).unwrap_err(),
        reader.activate(first).unwrap_err(),
        reader.rollback().unwrap_err(),
        reader.quarantine(first, "no").unwrap_err(),
        reader.gc(0).unwrap_err(),
        reader.stage(first, 1).unwrap_err(),
    ];
    assert!(refused.iter().all(|e| e.code() == Code::Unsupported), "{refused:?}");
    drop(store);
    open(root.path());
}

#[test]
fn a_damaged_file_is_told_and_the_version_before_serves() {
    let root = tempfile::tempdir().unwrap();
    let (store, first, _) = standing(root.path());
    let second = import(&store, &craft::version(2)).unwrap();
    let model = path_of(store.activate(second.id()).unwrap().model().unwrap());
    drop(store);
    let mut bytes = fs::read(&model).unwrap();
    bytes[1000] ^= 4;
    fs::set_permissions(&model, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&model, bytes).unwrap();
    let store = open(root.path());
    let current = store.current().unwrap().unwrap();
    assert_eq!(current.model().unwrap_err().code(), Code::Corrupt);
    store.quarantine(current.id(), "damaged").unwrap();
    let before = store.current().unwrap().unwrap();
    assert_eq!(before.id(), first);
    before.model().unwrap();
}

/// A change is seen in the same process, too, though the file was verified before.
#[test]
fn a_file_that_changes_is_read_anew() {
    let root = tempfile::tempdir().unwrap();
    let (store, _, model) = standing(root.path());
    let current = store.current().unwrap().unwrap();
    let mut bytes = fs::read(&model).unwrap();
    bytes[0] ^= 1;
    fs::set_permissions(&model, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&model, bytes).unwrap();
    assert_eq!(current.model().unwrap_err().code(), Code::Corrupt);
}

#[test]
fn what_is_no_file_of_its_own_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let (store, _, model) = standing(root.path());
    let current = store.current().unwrap().unwrap();
    let aside = root.path().join("aside");
    // A second name, by which it could be changed.
    fs::hard_link(&model, &aside).unwrap();
    assert_eq!(current.model().unwrap_err().code(), Code::Corrupt);
    fs::remove_file(&aside).unwrap();
    current.model().unwrap();
    // A link to the very bytes.
    fs::rename(&model, &aside).unwrap();
    symlink(&aside, &model).unwrap();
    assert_eq!(current.model().unwrap_err().code(), Code::Corrupt);
    fs::remove_file(&model).unwrap();
    assert_eq!(current.model().unwrap_err().code(), Code::NotFound);
    fs::rename(&aside, &model).unwrap();
    // A file that a model could read, and nobody signed.
    let other = model.with_file_name("rain.onnx.data");
    fs::write(&other, "weights").unwrap();
    assert_eq!(current.model().unwrap_err().code(), Code::Corrupt);
    fs::remove_file(&other).unwrap();
    // A folder that is another one's.
    let data = model.with_file_name("data");
    fs::rename(&data, root.path().join("theirs")).unwrap();
    symlink(root.path().join("theirs"), &data).unwrap();
    assert_eq!(current.model().unwrap_err().code(), Code::Corrupt);
}

#[test]
fn a_package_with_a_link_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let package = root.path().join("package");
    put(&package, &craft::version(1));
    fs::rename(package.join("rain.onnx"), root.path().join("rain.onnx")).unwrap();
    symlink(root.path().join("rain.onnx"), package.join("rain.onnx")).unwrap();
    let store = open(&root.path().join("store"));
    let e = store.import(&package, |_| Ok(())).unwrap_err();
    assert!(matches!(e.code(), Code::Unsupported | Code::Corrupt), "{e:#}");
    assert!(store.versions().unwrap().is_empty());
}

/// As a downloader does it: blob by blob.
#[test]
fn an_artifact_is_staged_and_imported() {
    use std::io::Write;
    let root = tempfile::tempdir().unwrap();
    let (package, files) = (root.path().join("package"), craft::version(1));
    put(&package, &files);
    let artifact = Artifact::of_folder(&package).unwrap();
    let store = open(&root.path().join("store"));
    let early = store.import_artifact(&artifact, |_| Ok(())).unwrap_err();
    assert_eq!(early.code(), Code::NotFound);
    for file in artifact.files() {
        let mut staged = store.stage(file.blob().digest(), file.blob().size()).unwrap();
        if !staged.is_whole() {
            staged.write_all(&files[file.name()]).unwrap();
        }
        staged.finish().unwrap();
    }
    let version = store.import_artifact(&artifact, |_| Ok(())).unwrap();
    assert_eq!(version.id(), id(&files));
    version.model().unwrap();
    assert_eq!(fs::read_dir(root.path().join("store/staging")).unwrap().count(), 1, "the signature's blob alone");
}
