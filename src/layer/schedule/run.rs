//! Runs of a scheduled engine: they wait in their first steps, and then step the run below.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::queue::{Queue, Terms, Work};
use super::signal::Signal;
use crate::engine::{Answer, Call, Engine, OnCancel, Progress, Request, Run, Spec, Step};
use crate::layer::route;
use crate::threads::unpoisoned;
use crate::{Error, Result};

/// The layer's name on the route.
pub(super) const LAYER: &str = "schedule";

/// How long a step waits before it says that there is nothing yet. A thread that steps several runs in turn gets around to
/// the one that the others wait for.
const PATIENCE: Duration = Duration::from_millis(50);

/// The queue, as engines and runs share it. No code of others runs while it is locked.
pub(super) struct Shared {
    queue: Mutex<Queue>,
}

impl Shared {
    pub(super) fn new(queue: Queue) -> Self {
        Self { queue: Mutex::new(queue) }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Queue> {
        unpoisoned(self.queue.lock())
    }
}

/// An engine of the schedule. Its last owner, the app or a run, takes it off.
pub(super) struct Member {
    pub(super) shared: Arc<Shared>,
    pub(super) number: usize,
    pub(super) engine: Arc<dyn Engine>,
    pub(super) spec: Spec,
}

impl Drop for Member {
    fn drop(&mut self) {
        self.shared.lock().remove_engine(self.number);
    }
}

/// A run with a place in the queue, until it has ended.
pub(super) struct ScheduledRun {
    live: Option<Live>,
}

/// The order counts: the run below is gone before its slot is another's.
struct Live {
    run: Box<dyn Run>,
    call: Call,
    place: Place,
}

impl ScheduledRun {
    pub(super) fn start(member: &Arc<Member>, request: Request, call: Call) -> Result<Self> {
        call.check()?;
        let terms = Terms {
            engine: member.number,
            work: Work::of(&request),
            caller: call.caller,
            priority: call.priority,
            deadline: call.deadline,
        };
        let number = member.shared.lock().enter(&terms, Instant::now).map_err(|e| e.during(member.asking()))?;
        let place = Place {
            member: member.clone(),
            number,
            is_granted: false,
            began: None,
            queued: Duration::ZERO,
            wake: None,
        };
        // The place is there first, and goes if this fails: what the engine prepares is bounded, too.
        let run = member.engine.start(request, call.clone())?;
        Ok(Self { live: Some(Live { run, call, place }) })
    }
}

impl Member {
    fn asking(&self) -> String {
        format!("asking '{}'", self.spec.provenance.model)
    }
}

impl Run for ScheduledRun {
    fn step(&mut self) -> Result<Step> {
        // Taken and put back, so that whatever goes wrong ends the run and frees its place.
        let mut live = self.live.take().ok_or_else(|| Error::invalid("the run has ended"))?;
        if !live.place.wait(&live.call)? {
            self.live = Some(live);
            return Ok(Step::Working(Progress::new(0, None)));
        }
        match live.run.step()? {
            Step::Done(answer) => Ok(Step::Done(live.end(answer))),
            step => {
                self.live = Some(live);
                Ok(step)
            }
        }
    }
}

impl Live {
    fn end(self, mut answer: Answer) -> Answer {
        let Self { run, call, mut place } = self;
        drop((run, call));
        let member = place.member.clone();
        member.shared.lock().end(place.number, Instant::now(), Some(&answer.usage));
        place.is_over();
        answer.usage.queued += place.queued;
        let (inner, outer) = (&member.engine.spec().provenance, &member.spec.provenance);
        answer.provenance = route::provenance(LAYER, answer.provenance, inner, outer);
        answer
    }
}

/// A place in the queue, and later a slot; whatever it is, it is free once this is dropped.
struct Place {
    member: Arc<Member>,
    number: u64,
    is_granted: bool,
    /// When the first step began.
    began: Option<Instant>,
    queued: Duration,
    wake: Option<OnCancel>,
}

/// The number of no run.
const NONE: u64 = u64::MAX;

impl Place {
    /// Waits for the slot, for a while; whether it is there.
    fn wait(&mut self, call: &Call) -> Result<bool> {
        if self.is_granted {
            return Ok(true);
        }
        call.check()?;
        let now = Instant::now();
        let began = *self.began.get_or_insert(now);
        let signal = {
            let mut queue = self.member.shared.lock();
            if queue.arrive(self.number, now) { None } else { queue.signal(self.number) }
        };
        if let Some(signal) = signal {
            if !self.wait_for(&signal, call, now + PATIENCE)? {
                return Ok(false);
            }
            self.queued = began.elapsed();
        } else {
            self.queued = now.saturating_duration_since(began);
        }
        (self.is_granted, self.wake) = (true, None);
        Ok(true)
    }

    fn wait_for(&mut self, signal: &Arc<Signal>, call: &Call, patience: Instant) -> Result<bool> {
        if let (Some(cancel), None) = (&call.cancel, &self.wake) {
            let (shared, signal) = (self.member.shared.clone(), signal.clone());
            self.wake = Some(cancel.on_cancel(move || {
                // Under the lock, so that it cannot fall between a look at the call and the wait.
                let _queue = shared.lock();
                signal.changed.notify_all();
            }));
        }
        let mut queue = self.member.shared.lock();
        loop {
            if signal.is_granted() {
                return Ok(true);
            }
            call.check()?;
            let now = Instant::now();
            if now >= patience {
                queue.step_away(self.number);
                return Ok(false);
            }
            let until = call.deadline.map_or(patience, |deadline| deadline.min(patience));
            queue = unpoisoned(signal.changed.wait_timeout(queue, until.saturating_duration_since(now))).0;
        }
    }

    /// Says that nothing is left to be freed.
    fn is_over(&mut self) {
        self.number = NONE;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.number != NONE {
            self.member.shared.lock().end(self.number, Instant::now(), None);
        }
    }
}
