//! Queue of the app's calls: changes of alerts, told one at a time and in the order in which they came about.
//!
//! A change is put into the queue under the drain's lock, and the app is called without it. Between the two another
//! thread may close a window and have a change of its own: it must not overtake.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::drift::{Alert, AlertEvent};
use crate::threads::unpoisoned;

pub(super) type AlertCallback = Arc<dyn Fn(&AlertEvent) + Send + Sync>;

/// The calls of one monitored model that are due.
pub(super) struct CallbackQueue {
    calls: Mutex<Calls>,
    panics: AtomicU64,
}

struct Calls {
    callback: Option<AlertCallback>,
    /// Callbacks whose place another one took. They are dropped where no lock is held, as what they own may ask the monitor.
    replaced: Vec<AlertCallback>,
    waiting: VecDeque<(AlertEvent, AlertCallback)>,
    /// A thread is at it; it makes the calls that come meanwhile, too.
    is_delivering: bool,
    /// The alerts that this callback has and that are not over.
    reported: Vec<Alert>,
}

impl CallbackQueue {
    pub(super) fn new(callback: Option<AlertCallback>) -> Self {
        let calls = Calls {
            callback,
            replaced: Vec::new(),
            waiting: VecDeque::new(),
            is_delivering: false,
            reported: Vec::new(),
        };
        Self { calls: Mutex::new(calls), panics: AtomicU64::new(0) }
    }

    /// Lets another callback have the changes from now on. Those that wait are still for the earlier one.
    pub(super) fn hand_over(&self, to: Option<AlertCallback>) {
        let mut calls = self.lock();
        let replaced = std::mem::replace(&mut calls.callback, to);
        calls.replaced.extend(replaced);
        calls.reported.clear();
    }

    /// The callback that changes go to.
    pub(super) fn callback(&self) -> Option<AlertCallback> {
        self.lock().callback.clone()
    }

    /// Puts a change behind those that wait. The end of an alert that the callback was never told of, as an earlier
    /// process or monitor raised it, is told with its beginning.
    pub(super) fn push(&self, change: AlertEvent) {
        let mut calls = self.lock();
        let Some(callback) = calls.callback.clone() else { return };
        match &change {
            AlertEvent::Raised(alert) => calls.reported.push(alert.clone()),
            AlertEvent::Cleared { alert, .. } => {
                let is_it = |a: &Alert| a.kind.same(alert.kind) && a.feature == alert.feature;
                match calls.reported.iter().position(is_it) {
                    Some(at) => _ = calls.reported.swap_remove(at),
                    None => calls.waiting.push_back((AlertEvent::Raised(alert.clone()), callback.clone())),
                }
            }
        }
        calls.waiting.push_back((change, callback));
    }

    /// Whether there is something to [`deliver`](Self::deliver).
    pub(super) fn is_waiting(&self) -> bool {
        let calls = self.lock();
        !calls.waiting.is_empty() || !calls.replaced.is_empty()
    }

    /// Makes the calls that are due, unless a thread is at it already: that one makes them. No lock may be held, as the
    /// callback may ask the monitor.
    pub(super) fn deliver(&self) {
        let replaced = std::mem::take(&mut self.lock().replaced);
        drop(replaced);
        if std::mem::replace(&mut self.lock().is_delivering, true) {
            return;
        }
        while let Some((change, callback)) = self.next() {
            if catch_unwind(AssertUnwindSafe(|| callback(&change))).is_err() {
                self.panics.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// The next call; none ends the delivery, in the same breath as it is found that none waits.
    fn next(&self) -> Option<(AlertEvent, AlertCallback)> {
        let mut calls = self.lock();
        let next = calls.waiting.pop_front();
        calls.is_delivering = next.is_some();
        next
    }

    pub(super) fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        unpoisoned(self.calls.lock())
    }
}
