//! The two ends of a run: what its owner steps, and where the worker puts what it made.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::worker::Command;
use crate::engine::{Call, OnCancel, Progress, Run, Step};
use crate::{Code, Error, Result};

/// Steps that the worker makes before the run is stepped.
const AHEAD: usize = 4;
/// How long a step waits before it says that there is nothing yet. A thread that steps several runs in turn gets
/// around to the one that the others wait for.
const PATIENCE: Duration = Duration::from_millis(50);

/// Where a run and the worker meet.
#[derive(Default)]
pub(super) struct Slot {
    steps: Mutex<VecDeque<Result<Step>>>,
    filled: Condvar,
    gone: AtomicBool,
}

impl Slot {
    /// Whether the worker may make another step.
    pub(super) fn has_room(&self) -> bool {
        self.steps().len() < AHEAD
    }

    /// Whether nobody will take another step.
    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    pub(super) fn give(&self, step: Result<Step>) {
        self.steps().push_back(step);
        self.filled.notify_all();
    }

    /// Wakes whoever waits, so that he looks at his call again.
    fn wake(&self) {
        // Under the lock, so that it cannot fall between a look at the call and the wait.
        let _steps = self.steps();
        self.filled.notify_all();
    }

    fn steps(&self) -> MutexGuard<'_, VecDeque<Result<Step>>> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The way to the worker. The last owner, engine or run, waits for the worker's end.
pub(super) struct Link {
    commands: Option<Sender<Command>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Link {
    /// `stop` ends a computation that is under way.
    pub(super) fn new(commands: Sender<Command>, stop: Arc<AtomicBool>, thread: JoinHandle<()>) -> Self {
        Self { commands: Some(commands), stop, thread: Some(thread) }
    }

    pub(super) fn send(&self, command: Command) -> Result<()> {
        let sent = self.commands.as_ref().is_some_and(|commands| commands.send(command).is_ok());
        if sent { Ok(()) } else { Err(stopped()) }
    }

    fn works(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            // Its panic has been reported to the runs already.
            let _ = thread.join();
        }
    }
}

fn stopped() -> Error {
    Error::new(Code::Panic, "the thread that computes for this model has stopped")
}

/// A run of either kind: the worker does the work.
pub(super) struct TextRun {
    link: Arc<Link>,
    slot: Arc<Slot>,
    call: Call,
    /// The work, until the first step hands it over.
    work: Option<Command>,
    progress: Progress,
    ended: bool,
    _wake: Option<OnCancel>,
}

impl TextRun {
    pub(super) fn new(link: Arc<Link>, slot: Arc<Slot>, call: Call, work: Command, progress: Progress) -> Self {
        let wake = call.cancel.as_ref().map(|cancel| {
            let slot = slot.clone();
            cancel.on_cancel(move || slot.wake())
        });
        Self { link, slot, call, work: Some(work), progress, ended: false, _wake: wake }
    }

    fn next(&mut self) -> Result<Step> {
        self.call.check()?;
        if let Some(work) = self.work.take() {
            self.link.send(work)?;
        }
        let patience = Instant::now() + PATIENCE;
        let mut steps = self.slot.steps();
        loop {
            let was_full = steps.len() >= AHEAD;
            if let Some(step) = steps.pop_front() {
                drop(steps);
                if was_full {
                    self.link.send(Command::Look)?;
                }
                return step;
            }
            self.call.check()?;
            let now = Instant::now();
            if now >= patience {
                return if self.link.works() { Ok(Step::Working(self.progress)) } else { Err(stopped()) };
            }
            let until = self.call.deadline.map_or(patience, |deadline| deadline.min(patience));
            steps = self.slot.filled.wait_timeout(steps, until - now).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn end(&mut self) {
        if !self.ended {
            self.ended = true;
            self.work = None;
            self.slot.gone.store(true, Ordering::Release);
            // A worker that has stopped has nothing to free.
            let _ = self.link.send(Command::Look);
        }
    }
}

impl Run for TextRun {
    fn step(&mut self) -> Result<Step> {
        if self.ended {
            return Err(Error::invalid("the run has ended"));
        }
        let step = self.next();
        match &step {
            Ok(Step::Working(progress)) => self.progress = *progress,
            Ok(Step::Event(_)) => {}
            Ok(Step::Done(_)) | Err(_) => self.end(),
        }
        step
    }
}

impl Drop for TextRun {
    fn drop(&mut self) {
        self.end();
    }
}
