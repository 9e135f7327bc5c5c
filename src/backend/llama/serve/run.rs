//! Runs: what their owners step, while the worker does the work.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::mailbox::{MAX_AHEAD, Mailbox};
use super::queue::{Command, Queue, stopped};
use crate::engine::{Call, OnCancel, Progress, Run, Step};
use crate::threads::unpoisoned;
use crate::{Error, Result};

/// How long a step waits before it says that there is nothing yet. A thread that steps several runs in turn gets
/// around to the one that the others wait for.
const PATIENCE: Duration = Duration::from_millis(50);

/// A run of either kind: the worker does the work.
pub(in crate::backend::llama) struct TextRun {
    queue: Arc<Queue>,
    mailbox: Arc<Mailbox>,
    call: Call,
    /// The work, until the first step hands it over.
    work: Option<Command>,
    progress: Progress,
    ended: bool,
    _wake: Option<OnCancel>,
}

impl TextRun {
    pub(in crate::backend::llama) fn new(
        queue: Arc<Queue>,
        mailbox: Arc<Mailbox>,
        call: Call,
        work: Command,
        progress: Progress,
    ) -> Self {
        let wake = call.cancel.as_ref().map(|cancel| {
            let mailbox = mailbox.clone();
            cancel.on_cancel(move || mailbox.wake())
        });
        Self { queue, mailbox, call, work: Some(work), progress, ended: false, _wake: wake }
    }

    fn next(&mut self) -> Result<Step> {
        self.call.check()?;
        if let Some(work) = self.work.take() {
            self.queue.send(work)?;
        }
        let patience = Instant::now() + PATIENCE;
        let mut steps = self.mailbox.steps();
        loop {
            let was_full = steps.len() >= MAX_AHEAD;
            if let Some(step) = steps.pop_front() {
                drop(steps);
                if was_full {
                    self.queue.send(Command::Wake)?;
                }
                return step;
            }
            self.call.check()?;
            let now = Instant::now();
            if now >= patience {
                return if self.queue.is_running() { Ok(Step::Working(self.progress)) } else { Err(stopped()) };
            }
            let until = self.call.deadline.map_or(patience, |deadline| deadline.min(patience));
            steps = unpoisoned(self.mailbox.filled.wait_timeout(steps, until - now)).0;
        }
    }

    fn end(&mut self) {
        if !self.ended {
            self.ended = true;
            self.work = None;
            self.mailbox.leave();
            // A worker that has stopped has nothing to free.
            let _ = self.queue.send(Command::Wake);
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
