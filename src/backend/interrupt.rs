//! Ending a run from outside: by its cancel switch, or by one watchdog thread for all deadlines.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::engine::{Call, OnCancel};
use crate::threads::unpoisoned;
use crate::{Code, Error, Result};

/// What a runtime takes the end of a run by.
pub(super) trait Terminate: Send + Sync + 'static {
    /// Ends the run as soon as the runtime can. Called once, from any thread.
    fn terminate(&self);
}

/// What can end one run. Dropping it takes the hooks away.
pub(super) struct Interrupt<T> {
    switch: Arc<Switch<T>>,
    _cancel: Option<OnCancel>,
    _deadline: Option<Watched>,
}

struct Switch<T: ?Sized> {
    /// 0, or the code of what ended the run first.
    cause: AtomicU8,
    terms: T,
}

impl<T: Terminate> Interrupt<T> {
    /// Watches the cancel switch and the deadline of `call`; `None` if it has neither.
    pub(super) fn watch(call: &Call, terms: impl FnOnce() -> Result<T>) -> Result<Option<Self>> {
        if call.cancel.is_none() && call.deadline.is_none() {
            return Ok(None);
        }
        let switch = Arc::new(Switch { cause: AtomicU8::new(0), terms: terms()? });
        let hook = Arc::clone(&switch);
        let _cancel = call.cancel.as_ref().map(|c| c.on_cancel(move || hook.end(Code::Cancelled)));
        let _deadline = call.deadline.map(|d| Watched::until(d, switch.clone())).transpose()?;
        Ok(Some(Self { switch, _cancel, _deadline }))
    }

    pub(super) fn terms(&self) -> &T {
        &self.switch.terms
    }

    /// What the failure of the run was really: the end that came from outside, if one came.
    pub(super) fn cause(&self, failure: Error) -> Error {
        let (code, message) = match self.switch.cause.load(Ordering::Acquire) {
            CANCELLED => (Code::Cancelled, "the call was cancelled"),
            LATE => (Code::DeadlineExceeded, "the call's deadline passed"),
            _ => return failure,
        };
        Error::new(code, message).because(failure)
    }
}

const CANCELLED: u8 = Code::Cancelled as u8;
const LATE: u8 = Code::DeadlineExceeded as u8;

impl<T: Terminate + ?Sized> Switch<T> {
    fn end(&self, cause: Code) {
        let first = self.cause.compare_exchange(0, cause as u8, Ordering::AcqRel, Ordering::Relaxed);
        if first.is_ok() {
            self.terms.terminate();
        }
    }
}

/// How long the watchdog thread sleeps at most, and waits for another deadline before it ends.
const IDLE: Duration = Duration::from_secs(10);

static WATCHDOG: Watchdog =
    Watchdog { state: Mutex::new(Watch { due: BTreeMap::new(), wakes: None, running: false }), news: Condvar::new() };

struct Watchdog {
    state: Mutex<Watch>,
    news: Condvar,
}

struct Watch {
    /// Deadlines, earliest first; the number tells equal ones apart.
    due: BTreeMap<(Instant, u64), Arc<Switch<dyn Terminate>>>,
    /// When the thread looks again by itself; `None` if it has not yet looked for the first time.
    wakes: Option<Instant>,
    running: bool,
}

/// A deadline that the watchdog knows of, until this is dropped.
struct Watched((Instant, u64));

impl Watched {
    fn until(deadline: Instant, switch: Arc<Switch<dyn Terminate>>) -> Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let key = (deadline, NEXT.fetch_add(1, Ordering::Relaxed));
        let mut watch = WATCHDOG.lock();
        if !watch.running {
            let thread = std::thread::Builder::new().name("selvedge-deadline".into());
            thread.spawn(|| WATCHDOG.work()).map_err(|e| Error::io("starting the thread that watches deadlines", e))?;
            watch.running = true;
        }
        watch.due.insert(key, switch);
        // Waking a thread costs more than a small run. Of calls with like deadlines, only one does.
        if watch.wakes.is_some_and(|wakes| deadline < wakes) {
            WATCHDOG.news.notify_one();
        }
        Ok(Self(key))
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // The thread wakes at a time that is no longer due, and finds nothing to do.
        WATCHDOG.lock().due.remove(&self.0);
    }
}

impl Watchdog {
    fn lock(&self) -> MutexGuard<'_, Watch> {
        unpoisoned(self.state.lock())
    }

    fn work(&self) {
        let mut watch = self.lock();
        loop {
            let now = Instant::now();
            while let Some(first) = watch.due.first_entry().filter(|first| first.key().0 <= now) {
                first.remove().end(Code::DeadlineExceeded);
            }
            let idle = watch.due.is_empty();
            let first = watch.due.first_key_value().map(|((due, _), _)| due.saturating_duration_since(now));
            let wait = first.map_or(IDLE, |due| due.min(IDLE));
            watch.wakes = Some(now + wait);
            let (guard, timeout) = unpoisoned(self.news.wait_timeout(watch, wait));
            watch = guard;
            if idle && timeout.timed_out() && watch.due.is_empty() {
                (watch.running, watch.wakes) = (false, None);
                return;
            }
        }
    }
}
