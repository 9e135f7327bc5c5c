//! How the telemetry fares.

use super::Position;

/// How much is kept, and how safely. The defaults suit a phone.
///
/// ```
/// use selvedge::telemetry::{Durability, Limits};
/// let limits = Limits { bytes: 512 << 10, durability: Durability::Process, ..Limits::default() };
/// assert_eq!(limits.lanes, 16);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// What a sealed record survives.
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

/// What a sealed record survives once [`Telemetry::seal`](super::Telemetry::seal) has returned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The end of the process, and loss of power: one sync of the file per sealed record.
    #[default]
    Power,
    /// The end of the process. Loss of power takes what was sealed since the segment was begun or a record was
    /// acknowledged.
    Process,
}

/// Why something was lost. The numbers stand in the files: they are never changed and never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
#[repr(u8)]
pub enum Reason {
    /// An inference was overwritten in its lane before it was drained.
    Overwritten = 0,
    /// All shared lanes were busy at that moment.
    NoLane = 1,
    /// An inference has more bins, or a sealed record more bytes, than fit.
    TooLarge = 2,
    /// A record fails its checksum, or is gone without a reason.
    Torn = 3,
    /// A sealed record gave way to the limit on bytes before it was acknowledged.
    Limit = 4,
    /// A record could not be sealed, or gave way to one that could: the disk is full.
    DiskFull = 5,
    /// A record could not be sealed: the disk failed.
    Io = 6,
    /// A record could not be sealed: nothing can be kept, as [`Mode::Counting`] says.
    Counting = 7,
}

impl Reason {
    /// All reasons, by number.
    pub const ALL: [Reason; 8] = [
        Reason::Overwritten,
        Reason::NoLane,
        Reason::TooLarge,
        Reason::Torn,
        Reason::Limit,
        Reason::DiskFull,
        Reason::Io,
        Reason::Counting,
    ];

    pub(super) fn of(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|r| *r as u64 == number)
    }

    /// A stable name for dashboards.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Reason::Overwritten => "overwritten",
            Reason::NoLane => "no_lane",
            Reason::TooLarge => "too_large",
            Reason::Torn => "torn",
            Reason::Limit => "limit",
            Reason::DiskFull => "disk_full",
            Reason::Io => "io",
            Reason::Counting => "counting",
        }
    }
}

/// How much was lost, by the number of the reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Losses([u64; Reason::ALL.len()]);

impl Losses {
    pub(super) fn of(totals: &[(Reason, u64)]) -> Self {
        let mut losses = Self::default();
        totals.iter().for_each(|(reason, n)| losses.add(*reason, *n));
        losses
    }

    pub(super) fn add(&mut self, reason: Reason, n: u64) {
        let count = &mut self.0[reason as usize];
        *count = count.saturating_add(n);
    }

    pub(super) fn plus(mut self, other: &Self) -> Self {
        other.occurred().into_iter().for_each(|(reason, n)| self.add(reason, n));
        self
    }

    /// Reason and count, for the reasons that occurred.
    pub(super) fn occurred(&self) -> Vec<(Reason, u64)> {
        Reason::ALL.into_iter().map(|r| (r, self.0[r as usize])).filter(|(_, n)| *n > 0).collect()
    }
}

/// Whether what is recorded will be there after the process has ended.
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

/// How the telemetry fares.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// Whether all is kept.
    pub mode: Mode,
    /// Bytes of the segment log, history included.
    pub bytes: u64,
    /// Of them, bytes of segments in which all is acknowledged: see [`Limits::history_bytes`].
    pub history_bytes: u64,
    /// Files of the segment log.
    pub segments: usize,
    /// What was lost over the life of the folder, for the reasons that occurred.
    pub dropped: Vec<(Reason, u64)>,
    /// Files that this open found unreadable and set aside.
    pub quarantined: u64,
    /// Records of the log that this open found to fail their checksum or to end early.
    pub torn: u64,
    /// Inferences of earlier epochs that this open found in the lanes.
    pub recovered: u64,
    /// The oldest sealed record that was not acknowledged.
    pub oldest: Option<Position>,
    /// Sealed records that were not acknowledged.
    pub unacked: u64,
}
