//! What happened, kept through crashes in bounded bytes.
//!
//! Enters: [`Inference`]s from any thread, [`Record`]s to seal. Leaves: drained inferences, sealed records by
//! [`Position`], [`Status`]. May import: nothing of the crate.

mod exponential;
mod inference;
mod record;
mod status;

use std::path::Path;
use std::sync::Arc;

pub use exponential::Exponential;
pub use inference::Inference;
pub use record::{AlertRecord, Anchor, Boot, Cursor, Drops, Feedback, ModelInfo, Position, Record, Stamp, Window};
pub use status::{Durability, Limits, Mode, Reason, Status};

use crate::{Code, Error, Result};

/// An open telemetry folder. Clones share it; it is closed when the last clone and the last [`Lane`] are gone.
#[derive(Clone, Debug)]
pub struct Telemetry {
    shared: Arc<Shared>,
}

/// The right of one thread to record without waiting for any other.
#[derive(Debug)]
pub struct Lane {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {}

impl Telemetry {
    /// Opens the folder, making it if need be. Never fails: where something cannot be kept, [`Telemetry::status`] says
    /// why, recording and draining work within this process, and the rest is counted.
    #[must_use]
    pub fn open(_dir: impl AsRef<Path>, _limits: Limits) -> Self {
        Self { shared: Arc::new(Shared {}) }
    }

    /// A lane for the calling thread to keep.
    #[must_use]
    pub fn lane(&self) -> Lane {
        Lane { shared: self.shared.clone() }
    }

    /// Records through a lane that the calling thread keeps until it ends.
    pub fn record(&self, _inference: &Inference) {}

    /// The present moment. Its `seq` is that of the last sealed record.
    #[must_use]
    pub fn now(&self) -> Stamp {
        Stamp::default()
    }

    /// Hands over every committed inference that was not handed over before, in the order of each lane. Returns how
    /// many. One thread drains at a time: another gets 0 at once.
    pub fn drain(&self, _each: &mut dyn FnMut(&Inference)) -> usize {
        0
    }

    /// Puts a record into the log.
    pub fn seal(&self, _record: &Record) -> Result<Position> {
        Err(Error::new(Code::Unsupported, "sealing is not built yet"))
    }

    /// Sealed records after `from` that were not acknowledged, oldest first: as many as take `max_bytes` encoded, and at
    /// least one where there is one.
    pub fn read(&self, _from: Cursor, _max_bytes: usize) -> Vec<(Position, Record)> {
        Vec::new()
    }

    /// Says that all records up to this one have arrived: they are not read again, and are deleted once that is durable.
    pub fn ack(&self, _position: Position) -> Result<()> {
        Err(Error::new(Code::Unsupported, "acknowledging is not built yet"))
    }

    /// How the telemetry fares.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            mode: Mode::Counting { why: "keeping is not built yet".into() },
            bytes: 0,
            segments: 0,
            dropped: Vec::new(),
            quarantined: 0,
            torn: 0,
            recovered: 0,
            oldest: None,
            unacked: 0,
        }
    }
}

impl Lane {
    /// Records one inference: no allocation, no lock, no system call, no failure.
    pub fn record(&self, _inference: &Inference) {
        let _ = &self.shared;
    }
}
