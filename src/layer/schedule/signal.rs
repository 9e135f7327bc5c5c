//! Signal of a run that waits: it may compute, or should look at its call again.

use std::sync::Condvar;
use std::sync::atomic::{AtomicBool, Ordering};

/// All of it happens under the lock of the queue, but for the wait itself.
#[derive(Default)]
pub(super) struct Signal {
    granted: AtomicBool,
    pub(super) changed: Condvar,
}

impl Signal {
    pub(super) fn grant(&self) {
        self.granted.store(true, Ordering::Release);
        self.changed.notify_all();
    }

    pub(super) fn is_granted(&self) -> bool {
        self.granted.load(Ordering::Acquire)
    }
}
