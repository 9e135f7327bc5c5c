//! The digest of what was opened.

use super::{OpenProgress, Options};
use crate::weights::Opened;
use crate::{Digest, Error, Result};

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
        let call = options.call();
        let files = std::iter::once(self.bytes.as_slice()).chain(further);
        let progress = |done, total| options.tell(OpenProgress::Digest(done, total));
        let got = Digest::of_parts(files, || call.check(), progress)?;
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
