//! A run that is watched.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::core::Core;
use crate::engine::{Answer, Call, Request, Run, Step};
use crate::layer::probe::Sheet;
use crate::telemetry::Outcome;
use crate::{Code, Result};

/// Steps the run below, and records how it ended.
pub(super) struct MonitorRun {
    core: Arc<Core>,
    run: Box<dyn Run>,
    watched: Option<Watched>,
}

/// What is known of a call while it runs; `None` once it was recorded.
struct Watched {
    id: u64,
    sheet: Sheet,
    /// The time that the caller has waited in `start` and `step`. What passes between steps is the caller's.
    waited: Duration,
    first_token: Option<Duration>,
}

impl MonitorRun {
    pub(super) fn start(core: &Arc<Core>, request: Request, call: Call) -> Result<Self> {
        let mut sheet = core.sheet();
        core.look(&mut sheet, |probe, rows| probe.request(&request, rows));
        let (id, began) = (call.id, Instant::now());
        let started = core.engine.start(request, call);
        let watched = Watched { id, sheet, waited: began.elapsed(), first_token: None };
        match started {
            Ok(run) => Ok(Self { core: core.clone(), run, watched: Some(watched) }),
            Err(error) => {
                watched.failed(core, error.code());
                Err(error)
            }
        }
    }
}

impl Run for MonitorRun {
    fn step(&mut self) -> Result<Step> {
        let began = Instant::now();
        let step = self.run.step();
        // A run that has ended says so, and was recorded.
        let Some(watched) = &mut self.watched else { return step };
        watched.waited += began.elapsed();
        match step {
            Ok(Step::Done(mut answer)) => {
                if let Some(watched) = self.watched.take() {
                    watched.answered(&self.core, &answer);
                }
                answer.provenance = self.core.route(answer.provenance);
                Ok(Step::Done(answer))
            }
            Ok(Step::Event(event)) => {
                watched.first_token.get_or_insert(watched.waited);
                Ok(Step::Event(event))
            }
            Ok(step) => Ok(step),
            Err(error) => {
                if let Some(watched) = self.watched.take() {
                    watched.failed(&self.core, error.code());
                }
                Err(error)
            }
        }
    }
}

impl Drop for MonitorRun {
    fn drop(&mut self) {
        // Dropping a run cancels it; one that unwinds through a step has panicked.
        let code = if std::thread::panicking() { Code::Panic } else { Code::Cancelled };
        if let Some(watched) = self.watched.take() {
            watched.failed(&self.core, code);
        }
    }
}

impl Watched {
    fn answered(mut self, core: &Arc<Core>, answer: &Answer) {
        core.look(&mut self.sheet, |probe, rows| probe.answer(answer, rows));
        core.record_answer(self.id, answer, &self.sheet, self.waited, self.first_token);
        core.put_back(self.sheet);
    }

    fn failed(self, core: &Arc<Core>, code: Code) {
        core.record_failure(self.id, Outcome::failed(code), self.waited);
        core.put_back(self.sheet);
    }
}
