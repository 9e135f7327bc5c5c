//! OCI image layouts that are wrong, and what they are refused with.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::made::{WEIGHT, blob, files, index, index_of, layer, layout, manifest, read, refusal};
use crate::Code::{self, Corrupt, InvalidArgument, Unsupported};
use crate::store::{Artifact, Package};

type Case = (&'static str, Box<dyn Fn(&Path)>, Code, &'static str);

/// A case whose manifest was changed.
fn of_manifest(name: &'static str, change: impl Fn(&mut Value) + 'static, code: Code, word: &'static str) -> Case {
    let make = move |path: &Path| {
        let mut made =
            manifest(path, vec![layer(path, "a.onnx", WEIGHT, b"weights"), layer(path, "b.onnx", WEIGHT, b"b")]);
        change(&mut made);
        index(path, &made);
    };
    (name, Box::new(make), code, word)
}

/// A case whose files were changed once it was right.
fn of_files(name: &'static str, change: impl Fn(&Path) + 'static, code: Code, word: &'static str) -> Case {
    let make = move |path: &Path| {
        index(path, &manifest(path, vec![layer(path, "a.onnx", WEIGHT, b"weights")]));
        change(path);
    };
    (name, Box::new(make), code, word)
}

fn named(layer: &mut Value, name: &str) {
    layer["annotations"]["org.cncf.model.filepath"] = json!(name);
}

/// The blob with these bytes.
fn blob_of(layout: &Path, bytes: &[u8]) -> std::path::PathBuf {
    let digest = super::super::artifact::digest_of(bytes).to_string();
    layout.join("blobs/sha256").join(digest)
}

fn manifests() -> Vec<Case> {
    let tar = |kind: &str| format!("application/vnd.cncf.model.weight.v1.{kind}");
    let kind = move |kind: &str| {
        let media_type = tar(kind);
        move |m: &mut Value| m["layers"][0]["mediaType"] = json!(media_type)
    };
    vec![
        of_manifest("schema 1", |m| m["schemaVersion"] = json!(1), Unsupported, "schema version 2"),
        of_manifest("no schema", |m| m["schemaVersion"] = Value::Null, Corrupt, "manifest"),
        of_manifest(
            "an index for a manifest",
            |m| m["mediaType"] = json!("application/vnd.oci.image.index.v1+json"),
            Unsupported,
            "image.index",
        ),
        of_manifest("an image", |m| m["artifactType"] = Value::Null, Corrupt, ""),
        of_manifest(
            "another artifact",
            |m| m["artifactType"] = json!("application/vnd.other"),
            Unsupported,
            "vnd.other",
        ),
        of_manifest(
            "the dead names",
            |m| m["artifactType"] = json!("application/vnd.cnai.model.manifest.v1+json"),
            Unsupported,
            "cnai",
        ),
        of_manifest(
            "an image's config",
            |m| m["config"]["mediaType"] = json!("application/vnd.oci.image.config.v1+json"),
            Unsupported,
            "image.config",
        ),
        of_manifest("a tar layer", kind("tar"), Unsupported, "weight.v1.raw"),
        of_manifest("a gzip layer", kind("tar+gzip"), Unsupported, "weight.v1.raw"),
        of_manifest("a zstd layer", kind("tar+zstd"), Unsupported, "weight.v1.raw"),
        of_manifest(
            "an unknown layer",
            |m| m["layers"][0]["mediaType"] = json!("application/x\u{1b}[2J"),
            Unsupported,
            "expected a media type",
        ),
        of_manifest(
            "an image's layer",
            |m| m["layers"][0]["mediaType"] = json!("application/vnd.oci.image.layer.v1.tar"),
            Unsupported,
            "expected a media type",
        ),
        of_manifest("no name", |m| m["layers"][0]["annotations"] = json!({}), Corrupt, "annotation"),
        of_manifest("a path outside", |m| named(&mut m["layers"][0], "../../up"), Corrupt, "inside of the package"),
        of_manifest(
            "an absolute path",
            |m| named(&mut m["layers"][0], "/etc/passwd"),
            Corrupt,
            "inside of the package",
        ),
        of_manifest("a path of Windows", |m| named(&mut m["layers"][0], "..\\up"), Corrupt, "none of"),
        of_manifest("one name twice", |m| named(&mut m["layers"][0], "b.onnx"), Corrupt, "got also"),
        of_manifest("a file as a folder", |m| named(&mut m["layers"][0], "b.onnx/c"), Corrupt, "got also"),
        of_manifest("no layers", |m| m["layers"] = json!([]), Corrupt, "expected files"),
        of_manifest(
            "more layers than files may be",
            |m| m["layers"] = vec![m["layers"][0].clone(); 10_001].into(),
            Corrupt,
            "got also",
        ),
        of_manifest("layers that are none", |m| m["layers"] = json!({"a": 1}), Corrupt, "manifest"),
        of_manifest("a negative size", |m| m["layers"][0]["size"] = json!(-1), Corrupt, "manifest"),
        of_manifest("a size with a point", |m| m["layers"][0]["size"] = json!(7.5), Corrupt, "manifest"),
        of_manifest("a size too small", |m| m["layers"][0]["size"] = json!(6), Corrupt, "expected 6 bytes, got 7"),
        of_manifest("a size too large", |m| m["layers"][0]["size"] = json!(8), Corrupt, "expected 8 bytes, got 7"),
        of_manifest(
            "sizes beyond 64 bits",
            |m| (0..2).for_each(|i| m["layers"][i]["size"] = json!(u64::MAX)),
            Corrupt,
            "2⁶⁴",
        ),
        of_manifest("no digest", |m| m["layers"][0]["digest"] = json!(""), Corrupt, "sha256"),
        of_manifest(
            "a path for a digest",
            |m| m["layers"][0]["digest"] = json!("sha256:../../index.json"),
            Corrupt,
            "sha256",
        ),
        of_manifest("a short digest", |m| m["layers"][0]["digest"] = json!("sha256:abcd"), Corrupt, "sha256"),
        of_manifest(
            "large digits",
            |m| m["layers"][0]["digest"] = json!(format!("sha256:{}", "A".repeat(64))),
            Corrupt,
            "small hexadecimal",
        ),
        of_manifest(
            "another hash",
            |m| m["layers"][0]["digest"] = json!(format!("sha512:{}", "a".repeat(128))),
            Unsupported,
            "sha512",
        ),
        of_manifest(
            "a blob that is not there",
            |m| m["layers"][0]["digest"] = json!(format!("sha256:{}", "0".repeat(64))),
            Corrupt,
            "got none",
        ),
        of_manifest(
            "a config that is not there",
            |m| m["config"]["digest"] = json!(format!("sha256:{}", "0".repeat(64))),
            Corrupt,
            "config",
        ),
        of_manifest("a large config", |m| m["config"]["size"] = json!(1u64 << 40), Corrupt, "config"),
    ]
}

fn layouts() -> Vec<Case> {
    let manifest_type = "application/vnd.oci.image.manifest.v1+json";
    vec![
        of_files("a changed blob", |p| fs::write(blob_of(p, b"weights"), b"Weights").unwrap(), Corrupt, "got sha256"),
        of_files("a longer blob", |p| fs::write(blob_of(p, b"weights"), b"weights+").unwrap(), Corrupt, "got 8"),
        of_files("an empty blob", |p| fs::write(blob_of(p, b"weights"), b"").unwrap(), Corrupt, "got 0"),
        of_files("a changed config", |p| fs::write(blob_of(p, b"{}"), b"[]").unwrap(), Corrupt, "config"),
        of_files(
            "a folder for a blob",
            |p| {
                fs::remove_file(blob_of(p, b"weights")).unwrap();
                fs::create_dir(blob_of(p, b"weights")).unwrap()
            },
            Unsupported,
            "regular file",
        ),
        of_files("no index", |p| fs::remove_file(p.join("index.json")).unwrap(), Code::NotFound, "index.json"),
        of_files("an index that is no JSON", |p| fs::write(p.join("index.json"), "{").unwrap(), Corrupt, "index.json"),
        of_files(
            "a deep index",
            |p| fs::write(p.join("index.json"), "[".repeat(1 << 20)).unwrap(),
            Corrupt,
            "index.json",
        ),
        of_files(
            "a deep value in an index",
            |p| fs::write(p.join("index.json"), format!(r#"{{"x":{}"#, "[".repeat(1 << 20))).unwrap(),
            Corrupt,
            "index.json",
        ),
        of_files(
            "a large index",
            |p| fs::write(p.join("index.json"), " ".repeat((4 << 20) + 1)).unwrap(),
            Unsupported,
            "index.json",
        ),
        of_files(
            "an index twice",
            |p| fs::write(p.join("index.json"), r#"{"schemaVersion":2,"manifests":[],"manifests":[]}"#).unwrap(),
            Corrupt,
            "index.json",
        ),
        of_files("an empty index", |p| index_of(p, vec![]), Corrupt, "expected a manifest"),
        of_files(
            "an index of schema 3",
            |p| fs::write(p.join("index.json"), r#"{"schemaVersion":3,"manifests":[]}"#).unwrap(),
            Unsupported,
            "schema version 2",
        ),
        of_files(
            "another layout",
            |p| fs::write(p.join("oci-layout"), r#"{"imageLayoutVersion":"2.0.0"}"#).unwrap(),
            Unsupported,
            "1.0.0",
        ),
        of_files("a mark that is none", |p| fs::write(p.join("oci-layout"), "1.0.0").unwrap(), Corrupt, "oci-layout"),
        of_files(
            "several manifests",
            move |p| {
                let two = [b"1", b"2"].map(|b| blob(p, manifest_type, b));
                index_of(p, two.into())
            },
            InvalidArgument,
            "expected a tag",
        ),
        of_files(
            "an index of indexes",
            |p| {
                let one = blob(p, "application/vnd.oci.image.index.v1+json", b"{}");
                index_of(p, vec![one])
            },
            Unsupported,
            "image.index",
        ),
        of_files(
            "a manifest of another digest",
            move |p| {
                let mut one = blob(p, manifest_type, b"1");
                one["digest"] = json!(format!("sha256:{}", "0".repeat(64)));
                index_of(p, vec![one])
            },
            Corrupt,
            "manifest",
        ),
        of_files(
            "a manifest of another size",
            move |p| {
                let mut one = blob(p, manifest_type, b"1");
                one["size"] = json!(2);
                index_of(p, vec![one])
            },
            Corrupt,
            "expected 2 bytes, got 1",
        ),
        of_files(
            "a large manifest",
            move |p| {
                let one = blob(p, manifest_type, &vec![b' '; (4 << 20) + 1]);
                index_of(p, vec![one])
            },
            Corrupt,
            "manifest",
        ),
        of_files(
            "a deep manifest",
            move |p| {
                let one = blob(p, manifest_type, "[".repeat(4 << 20).as_bytes());
                index_of(p, vec![one])
            },
            Corrupt,
            "manifest",
        ),
    ]
}

#[test]
fn each_hostile_layout_is_refused_with_its_reason() {
    let cases: Vec<Case> = manifests().into_iter().chain(layouts()).collect();
    assert!(cases.len() >= 40, "{}", cases.len());
    for (name, make, code, word) in cases {
        let folder = tempfile::tempdir().unwrap();
        make(folder.path());
        if name == "an image" {
            // Whose config's type says what it is, where the manifest doesn't: this one is a model.
            assert_eq!(read(Package::layout(folder.path())).unwrap().len(), 2);
            continue;
        }
        let error = refusal(Package::layout(folder.path()));
        assert_eq!(error.code(), code, "{name}: {error}");
        assert!(error.to_string().contains(word), "{name}: expected '{word}', got '{error}'");
        assert!(!error.to_string().contains('\x1b'), "{name}: {error:?}");
    }
    // The control: what the cases are made of is taken.
    let folder = tempfile::tempdir().unwrap();
    index(folder.path(), &manifest(folder.path(), vec![layer(folder.path(), "a.onnx", WEIGHT, b"weights")]));
    read(Package::layout(folder.path())).unwrap();
}

#[cfg(unix)]
#[test]
fn links_in_a_layout_are_refused() {
    use std::os::unix::fs::symlink;
    let away = |path: &Path, elsewhere: &Path| {
        fs::rename(path, elsewhere).unwrap();
        symlink(elsewhere, path).unwrap();
    };
    for name in ["index.json", "oci-layout", "blobs", "blobs/sha256"] {
        let (image, elsewhere) = (layout(), tempfile::tempdir().unwrap());
        away(&image.path().join(name), &elsewhere.path().join("there"));
        assert_eq!(refusal(Package::layout(image.path())).code(), Unsupported, "{name}");
    }
    let (image, elsewhere) = (layout(), tempfile::tempdir().unwrap());
    away(&blob_of(image.path(), &[7; 5000]), &elsewhere.path().join("there"));
    assert_eq!(refusal(Package::layout(image.path())).code(), Unsupported);
}

#[test]
fn a_changed_bit_in_a_blob_is_always_found() {
    let image = layout();
    let blobs: Vec<_> = fs::read_dir(image.path().join("blobs/sha256")).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(blobs.len(), 5);
    for path in blobs {
        let right = fs::read(&path).unwrap();
        for at in (0..right.len()).step_by(right.len().div_ceil(200)) {
            let mut wrong = right.clone();
            wrong[at] ^= 1 << (at % 8);
            fs::write(&path, wrong).unwrap();
            assert_eq!(refusal(Package::layout(image.path())).code(), Corrupt);
        }
        fs::write(&path, right).unwrap();
    }
    assert_eq!(read(Package::layout(image.path())).unwrap(), files());
}

#[test]
fn the_tag_decides_and_what_is_there_is_told() {
    let image = layout();
    let index: Value = serde_json::from_slice(&fs::read(image.path().join("index.json")).unwrap()).unwrap();
    let first = index["manifests"][0].clone();
    let mut second = blob(image.path(), "application/vnd.oci.image.manifest.v1+json", b"no manifest");
    second["annotations"] = json!({"org.opencontainers.image.ref.name": "2.0"});
    index_of(image.path(), vec![first.clone(), second.clone()]);
    assert_eq!(read(Package::layout(image.path()).tag("1.0")).unwrap(), files());
    assert_eq!(read(Package::layout(image.path()).tag(first["digest"].as_str().unwrap())).unwrap(), files());
    assert_eq!(refusal(Package::layout(image.path()).tag("2.0")).code(), Corrupt);
    let error = refusal(Package::layout(image.path()).tag("3.0"));
    assert_eq!(error.code(), InvalidArgument);
    assert!(error.to_string().contains(r#""1.0", "2.0""#), "{error}");
    // Two things of one tag are none; one thing twice is one.
    second["annotations"] = first["annotations"].clone();
    index_of(image.path(), vec![first.clone(), second]);
    assert_eq!(refusal(Package::layout(image.path()).tag("1.0")).code(), Corrupt);
    index_of(image.path(), vec![first.clone(), first]);
    assert_eq!(read(Package::layout(image.path()).tag("1.0")).unwrap(), files());
}

#[test]
fn no_change_of_a_manifests_byte_is_a_panic() {
    let folder = super::made::folder();
    let right = Artifact::of_folder(folder.path()).unwrap().manifest().to_vec();
    let taken = (0..right.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))).filter(|(at, bit)| {
        let mut wrong = right.clone();
        wrong[*at] ^= 1 << bit;
        Artifact::parse(&wrong).is_ok()
    });
    // Digits of digests and sizes and letters of names may be others, and are still some.
    assert!(taken.count() > 100);
}
