//! Packages and stores for the tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// Keys that were made for tests and sign nothing else.
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
const ANOTHER: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt
6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==
-----END PUBLIC KEY-----
";

/// A folder of a test: packages, keys and a store.
pub(crate) struct World(TempDir);

impl World {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("private.pem"), PRIVATE).unwrap();
        fs::write(folder.path().join("public.pem"), PUBLIC).unwrap();
        fs::write(folder.path().join("another.pem"), ANOTHER).unwrap();
        Self(folder)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A package of a version whose weights are so many bytes, which no two versions share.
    pub(crate) fn package(&self, number: u64, size: usize) -> String {
        let folder = self.path(&format!("rain-{number}"));
        fs::create_dir_all(folder.join("text")).unwrap();
        let release = format!(
            r#"{{"selvedge":1,"name":"rain","version":{number},"channel":"stable","model":"rain.onnx","label":"the {number}th"}}"#
        );
        fs::write(folder.join("selvedge.json"), release).unwrap();
        fs::write(folder.join("text/tokenizer.json"), b"{}").unwrap();
        fs::write(folder.join("rain.onnx"), weights(number, size)).unwrap();
        folder.to_str().unwrap().into()
    }

    /// The same, signed.
    pub(crate) fn signed(&self, number: u64, size: usize) -> String {
        let folder = self.package(number, size);
        ended(&self.selvedge(&["sign", &folder, "--key", "private.pem"]), 0);
        folder
    }

    /// `selvedge store …`, in this folder.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_selvedge"));
        command.current_dir(self.0.path()).arg("store").args(args);
        command
    }

    pub(crate) fn selvedge(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// The same with the store `models`, which trusts the key.
    pub(crate) fn store(&self, args: &[&str]) -> Output {
        self.selvedge(&[args, &["--store", "models", "--key", "public.pem"]].concat())
    }

    /// The versions of the store `models`, the highest number first, as JSON.
    pub(crate) fn versions(&self) -> Vec<Value> {
        let (out, _) = ended(&self.selvedge(&["list", "--store", "models", "--json"]), 0);
        serde_json::from_str::<Value>(&out).unwrap()["versions"].as_array().unwrap().clone()
    }

    /// Whether the store has exactly the files of a package as its one version.
    pub(crate) fn check_whole(&self, package: &str) {
        let versions = self.versions();
        assert_eq!(versions.len(), 1, "{versions:?}");
        let id = versions[0]["id"].as_str().unwrap();
        let files = self.path("models/versions").join(id).join("files");
        for name in ["rain.onnx", "text/tokenizer.json", "selvedge.json"] {
            let (here, there) = (fs::read(files.join(name)).unwrap(), fs::read(Path::new(package).join(name)).unwrap());
            assert!(here == there, "{name} differs");
        }
    }
}

/// Bytes that no two versions share, and that repeat nowhere near.
pub(crate) fn weights(number: u64, size: usize) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

#[track_caller]
pub(crate) fn ended(output: &Output, code: i32) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{out}{err}");
    assert!(!out.contains(['\x1b', '\r', '\x08']) && !err.contains(['\x1b', '\r', '\x08']), "{out}{err}");
    (out, err)
}
