//! News for the app.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::drift::AlertEvent;

pub(super) type Callback = Arc<dyn Fn(&AlertEvent) + Send + Sync>;

/// A change of the alerts, to be told once the locks are given back.
pub(super) struct Notice {
    change: AlertEvent,
    callback: Option<Callback>,
    panics: Arc<AtomicU64>,
}

impl Notice {
    pub(super) fn new(change: AlertEvent, callback: Option<Callback>, panics: Arc<AtomicU64>) -> Self {
        Self { change, callback, panics }
    }

    pub(super) fn deliver(self) {
        let Some(callback) = self.callback else { return };
        if catch_unwind(AssertUnwindSafe(|| callback(&self.change))).is_err() {
            self.panics.fetch_add(1, Ordering::Relaxed);
        }
    }
}
