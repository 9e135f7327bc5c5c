//! The state of an open folder.

use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard};

use super::inference::Inference;
use super::lane::Reader;
use super::live::Live;
use super::log::Log;
use super::record::Boot;
use crate::disk::Lock;
use crate::threads::unpoisoned;
use crate::{Code, Error};

/// What the clones of one [`Telemetry`](super::Telemetry) share.
pub(super) struct Shared {
    pub(super) live: Live,
    pub(super) readers: Mutex<Readers>,
    pub(super) log: Option<Mutex<Log>>,
    /// The number of the record of this epoch that was sealed last; 0 where there is none.
    pub(super) last_seq: AtomicU64,
    pub(super) found: Boot,
    /// Why not all is kept, if it was so from the beginning.
    pub(super) why: Option<Error>,
    /// Locked for as long as this is open.
    pub(super) _lock: Option<Lock>,
}

/// The readers of all lanes, and room for the bins of one record.
pub(super) struct Readers {
    pub(super) lanes: Vec<Reader>,
    pub(super) bins: Box<[u8; Inference::MAX_BINS]>,
}

impl Shared {
    pub(super) fn log(&self) -> Option<MutexGuard<'_, Log>> {
        // The log is whole after each call, however that ended.
        self.log.as_ref().map(|log| unpoisoned(log.lock()))
    }

    pub(super) fn keeps_nothing(&self) -> Error {
        let code = self.why.as_ref().map_or(Code::Io, Error::code);
        let why = self.why.as_ref().map(Error::to_string).unwrap_or_default();
        Error::new(code, why)
    }
}
