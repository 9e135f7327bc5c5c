//! Packages in folders.

use std::fs;
use std::path::Path;

use selvedge::store::{Artifact, Package, Release, Store, Trust, sign};

const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgevZzL1gdAFr88hb2
OF/2NxApJCzGCEDdfSp6VQO30hyhRANCAAQRWz+jn65BtOMvdyHKcvjBeBSDZH2r
1RTwjmYSi9R/zpBnuQ4EiMnCqfMPWiZqB4QdbAd0E7oH50VpuZ1P087G
-----END PRIVATE KEY-----
";
const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEVs/o5+uQbTjL3chynL4wXgUg2R9
q9UU8I5mEovUf86QZ7kOBIjJwqnzD1omageEHWwHdBO6B+dFabmdT9POxg==
-----END PUBLIC KEY-----
";

/// A key, and packages that nobody signed: what is killed is to write, and not to compute.
pub(crate) fn trust() -> Trust {
    Trust::new().key(PUBLIC).unwrap().accept_unsigned_packages()
}

/// A version with a model of so many bytes.
pub(crate) fn put(folder: &Path, number: u64, bytes: usize) -> Package {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder.join("data")).unwrap();
    let content: Vec<u8> = (0..bytes as u64).map(|i| (i.wrapping_mul(number * 2 + 1) >> 3) as u8).collect();
    fs::write(folder.join("rain.onnx"), content).unwrap();
    fs::write(folder.join("data/words.txt"), format!("version {number}")).unwrap();
    fs::write(folder.join("selvedge.json"), Release::new("rain", number, "rain.onnx").to_json()).unwrap();
    Package::folder(folder)
}

/// The same, signed.
pub(crate) fn put_signed(folder: &Path, number: u64, bytes: usize) -> Package {
    put(folder, number, bytes);
    let artifact = Artifact::of_folder(folder).unwrap();
    let files: Vec<_> = artifact.files().iter().map(|file| (file.name().to_owned(), file.blob().digest())).collect();
    fs::write(folder.join("model.sig"), sign("rain", &files, PRIVATE).unwrap()).unwrap();
    Package::folder(folder)
}

/// The number of the current version, which is whole; 0 if there is none.
pub(crate) fn current(store: &Store) -> u64 {
    let Some(version) = store.current().unwrap() else { return 0 };
    version.verify().unwrap();
    version.number()
}
