//! State of a rollout: what a deployment over the store's versions remembers, kept beside them.
//!
//! ```text
//! rollout, rollout.copy
//!   0  32  SHA-256 of what follows
//!  32   …  the state, as it was given
//! ```

use super::open::Store;
use super::sealed::digest;
use super::twice;
use crate::threads::unpoisoned;
use crate::{Digest, Error, Result};

const ROLLOUT: &str = "rollout";
const DIGEST: usize = size_of::<Digest>();
const MAX_STATE: usize = 1 << 20;

impl Store {
    /// The state of a rollout as it was last kept; `None` if there is none.
    ///
    /// # Errors
    ///
    /// `Corrupt` if neither it nor its copy is whole; `Io`.
    pub fn rollout(&self) -> Result<Option<Vec<u8>>> {
        twice::read(&self.files, ROLLOUT, (DIGEST + MAX_STATE) as u64, |bytes| match bytes.split_at_checked(DIGEST) {
            Some((seal, state)) if seal == digest(state).0 => Ok(state.to_vec()),
            _ => Err(Error::corrupt("rollout: expected a state and its digest, got another")),
        })
    }

    /// Keeps the state of a rollout, durably: at most 1 MiB, in place of the one before.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a longer one; `Unsupported` if the store was opened for reading; `Io`.
    pub fn keep_rollout(&self, state: &[u8]) -> Result<()> {
        self.trust()?;
        if state.len() > MAX_STATE {
            return Err(Error::invalid(format!("rollout: expected at most {MAX_STATE} bytes, got {}", state.len())));
        }
        let _work = unpoisoned(self.work.lock());
        twice::write(&self.files, ROLLOUT, &[&digest(state).0, state].concat())
    }
}
