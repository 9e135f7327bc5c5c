//! The digest of what was opened.

use sha2::{Digest as _, Sha256};

use super::{OpenProgress, Options};
use crate::engine::{Call, Digest};
use crate::weights::Opened;
use crate::{Error, Result};

impl Opened {
    /// Hashes the bytes and compares with the digest asked for, if any; honours `options.cancel`.
    pub(crate) fn digest(&self, options: &Options) -> Result<Digest> {
        self.digest_with([], options)
    }

    /// As [`Opened::digest`], of the bytes and then those of further files.
    pub(super) fn digest_with<'a>(
        &'a self,
        further: impl IntoIterator<Item = &'a [u8]>,
        options: &Options,
    ) -> Result<Digest> {
        const SLICE: usize = 8 << 20;
        let files: Vec<&[u8]> = std::iter::once(self.bytes.as_slice()).chain(further).collect();
        let total = files.iter().map(|file| file.len() as u64).sum();
        let call = Call { cancel: options.cancel.clone(), ..Call::default() };
        let mut hash = Sha256::new();
        let mut done = 0;
        for slice in files.iter().flat_map(|file| file.chunks(SLICE)) {
            call.check()?;
            hash.update(slice);
            done += slice.len();
            options.tell(OpenProgress::Digest(done as u64, total));
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
