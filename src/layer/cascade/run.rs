//! Run of a cascade: the engines one after the other, until an answer is accepted.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::{OnError, Stage, Stages};
use crate::engine::{Answer, Call, Event, Progress, Request, Run, Step, Usage};
use crate::layer::route;
use crate::{Code, Error, Result};

pub(super) struct CascadeRun {
    stages: Arc<Stages>,
    /// `None` once the last engine has it.
    request: Option<Request>,
    call: Call,
    /// The stage that is asked.
    at: usize,
    /// Only the last engine was to be asked.
    alone: bool,
    state: State,
    /// What the answers that were not accepted have cost.
    spent: Usage,
}

enum State {
    /// An engine computes; its events wait until its answer is accepted.
    Asking {
        run: Box<dyn Run>,
        held: Vec<Event>,
    },
    /// An accepted answer, after the events that it came in.
    Giving {
        held: std::vec::IntoIter<Event>,
        answer: Box<Answer>,
    },
    Ended,
}

impl CascadeRun {
    pub(super) fn start(stages: &Arc<Stages>, request: Request, call: Call) -> Result<Self> {
        call.check()?;
        stages.calls.fetch_add(1, Relaxed);
        let alone = matches!(request, Request::Embed(_) | Request::Score(_) | Request::Rerank(_));
        let at = if alone { stages.all.len() - 1 } else { 0 };
        let (stages, request, spent) = (stages.clone(), Some(request), Usage::default());
        let mut run = Self { stages, request, call, at, alone, state: State::Ended, spent };
        run.ask()?;
        Ok(run)
    }

    /// Asks the engine whose turn it is, or one after it if it fails at once.
    fn ask(&mut self) -> Result<()> {
        loop {
            let request = if self.is_last() { self.request.take() } else { self.request.clone() };
            let request = request.ok_or_else(|| Error::internal("a cascade asks beyond its last engine"))?;
            let stage = self.stage();
            stage.asked.fetch_add(1, Relaxed);
            match stage.engine.start(request, self.call.clone()) {
                Ok(run) => {
                    self.state = State::Asking { run, held: Vec::new() };
                    return Ok(());
                }
                Err(error) => self.fail(error)?,
            }
        }
    }

    /// Goes on to the next engine after an error of this one, or gives the error back.
    fn fail(&mut self, error: Error) -> Result<()> {
        if matches!(error.code(), Code::Cancelled | Code::DeadlineExceeded) {
            return Err(error);
        }
        self.stage().failed.fetch_add(1, Relaxed);
        if self.is_last() {
            return Err(error);
        }
        if self.stages.on_error == OnError::Return {
            let (at, of) = (self.at + 1, self.stages.all.len());
            return Err(error.during(format!("asking '{}', {at} of {of}", self.stage().inner.model)));
        }
        tracing::debug!("cascade: '{}' failed and the next engine is asked: {error:#}", self.stage().inner.model);
        self.at += 1;
        Ok(())
    }

    fn advance(&mut self, mut run: Box<dyn Run>, mut held: Vec<Event>) -> Result<Step> {
        match run.step() {
            Ok(Step::Event(event)) if !self.is_last() => {
                held.push(event);
                let progress = Progress::new(held.len() as u64, None);
                self.state = State::Asking { run, held };
                Ok(Step::Working(progress))
            }
            Ok(Step::Done(answer)) => match self.refusing(&answer) {
                None => self.accept(answer, held),
                Some(check) => {
                    self.stage().checks[check].1.fetch_add(1, Relaxed);
                    self.spent += answer.usage;
                    self.at += 1;
                    // Its run holds what the next engine may need.
                    drop(run);
                    self.ask()?;
                    Ok(Step::Working(Progress::new(0, None)))
                }
            },
            Ok(step) => {
                self.state = State::Asking { run, held };
                Ok(step)
            }
            Err(error) => {
                drop(run);
                self.fail(error)?;
                self.ask()?;
                Ok(Step::Working(Progress::new(0, None)))
            }
        }
    }

    /// The first check that the answer does not pass.
    fn refusing(&self, answer: &Answer) -> Option<usize> {
        self.stage().checks.iter().position(|(check, _)| !check.passes(answer))
    }

    fn accept(&mut self, mut answer: Answer, held: Vec<Event>) -> Result<Step> {
        let stage = self.stage();
        stage.accepted.fetch_add(1, Relaxed);
        let routed = if self.alone { &stage.alone } else { &stage.up_to };
        answer.provenance = route::provenance(&routed.layer, answer.provenance, &stage.inner, &routed.provenance);
        let mut usage = self.spent;
        usage += answer.usage;
        answer.usage = usage;
        self.give(held.into_iter(), Box::new(answer))
    }

    fn give(&mut self, mut held: std::vec::IntoIter<Event>, answer: Box<Answer>) -> Result<Step> {
        let Some(event) = held.next() else { return Ok(Step::Done(*answer)) };
        self.state = State::Giving { held, answer };
        Ok(Step::Event(event))
    }

    fn stage(&self) -> &Stage {
        &self.stages.all[self.at]
    }

    fn is_last(&self) -> bool {
        self.at + 1 == self.stages.all.len()
    }
}

impl Run for CascadeRun {
    fn step(&mut self) -> Result<Step> {
        // Taken and put back, so that whatever goes wrong ends the run.
        let state = std::mem::replace(&mut self.state, State::Ended);
        if !matches!(state, State::Ended) {
            self.call.check()?;
        }
        match state {
            State::Asking { run, held } => self.advance(run, held),
            State::Giving { held, answer } => self.give(held, answer),
            State::Ended => Err(Error::invalid("the run has ended")),
        }
    }
}
