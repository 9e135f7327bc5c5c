//! Run of a call that was found: the events of the kept answer as they had come, then the answer.

use std::sync::Arc;
use std::time::Duration;

use super::entry::Entry;
use crate::engine::{Call, Run, Step};
use crate::{Error, Result};

pub(super) struct ReplayRun {
    /// `None` once the run has ended.
    entry: Option<Arc<Entry>>,
    next: usize,
    call: Call,
    searched: Duration,
}

impl ReplayRun {
    pub(super) fn new(entry: Arc<Entry>, call: Call, searched: Duration) -> Self {
        Self { entry: Some(entry), next: 0, call, searched }
    }
}

impl Run for ReplayRun {
    fn step(&mut self) -> Result<Step> {
        // Taken and put back, so that whatever goes wrong ends the run.
        let entry = self.entry.take().ok_or_else(|| Error::invalid("the run has ended"))?;
        self.call.check()?;
        let Some(event) = entry.events.get(self.next) else {
            return Ok(Step::Done(entry.answer(self.call.id, self.searched)));
        };
        let event = event.clone();
        self.next += 1;
        self.entry = Some(entry);
        Ok(Step::Event(event))
    }
}
