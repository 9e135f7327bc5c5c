//! What makes packages for the tests, right ones and wrong ones, and reads them.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::super::artifact::digest_of;
use super::super::{Artifact, Package};
use crate::{Error, Result};

pub(super) const MODEL: &str = "application/vnd.cncf.model.manifest.v1+json";
pub(super) const WEIGHT: &str = "application/vnd.cncf.model.weight.v1.raw";

/// The files of a package, in its order, each read in small steps.
pub(super) fn read(package: impl Into<Package>) -> Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    package.into().visit(&mut |file| {
        let (mut bytes, mut step) = (Vec::new(), [0; 700]);
        loop {
            match file.read(&mut step)? {
                0 => break,
                read => bytes.extend_from_slice(&step[..read]),
            }
        }
        assert_eq!((bytes.len() as u64, file.digest()), (file.size, Some(digest_of(&bytes))), "{}", file.name);
        files.push((file.name.to_string(), bytes));
        Ok(())
    })?;
    Ok(files)
}

pub(super) fn refusal(package: impl Into<Package>) -> Error {
    read(package).expect_err("the package was taken")
}

/// Three files as a model's maker has them, with one in a folder.
pub(super) fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("text")).unwrap();
    fs::write(at("rain.onnx"), vec![7; 5000]).unwrap();
    fs::write(at("text/tokenizer.json"), b"{}").unwrap();
    fs::write(at("model.sig"), vec![b's'; 3000]).unwrap();
    folder
}

/// The files of [`folder`], the signature first and the smallest next.
pub(super) fn files() -> Vec<(String, Vec<u8>)> {
    let named = |name: &str, bytes: Vec<u8>| (name.to_string(), bytes);
    vec![
        named("model.sig", vec![b's'; 3000]),
        named("text/tokenizer.json", b"{}".to_vec()),
        named("rain.onnx", vec![7; 5000]),
    ]
}

/// A layout of [`folder`]'s files.
pub(super) fn layout() -> tempfile::TempDir {
    let (from, to) = (folder(), tempfile::tempdir().unwrap());
    Artifact::of_folder(from.path()).unwrap().write_layout(from.path(), to.path(), Some("1.0")).unwrap();
    to
}

/// Writes a blob, and tells its descriptor.
pub(super) fn blob(layout: &Path, media_type: &str, bytes: &[u8]) -> Value {
    let digest = digest_of(bytes).to_string();
    fs::create_dir_all(layout.join("blobs/sha256")).unwrap();
    fs::write(layout.join("blobs/sha256").join(&digest), bytes).unwrap();
    json!({"mediaType": media_type, "digest": format!("sha256:{digest}"), "size": bytes.len()})
}

/// A layer of a file.
pub(super) fn layer(layout: &Path, name: &str, media_type: &str, bytes: &[u8]) -> Value {
    let mut layer = blob(layout, media_type, bytes);
    layer["annotations"] = json!({"org.cncf.model.filepath": name});
    layer
}

/// A manifest of layers, as any writer could have made it.
pub(super) fn manifest(layout: &Path, layers: Vec<Value>) -> Value {
    let config = blob(layout, "application/vnd.cncf.model.config.v1+json", b"{}");
    json!({"schemaVersion": 2, "artifactType": MODEL, "config": config, "layers": layers})
}

/// Writes mark and index of a layout with one manifest.
pub(super) fn index(layout: &Path, manifest: &Value) {
    let manifest = blob(layout, "application/vnd.oci.image.manifest.v1+json", manifest.to_string().as_bytes());
    index_of(layout, vec![manifest]);
}

pub(super) fn index_of(layout: &Path, manifests: Vec<Value>) {
    fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    fs::write(layout.join("index.json"), json!({"schemaVersion": 2, "manifests": manifests}).to_string()).unwrap();
}

/// An entry of a tar stream: header, bytes and padding.
pub(super) fn entry(name: &str, kind: u8, bytes: &[u8]) -> Vec<u8> {
    entry_of(name.as_bytes(), kind, bytes.len() as u64, bytes)
}

/// An entry that says another size than it has.
pub(super) fn entry_of(name: &[u8], kind: u8, size: u64, bytes: &[u8]) -> Vec<u8> {
    let mut header = vec![0; 512];
    header[..name.len()].copy_from_slice(name);
    header[100..108].copy_from_slice(b"0000644\0");
    header[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    header[136..148].copy_from_slice(b"00000000000\0");
    header[156] = kind;
    header[257..265].copy_from_slice(b"ustar\x0000");
    sum(&mut header);
    header.extend_from_slice(bytes);
    header.resize(header.len().next_multiple_of(512), 0);
    header
}

/// Puts the sum into the header that stands at the beginning.
pub(super) fn sum(header: &mut [u8]) {
    header[148..156].fill(b' ');
    let sum: u32 = header[..512].iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// A record in pax form: `LENGTH KEY=VALUE\n`, with its own length in it.
pub(super) fn record(key: &str, value: &str) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let length = (1..6).map(|digits| rest + digits).find(|length| length.to_string().len() + rest == *length).unwrap();
    format!("{length} {key}={value}\n").into_bytes()
}

/// A tar stream of entries, with its end mark.
pub(super) fn tar(entries: &[Vec<u8>]) -> Package {
    Package::tar(std::io::Cursor::new(tar_bytes(entries)))
}

pub(super) fn tar_bytes(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = entries.concat();
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}
