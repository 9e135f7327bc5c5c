//! Losses, counted by their reason.

/// The reason of a loss. The numbers stand in the files: they are never changed and never reused.
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
    /// A record could not be sealed: nothing can be kept, as [`Mode::Counting`](crate::telemetry::Mode::Counting) says.
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

/// Losses: how much was lost, by the number of the reason.
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
