//! Continuous batching: many generations over one context.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::context::{Batch, Context, Decoded, Shape};
use super::lane::Lane;
use super::native::Model;
use super::pace::Pace;
use super::run::Slot;
use super::state::State;
use super::worker::Plan;
use crate::engine::{Call, Step, Trim};
use crate::{Error, Result};

/// The most tokens of one computation.
pub(super) const SLICE: u32 = 256;
/// The same while other runs wait for their next token.
const SHARED_SLICE: usize = 64;
/// Tokens of several runs are computed together up to this number. From 64 rows on ggml computes attention by another
/// kernel with other rounding; below, a run's numbers do not depend on who else is in the batch.
const TOGETHER: usize = 63;

/// Enough for the pace to have an opinion.
const WARM_UP_ROUNDS: usize = 8;

/// All generations of a model.
pub(super) struct Generator {
    model: Arc<Model>,
    plan: Plan,
    stop: Arc<AtomicBool>,
    lanes: Vec<Lane>,
    state: Option<State>,
    batch: Batch,
    pace: Pace,
    watched: Rc<Watched>,
    /// Counts arrivals and rounds.
    count: u64,
    /// Whether a long prompt had the last turn.
    long_was_last: bool,
}

/// When to give up the computation under way.
#[derive(Default)]
struct Watched {
    /// Once nobody of these waits for it.
    waiting: RefCell<Vec<(Call, Arc<Slot>)>>,
    /// Once it is late, because it was a trial.
    until: Cell<Option<Instant>>,
}

impl Watched {
    fn is_over(&self) -> bool {
        let waiting = self.waiting.borrow();
        let nobody = waiting.iter().all(|(call, slot)| slot.is_gone() || call.check().is_err());
        nobody && !waiting.is_empty() || self.is_late()
    }

    fn is_late(&self) -> bool {
        self.until.get().is_some_and(|until| Instant::now() >= until)
    }
}

/// What a lane brings to a batch.
#[derive(Clone, Copy)]
struct Share {
    lane: usize,
    tokens: usize,
}

impl Generator {
    pub(super) fn new(model: Arc<Model>, plan: Plan, stop: Arc<AtomicBool>) -> Self {
        Self {
            model,
            plan,
            stop,
            lanes: Vec::new(),
            state: None,
            batch: Batch::default(),
            pace: Pace::new(plan.threads),
            watched: Rc::default(),
            count: 0,
            long_was_last: false,
        }
    }

    /// Makes the context, unless it is there.
    pub(super) fn prepare(&mut self) -> Result<()> {
        if self.state.is_some() {
            return Ok(());
        }
        // Sequences that nobody is in keep what finished runs computed. A recurrent state has a fixed price each.
        let sequences = if self.plan.reuses { self.plan.parallel * 2 } else { self.plan.parallel };
        let shape = Shape {
            tokens: self.plan.context,
            batch: SLICE.min(self.plan.context),
            sequences,
            // llama.cpp asserts that each sequence could have one.
            outputs: sequences,
            embeddings: false,
            threads: self.plan.threads,
        };
        let mut context = Context::new(self.model.clone(), shape)?;
        let (watched, stop) = (self.watched.clone(), self.stop.clone());
        context.watch(move || stop.load(Ordering::Acquire) || watched.is_over());
        self.state = Some(State::new(context, sequences, self.plan.reuses));
        Ok(())
    }

    /// Computes a few tokens for nobody, until it is known how many threads are good: the first prompt should not pay
    /// for finding out.
    pub(super) fn warm_up(&mut self) {
        let Some(state) = self.state.as_mut().filter(|state| state.restores()) else { return };
        let Some((mut place, _)) = state.place(None, &[]) else { return };
        state.cells.take(1, &mut place.cells);
        let token = self.model.begin().and_then(|token| u32::try_from(token).ok()).unwrap_or(0);
        for _ in 0..WARM_UP_ROUNDS {
            if !self.pace.is_new() {
                break;
            }
            self.batch.clear();
            self.batch.push(token, 0, place.sequence, true);
            // A failure will come again for a run, which can report it.
            let decoded = decode(&mut state.context, &mut self.batch, Some(&mut self.pace), &self.watched);
            state.context.forget(place.sequence, 0);
            if !matches!(decoded, Ok(Decoded::Done)) {
                break;
            }
        }
        state.free(place.sequence, place.cells);
    }

    pub(super) fn add(&mut self, mut lane: Lane) {
        self.count += 1;
        lane.comes(self.count);
        self.lanes.push(lane);
    }

    /// Frees what belongs to runs that nobody waits for.
    pub(super) fn let_go(&mut self) {
        for i in (0..self.lanes.len()).rev() {
            if self.lanes[i].is_dead() {
                self.retire(i);
            }
        }
    }

    /// Gives memory back; returns the bytes.
    pub(super) fn trim(&mut self, level: Trim) -> u64 {
        match &mut self.state {
            // The cells belong to one allocation, which stays; so forgetting alone frees nothing.
            Some(state) if level < Trim::All || self.lanes.iter().any(|lane| lane.place.is_some()) => {
                state.forget_kept();
                0
            }
            Some(_) => {
                self.state = None;
                self.plan.context_bytes
            }
            None => 0,
        }
    }

    /// Computes once for some of the lanes; false if there is nothing to compute.
    pub(super) fn round(&mut self) -> bool {
        if self.lanes.is_empty() {
            return false;
        }
        if let Err(error) = self.prepare() {
            self.fail(&(0..self.lanes.len()).collect::<Vec<_>>(), &error);
            return true;
        }
        self.admit();
        let shares = self.shares();
        if shares.is_empty() {
            return false;
        }
        match self.compute(&shares) {
            Ok(()) => {}
            Err(error) => self.fail(&shares.iter().map(|s| s.lane).collect::<Vec<_>>(), &error),
        }
        true
    }

    /// Gives places in the context to lanes that wait: higher priority first, then who came first.
    fn admit(&mut self) {
        let Some(state) = &mut self.state else { return };
        loop {
            let placed = self.lanes.iter().filter(|lane| lane.place.is_some());
            if placed.clone().count() >= self.plan.parallel as usize {
                return;
            }
            let waiting = self.lanes.iter().enumerate().filter(|(_, lane)| lane.place.is_none() && lane.is_wanted());
            let Some((next, lane)) = waiting.max_by_key(|(_, lane)| (lane.call.priority, Reverse(lane.order))) else {
                return;
            };
            let source = state.longest_beginning(&lane.tokens, &self.lanes);
            // What others have a use for is not to be had; what is merely kept is.
            let busy =
                state.cells.distinct(placed.clone().filter_map(|l| l.place.as_ref()).map(|p| p.cells.as_slice()));
            if placed.count() > 0 && lane.tokens.len() + 1 > state.cells.capacity() - busy {
                return;
            }
            let Some((place, reused)) = state.place(source, &self.lanes) else { return };
            self.lanes[next].admitted(place, reused);
        }
    }

    /// Who brings how many tokens to the next batch. Makes room for them, if need be by taking a lane's place away.
    fn shares(&mut self) -> Vec<Share> {
        loop {
            let shares = self.wanted();
            let tokens = shares.iter().map(|s| s.tokens).sum();
            let Some(state) = &mut self.state else { return Vec::new() };
            if state.make_room(tokens) {
                return shares;
            }
            // The youngest of the least important waits until the others have ended.
            let placed = (0..self.lanes.len()).filter(|&i| self.lanes[i].place.is_some());
            match placed.max_by_key(|&i| (Reverse(self.lanes[i].call.priority), self.lanes[i].order)) {
                Some(i) => state.vacate(&mut self.lanes[i]),
                None => return Vec::new(),
            }
        }
    }

    fn wanted(&mut self) -> Vec<Share> {
        let served = |lane: &Lane| lane.place.is_some() && lane.is_wanted();
        let mut candidates: Vec<usize> = (0..self.lanes.len()).filter(|&i| served(&self.lanes[i])).collect();
        candidates.sort_by_key(|&i| (Reverse(self.lanes[i].call.priority), self.lanes[i].served));
        let (long, short): (Vec<usize>, Vec<usize>) =
            candidates.into_iter().partition(|&i| self.lanes[i].remaining() > TOGETHER);
        if let Some(&lane) = long.first()
            && (short.is_empty() || !self.long_was_last)
        {
            self.long_was_last = true;
            let slice =
                if short.is_empty() && long.len() == 1 { SLICE.min(self.plan.context) as usize } else { SHARED_SLICE };
            return vec![Share { lane, tokens: self.lanes[lane].remaining().min(slice) }];
        }
        self.long_was_last = false;
        let mut room = TOGETHER;
        let mut shares = Vec::new();
        for lane in short {
            let tokens = self.lanes[lane].remaining();
            if tokens <= room {
                room -= tokens;
                shares.push(Share { lane, tokens });
            }
        }
        shares
    }

    fn compute(&mut self, shares: &[Share]) -> Result<()> {
        let Some(state) = &mut self.state else { return Ok(()) };
        self.count += 1;
        self.batch.clear();
        let mut outputs = Vec::with_capacity(shares.len());
        for share in shares {
            let lane = &mut self.lanes[share.lane];
            lane.served = self.count;
            let Some(place) = &mut lane.place else { continue };
            state.cells.take(share.tokens, &mut place.cells);
            let mut output = None;
            for position in lane.computed..lane.computed + share.tokens {
                let last = position + 1 == lane.tokens.len();
                let i = self.batch.push(lane.tokens[position], position, place.sequence, last);
                output = last.then_some(i);
            }
            outputs.push(output);
        }
        self.watched.waiting.borrow_mut().extend(shares.iter().map(|s| {
            let lane = &self.lanes[s.lane];
            (lane.call.clone(), lane.slot.clone())
        }));
        let begin = Instant::now();
        let only_next = shares.iter().all(|s| s.tokens == 1);
        let pace = (only_next && state.restores()).then_some(&mut self.pace);
        let decoded = decode(&mut state.context, &mut self.batch, pace, &self.watched);
        let took = begin.elapsed();
        self.watched.waiting.borrow_mut().clear();
        match decoded? {
            Decoded::Done => {}
            // Nobody waits any more, and what is in their sequences is unknown.
            Decoded::GivenUp => {
                for share in shares {
                    state.vacate(&mut self.lanes[share.lane]);
                }
                return Ok(());
            }
            Decoded::NoRoom => return Err(Error::backend("llama.cpp found no room for a batch that fits")),
        }
        let mut ended = Vec::new();
        let mut failed = None;
        for (share, output) in shares.iter().zip(outputs) {
            let lane = &mut self.lanes[share.lane];
            let before = lane.computed;
            lane.computed += share.tokens;
            lane.took(took, before);
            let Some(output) = output else {
                lane.slot.give(Ok(Step::Working(lane.progress())));
                continue;
            };
            let continued = state.context.logits(output).and_then(|logits| lane.continues(logits, &self.model));
            match continued {
                Ok(false) => {}
                Ok(true) => ended.push(share.lane),
                Err(error) => {
                    lane.fail(error);
                    failed.get_or_insert_with(Vec::new).push(share.lane);
                }
            }
        }
        for &i in failed.iter().flatten() {
            state.vacate(&mut self.lanes[i]);
            ended.push(i);
        }
        // From the back, so that the indices before stay right.
        ended.sort_unstable();
        for i in ended.into_iter().rev() {
            self.retire(i);
        }
        Ok(())
    }

    /// Ends lanes with an error; what is in their sequences is unknown.
    fn fail(&mut self, lanes: &[usize], error: &Error) {
        let mut lanes = lanes.to_vec();
        lanes.sort_unstable();
        for i in lanes.into_iter().rev() {
            self.lanes[i].fail(Error::new(error.code(), error.to_string()));
            if let Some(state) = &mut self.state {
                state.vacate(&mut self.lanes[i]);
            }
            self.lanes.remove(i);
        }
    }

    /// Removes a lane; what it computed is kept for the next one that begins alike.
    fn retire(&mut self, i: usize) {
        let mut lane = self.lanes.remove(i);
        if let Some(state) = &mut self.state {
            state.keep(&mut lane);
        }
    }
}

/// Computes a batch at the pace's threads; if it is a trial that fails, once more.
fn decode(context: &mut Context, batch: &mut Batch, pace: Option<&mut Pace>, watched: &Watched) -> Result<Decoded> {
    let Some(pace) = pace else { return context.decode(batch) };
    let (threads, limit) = pace.next(batch.len());
    let begin = Instant::now();
    watched.until.set(limit.map(|limit| begin + limit));
    context.use_threads(threads);
    let mut decoded = context.decode(batch);
    let late = matches!(decoded, Ok(Decoded::GivenUp)) && watched.is_late();
    watched.until.set(None);
    pace.took((!late).then(|| begin.elapsed()));
    context.use_threads(pace.threads());
    if late {
        decoded = context.decode(batch);
    }
    decoded
}
