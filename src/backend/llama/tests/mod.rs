//! Generated files, good and bad: what the header's reader and the checks say before native code sees a byte.

mod child;
mod families;
mod hostile;
mod loading;
mod meaning;
mod memory;
mod native;
mod serving;
mod splits;
#[cfg(unix)]
mod terminate;
mod texts;
mod threads;

use super::check::{self, Header};
use crate::weights::WeightFile;
use crate::weights::tests::craft::{File, string};
use crate::{Bytes, Code, Error, Result};

/// Reads and checks a file as `open` does.
pub(super) fn read(bytes: &[u8]) -> Result<Header> {
    check::read(&WeightFile::of_bytes(Bytes::shared(bytes.to_vec()))?)
}

#[track_caller]
pub(super) fn refused(bytes: &[u8], code: Code, message: &str) {
    let error: Error = read(bytes).unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    assert!(error.message().contains(message), "expected '{message}' in: {error}");
}

#[track_caller]
pub(super) fn corrupt(file: &File, message: &str) {
    refused(&file.bytes(), Code::Corrupt, message);
}
