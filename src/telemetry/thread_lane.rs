//! The lane that a thread records into.

use std::cell::{Cell, RefCell};
use std::sync::{Arc, Weak};
use std::time::Instant;

use super::inference::Inference;
use super::live::{Live, SHARED_LANES};
use super::loss::Reason;
use super::shared::Shared;

/// A thread without a lane of its own looks for one again after this many records.
const PATIENCE: u32 = 256;

/// A lane of its own, or the wish for one. Used by one thread at a time.
#[derive(Debug)]
pub(super) struct ThreadLane {
    lane: Cell<Option<usize>>,
    records: Cell<u32>,
}

impl ThreadLane {
    pub(super) fn take(live: &Live) -> Self {
        Self { lane: Cell::new(claim(live)), records: Cell::new(0) }
    }

    #[inline]
    pub(super) fn record(&self, live: &Live, inference: &Inference, ended: Instant) {
        match self.lane.get() {
            Some(lane) => live.record(lane, inference, ended),
            None => self.record_shared(live, inference, ended),
        }
    }

    /// All lanes have an owner: takes one of the shared ones for this record, and never waits for it.
    fn record_shared(&self, live: &Live, inference: &Inference, ended: Instant) {
        self.records.set(self.records.get().wrapping_add(1));
        if self.records.get().is_multiple_of(PATIENCE)
            && let Some(lane) = claim(live)
        {
            self.lane.set(Some(lane));
            return live.record(lane, inference, ended);
        }
        match (0..SHARED_LANES).find(|lane| live.state(*lane).claim()) {
            Some(lane) => {
                live.record(lane, inference, ended);
                live.state(lane).release();
            }
            None => live.count(Reason::NoLane, 1),
        }
    }

    /// Gives the lane to the next thread.
    pub(super) fn release(&self, live: &Live) {
        if let Some(lane) = self.lane.take() {
            live.state(lane).release();
        }
    }
}

fn claim(live: &Live) -> Option<usize> {
    live.own_lanes().find(|lane| live.state(*lane).claim())
}

/// The lane of a thread in one open folder. It does not keep that open.
struct Kept {
    at: Weak<Shared>,
    lane: ThreadLane,
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(shared) = self.at.upgrade() {
            self.lane.release(&shared.live);
        }
    }
}

thread_local! {
    static LANES: RefCell<Vec<Kept>> = const { RefCell::new(Vec::new()) };
}

/// Records through the lane of the calling thread; the first time, it takes one.
pub(super) fn record(shared: &Arc<Shared>, inference: &Inference, ended: Instant) {
    let is_recorded = LANES.try_with(|kept| {
        let Ok(mut kept) = kept.try_borrow_mut() else { return false };
        // The weak pointer keeps the address from being used for another one.
        if let Some(own) = kept.iter().find(|k| std::ptr::eq(k.at.as_ptr(), Arc::as_ptr(shared))) {
            own.lane.record(&shared.live, inference, ended);
        } else {
            kept.retain(|k| k.at.strong_count() > 0);
            let lane = ThreadLane::take(&shared.live);
            lane.record(&shared.live, inference, ended);
            kept.push(Kept { at: Arc::downgrade(shared), lane });
        }
        true
    });
    // The thread is ending and has left already.
    if is_recorded != Ok(true) {
        let lane = ThreadLane { lane: Cell::new(None), records: Cell::new(0) };
        lane.record(&shared.live, inference, ended);
    }
}
