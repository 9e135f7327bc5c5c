//! Packages, and stores to put them in.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::PathBuf;

use crate::disk::sim::{Image, SimDisk};
use crate::store::sealed::digest;
use crate::store::{Package, Release, Store, Trust, Version, sign};
use crate::{Digest, Result};

pub(super) const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgevZzL1gdAFr88hb2
OF/2NxApJCzGCEDdfSp6VQO30hyhRANCAAQRWz+jn65BtOMvdyHKcvjBeBSDZH2r
1RTwjmYSi9R/zpBnuQ4EiMnCqfMPWiZqB4QdbAd0E7oH50VpuZ1P087G
-----END PRIVATE KEY-----
";
pub(super) const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEVs/o5+uQbTjL3chynL4wXgUg2R9
q9UU8I5mEovUf86QZ7kOBIjJwqnzD1omageEHWwHdBO6B+dFabmdT9POxg==
-----END PUBLIC KEY-----
";

/// The names and bytes of a package.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

pub(super) fn trust() -> Trust {
    Trust::new().key(PUBLIC).unwrap()
}

/// Bytes that no other file has.
pub(super) fn content(of: u64, len: usize) -> Vec<u8> {
    let mut state = of.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// A version of the model: a file that no other version has, one in a folder, one that is there twice.
pub(super) fn unsigned(number: u64) -> Files {
    of_release(&Release::new("rain", number, "rain.onnx").with_profile("data/rain.profile"))
}

pub(super) fn of_release(release: &Release) -> Files {
    let mut files = Files::from([("selvedge.json".into(), release.to_json())]);
    if let crate::store::Content::Model { .. } = release.content {
        files.insert("rain.onnx".into(), content(release.version, 2600));
        files.insert("data/rain.profile".into(), content(release.version + 1000, 700));
        files.insert("data/again.profile".into(), content(release.version + 1000, 700));
    }
    files
}

/// The same with its signature.
pub(super) fn signed(mut files: Files) -> Files {
    let listed: Vec<(String, Digest)> = files.iter().map(|(name, bytes)| (name.clone(), digest(bytes))).collect();
    files.insert("model.sig".into(), sign("rain", &listed, PRIVATE).unwrap());
    files
}

pub(super) fn version(number: u64) -> Files {
    signed(unsigned(number))
}

/// The digest over all files.
pub(super) fn id(files: &Files) -> Digest {
    let digests = files.iter().filter(|(name, _)| *name != "model.sig").flat_map(|(_, bytes)| digest(bytes).0);
    digest(&digests.collect::<Vec<u8>>())
}

/// A tar of these files, the signature first.
pub(super) fn tar(files: &Files) -> Vec<u8> {
    let first = files.get_key_value("model.sig");
    let rest = files.iter().filter(|(name, _)| *name != "model.sig");
    tar_of(first.into_iter().chain(rest).map(|(name, bytes)| (&**name, &**bytes)))
}

pub(super) fn tar_of<'a>(files: impl Iterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
    let mut tar = Vec::new();
    for (name, bytes) in files {
        let mut head = [0; 512];
        head[..name.len()].copy_from_slice(name.as_bytes());
        head[100..108].copy_from_slice(b"0000644\0");
        head[124..136].copy_from_slice(format!("{:011o}\0", bytes.len()).as_bytes());
        head[136..148].copy_from_slice(b"00000000000\0");
        head[156] = b'0';
        head[257..265].copy_from_slice(b"ustar\x0000");
        head[148..156].fill(b' ');
        let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
        head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        tar.extend(head);
        tar.extend(bytes);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.resize(tar.len() + 1024, 0);
    tar
}

pub(super) fn package(files: &Files) -> Package {
    Package::tar(Cursor::new(tar(files)))
}

pub(super) fn open(disk: &SimDisk) -> Result<Store> {
    Store::on_disk(PathBuf::from("store"), Box::new(disk.clone()), trust(), None)
}

pub(super) fn import(store: &Store, files: &Files) -> Result<Version> {
    store.import(package(files), |_| Ok(()))
}

/// What is on a disk now, as another process would see it.
pub(super) fn image(disk: &SimDisk) -> Image {
    disk.sim().image()
}
