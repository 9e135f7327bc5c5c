//! Tally of an arm: its counts, kept by the threads that answer, without a lock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::judge::ArmCounts;

#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) exposed: AtomicU64,
    ended: AtomicU64,
    failed: AtomicU64,
    timed: AtomicU64,
    slow: AtomicU64,
    labelled: AtomicU64,
    wrong: AtomicU64,
}

impl Tally {
    pub(super) fn of(counts: &ArmCounts) -> Self {
        Self {
            exposed: counts.exposed.into(),
            ended: counts.ended.into(),
            failed: counts.failed.into(),
            timed: counts.timed.into(),
            slow: counts.slow.into(),
            labelled: counts.labelled.into(),
            wrong: counts.wrong.into(),
        }
    }

    /// A call has ended; with the time that its caller waited, where there is an objective for it. Gives how many have.
    pub(super) fn end(&self, has_failed: bool, waited: Option<(Duration, Duration)>) -> u64 {
        // The whole first: no thread may see more failures than calls.
        let ended = self.ended.fetch_add(1, Relaxed) + 1;
        if has_failed {
            self.failed.fetch_add(1, Relaxed);
        } else if let Some((waited, objective)) = waited {
            self.timed.fetch_add(1, Relaxed);
            self.slow.fetch_add(u64::from(waited > objective), Relaxed);
        }
        ended
    }

    pub(super) fn label(&self, is_correct: bool) {
        self.labelled.fetch_add(1, Relaxed);
        self.wrong.fetch_add(u64::from(!is_correct), Relaxed);
    }

    pub(super) fn counts(&self) -> ArmCounts {
        ArmCounts {
            exposed: self.exposed.load(Relaxed),
            ended: self.ended.load(Relaxed),
            failed: self.failed.load(Relaxed),
            timed: self.timed.load(Relaxed),
            slow: self.slow.load(Relaxed),
            labelled: self.labelled.load(Relaxed),
            wrong: self.wrong.load(Relaxed),
        }
    }
}
