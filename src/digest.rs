//! SHA-256 digests: of files, models and whatever else is known by its bytes.
//!
//! Enters: bytes, in slices. Leaves: [`Digest`]. May import: error.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

use crate::error::{Error, Result};

/// A SHA-256 digest; displayed as 64 hexadecimal digits, and parsed from them.
///
/// ```
/// use selvedge::Digest;
/// let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
/// let digest: Digest = hex.parse()?;
/// assert_eq!((digest.0[0], digest.to_string()), (0xe3, hex.to_string()));
/// # Ok::<(), selvedge::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Digest(pub [u8; 32]);

/// The bytes hashed between two checks: a few milliseconds of work.
const SLICE: usize = 8 << 20;

impl Digest {
    /// The digest of several parts, one after the other, in slices of 8 MiB. `check` is asked before each slice, and its
    /// error ends the work; `progress` gets the bytes done and their total after each.
    pub(crate) fn of_parts<'a>(
        parts: impl IntoIterator<Item = &'a [u8]>,
        check: impl Fn() -> Result<()>,
        progress: impl Fn(u64, u64),
    ) -> Result<Self> {
        let parts: Vec<&[u8]> = parts.into_iter().collect();
        let total = parts.iter().map(|part| part.len() as u64).sum();
        let (mut hash, mut done) = (Sha256::new(), 0);
        for slice in parts.iter().flat_map(|part| part.chunks(SLICE)) {
            check()?;
            hash.update(slice);
            done += slice.len() as u64;
            progress(done, total);
        }
        Ok(Self(hash.finalize().into()))
    }
}

/// The digest of bytes that come one after the other.
#[derive(Debug, Default)]
pub(crate) struct Hasher(Sha256);

impl Hasher {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn digest(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = Error;

    fn from_str(hex: &str) -> Result<Self> {
        let invalid = || Error::invalid(format!("digest: expected 64 hexadecimal digits, got '{hex}'"));
        if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(invalid());
        }
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| invalid())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| invalid())?;
        }
        Ok(Self(digest))
    }
}

#[cfg(test)]
mod tests;
