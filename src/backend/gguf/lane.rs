//! One generation, on the worker's side.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::native::Model;
use super::run::Slot;
use crate::engine::{Answer, Call, Event, Finish, Generate, Provenance, Step, TokenInfo, Usage};
use crate::text::{Pieces, Sampler, logprob};
use crate::{Error, Result};

/// A generation: its tokens, prompt and answer in one list, and how many of them are computed.
pub(super) struct Lane {
    pub(super) call: Call,
    pub(super) slot: Arc<Slot>,
    pub(super) tokens: Vec<u32>,
    /// Tokens whose state is in the context.
    pub(super) computed: usize,
    /// The stream of the context that it has.
    pub(super) stream: Option<usize>,
    /// When it came, and when it was last served, in the worker's own count.
    pub(super) order: u64,
    pub(super) served: u64,
    prompt: usize,
    /// Tokens of the prompt that a run before computed, and how many of those it computed as a prompt.
    reused: (usize, usize),
    reproducible: bool,
    /// Tokens that prompt and answer may have together.
    context: usize,
    most: Option<u32>,
    logprobs: bool,
    sampler: Sampler,
    pieces: Pieces,
    answer: Answer,
    came: Option<Instant>,
}

impl Lane {
    /// A lane for a checked request; `prepare` is the time it took to get there.
    pub(super) fn new(
        request: Generate,
        tokens: Vec<u32>,
        context: usize,
        model: &Model,
        (call, slot): (Call, Arc<Slot>),
        (provenance, prepare): (Arc<Provenance>, Duration),
    ) -> Self {
        let usage = Usage { input_tokens: tokens.len() as u64, prepare, ..Usage::default() };
        let mut answer = Answer::new(Finish::EndOfText, usage, provenance);
        answer.id = call.id;
        Self {
            prompt: tokens.len(),
            reused: (0, 0),
            reproducible: request.sampling.temperature == 0.0 || request.sampling.seed.is_some(),
            context,
            most: request.max_tokens,
            logprobs: request.logprobs,
            sampler: Sampler::new(request.sampling, model.suppressed()),
            pieces: Pieces::new(request.stop),
            answer,
            call,
            slot,
            tokens,
            computed: 0,
            stream: None,
            order: 0,
            served: 0,
            came: None,
        }
    }

    /// Tokens that are to be computed.
    pub(super) fn remaining(&self) -> usize {
        self.tokens.len() - self.computed
    }

    /// Whether it may be served: somebody wants its next step.
    pub(super) fn is_wanted(&self) -> bool {
        self.slot.has_room()
    }

    /// Whether nobody waits for it any more.
    pub(super) fn is_dead(&self) -> bool {
        self.slot.is_gone() || self.call.check().is_err()
    }

    pub(super) fn comes(&mut self, order: u64) {
        self.order = order;
        self.came = Some(Instant::now());
    }

    /// It has a stream; `reused` of its tokens are there already, and the first `exact` were computed as a prompt.
    pub(super) fn admitted(&mut self, stream: usize, reused: usize, exact: usize) {
        self.stream = Some(stream);
        self.computed = reused;
        self.reused = (reused, exact);
        self.answer.usage.cached_tokens = reused as u64;
        self.answer.usage.queued = self.came.map_or(Duration::ZERO, |came| came.elapsed());
    }

    /// It has no stream any more; returns the one that it had.
    pub(super) fn leave(&mut self) -> Option<usize> {
        self.computed = 0;
        self.stream.take()
    }

    /// The tokens that it may come to have.
    pub(super) fn needs(&self) -> usize {
        self.most.map_or(self.context, |most| self.prompt.saturating_add(most as usize).min(self.context))
    }

    /// Whether the same request must give the same answer.
    pub(super) fn is_reproducible(&self) -> bool {
        self.reproducible
    }

    /// Tokens from the beginning that were computed as a prompt, on nothing but such tokens.
    pub(super) fn exact(&self) -> usize {
        let (reused, exact) = self.reused;
        if exact < reused { exact } else { self.computed.min(self.prompt) }
    }

    /// The progress of the prompt.
    pub(super) fn progress(&self) -> crate::engine::Progress {
        crate::engine::Progress::new(self.computed.min(self.prompt) as u64, Some(self.prompt as u64))
    }

    /// A computation took `time`; `before` tokens were computed before it.
    pub(super) fn took(&mut self, time: Duration, before: usize) {
        let usage = &mut self.answer.usage;
        if before < self.prompt { usage.compute += time } else { usage.generate += time }
    }

    /// Chooses the next token; true if the answer has ended with it.
    pub(super) fn continues(&mut self, logits: &[f32], model: &Model) -> Result<bool> {
        let begin = Instant::now();
        let token = self.sampler.choose(logits, &self.tokens)?;
        let ended = if model.ends(token) {
            self.finish(Finish::EndOfText);
            true
        } else {
            let logprob = self.logprobs.then(|| logprob(logits, token));
            self.accept(TokenInfo::new(token, logprob), model)
        };
        self.answer.usage.generate += begin.elapsed();
        if ended {
            self.slot.give(Ok(Step::Done(self.answer.clone())));
        }
        Ok(ended)
    }

    pub(super) fn fail(&self, error: Error) {
        self.slot.give(Err(error));
    }

    fn accept(&mut self, token: TokenInfo, model: &Model) -> bool {
        self.tokens.push(token.id);
        self.answer.usage.output_tokens += 1;
        let mut bytes = Vec::new();
        model.piece(token.id, &mut bytes);
        let pushed = self.pieces.push(token, &bytes);
        if let Some(piece) = pushed.piece {
            self.show(piece);
        }
        let finish = if let Some(stop) = pushed.stop {
            self.answer.finish = Finish::Stop(stop);
            return true;
        } else if self.most.is_some_and(|most| self.answer.usage.output_tokens >= u64::from(most)) {
            Finish::Length
        } else if self.tokens.len() >= self.context {
            Finish::ContextFull
        } else {
            return false;
        };
        self.finish(finish);
        true
    }

    /// No more tokens come; a stop text may still be in what was held back.
    fn finish(&mut self, finish: Finish) {
        let last = self.pieces.finish();
        self.answer.finish = last.stop.map_or(finish, Finish::Stop);
        if let Some(piece) = last.piece {
            self.show(piece);
        }
    }

    fn show(&mut self, piece: crate::engine::Piece) {
        self.answer.text.push_str(&piece.text);
        self.answer.tokens.extend_from_slice(&piece.tokens);
        self.slot.give(Ok(Step::Event(Event::Text(piece))));
    }
}
