//! Limits and status of an open folder.

use super::loss::Reason;
use super::record::Position;
use crate::Code;

/// Limits of a folder: how much is kept, and how safely. The defaults suit a phone.
///
/// ```
/// use selvedge::telemetry::{Durability, Limits};
/// let limits = Limits::default().bytes(512 << 10).durability(Durability::Process);
/// assert_eq!(limits.lanes, 16);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The most bytes that the segment log takes, each file rounded up to 4 KiB; the oldest sealed records give way.
    /// Default 2 MiB, at least 16 KiB.
    pub bytes: u64,
    /// Of `bytes`, how much may hold records that were acknowledged: whole segments, which are never read again for
    /// sending and give way before anything else does. A [`Monitor`](crate::layer::monitor::Monitor) remembers through a restart,
    /// and a [`Story`](crate::report::Story) tells, what is not older than that. Default 1 MiB, at most `bytes`; 0 deletes
    /// a segment as soon as all of it is acknowledged.
    pub history_bytes: u64,
    /// A segment is closed at this size. Default 64 KiB; at most a quarter of `bytes`.
    pub segment_bytes: u64,
    /// Lanes of `telemetry.live`: threads that record at once. The first two are shared by the threads that find no lane
    /// of their own. Default 16, within 3..=64. Applies when the file is made.
    pub lanes: u16,
    /// Slots of 64 bytes per lane, a power of two. Default 1024, within 64..=65536. Applies when the file is made.
    pub slots: u32,
    /// The failures that a sealed record survives.
    pub durability: Durability,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 2 << 20,
            history_bytes: 1 << 20,
            segment_bytes: 64 << 10,
            lanes: 16,
            slots: 1024,
            durability: Durability::Power,
        }
    }
}

impl Limits {
    /// Sets the most bytes of the segment log.
    #[must_use]
    pub fn bytes(mut self, bytes: u64) -> Self {
        self.bytes = bytes;
        self
    }

    /// Sets how much of them may hold acknowledged records.
    #[must_use]
    pub fn history_bytes(mut self, history_bytes: u64) -> Self {
        self.history_bytes = history_bytes;
        self
    }

    /// Sets the size at which a segment is closed.
    #[must_use]
    pub fn segment_bytes(mut self, segment_bytes: u64) -> Self {
        self.segment_bytes = segment_bytes;
        self
    }

    /// Sets the lanes of a file that is made.
    #[must_use]
    pub fn lanes(mut self, lanes: u16) -> Self {
        self.lanes = lanes;
        self
    }

    /// Sets the slots per lane of a file that is made.
    #[must_use]
    pub fn slots(mut self, slots: u32) -> Self {
        self.slots = slots;
        self
    }

    /// Sets what a sealed record survives.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// The nearest limits that are within their ranges.
    pub(super) fn within_ranges(self) -> Self {
        let bytes = self.bytes.max(16 << 10);
        Self {
            bytes,
            history_bytes: self.history_bytes.min(bytes),
            segment_bytes: self.segment_bytes.clamp(4 << 10, bytes / 4),
            lanes: self.lanes.clamp(3, 64),
            slots: self.slots.clamp(64, 1 << 16).next_power_of_two(),
            durability: self.durability,
        }
    }
}

/// The failures that a sealed record survives once [`Telemetry::seal`](super::Telemetry::seal) has returned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The end of the process, and loss of power: one sync of the file per sealed record.
    #[default]
    Power,
    /// The end of the process. Loss of power takes what was sealed since the segment was begun or a record was
    /// acknowledged.
    Process,
}

/// The mode of an open folder: whether what is recorded will be there after the process has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// All is kept as [`Limits`] says.
    Durable,
    /// Recording, draining and drift work as ever within this process; what cannot be kept is counted.
    Counting {
        /// What failed, and how.
        why: String,
    },
}

/// The status of an open folder.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// Whether all is kept.
    pub mode: Mode,
    /// Why not all is kept; `None` in [`Mode::Durable`]. `Busy`: this or another process has the folder open, or somebody
    /// holds its lock. `Io`, `NotFound`: the folder or a file in it cannot be made or read, is no folder or no regular file,
    /// or the disk is full.
    pub code: Option<Code>,
    /// Bytes of the segment log, history included.
    pub bytes: u64,
    /// Of them, bytes of segments in which all is acknowledged: see [`Limits::history_bytes`].
    pub history_bytes: u64,
    /// Files of the segment log.
    pub segments: usize,
    /// The records lost over the life of the folder, for the reasons that occurred.
    pub dropped: Vec<(Reason, u64)>,
    /// Files that this open found unreadable and set aside. What has the name of one and is a folder, or one of far too many,
    /// is passed over, and counted by each open.
    pub quarantined: u64,
    /// Records of the log that this open found to fail their checksum, to end early, or to ask for more memory than a
    /// record of their length may.
    pub torn: u64,
    /// Inferences of earlier epochs that this open found in the lanes.
    pub recovered: u64,
    /// The oldest sealed record that was not acknowledged.
    pub oldest: Option<Position>,
    /// Sealed records that were not acknowledged.
    pub unacked: u64,
}
