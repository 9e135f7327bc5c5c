//! Artifacts that are made here.

use std::fs;

use super::made::{files, folder, read};
use crate::store::{Artifact, Package};
use crate::{Code, Digest};

#[test]
fn the_same_files_give_the_same_bytes() {
    let (a, b) = (folder(), folder());
    let (first, second) = (Artifact::of_folder(a.path()).unwrap(), Artifact::of_folder(b.path()).unwrap());
    assert_eq!(first.manifest(), second.manifest());
    // Registries call the package by them: they are never to change.
    assert_eq!(first.digest().to_string(), "94165931edd230daf34f1a079c301ccecf134f8fbd043c35b1254889b735359a");
    let layouts = [&a, &b].map(|folder| {
        let to = tempfile::tempdir().unwrap();
        first.write_layout(folder.path(), to.path(), Some("1.0")).unwrap();
        to
    });
    let [left, right] = layouts.each_ref().map(|layout| tree(layout.path()));
    assert_eq!(left, right);
    assert_eq!(left.len(), 2 + 2 + 3, "mark and index, manifest and config, three files");
}

fn tree(path: &std::path::Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(path).unwrap().map(Result::unwrap) {
        match entry.path() {
            path if path.is_dir() => all.extend(tree(&path)),
            path => all.push((entry.file_name().into_string().unwrap(), fs::read(path).unwrap())),
        }
    }
    all.sort();
    all
}

#[test]
fn the_manifest_says_what_each_file_is() {
    let from = folder();
    for name in ["LICENSE", "README.md", "rain.profile", "golden/1.npz", "config.json", "predict.py"] {
        fs::create_dir_all(from.path().join("golden")).unwrap();
        fs::write(from.path().join(name), name).unwrap();
    }
    let artifact = Artifact::of_folder(from.path()).unwrap();
    let kind = |name: &str| {
        let file = artifact.files().iter().find(|file| file.name() == name).unwrap();
        file.blob().media_type().strip_prefix("application/vnd.").unwrap().to_string()
    };
    assert_eq!(kind("rain.onnx"), "cncf.model.weight.v1.raw");
    assert_eq!(kind("config.json"), "cncf.model.weight.config.v1.raw");
    assert_eq!(kind("text/tokenizer.json"), "cncf.model.weight.config.v1.raw");
    assert_eq!((kind("LICENSE"), kind("README.md")), ("cncf.model.doc.v1.raw".into(), "cncf.model.doc.v1.raw".into()));
    assert_eq!(kind("predict.py"), "cncf.model.code.v1.raw");
    assert_eq!(
        (kind("rain.profile"), kind("golden/1.npz")),
        ("selvedge.profile.v1".into(), "selvedge.golden.v1".into())
    );
    assert_eq!(kind("model.sig"), "dev.sigstore.bundle.v0.3+json");
    let json: serde_json::Value = serde_json::from_slice(artifact.manifest()).unwrap();
    assert_eq!(json["artifactType"], "application/vnd.cncf.model.manifest.v1+json");
    assert_eq!(json["layers"][0]["annotations"]["org.cncf.model.filepath"], "model.sig");
    let config: serde_json::Value = serde_json::from_slice(&artifact.config_bytes().unwrap()).unwrap();
    assert_eq!(config["modelfs"]["diffIds"][0], json["layers"][0]["digest"]);
}

#[test]
fn a_layout_is_not_written_over_another_nor_of_changed_files() {
    let (from, to) = (folder(), tempfile::tempdir().unwrap());
    let artifact = Artifact::of_folder(from.path()).unwrap();
    fs::write(from.path().join("rain.onnx"), vec![8; 5000]).unwrap();
    let changed = artifact.write_layout(from.path(), to.path(), None).unwrap_err();
    assert_eq!(changed.code(), Code::Corrupt, "{changed}");
    assert!(!to.path().join("index.json").exists(), "an index says that a layout is whole");

    // What was begun is no hindrance.
    fs::write(from.path().join("rain.onnx"), vec![7; 5000]).unwrap();
    artifact.write_layout(from.path(), to.path(), None).unwrap();
    assert_eq!(read(to.path()).unwrap(), files());
    let again = artifact.write_layout(from.path(), to.path(), None).unwrap_err();
    assert_eq!(again.code(), Code::InvalidArgument, "{again}");
}

#[test]
fn an_artifact_is_what_its_manifest_says() {
    let from = folder();
    let made = Artifact::of_folder(from.path()).unwrap();
    let read = Artifact::parse(made.manifest()).unwrap();
    assert_eq!((read.digest(), read.config(), read.files()), (made.digest(), made.config(), made.files()));
    assert_eq!(read.config_bytes().unwrap(), made.config_bytes().unwrap());
    // The config of another maker is known by its digest alone.
    let other = String::from_utf8(made.manifest().to_vec()).unwrap();
    let other = other.replacen(&made.config().digest().to_string(), &Digest([1; 32]).to_string(), 1);
    let other = Artifact::parse(other.as_bytes()).unwrap();
    assert_eq!(other.config_bytes().unwrap_err().code(), Code::Unsupported);
    let layout = tempfile::tempdir().unwrap();
    assert!(other.write_layout(from.path(), layout.path(), None).is_err());
    assert!(Package::layout(layout.path()).visit(&mut |_| Ok(())).is_err());
}
