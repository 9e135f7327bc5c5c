//! Engine of a model on the shelf, and its runs: they wait for room and open the model in their first steps.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::lease::{self, Lease, Wait};
use super::shelf::Shelf;
use crate::engine::{Call, Engine, Message, OnCancel, Progress, Prompt, Request, Run, Spec, Step, Tokenizer, Trim};
use crate::layer::route;
use crate::{Error, Result};

/// The layer's name on the route.
const LAYER: &str = "models";
/// How long a step waits before it says that there is nothing yet.
const PATIENCE: Duration = Duration::from_millis(50);

pub(super) struct Managed {
    shelf: Arc<Shelf>,
    number: usize,
    spec: Arc<Spec>,
    has_tokenizer: bool,
}

impl Managed {
    /// The engine of a model that is open now.
    pub(super) fn new(shelf: Arc<Shelf>, number: usize, engine: &Arc<dyn Engine>) -> Self {
        let spec = Arc::new(route::spec(LAYER, engine.spec()));
        Self { shelf, number, spec, has_tokenizer: engine.tokenizer().is_some() }
    }

    /// What the model would refuse, as far as its spec tells: it may be closed.
    fn check(&self, request: &Request) -> Result<()> {
        let able = &self.spec.abilities;
        let (serves, what) = match request {
            Request::Tensors(_) => (able.tensors, "tensors"),
            Request::Generate(_) => (able.generate, "text generation"),
            Request::Embed(_) => (able.embed, "embeddings"),
            Request::Score(_) => (able.score, "scores"),
            Request::Rerank(_) => (able.rerank, "reranking"),
        };
        if !serves {
            let model = &self.spec.provenance.model;
            return Err(Error::unsupported(format!("model '{model}' does not serve {what}")));
        }
        match request {
            // The clone shares the tensors' memory.
            Request::Tensors(tensors) => self.spec.admit(tensors.clone()).map(drop),
            Request::Generate(generate) if !able.chat && matches!(generate.prompt, Prompt::Chat(_)) => {
                let model = &self.spec.provenance.model;
                Err(Error::unsupported(format!("chat: the model '{model}' has no chat template")))
            }
            Request::Generate(generate) => generate.check(),
            Request::Embed(embed) if embed.texts.is_empty() => {
                Err(Error::invalid("embed: expected at least one text, got none"))
            }
            Request::Embed(_) => Ok(()),
            Request::Score(score) => score.check(),
            Request::Rerank(rerank) => rerank.check(),
        }
    }

    fn blocking(&self) -> Result<Lease> {
        lease::take(&self.shelf, self.number, &Call::new(), Wait::ForEver)
    }
}

impl Engine for Managed {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn start(&self, request: Request, call: Call) -> Result<Box<dyn Run>> {
        call.check()?;
        self.check(&request)?;
        // Opened in the first step, also where it is open now: a run that is not stepped, because it waits for its turn
        // elsewhere, must not be in the way of the one that it waits for.
        let stage = Stage::Waiting(Box::new(Waiting { request, call, began: None, wake: None }));
        let place = Place { shelf: self.shelf.clone(), number: self.number, spec: self.spec.clone() };
        Ok(Box::new(ManagedRun { place, stage }))
    }

    fn tokenizer(&self) -> Option<&dyn Tokenizer> {
        if self.has_tokenizer { Some(self) } else { None }
    }

    fn trim(&self, level: Trim) -> Result<u64> {
        lease::if_open(&self.shelf, self.number).map_or(Ok(0), |lease| lease.engine.trim(level))
    }
}

/// The model's own, which is opened for it.
impl Tokenizer for Managed {
    fn tokenize(&self, prompt: &Prompt) -> Result<Vec<u32>> {
        of(&self.blocking()?)?.tokenize(prompt)
    }

    fn detokenize(&self, tokens: &[u32]) -> Result<String> {
        of(&self.blocking()?)?.detokenize(tokens)
    }

    fn render(&self, messages: &[Message]) -> Result<String> {
        of(&self.blocking()?)?.render(messages)
    }
}

fn of(lease: &Lease) -> Result<&dyn Tokenizer> {
    lease.engine.tokenizer().ok_or_else(|| Error::unsupported("the model has no tokenizer any more"))
}

struct ManagedRun {
    place: Place,
    stage: Stage,
}

struct Place {
    shelf: Arc<Shelf>,
    number: usize,
    spec: Arc<Spec>,
}

enum Stage {
    Waiting(Box<Waiting>),
    Live(Live),
    Ended,
}

struct Waiting {
    request: Request,
    call: Call,
    /// When the first step began.
    began: Option<Instant>,
    wake: Option<OnCancel>,
}

/// The order counts: the run is gone before its model may be.
struct Live {
    run: Box<dyn Run>,
    lease: Lease,
    queued: Duration,
}

impl Run for ManagedRun {
    fn step(&mut self) -> Result<Step> {
        // Taken and put back, so that whatever goes wrong ends the run.
        match std::mem::replace(&mut self.stage, Stage::Ended) {
            Stage::Ended => Err(Error::invalid("the run has ended")),
            Stage::Live(live) => self.advance(live),
            Stage::Waiting(waiting) => self.wait(waiting),
        }
    }
}

impl ManagedRun {
    fn wait(&mut self, mut waiting: Box<Waiting>) -> Result<Step> {
        waiting.call.check()?;
        let now = Instant::now();
        let began = *waiting.began.get_or_insert(now);
        if let (Some(cancel), None) = (&waiting.call.cancel, &waiting.wake) {
            let shelf = self.place.shelf.clone();
            waiting.wake = Some(cancel.on_cancel(move || {
                // Under the lock, so that it cannot fall between a look at the call and the wait.
                let _state = shelf.lock();
                shelf.changed.notify_all();
            }));
        }
        let (shelf, number) = (&self.place.shelf, self.place.number);
        let Some(lease) = lease::take_within(shelf, number, &waiting.call, Wait::Until(now + PATIENCE))? else {
            self.stage = Stage::Waiting(waiting);
            return Ok(Step::Working(Progress::new(0, None)));
        };
        let queued = began.elapsed().saturating_sub(lease.opening);
        let Waiting { request, call, wake, .. } = *waiting;
        drop(wake);
        let run = lease.engine.start(request, call)?;
        self.advance(Live { run, lease, queued })
    }

    fn advance(&mut self, mut live: Live) -> Result<Step> {
        match live.run.step()? {
            Step::Done(mut answer) => {
                let usage = &mut answer.usage;
                usage.queued += live.queued;
                usage.prepare += live.lease.opening;
                let (inner, outer) = (&live.lease.engine.spec().provenance, &self.place.spec.provenance);
                answer.provenance = route::provenance(LAYER, answer.provenance, inner, outer);
                Ok(Step::Done(answer))
            }
            step => {
                self.stage = Stage::Live(live);
                Ok(step)
            }
        }
    }
}
