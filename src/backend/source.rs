//! The digest of what was opened.

use sha2::{Digest as _, Sha256};

use super::{OpenProgress, Options};
use crate::engine::{Call, Digest};
use crate::weights::Opened;
use crate::{Error, Result};

impl Opened {
    /// Hashes the bytes and compares with the digest asked for, if any; honours `options.cancel`.
    pub(crate) fn digest(&self, options: &Options) -> Result<Digest> {
        const SLICE: usize = 8 << 20;
        let bytes = self.bytes.as_slice();
        let call = Call { cancel: options.cancel.clone(), ..Call::default() };
        let mut hash = Sha256::new();
        let mut done = 0;
        for slice in bytes.chunks(SLICE) {
            call.check()?;
            hash.update(slice);
            done += slice.len();
            options.tell(OpenProgress::Digest(done as u64, bytes.len() as u64));
        }
        let got = Digest(hash.finalize().into());
        match options.digest {
            Some(expected) if expected != got => {
                Err(Error::corrupt(format!("model '{}': expected SHA-256 {expected}, got {got}", self.name)))
            }
            _ => Ok(got),
        }
    }
}

impl Options {
    pub(super) fn tell(&self, progress: OpenProgress) {
        if let Some(told) = &self.progress {
            told(progress);
        }
    }
}
