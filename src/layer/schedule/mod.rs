//! Schedule, the layer that decides whose run computes next; and the models of a process within one budget of memory.
//!
//! ```text
//!   start ─► place in the queue ─► first steps wait ─► slot of the engine ─► the engine's own run
//!            queue: priority, callers' shares, deadline      models: room in memory, opened on demand
//! ```
//!
//! `queue` is plain state and decides; `run` waits. `models` is the budget, independent of the queue: an app stacks the
//! two, with the schedule around.

mod models;
mod options;
mod queue;
mod run;
mod signal;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use models::{Models, ModelsStatus, Pressure, PressureWatch};
pub use options::ScheduleOptions;

use super::route;
use crate::engine::{Call, Engine, PrefixCache, Request, Run, Spec, Tokenizer, Trim};
use crate::{Error, Result};
use queue::Queue;
use run::{LAYER, Member, ScheduledRun, Shared};

/// A schedule is one bounded queue over the engines of a process: it decides whose run computes next, and refuses at once
/// what it cannot serve.
///
/// [`around`](Self::around) an engine gives an engine with the same requests and answers, whose runs wait for each other;
/// [`Provenance::route`](crate::Provenance::route) gains `schedule`, and [`Usage::queued`](crate::Usage::queued) the time
/// of the wait. Clones are the same queue.
///
/// **Order.** A run takes its place when it is started, and waits inside its first steps, without computing: they are
/// `Working`. Of the runs that are being stepped and whose engine has a free slot, the next is the one of the highest
/// [`Call::priority`]; among those, one of the caller ([`Call::caller`]) who has had the least time for its weight; of
/// that caller's, the earliest. Of eight grants that pass over a lower priority, one is made as if there were none, so that
/// nobody waits for ever.
/// A run holds its slot until it has ended or is dropped: whoever keeps one that has begun, and waits on the same thread
/// for another run of that engine, waits until a deadline.
///
/// **Refusals.** `Busy` where the queue is full, with a hint in [`Error::retry_after`](crate::Error::retry_after). A call
/// with a deadline is `DeadlineExceeded` at its start where the time that those ahead of it are expected to take, and its
/// own, are more than is left. Expected is the mean of earlier runs of that engine and kind, the newest with a share of an
/// eighth; of text at most what the tokens asked for take. Before eight runs were answered nothing is refused, and after
/// eight refusals in a row the next call is let through, for the engine may have become faster. A deadline that passes in
/// the queue ends the run there.
///
/// ```
/// use selvedge::fake::Fake;
/// use selvedge::layer::schedule::{Schedule, ScheduleOptions};
/// use selvedge::{Ask, Call, Code, Generate, Priority};
///
/// let schedule = Schedule::new(ScheduleOptions::new().capacity(1))?;
/// let engine = schedule.around(Fake::text("so it goes").build());
/// let call = Call::new().priority(Priority::Interactive).caller(7);
/// let answer = engine.run_with(Generate::text("and then"), call)?;
/// assert_eq!((&*answer.text, &*answer.provenance.route), ("so it goes", &["schedule".to_string()][..]));
///
/// let _waits = engine.start(Generate::text("and").into(), Call::new())?;
/// let full = engine.run(Generate::text("and then")).unwrap_err();
/// assert_eq!(full.code(), Code::Busy);
/// assert!(full.retry_after().is_some());
/// # Ok::<(), selvedge::Error>(())
/// ```
#[derive(Clone)]
pub struct Schedule {
    shared: Arc<Shared>,
}

impl Schedule {
    /// A queue without engines.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for an option out of its range.
    pub fn new(options: ScheduleOptions) -> Result<Self> {
        options.check()?;
        Ok(Self { shared: Arc::new(Shared::new(Queue::new(options))) })
    }

    /// The engine with its runs in this queue. As many compute at once as it computes side by side
    /// ([`Spec::parallel`]), so that llama.cpp's batches are full; where it does not say, one after another.
    pub fn around(&self, engine: Arc<dyn Engine>) -> Arc<dyn Engine> {
        let slots = engine.spec().parallel.unwrap_or(1).max(1);
        self.add(engine, slots as usize)
    }

    /// The engine with its runs in this queue, `slots` of them at once.
    ///
    /// ```
    /// # use selvedge::{DType, fake::Fake, layer::schedule::{Schedule, ScheduleOptions}};
    /// let schedule = Schedule::new(ScheduleOptions::new())?;
    /// let engine = schedule.around_with(Fake::echo(DType::F32).build(), 4)?;
    /// assert_eq!(engine.spec().provenance.route, ["schedule"]);
    /// # Ok::<(), selvedge::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for no slot.
    pub fn around_with(&self, engine: Arc<dyn Engine>, slots: usize) -> Result<Arc<dyn Engine>> {
        match slots {
            0 => Err(Error::invalid("schedule: slots: expected at least 1, got 0")),
            slots => Ok(self.add(engine, slots)),
        }
    }

    /// What waits and computes now, and what happened so far.
    pub fn status(&self) -> ScheduleStatus {
        let queue = self.shared.lock();
        let counts = queue.counts;
        ScheduleStatus {
            waiting: queue.waiting(),
            computing: queue.running(),
            granted: counts.granted,
            busy: counts.busy,
            too_late: counts.too_late,
        }
    }

    fn add(&self, engine: Arc<dyn Engine>, slots: usize) -> Arc<dyn Engine> {
        let number = self.shared.lock().add_engine(slots);
        let spec = route::spec(LAYER, engine.spec());
        Arc::new(Scheduled(Arc::new(Member { shared: self.shared.clone(), number, engine, spec })))
    }
}

impl std::fmt::Debug for Schedule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Schedule").field(&self.status()).finish()
    }
}

/// What a [`Schedule`] has to say of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScheduleStatus {
    /// Runs that have a place and no slot yet.
    pub waiting: usize,
    /// Runs that have a slot.
    pub computing: usize,
    /// Slots given so far.
    pub granted: u64,
    /// Calls refused so far because the queue was full.
    pub busy: u64,
    /// Calls refused so far because of their deadline, before it passed.
    pub too_late: u64,
}

struct Scheduled(Arc<Member>);

impl Engine for Scheduled {
    fn spec(&self) -> &Spec {
        &self.0.spec
    }

    fn start(&self, request: Request, call: Call) -> Result<Box<dyn Run>> {
        Ok(Box::new(ScheduledRun::start(&self.0, request, call)?))
    }

    fn tokenizer(&self) -> Option<&dyn Tokenizer> {
        self.0.engine.tokenizer()
    }

    fn prefix_cache(&self) -> Option<&dyn PrefixCache> {
        self.0.engine.prefix_cache()
    }

    fn trim(&self, level: Trim) -> Result<u64> {
        self.0.engine.trim(level)
    }
}
