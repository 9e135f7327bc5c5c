//! Small files of a store: a text, and below it the digest by which a damaged one is known.
//!
//! ```text
//! {"format":1, …}                                        one line of JSON
//! sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e46…      of that line and its end; 71 characters and an end of line
//! ```

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::digest::Hasher;
use crate::{Digest, Error, Result};

const MARK: &str = "sha256:";
/// The bytes of the last line.
const SEAL: usize = MARK.len() + 64 + 1;

/// The bytes of a small file.
pub(super) fn seal(value: &impl Serialize) -> Result<Vec<u8>> {
    let text =
        serde_json::to_string(value).map_err(|e| Error::internal("a file of the store is no JSON").because(e))?;
    let text = format!("{text}\n");
    let seal = format!("{MARK}{}\n", digest(text.as_bytes()));
    Ok([text.into_bytes(), seal.into_bytes()].concat())
}

/// What a small file says.
///
/// # Errors
///
/// `Corrupt` for one that is not whole, or says what this version does not know.
pub(super) fn unseal<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T> {
    let corrupt = |expected: &str| Error::corrupt(format!("{what}: expected {expected}"));
    let at = bytes.len().checked_sub(SEAL).ok_or_else(|| corrupt("a text and its digest, got less"))?;
    let (text, seal) = bytes.split_at(at);
    let expected = format!("{MARK}{}\n", digest(text));
    if seal != expected.as_bytes() {
        return Err(corrupt("the digest of its text in its last line, got another"));
    }
    serde_json::from_slice(text).map_err(|e| corrupt("the fields that this version knows").because(e))
}

pub(super) fn digest(bytes: &[u8]) -> Digest {
    let mut hash = Hasher::default();
    hash.update(bytes);
    hash.digest()
}
