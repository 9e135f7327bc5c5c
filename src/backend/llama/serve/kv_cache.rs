//! KV cache of all generations, and what finished ones left in it.
//!
//! The cache is divided into parts of one length, one per sequence of llama.cpp, known by its `seq_id`. What a run computed
//! stays in its part, and the next one that begins alike goes on from there. Where that must not change an answer, only those tokens count
//! that were computed as a prompt: a token computed alone differs in the last bits from the same token computed with
//! others. So the answers of chats are computed again as prompts, to settle them, while there is nothing else to do.

pub(in crate::backend::llama) mod saved;

use std::sync::Arc;

use super::super::native::context::{Context, Shape};
use super::super::native::model::Model;
use super::super::plan::{Division, Plan, SLICE};
use super::prefix::{AdapterSet, GROUP, MIN_COPY, Prefix};
use super::sequence::Sequence;
use crate::Result;

/// The KV cache: llama.cpp's context, and what is in each of its sequences.
pub(in crate::backend::llama) struct KvCache {
    pub(super) context: Context,
    sequences: Vec<CachedSequence>,
    length: usize,
    reuses: bool,
}

/// A sequence of the cache, and what is in it while no generation has it.
#[derive(Default)]
struct CachedSequence {
    taken: bool,
    prefix: Prefix,
    /// Tokens from the front that were computed as a prompt.
    exact: usize,
    /// Whether what was not computed as a prompt is to be computed again.
    settles: bool,
    /// What comes after `prefix` and is to be computed as a prompt: the end of an answer.
    unsettled: Vec<u32>,
    /// When it was last taken.
    used: u64,
}

/// A part of an answer that is to be computed as a prompt.
pub(super) struct Unsettled<'a> {
    pub(super) seq_id: usize,
    /// The position of the first of the tokens.
    pub(super) from: usize,
    pub(super) tokens: &'a [u32],
    pub(super) adapters: &'a AdapterSet,
}

/// Where the beginning of a prompt is computed already.
#[derive(Clone, Copy)]
struct Beginning {
    seq_id: usize,
    len: usize,
    exact: usize,
}

impl KvCache {
    pub(super) fn new(model: Arc<Model>, plan: &Plan, division: Division) -> Result<Self> {
        let shape = Shape {
            tokens: division.sequences * division.length,
            batch: SLICE.min(division.length),
            sequences: division.sequences,
            outputs: division.sequences,
            embeddings: false,
            threads: plan.threads.max(plan.prompt_threads),
            made: plan.made(&plan.generation),
            per_cell: plan.work.per_cell,
            per_token: plan.work.per_token,
            attended_cell: if plan.products { plan.work.attended_cell } else { 0 },
        };
        Ok(Self {
            context: Context::new(model, shape)?,
            sequences: (0..division.sequences).map(|_| CachedSequence::default()).collect(),
            length: division.length as usize,
            reuses: plan.reuses,
        })
    }

    pub(super) fn sequences(&self) -> usize {
        self.sequences.len()
    }

    /// Tokens of one sequence.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// Whether a computation that was given up leaves what was there before, so that it can be repeated. A recurrent
    /// state is lost.
    pub(super) fn restores(&self) -> bool {
        self.reuses
    }

    /// Gives a generation a sequence of the cache, with as much of its prompt in it as there is; false if none is free.
    pub(super) fn place(&mut self, sequence: &mut Sequence, others: &[Sequence], now: u64) -> bool {
        let free = |s: &&(usize, &CachedSequence)| !s.1.taken;
        // An empty one, or the one that was used longest ago.
        let all: Vec<(usize, &CachedSequence)> = self.sequences.iter().enumerate().collect();
        let oldest = |but: Option<usize>| {
            let candidates = all.iter().filter(free).filter(|(i, _)| Some(*i) != but);
            candidates.min_by_key(|(_, s)| (!s.prefix.is_empty(), s.used)).map(|(i, _)| *i)
        };
        let Some(target) = oldest(None) else { return false };
        let best = if self.reuses { self.longest_beginning(sequence, others) } else { None };
        let source = best.map(|b| b.seq_id);
        // In place, unless that would cost more of another conversation than it saves.
        let in_place = best.filter(|b| {
            let cached = &self.sequences[b.seq_id];
            !cached.taken && (b.len * 2 >= cached.prefix.len() || b.len < MIN_COPY || oldest(source).is_none())
        });
        let (seq_id, beginning) = match (in_place, best) {
            (Some(best), _) => (best.seq_id, best),
            (None, Some(best)) if best.len >= MIN_COPY => (oldest(source).unwrap_or(target), best),
            _ => (target, Beginning { seq_id: target, len: 0, exact: 0 }),
        };
        let mut reused = beginning.len;
        let there = reused > 0
            && if beginning.seq_id == seq_id {
                self.context.cut(seq_id as u32, reused)
            } else {
                self.context.copy(beginning.seq_id as u32, seq_id as u32, reused)
            };
        if !there {
            self.context.forget(seq_id as u32, 0);
            reused = 0;
        }
        self.sequences[seq_id] = CachedSequence { taken: true, used: now, ..CachedSequence::default() };
        sequence.admitted(seq_id, reused, beginning.exact);
        true
    }

    /// Takes its place in the cache away from a generation, with what is in it.
    pub(super) fn vacate(&mut self, sequence: &mut Sequence) {
        if let Some(seq_id) = sequence.leave() {
            // Forgetting a whole sequence never fails.
            self.context.forget(seq_id as u32, 0);
            self.sequences[seq_id].taken = false;
        }
    }

    /// Takes the place of a generation that has ended, and keeps what it computed.
    pub(super) fn keep(&mut self, sequence: &mut Sequence) {
        if !self.reuses {
            return self.vacate(sequence);
        }
        let (exact, prefix) = (sequence.exact(), sequence.take_computed());
        if let Some(seq_id) = sequence.leave() {
            let (used, settles) = (self.sequences[seq_id].used, sequence.continues());
            self.sequences[seq_id] = CachedSequence { prefix, exact, settles, used, ..CachedSequence::default() };
        }
    }

    /// Takes the groups that were not computed as a prompt out of the cache, where there are whole ones.
    fn unsettle(&mut self, seq_id: usize) {
        let kept = &mut self.sequences[seq_id];
        let (from, to) = (kept.exact / GROUP * GROUP, kept.prefix.len() / GROUP * GROUP);
        if from < to && self.context.cut(seq_id as u32, from) {
            kept.prefix.tokens.truncate(to);
            kept.unsettled = kept.prefix.tokens.split_off(from);
            kept.exact = from;
        }
    }

    /// The part of an answer that is to be computed next, of the chat that was served last.
    pub(super) fn unsettled(&mut self) -> Option<Unsettled<'_>> {
        for seq_id in 0..self.sequences.len() {
            if std::mem::take(&mut self.sequences[seq_id].settles) {
                self.unsettle(seq_id);
            }
        }
        let all = self.sequences.iter().enumerate().filter(|(_, s)| !s.taken && !s.unsettled.is_empty());
        let (seq_id, kept) = all.max_by_key(|(_, s)| s.used)?;
        let from = kept.prefix.len();
        let slice = (SLICE as usize - from % SLICE as usize).min(kept.unsettled.len());
        Some(Unsettled { seq_id, from, tokens: &kept.unsettled[..slice], adapters: &kept.prefix.adapters })
    }

    /// A sequence's tokens up to `to` are computed as a prompt.
    pub(super) fn settled(&mut self, seq_id: usize, to: usize) {
        let kept = &mut self.sequences[seq_id];
        let count = to.saturating_sub(kept.prefix.len()).min(kept.unsettled.len());
        kept.prefix.tokens.extend(kept.unsettled.drain(..count));
        kept.exact = kept.prefix.len();
    }

    /// Forgets what a finished generation left in a sequence.
    pub(super) fn drop_kept(&mut self, seq_id: usize) {
        self.context.forget(seq_id as u32, 0);
        self.sequences[seq_id] = CachedSequence::default();
    }

    pub(super) fn forget_kept(&mut self) {
        let kept = (0..self.sequences.len()).filter(|&i| !self.sequences[i].taken).collect::<Vec<_>>();
        kept.into_iter().for_each(|seq_id| self.drop_kept(seq_id));
    }

    /// The longest beginning of a prompt that is computed, by a run that has ended or by one that has not.
    fn longest_beginning(&self, sequence: &Sequence, others: &[Sequence]) -> Option<Beginning> {
        let wanted = sequence.prefix();
        let find = |seq_id: usize, computed: &Prefix, len: usize, exact: usize| {
            let usable = if sequence.is_reproducible() { len.min(exact) } else { len };
            Beginning { seq_id, len: wanted.reusable(computed, usable), exact }
        };
        let kept = self.sequences.iter().enumerate().filter(|(_, s)| !s.taken);
        let kept = kept.map(|(i, s)| find(i, &s.prefix, s.prefix.len(), s.exact));
        let running =
            others.iter().filter_map(|other| Some(find(other.seq_id?, other.prefix(), other.computed, other.exact())));
        kept.chain(running).filter(|b| b.len > 0).max_by_key(|b| b.len)
    }
}
