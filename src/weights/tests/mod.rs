//! Weight files: what is read, what is refused, and what is written.

#[cfg_attr(not(feature = "llama"), allow(dead_code, reason = "the llama backend makes models of it"))]
pub(crate) mod craft;
mod format;
mod layers;
mod opening;
mod parts;
mod safetensors;
mod views;
mod writing;

use super::WeightFile;
use crate::{Bytes, Code, Result};
use craft::File;

/// Reads one file by itself.
fn read(bytes: &[u8]) -> Result<WeightFile> {
    WeightFile::of_bytes(Bytes::shared(bytes.to_vec()))
}

#[track_caller]
fn refused(bytes: &[u8], code: Code, message: &str) {
    let error = read(bytes).unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    assert!(error.to_string().contains(message), "expected '{message}' in: {error}");
}

#[track_caller]
fn corrupt(file: &File, message: &str) {
    refused(&file.bytes(), Code::Corrupt, message);
}
