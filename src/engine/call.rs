//! Calls: what belongs to a call and not to the question: cancel, deadline, priority, id.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::threads::unpoisoned;
use crate::{Code, Error, Result};

/// The terms of one call.
///
/// ```
/// use std::time::Duration;
/// use selvedge::{Call, Cancel, Code};
/// let cancel = Cancel::new();
/// let call = Call::new().cancel(&cancel).timeout(Duration::from_secs(5));
/// assert!(call.check().is_ok());
/// cancel.cancel();
/// assert_eq!(call.check().unwrap_err().code(), Code::Cancelled);
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Call {
    /// Ends the run from any thread.
    pub cancel: Option<Cancel>,
    /// The time from which the answer is of no more use.
    pub deadline: Option<Instant>,
    /// The order of calls that wait for each other.
    pub priority: Priority,
    /// The caller's own number for the call; it comes back in the answer. 0 if it has none.
    pub id: u64,
    /// Whom the call is made for: a user, a tab, a part of the app. A queue divides its time between callers; calls that do
    /// not say have one share together, as the caller 0.
    pub caller: u64,
    /// The part of a rollout that the call was given to, if a deployment has given it to one.
    pub(crate) exposure: Option<Exposure>,
}

/// The part of a rollout that a call is given to: what a deployment tells the layers below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exposure {
    Current,
    Canary,
    Shadow,
}

impl Call {
    /// No cancel token, no deadline, normal priority.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets `cancel` end the run.
    #[must_use]
    pub fn cancel(mut self, cancel: &Cancel) -> Self {
        self.cancel = Some(cancel.clone());
        self
    }

    /// Sets the deadline.
    #[must_use]
    pub fn deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Sets the deadline this far from now; a time beyond what the clock can count is no deadline.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.deadline = Instant::now().checked_add(timeout);
        self
    }

    /// Sets the priority.
    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Sets the caller's number for the call.
    #[must_use]
    pub fn id(mut self, id: u64) -> Self {
        self.id = id;
        self
    }

    /// Sets whom the call is made for.
    #[must_use]
    pub fn caller(mut self, caller: u64) -> Self {
        self.caller = caller;
        self
    }

    /// Whether the call still goes on. Engines ask before each step.
    ///
    /// # Errors
    ///
    /// `Cancelled` or `DeadlineExceeded` if it is over.
    pub fn check(&self) -> Result<()> {
        if self.cancel.as_ref().is_some_and(Cancel::is_cancelled) {
            return Err(Error::new(Code::Cancelled, "the call was cancelled"));
        }
        if self.deadline.is_some_and(|d| Instant::now() >= d) {
            return Err(Error::new(Code::DeadlineExceeded, "the call's deadline passed"));
        }
        Ok(())
    }
}

/// The order of calls that wait for each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Priority {
    /// Work that nobody waits for.
    Background,
    /// The default.
    #[default]
    Normal,
    /// A person is waiting.
    Interactive,
}

/// A switch that ends runs, from any thread. Clones are the same switch. It stays set.
#[derive(Clone, Default)]
pub struct Cancel {
    switch: Arc<Switch>,
    /// What sets a child with its parent. The hook has the switch alone, so that it goes with the child's last clone.
    _parent: Option<Arc<OnCancel>>,
}

#[derive(Default)]
struct Switch {
    set: AtomicBool,
    next: AtomicU64,
    hooks: Mutex<Vec<(u64, Hook)>>,
}

type Hook = Box<dyn Fn() + Send>;

impl Cancel {
    /// A switch that is not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the switch. Runs that carry it end with `Cancelled`.
    pub fn cancel(&self) {
        self.switch.set.store(true, Ordering::Release);
        for (_, hook) in self.hooks().drain(..) {
            hook();
        }
    }

    /// A switch that is set with this one, and may be set by itself without this one.
    ///
    /// ```
    /// use selvedge::Cancel;
    /// let all = Cancel::new();
    /// let (one, other) = (all.child(), all.child());
    /// one.cancel();
    /// assert!(one.is_cancelled() && !other.is_cancelled() && !all.is_cancelled());
    /// all.cancel();
    /// assert!(other.is_cancelled());
    /// ```
    #[must_use]
    pub fn child(&self) -> Cancel {
        let child = Cancel::new();
        let own = child.clone();
        let parent = self.on_cancel(move || own.cancel());
        Cancel { _parent: Some(Arc::new(parent)), ..child }
    }

    /// Whether the switch is set.
    pub fn is_cancelled(&self) -> bool {
        self.switch.set.load(Ordering::Acquire)
    }

    /// Calls `hook` once, when the switch is set, on the thread that sets it, unless the guard is
    /// dropped before. If it is set already, `hook` is called at once. For engines whose runtime can
    /// be interrupted: the hook must be short, must not panic and must not use this switch.
    pub fn on_cancel(&self, hook: impl Fn() + Send + 'static) -> OnCancel {
        let id = self.switch.next.fetch_add(1, Ordering::Relaxed);
        let mut hooks = self.hooks();
        // Under the lock: a `cancel` that came before has set the flag, one that comes later sees the hook.
        if self.is_cancelled() {
            hook();
        } else {
            hooks.push((id, Box::new(hook)));
        }
        drop(hooks);
        OnCancel { cancel: self.clone(), id }
    }

    fn hooks(&self) -> std::sync::MutexGuard<'_, Vec<(u64, Hook)>> {
        unpoisoned(self.switch.hooks.lock())
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cancel").field(&self.is_cancelled()).finish()
    }
}

/// Keeps a hook of [`Cancel::on_cancel`] in place. Once it is dropped the hook is not running and
/// never runs again.
#[must_use = "the hook is removed when this is dropped"]
#[derive(Debug)]
pub struct OnCancel {
    cancel: Cancel,
    id: u64,
}

impl Drop for OnCancel {
    fn drop(&mut self) {
        self.cancel.hooks().retain(|(id, _)| *id != self.id);
    }
}
