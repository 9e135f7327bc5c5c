//! Sequences: generations on the worker's side.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::native::model::Model;
use super::mailbox::Mailbox;
use super::prefix::Prefix;
use super::scored::{Scored, Scoring};
use crate::engine::{Answer, AppliedAdapter, Call, Finish, Generate, Prompt, Provenance, Step, TokenInfo, Usage};
use crate::text::{Matcher, Pieces, Reader, Sampler, logprob, top_logprobs};
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
    /// Whether its answer is likely to be a part of a later prompt.
    continues: bool,
    /// Tokens that prompt and answer may have together.
    context: usize,
    max_tokens: Option<u32>,
    logprobs: bool,
    /// How many of the likeliest tokens are reported at each place.
    top: usize,
    tops: Vec<Vec<TokenInfo>>,
    /// What is compared instead of generated.
    scored: Option<Scored>,
    sampler: Sampler,
    /// The form of the answer, if it has one.
    matcher: Option<Matcher>,
    pieces: Pieces,
    /// What parts calls and reasoning from the text.
    reader: Reader,
    answer: Answer,
    enqueued: Option<Instant>,
}

/// Where an answer comes from, and the time it took to make tokens of the prompt.
pub(in crate::backend::llama) struct Origin {
    pub(in crate::backend::llama) provenance: Arc<Provenance>,
    pub(in crate::backend::llama) prepare: Duration,
    /// What the adapters of the request change.
    pub(in crate::backend::llama) adapters: Vec<AppliedAdapter>,
}

impl Sequence {
    /// A sequence for a checked request, with the matcher of its grammar and what reads its answer.
    pub(in crate::backend::llama) fn new(
        request: Generate,
        (prefix, matcher, reader): (Prefix, Option<Matcher>, Reader),
        context: usize,
        model: &Model,
        call: Call,
        mailbox: Arc<Mailbox>,
        origin: Origin,
    ) -> Self {
        let usage = Usage { input_tokens: prefix.len() as u64, prepare: origin.prepare, ..Usage::default() };
        let mut answer = Answer::new(Finish::EndOfText, usage, origin.provenance);
        (answer.id, answer.adapters) = (call.id, origin.adapters);
        Self {
            prompt: prefix.len(),
            reused: (0, 0),
            reproducible: request.sampling.temperature == 0.0 || request.sampling.seed.is_some(),
            continues: matches!(request.prompt, Prompt::Chat(_)),
            context,
            max_tokens: request.max_tokens,
            logprobs: request.logprobs,
            top: request.top_logprobs as usize,
            tops: Vec::new(),
            scored: None,
            sampler: Sampler::new(request.sampling, model.suppressed()).biased(request.logit_bias),
            matcher,
            pieces: Pieces::new(request.stop),
            reader,
            answer,
            call,
            mailbox,
            prefix,
            computed: 0,
            seq_id: None,
            order: 0,
            served: 0,
            enqueued: None,
        }
    }

    /// Scores continuations instead of generating.
    pub(in crate::backend::llama) fn scoring(mut self, continuations: Vec<Vec<u32>>) -> Self {
        let tokens = continuations.iter().map(|one| one.len() as u64).sum::<u64>();
        self.max_tokens = continuations.iter().map(|one| one.len() as u32).max();
        self.answer.finish = Finish::Complete;
        self.answer.usage.input_tokens += tokens;
        self.scored = Some(Scored::new(continuations));
        self
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

    /// Whether its answer is to be computed again as a prompt: the next turn of a chat begins with it, and whoever wants the same
    /// answer again can only go on from prompts.
    pub(in crate::backend::llama) fn continues(&self) -> bool {
        self.continues && self.reproducible
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
        if self.scored.is_some() {
            return self.compare(logits);
        }
        let begin = Instant::now();
        let allowed = self.matcher.as_mut().map(Matcher::mask).transpose()?;
        let token = self.sampler.choose(logits, &self.prefix.tokens, allowed)?;
        // A form may have the token that ends in the middle of it.
        let may_end = self.matcher.as_mut().map_or(Ok(true), Matcher::may_end)?;
        let ended = if model.ends(token) && may_end {
            self.finish(Finish::EndOfText);
            true
        } else {
            let logprob = self.logprobs.then(|| logprob(logits, token));
            if self.top > 0 {
                self.tops.push(top_logprobs(logits, self.top));
            }
            self.accept(TokenInfo::new(token, logprob), model)?
        };
        self.answer.usage.generate += begin.elapsed();
        if ended {
            // A token that ended in a stop text is none of the answer's.
            self.tops.truncate(self.answer.tokens.len());
            self.answer.top_logprobs = std::mem::take(&mut self.tops);
            self.mailbox.give(Ok(Step::Done(self.answer.clone())));
        }
        Ok(if ended { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    /// Compares the continuations with what the model says; `Break` after the last.
    fn compare(&mut self, logits: &[f32]) -> Result<ControlFlow<()>> {
        let Some(scored) = &mut self.scored else { return Err(Error::internal("nothing to score")) };
        match scored.advance(logits)? {
            Scoring::Compute { token, anew } => {
                if anew {
                    self.prefix.tokens.truncate(self.prompt);
                    self.computed = self.computed.min(self.prompt);
                }
                self.prefix.tokens.push(token);
                Ok(ControlFlow::Continue(()))
            }
            Scoring::Done(outputs) => {
                self.answer.outputs = outputs;
                self.mailbox.give(Ok(Step::Done(self.answer.clone())));
                Ok(ControlFlow::Break(()))
            }
        }
    }

    pub(in crate::backend::llama) fn fail(&self, error: Error) {
        self.mailbox.give(Err(error));
    }

    fn accept(&mut self, token: TokenInfo, model: &Model) -> Result<bool> {
        if let Some(matcher) = &mut self.matcher {
            matcher.accept(token.id)?;
        }
        self.prefix.tokens.push(token.id);
        self.answer.usage.output_tokens += 1;
        let mut bytes = Vec::new();
        model.piece(token.id, &mut bytes);
        // A mark of the chat's format may be a token that is no text.
        if bytes.is_empty()
            && let Some(name) = model.name_of(token.id).filter(|name| self.reader.is_mark(name))
        {
            bytes.extend_from_slice(name.as_bytes());
        }
        let pushed = self.pieces.push(token, &bytes);
        if let Some(piece) = pushed.piece {
            self.show(piece);
        }
        let finish = if let Some(stop) = pushed.stop {
            self.answer.finish = Finish::Stop(stop);
            self.close();
            return Ok(true);
        } else if self.matcher.as_ref().is_some_and(Matcher::is_done) {
            // The whole of the form is there, whatever limit is reached with it.
            Finish::EndOfText
        } else if self.max_tokens.is_some_and(|max| self.answer.usage.output_tokens >= u64::from(max)) {
            Finish::Length
        } else if self.prefix.len() >= self.context {
            Finish::ContextFull
        } else {
            return Ok(false);
        };
        self.finish(finish);
        Ok(true)
    }

    /// No more tokens come; a stop text may still be in what was held back.
    fn finish(&mut self, finish: Finish) {
        let last = self.pieces.finish();
        self.answer.finish = last.stop.map_or(finish, Finish::Stop);
        if let Some(piece) = last.piece {
            self.show(piece);
        }
        self.close();
    }

    /// What the reader has held back.
    fn close(&mut self) {
        let events = self.reader.finish();
        self.give(events);
    }

    fn show(&mut self, piece: crate::engine::Piece) {
        let events = self.reader.push(piece);
        self.give(events);
    }

    fn give(&mut self, events: Vec<crate::engine::Event>) {
        for event in events {
            self.answer.add(&event);
            self.mailbox.give(Ok(Step::Event(event)));
        }
    }
}
