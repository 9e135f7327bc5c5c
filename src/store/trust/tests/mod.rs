//! Trust, in its parts and as a whole. What other tools made lies in `tests/data/trust`.

mod attacks;
#[cfg(feature = "keyless")]
mod certified;
mod interop;
mod json;
mod keys;
mod mutations;
mod oms;
mod packages;
mod release;
mod repository;
mod signing;
mod tuf;

use std::fs;
use std::path::{Path, PathBuf};

use super::key::digest;
use super::{Ratchet, Release, RepositoryFiles, Signed, Trust};
use crate::error::{Code, Result};

/// 29 November 2026, and 1 February 2027.
const NOW: u64 = 1_795_910_400;
const LATER: u64 = 1_801_440_000;

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/trust")
}

fn bytes(file: &str) -> Vec<u8> {
    fs::read(data().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}

fn text(file: &str) -> String {
    String::from_utf8(bytes(file)).unwrap()
}

/// Trusts the two keys of `made`.
fn trust() -> Trust {
    Trust::new().key(&text("made/keys/p256.pub.pem")).unwrap().key(&text("made/keys/p384.pub.pem")).unwrap()
}

fn verify(trust: &Trust, bundle: &[u8]) -> Result<Signed> {
    trust.verify(&Ratchet::default(), bundle, NOW)
}

/// What is refused, why and with which code.
#[track_caller]
fn refuses<T>(result: Result<T>, code: Code, why: &str) {
    match result {
        Ok(_) => panic!("taken, expected {code:?}: {why}"),
        Err(e) => assert!(
            e.code() == code && e.to_string().contains(why),
            "expected {code:?}: {why}, got {:?}: {e}",
            e.code()
        ),
    }
}

/// A signed package of these files.
fn package(key: &str, release: &Release, more: &[(&str, &str)]) -> (Vec<u8>, Signed) {
    let mut files = vec![("selvedge.json".to_string(), digest(&release.to_json()))];
    files.extend(more.iter().map(|(name, text)| (name.to_string(), digest(text.as_bytes()))));
    let bundle = super::sign("package", &files, &text(&format!("made/keys/{key}.pem"))).unwrap();
    let signed = verify(&trust(), &bundle).unwrap();
    (bundle, signed)
}

/// Files of one moment of the repository of `made`.
fn moment(name: &str) -> RepositoryFiles {
    let file = |role: &str| bytes(&format!("made/tuf/{name}.{role}.json"));
    RepositoryFiles::new(file("timestamp"), file("snapshot"), file("targets"))
}
