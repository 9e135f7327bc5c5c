//! Continuous batching: many generations over one context.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::context::{Batch, Decoded};
use super::lane::Lane;
use super::native::Model;
use super::pace::Pace;
use super::run::Slot;
use super::state::{Division, State};
use super::worker::Plan;
use crate::engine::{Call, Step, Trim};
use crate::{Error, Result};

/// Prompts are computed in slices that end at multiples of this. Always the same slices, so that the numbers do not
/// depend on who else there is; short enough that others wait no longer for their next token than they must.
pub(super) const SLICE: u32 = 128;
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
    /// Whether a prompt had the last turn.
    prompt_was_last: bool,
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
            prompt_was_last: false,
        }
    }

    /// Makes the context, unless it is there.
    pub(super) fn prepare(&mut self) -> Result<()> {
        match self.state {
            Some(_) => Ok(()),
            None => self.divide(Division::for_tokens(1, &self.plan)),
        }
    }

    /// Makes the context anew, in other parts.
    fn divide(&mut self, division: Division) -> Result<()> {
        // Two contexts at a time would be the memory of both.
        self.state = None;
        let mut state = State::new(self.model.clone(), &self.plan, division)?;
        let (watched, stop) = (self.watched.clone(), self.stop.clone());
        state.context.watch(move || stop.load(Ordering::Acquire) || watched.is_over());
        self.state = Some(state);
        Ok(())
    }

    /// Computes a few tokens for nobody, until it is known how many threads are good: the first prompt should not pay
    /// for finding out.
    pub(super) fn warm_up(&mut self) {
        let Some(state) = &mut self.state else { return };
        let token = self.model.begin().and_then(|token| u32::try_from(token).ok()).unwrap_or(0);
        for _ in 0..WARM_UP_ROUNDS {
            if !self.pace.is_new() {
                break;
            }
            self.batch.clear();
            self.batch.push(token, 0, 0, true);
            // A failure will come again for a run, which can report it.
            let decoded = decode(state, &mut self.batch, &mut self.pace, &self.watched);
            state.context.forget(0, 0);
            if !matches!(decoded, Ok(Decoded::Done)) {
                break;
            }
        }
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
            Some(state) if level < Trim::All || self.lanes.iter().any(|lane| lane.stream.is_some()) => {
                state.forget_kept();
                0
            }
            Some(_) => {
                self.state = None;
                self.plan.generation.total()
            }
            None => 0,
        }
    }

    /// Computes once for some of the lanes; false if there is nothing to compute.
    pub(super) fn round(&mut self) -> bool {
        if self.lanes.is_empty() {
            return false;
        }
        if let Err(error) = self.prepare().and_then(|()| self.admit()) {
            self.fail(&(0..self.lanes.len()).collect::<Vec<_>>(), &error);
            return true;
        }
        let shares = self.shares();
        if shares.is_empty() {
            return false;
        }
        if let Err(error) = self.compute(&shares) {
            self.fail(&shares.iter().map(|s| s.lane).collect::<Vec<_>>(), &error);
        }
        true
    }

    /// Gives streams to lanes that wait: higher priority first, then who came first. One that needs longer streams
    /// waits until all are free, and lets nobody pass meanwhile.
    fn admit(&mut self) -> Result<()> {
        loop {
            let waiting = self.lanes.iter().enumerate().filter(|(_, lane)| lane.stream.is_none());
            let queue = waiting.clone().count();
            let Some((next, lane)) = waiting.max_by_key(|(_, lane)| (lane.call.priority, Reverse(lane.order))) else {
                return Ok(());
            };
            let needs = lane.needs();
            let Some(state) = &mut self.state else { return Ok(()) };
            let busy = queue < self.lanes.len();
            let division = Division::for_tokens(needs, &self.plan);
            let crowded = queue > state.streams() && division.streams as usize > state.streams();
            if needs > state.length() || crowded && !busy {
                if busy {
                    return Ok(());
                }
                self.divide(division)?;
                continue;
            }
            let mut lane = self.lanes.swap_remove(next);
            let placed = state.place(&mut lane, &self.lanes, self.count);
            self.lanes.push(lane);
            if !placed {
                return Ok(());
            }
        }
    }

    /// Who brings how many tokens to the next batch: one lane a slice of its prompt, or each its next token.
    fn shares(&mut self) -> Vec<Share> {
        let wanted = |lane: &Lane| lane.stream.is_some() && lane.is_wanted();
        let candidates = (0..self.lanes.len()).filter(|&i| wanted(&self.lanes[i]));
        let (mut next, prompts): (Vec<usize>, Vec<usize>) = candidates.partition(|&i| self.lanes[i].remaining() == 1);
        let prompt = prompts.into_iter().max_by_key(|&i| {
            let lane = &self.lanes[i];
            (lane.call.priority, Reverse(lane.served))
        });
        if let Some(lane) = prompt
            && (next.is_empty() || !self.prompt_was_last)
        {
            self.prompt_was_last = true;
            let slice = SLICE as usize - self.lanes[lane].computed % SLICE as usize;
            return vec![Share { lane, tokens: self.lanes[lane].remaining().min(slice) }];
        }
        self.prompt_was_last = false;
        // Neighbouring streams are computed together, and llama.cpp looks for them in order.
        next.sort_by_key(|&i| self.lanes[i].stream);
        next.into_iter().map(|lane| Share { lane, tokens: 1 }).collect()
    }

    fn compute(&mut self, shares: &[Share]) -> Result<()> {
        let Some(state) = &mut self.state else { return Ok(()) };
        self.count += 1;
        self.batch.clear();
        let mut outputs = Vec::with_capacity(shares.len());
        for share in shares {
            let lane = &mut self.lanes[share.lane];
            lane.served = self.count;
            let Some(stream) = lane.stream else { continue };
            let mut output = None;
            for position in lane.computed..lane.computed + share.tokens {
                let last = position + 1 == lane.tokens.len();
                let i = self.batch.push(lane.tokens[position], position, stream as u32, last);
                output = last.then_some(i);
            }
            outputs.push(output);
        }
        self.watched.waiting.borrow_mut().extend(shares.iter().map(|s| {
            let lane = &self.lanes[s.lane];
            (lane.call.clone(), lane.slot.clone())
        }));
        let begin = Instant::now();
        let decoded = if shares.iter().all(|share| share.tokens == 1) {
            decode(state, &mut self.batch, &mut self.pace, &self.watched)
        } else {
            // So many tokens are long work between two waits for each other: the pace of single ones, or a trial of it that
            // was under way, says nothing of them.
            state.context.use_threads(self.plan.threads);
            state.context.decode(&mut self.batch)
        };
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
            self.lanes[i].fail(error.clone());
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

/// Computes next tokens at the pace's threads; if that was a trial that failed, once more.
fn decode(state: &mut State, batch: &mut Batch, pace: &mut Pace, watched: &Watched) -> Result<Decoded> {
    let (threads, limit) = pace.next(batch.len());
    let begin = Instant::now();
    watched.until.set(limit.filter(|_| state.restores()).map(|limit| begin + limit));
    state.context.use_threads(threads);
    let mut decoded = state.context.decode(batch);
    let late = matches!(decoded, Ok(Decoded::GivenUp)) && watched.is_late();
    watched.until.set(None);
    pace.took((!late).then(|| begin.elapsed()));
    state.context.use_threads(pace.threads());
    if late {
        decoded = state.context.decode(batch);
    }
    decoded
}
