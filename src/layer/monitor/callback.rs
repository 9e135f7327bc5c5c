//! Calls of the app's callback.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::drift::AlertEvent;

pub(super) type AlertCallback = Arc<dyn Fn(&AlertEvent) + Send + Sync>;

/// A call that is due for a change of the alerts, made once the locks are given back.
pub(super) struct PendingCallback {
    change: AlertEvent,
    callback: Option<AlertCallback>,
    panics: Arc<AtomicU64>,
}

impl PendingCallback {
    pub(super) fn new(change: AlertEvent, callback: Option<AlertCallback>, panics: Arc<AtomicU64>) -> Self {
        Self { change, callback, panics }
    }

    pub(super) fn call(self) {
        let Some(callback) = self.callback else { return };
        if catch_unwind(AssertUnwindSafe(|| callback(&self.change))).is_err() {
            self.panics.fetch_add(1, Ordering::Relaxed);
        }
    }
}
