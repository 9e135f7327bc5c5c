//! Mailbox of a run: where the worker puts what it made, and its owner takes it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};

use crate::Result;
use crate::engine::Step;
use crate::threads::unpoisoned;

/// Steps that the worker makes before the run is stepped.
pub(in crate::backend::llama) const MAX_AHEAD: usize = 4;

/// Where a run and the worker meet.
#[derive(Default)]
pub(in crate::backend::llama) struct Mailbox {
    steps: Mutex<VecDeque<Result<Step>>>,
    pub(in crate::backend::llama) filled: Condvar,
    gone: AtomicBool,
}

impl Mailbox {
    /// Whether the worker may make another step.
    pub(in crate::backend::llama) fn has_room(&self) -> bool {
        self.steps().len() < MAX_AHEAD
    }

    /// Whether nobody will take another step.
    pub(in crate::backend::llama) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// Says that nobody will take another step.
    pub(in crate::backend::llama) fn leave(&self) {
        self.gone.store(true, Ordering::Release);
    }

    pub(in crate::backend::llama) fn give(&self, step: Result<Step>) {
        self.steps().push_back(step);
        self.filled.notify_all();
    }

    /// Wakes whoever waits, so that he looks at his call again.
    pub(in crate::backend::llama) fn wake(&self) {
        // Under the lock, so that it cannot fall between a look at the call and the wait.
        let _steps = self.steps();
        self.filled.notify_all();
    }

    pub(in crate::backend::llama) fn steps(&self) -> MutexGuard<'_, VecDeque<Result<Step>>> {
        unpoisoned(self.steps.lock())
    }
}
