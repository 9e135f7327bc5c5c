//! Queue of runs: who waits, who computes, and who is next. Plain state: it neither waits nor reads the clock.
//!
//! Of the runs whose owner waits in a step and whose engine has a free slot, the next is: of the highest priority; among
//! those, of the caller that is furthest behind its share; of that caller, the earliest. Of [`ANY_EVERY`] grants that pass
//! over a lower priority, of each engine and of all of them, one is made as if there were no priorities, so that nobody waits
//! for ever.

mod callers;
mod expectation;
mod service;

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::options::ScheduleOptions;
use super::signal::Signal;
use crate::engine::{Priority, Usage};
use crate::{Code, Error, Result};
use callers::Callers;
use expectation::earliest;
use service::ServiceTimes;
pub(super) use service::Work;

/// Among so many grants that would pass over a lower priority, one knows no priorities.
pub(super) const ANY_EVERY: u32 = 8;
/// An engine that refused so many calls in a row because of their deadlines takes the next one: its times may have changed.
pub(super) const TRY_AFTER: u32 = 8;
/// What a caller is charged for a run of which nothing is known yet.
const UNKNOWN: Duration = Duration::from_millis(1);
/// The least that a run is charged, so that no caller stands still in time.
const LEAST: Duration = Duration::from_micros(1);
/// What `Busy` hints at: where nothing is known, at the least, at the most.
const RETRY: Duration = Duration::from_millis(100);
const MIN_RETRY: Duration = Duration::from_millis(1);
const MAX_RETRY: Duration = Duration::from_secs(60);

/// What a call asks of the queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) engine: usize,
    pub(super) work: Work,
    pub(super) caller: u64,
    pub(super) priority: Priority,
    pub(super) deadline: Option<Instant>,
}

pub(super) struct Queue {
    options: ScheduleOptions,
    /// By index; `None` for one that is gone.
    engines: Vec<Option<Line>>,
    callers: Callers,
    /// In the order of their arrival.
    waiting: Vec<Waiting>,
    running: Vec<Running>,
    /// The number of the next run.
    next: u64,
    /// Grants that passed over a lower priority, since the last one that knew none.
    passed: u32,
    pub(super) counts: Counts,
}

/// What happened so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) granted: u64,
    pub(super) busy: u64,
    pub(super) too_late: u64,
}

/// What is known of an engine.
struct Line {
    slots: usize,
    running: usize,
    /// As [`Queue::passed`], of this engine.
    passed: u32,
    times: ServiceTimes,
    /// Calls in a row that were refused because of their deadline.
    refused: u32,
}

struct Waiting {
    number: u64,
    engine: usize,
    caller: usize,
    priority: Priority,
    work: Work,
    expected: Option<Duration>,
    /// Whether the owner waits in a step.
    is_here: bool,
    signal: Option<Arc<Signal>>,
}

struct Running {
    number: u64,
    engine: usize,
    caller: usize,
    work: Work,
    began: Instant,
    expected: Option<Duration>,
    charged: Duration,
}

impl Queue {
    pub(super) fn new(options: ScheduleOptions) -> Self {
        let callers = Callers::new(&options.weights);
        Self {
            options,
            engines: Vec::new(),
            callers,
            waiting: Vec::new(),
            running: Vec::new(),
            next: 0,
            passed: 0,
            counts: Counts::default(),
        }
    }

    pub(super) fn add_engine(&mut self, slots: usize) -> usize {
        let line = Line { slots, running: 0, passed: 0, times: ServiceTimes::default(), refused: 0 };
        match self.engines.iter().position(Option::is_none) {
            Some(i) => {
                self.engines[i] = Some(line);
                i
            }
            None => {
                self.engines.push(Some(line));
                self.engines.len() - 1
            }
        }
    }

    pub(super) fn remove_engine(&mut self, engine: usize) {
        self.engines[engine] = None;
    }

    /// Takes a place in the queue; the run's number.
    ///
    /// # Errors
    ///
    /// `Busy` if there is no place, `DeadlineExceeded` if the run is not expected to end in time.
    pub(super) fn enter(&mut self, terms: &Terms, now: impl Fn() -> Instant) -> Result<u64> {
        self.check_places(terms, &now)?;
        if let Some(deadline) = terms.deadline {
            self.check_deadline(terms, deadline, now())?;
        }
        let expected = self.expected(terms);
        let number = self.next;
        self.next += 1;
        self.waiting.push(Waiting {
            number,
            engine: terms.engine,
            caller: self.callers.enter(terms.caller),
            priority: terms.priority,
            work: terms.work,
            expected,
            is_here: false,
            signal: None,
        });
        Ok(number)
    }

    /// The owner of a run waits in a step. Whether the run may compute.
    pub(super) fn arrive(&mut self, number: u64, now: Instant) -> bool {
        if let Some(waiting) = self.find(number) {
            waiting.is_here = true;
        }
        self.dispatch(now);
        self.find(number).is_none()
    }

    /// What tells the owner of a run that waits that it may compute.
    pub(super) fn signal(&mut self, number: u64) -> Option<Arc<Signal>> {
        self.find(number).map(|waiting| waiting.signal.get_or_insert_default().clone())
    }

    /// The owner of a run does something else for now. Its place stays.
    pub(super) fn step_away(&mut self, number: u64) {
        if let Some(waiting) = self.find(number) {
            waiting.is_here = false;
        }
    }

    /// A run has ended, or was given up: its place, or its slot, is free. With the usage of one that was answered.
    pub(super) fn end(&mut self, number: u64, now: Instant, usage: Option<&Usage>) {
        if let Ok(i) = self.waiting.binary_search_by_key(&number, |waiting| waiting.number) {
            let gone = self.waiting.remove(i);
            self.callers.abandon(gone.caller);
            return;
        }
        let Some(i) = self.running.iter().position(|running| running.number == number) else { return };
        let ended = self.running.swap_remove(i);
        let took = now.saturating_duration_since(ended.began).max(LEAST);
        self.callers.settle(ended.caller, nanos(ended.charged), nanos(took));
        if let Some(line) = self.line(ended.engine) {
            line.running -= 1;
            if let Some(usage) = usage {
                line.times.observe(ended.work, took, usage);
            }
        }
        self.dispatch(now);
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn running(&self) -> usize {
        self.running.len()
    }

    fn dispatch(&mut self, now: Instant) {
        while let Some(i) = self.pick() {
            self.grant(i, now);
        }
    }

    /// The place of the next run in `waiting`, if any may compute.
    fn pick(&self) -> Option<usize> {
        if self.options.at_once.is_some_and(|most| self.running.len() >= most) {
            return None;
        }
        let eligible = || self.waiting.iter().enumerate().filter(|(_, w)| w.is_here && self.has_slot(w.engine));
        let turn = |w: &Waiting| Reverse((self.callers.time(w.caller), w.number));
        let any = |engine: Option<usize>| {
            let of_engine = eligible().filter(|(_, w)| engine.is_none_or(|engine| w.engine == engine));
            of_engine.max_by_key(|(_, w)| turn(w)).map(|(i, _)| i)
        };
        if self.passed + 1 >= ANY_EVERY {
            return any(None);
        }
        let (best, next) = eligible().max_by_key(|(_, w)| (w.priority, turn(w)))?;
        let is_due = self.engines[next.engine].as_ref().is_some_and(|line| line.passed + 1 >= ANY_EVERY);
        if is_due { any(Some(next.engine)) } else { Some(best) }
    }

    fn grant(&mut self, i: usize, now: Instant) {
        self.count_passes(i);
        let next = self.waiting.remove(i);
        if let Some(line) = self.line(next.engine) {
            line.running += 1;
        }
        let charged = next.expected.unwrap_or(UNKNOWN).max(LEAST);
        self.callers.grant(next.caller, nanos(charged));
        self.counts.granted += 1;
        self.running.push(Running {
            number: next.number,
            engine: next.engine,
            caller: next.caller,
            work: next.work,
            began: now,
            expected: next.expected,
            charged,
        });
        if let Some(signal) = next.signal {
            signal.grant();
        }
    }

    /// Notes whether this grant passes over a run of a lower priority; a due one has known none.
    fn count_passes(&mut self, i: usize) {
        let (priority, engine) = (self.waiting[i].priority, self.waiting[i].engine);
        let lower = || self.waiting.iter().filter(|w| w.is_here && w.priority < priority && self.has_slot(w.engine));
        let passes = lower().next().is_some();
        let passes_in_engine = lower().any(|w| w.engine == engine);
        let count = |passed: &mut u32, passes: bool| {
            if *passed + 1 >= ANY_EVERY {
                *passed = 0;
            } else if passes {
                *passed += 1;
            }
        };
        count(&mut self.passed, passes);
        if let Some(line) = self.line(engine) {
            count(&mut line.passed, passes_in_engine);
        }
    }

    fn has_slot(&self, engine: usize) -> bool {
        self.engines[engine].as_ref().is_some_and(|line| line.running < line.slots)
    }

    fn check_places(&mut self, terms: &Terms, now: &impl Fn() -> Instant) -> Result<()> {
        let (most, all) = (self.options.capacity, self.waiting.len());
        let refusal = match self.options.caller_capacity {
            _ if all >= most => format!("the queue is full: expected fewer than {most} runs that wait, got {all}"),
            Some(most) if self.callers.waiting(terms.caller) >= most => {
                let (caller, own) = (terms.caller, self.callers.waiting(terms.caller));
                format!("the queue is full for caller {caller}: expected fewer than {most} runs that wait, got {own}")
            }
            _ => return Ok(()),
        };
        self.counts.busy += 1;
        Err(Error::new(Code::Busy, refusal).with_retry_after(self.retry_after(now())))
    }

    /// A place is free once the first of the runs that compute has ended.
    fn retry_after(&self, now: Instant) -> Duration {
        let left = self.running.iter().map(|running| running.left(now));
        left.min().flatten().unwrap_or(RETRY).clamp(MIN_RETRY, MAX_RETRY)
    }

    fn check_deadline(&mut self, terms: &Terms, deadline: Instant, now: Instant) -> Result<()> {
        let Some(own) = self.expected(terms) else { return Ok(()) };
        let (wait, left) = (self.expected_wait(terms, now), deadline.saturating_duration_since(now));
        let Some(line) = self.line(terms.engine) else { return Ok(()) };
        if wait.saturating_add(own) <= left || line.refused >= TRY_AFTER {
            line.refused = 0;
            return Ok(());
        }
        line.refused += 1;
        self.counts.too_late += 1;
        let refusal = format!("expected to wait {wait:.1?} and to take {own:.1?}, the deadline is in {left:.1?}");
        Err(Error::new(Code::DeadlineExceeded, refusal))
    }

    /// The time until a run that came now would compute.
    fn expected_wait(&self, terms: &Terms, now: Instant) -> Duration {
        let slots = self.engines[terms.engine].as_ref().map_or(1, |line| line.slots);
        let of_engine = self.wait_among(terms, now, slots, |engine| engine == terms.engine);
        match self.options.at_once {
            Some(slots) => of_engine.max(self.wait_among(terms, now, slots, |_| true)),
            None => of_engine,
        }
    }

    fn wait_among(&self, terms: &Terms, now: Instant, slots: usize, counts: impl Fn(usize) -> bool) -> Duration {
        let running = self.running.iter().filter(|r| counts(r.engine)).map(|r| r.left(now).unwrap_or_default());
        let waiting = || self.waiting.iter().filter(|w| counts(w.engine) && w.priority >= terms.priority);
        let own = waiting().filter(|w| self.callers.is(w.caller, terms.caller)).count();
        // Callers take turns: of each other one, about as many come before it as it has itself.
        let mut turns: Vec<(usize, usize)> = Vec::new();
        let ahead = waiting().filter(|w| {
            if w.priority > terms.priority || self.callers.is(w.caller, terms.caller) {
                return true;
            }
            match turns.iter_mut().find(|(caller, _)| *caller == w.caller) {
                Some((_, n)) => {
                    *n += 1;
                    *n <= own + 1
                }
                None => {
                    turns.push((w.caller, 1));
                    true
                }
            }
        });
        earliest(slots, running, ahead.map(|w| w.expected.unwrap_or_default()))
    }

    fn expected(&self, terms: &Terms) -> Option<Duration> {
        self.engines[terms.engine].as_ref().and_then(|line| line.times.expected(terms.work))
    }

    fn find(&mut self, number: u64) -> Option<&mut Waiting> {
        let i = self.waiting.binary_search_by_key(&number, |waiting| waiting.number).ok()?;
        self.waiting.get_mut(i)
    }

    fn line(&mut self, engine: usize) -> Option<&mut Line> {
        self.engines.get_mut(engine).and_then(Option::as_mut)
    }
}

impl Running {
    fn left(&self, now: Instant) -> Option<Duration> {
        self.expected.map(|time| time.saturating_sub(now.saturating_duration_since(self.began)))
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
impl Queue {
    pub(super) fn callers(&self) -> usize {
        self.callers.len()
    }
}
