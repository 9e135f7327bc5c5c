//! Sequences: generations on the worker's side.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::native::model::Model;
use super::mailbox::Mailbox;
use super::prefix::Prefix;
use crate::engine::{Answer, Call, Event, Finish, Generate, Provenance, Step, TokenInfo, Usage};
use crate::text::{Pieces, Sampler, logprob};
use crate::{Error, Result};

/// A generation: its tokens, prompt and answer in one list, and how many of them are computed.
pub(in crate::backend::llama) struct Sequence {
    pub(in crate::backend::llama) call: Call,
    pub(in crate::backend::llama) mailbox: Arc<Mailbox>,
    /// Prompt and answer.
    prefix: Prefix,
    /// Tokens whose state is in the context.
    pub(in crate::backend::llama) computed: usize,
    /// The sequence of the KV cache that it has.
    pub(in crate::backend::llama) seq_id: Option<usize>,
    /// When it came, and when it was last served, in the worker's own count.
    pub(in crate::backend::llama) order: u64,
    pub(in crate::backend::llama) served: u64,
    prompt: usize,
    /// Tokens of the prompt that a run before computed, and how many of those it computed as a prompt.
    reused: (usize, usize),
    reproducible: bool,
    /// Tokens that prompt and answer may have together.
    context: usize,
    max_tokens: Option<u32>,
    logprobs: bool,
    sampler: Sampler,
    pieces: Pieces,
    answer: Answer,
    enqueued: Option<Instant>,
}

/// Where an answer comes from, and the time it took to make tokens of the prompt.
pub(in crate::backend::llama) struct Origin {
    pub(in crate::backend::llama) provenance: Arc<Provenance>,
    pub(in crate::backend::llama) prepare: Duration,
}

impl Sequence {
    /// A sequence for a checked request.
    pub(in crate::backend::llama) fn new(
        request: Generate,
        tokens: Vec<u32>,
        context: usize,
        model: &Model,
        call: Call,
        mailbox: Arc<Mailbox>,
        origin: Origin,
    ) -> Self {
        let usage = Usage { input_tokens: tokens.len() as u64, prepare: origin.prepare, ..Usage::default() };
        let mut answer = Answer::new(Finish::EndOfText, usage, origin.provenance);
        answer.id = call.id;
        Self {
            prompt: tokens.len(),
            reused: (0, 0),
            reproducible: request.sampling.temperature == 0.0 || request.sampling.seed.is_some(),
            context,
            max_tokens: request.max_tokens,
            logprobs: request.logprobs,
            sampler: Sampler::new(request.sampling, model.suppressed()),
            pieces: Pieces::new(request.stop),
            answer,
            call,
            mailbox,
            prefix: Prefix::new(tokens),
            computed: 0,
            seq_id: None,
            order: 0,
            served: 0,
            enqueued: None,
        }
    }

    /// Tokens that are to be computed.
    pub(in crate::backend::llama) fn remaining(&self) -> usize {
        self.prefix.len() - self.computed
    }

    /// Whether it may be served: somebody wants its next step.
    pub(in crate::backend::llama) fn is_wanted(&self) -> bool {
        self.mailbox.has_room()
    }

    /// Whether nobody waits for it any more.
    pub(in crate::backend::llama) fn is_dead(&self) -> bool {
        self.mailbox.is_gone() || self.call.check().is_err()
    }

    pub(in crate::backend::llama) fn enqueue(&mut self, order: u64) {
        self.order = order;
        self.enqueued = Some(Instant::now());
    }

    /// It has a sequence of the cache; `reused` of its tokens are there already, and the first `exact` were computed as a prompt.
    pub(in crate::backend::llama) fn admitted(&mut self, seq_id: usize, reused: usize, exact: usize) {
        self.seq_id = Some(seq_id);
        self.computed = reused;
        self.reused = (reused, exact);
        self.answer.usage.cached_tokens = reused as u64;
        self.answer.usage.queued = self.enqueued.map_or(Duration::ZERO, |at| at.elapsed());
    }

    /// The key of what it computes.
    pub(super) fn prefix(&self) -> &Prefix {
        &self.prefix
    }

    /// Takes out what is computed, to be kept.
    pub(super) fn take_computed(&mut self) -> Prefix {
        let mut prefix = std::mem::take(&mut self.prefix);
        prefix.tokens.truncate(self.computed);
        prefix
    }

    /// It has no sequence any more; returns the one that it had.
    pub(in crate::backend::llama) fn leave(&mut self) -> Option<usize> {
        self.computed = 0;
        self.seq_id.take()
    }

    /// The tokens that it may come to have.
    pub(in crate::backend::llama) fn needs(&self) -> usize {
        self.max_tokens.map_or(self.context, |max| self.prompt.saturating_add(max as usize).min(self.context))
    }

    /// Whether the same request must give the same answer.
    pub(in crate::backend::llama) fn is_reproducible(&self) -> bool {
        self.reproducible
    }

    /// Tokens from the beginning that were computed as a prompt, on nothing but such tokens.
    pub(in crate::backend::llama) fn exact(&self) -> usize {
        let (reused, exact) = self.reused;
        if exact < reused { exact } else { self.computed.min(self.prompt) }
    }

    /// The progress of the prompt.
    pub(in crate::backend::llama) fn progress(&self) -> crate::engine::Progress {
        crate::engine::Progress::new(self.computed.min(self.prompt) as u64, Some(self.prompt as u64))
    }

    /// A computation took `time`; `before` tokens were computed before it.
    pub(in crate::backend::llama) fn record_time(&mut self, time: Duration, before: usize) {
        let usage = &mut self.answer.usage;
        if before < self.prompt { usage.compute += time } else { usage.generate += time }
    }

    /// Chooses the next token; `Break` if the answer has ended with it.
    pub(in crate::backend::llama) fn advance(&mut self, logits: &[f32], model: &Model) -> Result<ControlFlow<()>> {
        let begin = Instant::now();
        let token = self.sampler.choose(logits, &self.prefix.tokens)?;
        let ended = if model.ends(token) {
            self.finish(Finish::EndOfText);
            true
        } else {
            let logprob = self.logprobs.then(|| logprob(logits, token));
            self.accept(TokenInfo::new(token, logprob), model)
        };
        self.answer.usage.generate += begin.elapsed();
        if ended {
            self.mailbox.give(Ok(Step::Done(self.answer.clone())));
        }
        Ok(if ended { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    pub(in crate::backend::llama) fn fail(&self, error: Error) {
        self.mailbox.give(Err(error));
    }

    fn accept(&mut self, token: TokenInfo, model: &Model) -> bool {
        self.prefix.tokens.push(token.id);
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
        } else if self.max_tokens.is_some_and(|max| self.answer.usage.output_tokens >= u64::from(max)) {
            Finish::Length
        } else if self.prefix.len() >= self.context {
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
        self.mailbox.give(Ok(Step::Event(Event::Text(piece))));
    }
}
