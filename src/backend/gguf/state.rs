//! The context of all generations, and what finished ones left in it.
//!
//! The context is divided into streams of one length, one per sequence. What a run computed stays in its stream, and
//! the next one that begins alike goes on from there. Where that must not change an answer, only those tokens count
//! that were computed as a prompt: a token computed alone differs in the last bits from the same token computed with
//! others.

use std::sync::Arc;

use super::context::{Context, Shape};
use super::generator::SLICE;
use super::lane::Lane;
use super::native::Model;
use super::worker::Plan;
use crate::Result;

/// What is reused ends at a multiple of this, and leaves at least `LEAST_LEFT` tokens: kernels take tokens in groups,
/// and compute a few left over in another way.
const GROUP: usize = 16;
const LEAST_LEFT: usize = 8;
/// Copying a stream costs about as much as computing so many tokens.
const WORTH_A_COPY: usize = 32;
/// llama.cpp rounds the length of a stream up to this.
pub(super) const LENGTH_UNIT: u32 = 256;

pub(super) struct State {
    pub(super) context: Context,
    streams: Vec<Stream>,
    length: usize,
    reuses: bool,
}

/// What is in a stream that no lane has.
#[derive(Default)]
struct Stream {
    taken: bool,
    tokens: Vec<u32>,
    exact: usize,
    /// When it was last taken.
    used: u64,
}

/// Where the beginning of a prompt is computed already.
#[derive(Clone, Copy)]
struct Beginning {
    stream: usize,
    len: usize,
    exact: usize,
}

/// How many streams of which length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Division {
    pub(super) streams: u32,
    pub(super) length: u32,
}

impl Division {
    /// The most streams that are long enough for `tokens`.
    pub(super) fn for_tokens(tokens: usize, plan: &Plan) -> Self {
        let all = plan.context.next_multiple_of(LENGTH_UNIT);
        let of = |streams: u32| {
            let length = (all / streams / LENGTH_UNIT * LENGTH_UNIT).max(LENGTH_UNIT);
            Division { streams, length }
        };
        (1..=plan.parallel).rev().map(of).find(|d| d.length as usize >= tokens).unwrap_or(of(1))
    }

    /// The most cells that any division has.
    pub(super) fn most_cells(plan: &Plan) -> u32 {
        plan.context.next_multiple_of(LENGTH_UNIT).max(plan.parallel * LENGTH_UNIT)
    }
}

impl State {
    pub(super) fn new(model: Arc<Model>, plan: &Plan, division: Division) -> Result<Self> {
        let shape = Shape {
            tokens: division.streams * division.length,
            batch: SLICE.min(division.length),
            sequences: division.streams,
            outputs: division.streams,
            embeddings: false,
            threads: plan.threads,
        };
        Ok(Self {
            context: Context::new(model, shape)?,
            streams: (0..division.streams).map(|_| Stream::default()).collect(),
            length: division.length as usize,
            reuses: plan.reuses,
        })
    }

    pub(super) fn streams(&self) -> usize {
        self.streams.len()
    }

    /// Tokens of one stream.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// Whether a computation that was given up leaves what was there before, so that it can be repeated. A recurrent
    /// state is lost.
    pub(super) fn restores(&self) -> bool {
        self.reuses
    }

    /// Gives a lane a stream, with as much of its prompt in it as there is; false if none is free.
    pub(super) fn place(&mut self, lane: &mut Lane, others: &[Lane], now: u64) -> bool {
        let free = |s: &&(usize, &Stream)| !s.1.taken;
        // An empty one, or the one that was used longest ago.
        let streams: Vec<(usize, &Stream)> = self.streams.iter().enumerate().collect();
        let oldest = |but: Option<usize>| {
            let candidates = streams.iter().filter(free).filter(|(i, _)| Some(*i) != but);
            candidates.min_by_key(|(_, s)| (!s.tokens.is_empty(), s.used)).map(|(i, _)| *i)
        };
        let Some(target) = oldest(None) else { return false };
        let best = if self.reuses { self.longest_beginning(lane, others) } else { None };
        let source = best.map(|b| b.stream);
        // In place, unless that would cost more of another conversation than it saves.
        let in_place = best.filter(|b| {
            let stream = &self.streams[b.stream];
            !stream.taken && (b.len * 2 >= stream.tokens.len() || b.len < WORTH_A_COPY || oldest(source).is_none())
        });
        let (stream, beginning) = match (in_place, best) {
            (Some(best), _) => (best.stream, best),
            (None, Some(best)) if best.len >= WORTH_A_COPY => (oldest(source).unwrap_or(target), best),
            _ => (target, Beginning { stream: target, len: 0, exact: 0 }),
        };
        let mut reused = beginning.len;
        let there = reused > 0
            && if beginning.stream == stream {
                self.context.cut(stream as u32, reused)
            } else {
                self.context.copy(beginning.stream as u32, stream as u32, reused)
            };
        if !there {
            self.context.forget(stream as u32, 0);
            reused = 0;
        }
        self.streams[stream] = Stream { taken: true, used: now, ..Stream::default() };
        lane.admitted(stream, reused, beginning.exact);
        true
    }

    /// Takes a lane's stream away, with what is in it.
    pub(super) fn vacate(&mut self, lane: &mut Lane) {
        if let Some(stream) = lane.leave() {
            // Forgetting a whole sequence never fails.
            self.context.forget(stream as u32, 0);
            self.streams[stream].taken = false;
        }
    }

    /// Takes the stream of a lane that has ended, and keeps what it computed.
    pub(super) fn keep(&mut self, lane: &mut Lane) {
        if !self.reuses {
            return self.vacate(lane);
        }
        let (exact, mut tokens) = (lane.exact(), std::mem::take(&mut lane.tokens));
        tokens.truncate(lane.computed);
        if let Some(stream) = lane.leave() {
            let kept = &mut self.streams[stream];
            *kept = Stream { taken: false, tokens, exact, used: kept.used };
        }
    }

    pub(super) fn forget_kept(&mut self) {
        for (i, stream) in self.streams.iter_mut().enumerate().filter(|(_, s)| !s.taken) {
            self.context.forget(i as u32, 0);
            *stream = Stream::default();
        }
    }

    /// The longest beginning of a lane's prompt that is computed, by a run that has ended or by one that has not.
    fn longest_beginning(&self, lane: &Lane, others: &[Lane]) -> Option<Beginning> {
        let most = lane.tokens.len().saturating_sub(LEAST_LEFT);
        let find = |stream: usize, tokens: &[u32], exact: usize| {
            let common = lane.tokens.iter().zip(tokens).take_while(|(a, b)| a == b).count();
            let usable = if lane.is_reproducible() { common.min(exact) } else { common };
            Beginning { stream, len: usable.min(most) / GROUP * GROUP, exact }
        };
        let kept = self.streams.iter().enumerate().filter(|(_, s)| !s.taken).map(|(i, s)| find(i, &s.tokens, s.exact));
        let running =
            others.iter().filter_map(|other| Some(find(other.stream?, &other.tokens[..other.computed], other.exact())));
        kept.chain(running).filter(|b| b.len > 0).max_by_key(|b| b.len)
    }
}
