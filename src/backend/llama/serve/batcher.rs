//! Batcher: continuous batching of many generations over one context.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::super::native::context::{Batch, Decoded};
use super::super::native::model::Model;
use super::super::plan::{Division, Plan, SLICE};
use super::kv_cache::KvCache;
use super::kv_cache::saved::SavedPrefix;
use super::layout::Layout;
use super::mailbox::Mailbox;
use super::sequence::Sequence;
use super::threads::ThreadTuner;
use crate::engine::{Call, Step, Trim};
use crate::{Error, Result};

/// Enough for the tuner to have an opinion.
const WARM_UP_ROUNDS: usize = 8;

/// All generations of a model.
pub(super) struct Batcher {
    model: Arc<Model>,
    plan: Plan,
    stop: Arc<AtomicBool>,
    sequences: Vec<Sequence>,
    cache: Option<KvCache>,
    batch: Batch,
    /// Of rounds of next tokens, and of slices of prompts: what is good for one says nothing of the other.
    tuner: ThreadTuner,
    prompt_tuner: ThreadTuner,
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
    waiting: RefCell<Vec<(Call, Arc<Mailbox>)>>,
    /// Once it is late, because it was a trial.
    until: Cell<Option<Instant>>,
    /// Once somebody comes, while it is for nobody.
    settles: Cell<bool>,
    arrived: RefCell<Arc<AtomicBool>>,
}

impl Watched {
    fn is_over(&self) -> bool {
        let waiting = self.waiting.borrow();
        let nobody = waiting.iter().all(|(call, mailbox)| mailbox.is_gone() || call.check().is_err());
        nobody && !waiting.is_empty() || self.is_late() || self.settles.get() && self.is_needed()
    }

    fn is_needed(&self) -> bool {
        self.arrived.borrow().load(Ordering::Acquire)
    }

    fn is_late(&self) -> bool {
        self.until.get().is_some_and(|until| Instant::now() >= until)
    }
}

/// What a sequence brings to a batch.
#[derive(Clone, Copy)]
struct Share {
    sequence: usize,
    tokens: usize,
}

impl Batcher {
    pub(super) fn new(model: Arc<Model>, plan: Plan, stop: Arc<AtomicBool>) -> Self {
        Self {
            model,
            plan,
            stop,
            sequences: Vec::new(),
            cache: None,
            batch: Batch::default(),
            tuner: ThreadTuner::new(plan.threads),
            prompt_tuner: ThreadTuner::new(plan.prompt_threads),
            watched: Rc::default(),
            count: 0,
            prompt_was_last: false,
        }
    }

    /// Sets what ends a computation for nobody.
    pub(super) fn yields_to(&mut self, arrived: Arc<AtomicBool>) {
        *self.watched.arrived.borrow_mut() = arrived;
    }

    /// Makes the context, unless it is there.
    pub(super) fn prepare(&mut self) -> Result<()> {
        match self.cache {
            Some(_) => Ok(()),
            None => self.divide(Division::for_tokens(1, &self.plan)),
        }
    }

    /// Makes the context anew, in other parts.
    fn divide(&mut self, division: Division) -> Result<()> {
        // Two contexts at a time would be the memory of both.
        self.cache = None;
        let mut cache = KvCache::new(self.model.clone(), &self.plan, division)?;
        let (watched, stop) = (self.watched.clone(), self.stop.clone());
        cache.context.watch(move || stop.load(Ordering::Acquire) || watched.is_over());
        self.cache = Some(cache);
        Ok(())
    }

    /// Makes the context anew for a sequence that waits, which finds there what it would have found before.
    fn divide_for(&mut self, next: usize, division: Division) -> Result<()> {
        let carried = self.cache.as_mut().map(|cache| cache.carry(&self.sequences[next]));
        self.divide(division)?;
        let (Some(cache), Some(Ok((layout, carried)))) = (&mut self.cache, carried) else { return Ok(()) };
        for saved in carried {
            // What could not be carried is computed again.
            if let Err(error) = cache.restore(saved, &layout, self.count) {
                tracing::debug!("llama.cpp: a prefix is lost with the division of the context: {error}");
            }
        }
        Ok(())
    }

    /// What finished runs have left, with the layout of its keys and values.
    pub(super) fn save(&mut self) -> Result<(Layout, Vec<SavedPrefix>)> {
        match &mut self.cache {
            Some(cache) => cache.save(),
            None => Ok((self.layout()?, Vec::new())),
        }
    }

    /// The layout of keys and values.
    pub(super) fn layout(&mut self) -> Result<Layout> {
        self.prepare()?;
        self.cache.as_mut().map_or_else(|| Ok(Layout::default()), KvCache::layout)
    }

    /// Takes prefixes into the cache, the last of them first; says how many, and their tokens.
    pub(super) fn restore(&mut self, layout: &Layout, saved: Vec<SavedPrefix>) -> Result<(u64, u64)> {
        self.prepare()?;
        let longest = saved.iter().map(|saved| saved.prefix.len()).max().unwrap_or(0);
        let is_idle = self.sequences.iter().all(|sequence| sequence.seq_id.is_none());
        if is_idle && self.cache.as_ref().is_some_and(|cache| longest > cache.length()) {
            self.divide(Division::for_tokens(longest, &self.plan))?;
        }
        let Some(cache) = &mut self.cache else { return Ok((0, 0)) };
        let (mut count, mut tokens) = (0, 0);
        let surplus = saved.len().saturating_sub(cache.sequences());
        for saved in saved.into_iter().skip(surplus) {
            self.count += 1;
            let len = saved.prefix.len() as u64;
            if cache.restore(saved, layout, self.count)? {
                (count, tokens) = (count + 1, tokens + len);
            }
        }
        Ok((count, tokens))
    }

    /// Computes a few tokens for nobody, until it is known how many threads are good: the first prompt should not pay
    /// for finding out.
    pub(super) fn warm_up(&mut self) {
        let Some(cache) = &mut self.cache else { return };
        let token = self.model.begin().and_then(|token| u32::try_from(token).ok()).unwrap_or(0);
        for _ in 0..WARM_UP_ROUNDS {
            if !self.tuner.is_new() {
                break;
            }
            self.batch.clear();
            self.batch.push(token, 0, 0, true);
            // A failure will come again for a run, which can report it.
            let decoded = decode(cache, &mut self.batch, &mut self.tuner, &self.watched);
            cache.context.forget(0, 0);
            if !matches!(decoded, Ok(Decoded::Done)) {
                break;
            }
        }
    }

    pub(super) fn add(&mut self, mut sequence: Sequence) {
        self.count += 1;
        sequence.enqueue(self.count);
        self.sequences.push(sequence);
    }

    /// Frees what belongs to runs that nobody waits for.
    pub(super) fn drop_abandoned(&mut self) {
        for i in (0..self.sequences.len()).rev() {
            if self.sequences[i].is_dead() {
                self.retire(i);
            }
        }
    }

    /// Gives memory back; returns the bytes.
    pub(super) fn trim(&mut self, level: Trim) -> u64 {
        match &mut self.cache {
            // The cells belong to one allocation, which stays; so forgetting alone frees nothing.
            Some(cache) if level < Trim::All || self.sequences.iter().any(|sequence| sequence.seq_id.is_some()) => {
                cache.forget_kept();
                0
            }
            Some(_) => {
                self.cache = None;
                self.plan.generation.total()
            }
            None => 0,
        }
    }

    /// Computes once for some of the sequences; false if there is nothing to compute.
    pub(super) fn round(&mut self) -> bool {
        if self.sequences.is_empty() {
            return false;
        }
        if let Err(error) = self.prepare().and_then(|()| self.admit()) {
            self.fail(&(0..self.sequences.len()).collect::<Vec<_>>(), &error);
            return true;
        }
        let shares = self.shares();
        if shares.is_empty() {
            return false;
        }
        if let Err(error) = self.compute(&shares) {
            self.fail(&shares.iter().map(|s| s.sequence).collect::<Vec<_>>(), &error);
        }
        true
    }

    /// Computes a part of an answer again, as a prompt, so that the next turn of its chat can reuse it; false if there is none.
    pub(super) fn settle(&mut self) -> bool {
        let Some(cache) = &mut self.cache else { return false };
        let Some(unsettled) = cache.unsettled() else { return false };
        self.batch.clear();
        for (position, &token) in (unsettled.from..).zip(unsettled.tokens) {
            self.batch.push(token, position, unsettled.seq_id as u32, false);
        }
        let adapters = unsettled.adapters.clone();
        let (seq_id, from, to) = (unsettled.seq_id, unsettled.from, unsettled.from + unsettled.tokens.len());
        let set = cache.context.use_adapters(&adapters.scales());
        self.watched.settles.set(true);
        let decoded = set.and_then(|()| decode(cache, &mut self.batch, &mut self.prompt_tuner, &self.watched));
        self.watched.settles.set(false);
        match decoded {
            Ok(Decoded::Done) => cache.settled(seq_id, to),
            // Somebody has come. It is tried again when nobody is there.
            Ok(Decoded::GivenUp) if cache.context.cut(seq_id as u32, from) => {}
            // The next run will hear of it, if it comes again.
            _ => cache.drop_kept(seq_id),
        }
        true
    }

    /// Gives places in the cache to sequences that wait: higher priority first, then who came first. One that needs a longer
    /// place waits until all are free, and lets nobody pass meanwhile.
    fn admit(&mut self) -> Result<()> {
        loop {
            let waiting = self.sequences.iter().enumerate().filter(|(_, sequence)| sequence.seq_id.is_none());
            let queue = waiting.clone().count();
            let Some((next, sequence)) =
                waiting.max_by_key(|(_, sequence)| (sequence.call.priority, Reverse(sequence.order)))
            else {
                return Ok(());
            };
            let needs = sequence.needs();
            let Some(cache) = &mut self.cache else { return Ok(()) };
            let busy = queue < self.sequences.len();
            let division = Division::for_tokens(needs, &self.plan);
            let crowded = queue > cache.sequences() && division.sequences as usize > cache.sequences();
            if needs > cache.length() || crowded && !busy {
                if busy {
                    return Ok(());
                }
                self.divide_for(next, division)?;
                continue;
            }
            let mut sequence = self.sequences.swap_remove(next);
            let placed = cache.place(&mut sequence, &self.sequences, self.count);
            self.sequences.push(sequence);
            if !placed {
                return Ok(());
            }
        }
    }

    /// Who brings how many tokens to the next batch: one sequence a slice of its prompt, or each its next token.
    fn shares(&mut self) -> Vec<Share> {
        let wanted = |sequence: &Sequence| sequence.seq_id.is_some() && sequence.is_wanted();
        let candidates = (0..self.sequences.len()).filter(|&i| wanted(&self.sequences[i]));
        let (mut next, prompts): (Vec<usize>, Vec<usize>) =
            candidates.partition(|&i| self.sequences[i].remaining() == 1);
        let prompt = prompts.into_iter().max_by_key(|&i| {
            let sequence = &self.sequences[i];
            (sequence.call.priority, Reverse(sequence.served))
        });
        if let Some(sequence) = prompt
            && (next.is_empty() || !self.prompt_was_last)
        {
            self.prompt_was_last = true;
            let slice = SLICE as usize - self.sequences[sequence].computed % SLICE as usize;
            return vec![Share { sequence, tokens: self.sequences[sequence].remaining().min(slice) }];
        }
        self.prompt_was_last = false;
        // Adapters are those of a whole batch: who was served longest ago says which.
        let first =
            next.iter().copied().min_by_key(|&i| (Reverse(self.sequences[i].call.priority), self.sequences[i].served));
        if let Some(adapters) = first.map(|first| self.sequences[first].prefix().adapters.clone()) {
            next.retain(|&i| self.sequences[i].prefix().adapters == adapters);
        }
        // Neighbouring ones are computed together, and llama.cpp looks for them in order.
        next.sort_by_key(|&i| self.sequences[i].seq_id);
        next.into_iter().map(|sequence| Share { sequence, tokens: 1 }).collect()
    }

    fn compute(&mut self, shares: &[Share]) -> Result<()> {
        let Some(cache) = &mut self.cache else { return Ok(()) };
        self.count += 1;
        self.batch.clear();
        let mut outputs = Vec::with_capacity(shares.len());
        for share in shares {
            let sequence = &mut self.sequences[share.sequence];
            sequence.served = self.count;
            let Some(seq_id) = sequence.seq_id else { continue };
            let mut output = None;
            for position in sequence.computed..sequence.computed + share.tokens {
                let last = position + 1 == sequence.prefix().len();
                let i = self.batch.push(sequence.prefix().tokens[position], position, seq_id as u32, last);
                output = last.then_some(i);
            }
            outputs.push(output);
        }
        self.watched.waiting.borrow_mut().extend(shares.iter().map(|s| {
            let sequence = &self.sequences[s.sequence];
            (sequence.call.clone(), sequence.mailbox.clone())
        }));
        if let Some(share) = shares.first() {
            cache.context.use_adapters(&self.sequences[share.sequence].prefix().adapters.scales())?;
        }
        let begin = Instant::now();
        let next_tokens = shares.iter().all(|share| share.tokens == 1);
        let tuner = if next_tokens { &mut self.tuner } else { &mut self.prompt_tuner };
        let decoded = decode(cache, &mut self.batch, tuner, &self.watched);
        let took = begin.elapsed();
        self.watched.waiting.borrow_mut().clear();
        match decoded? {
            Decoded::Done => {}
            // Nobody waits any more, and what is in their sequences is unknown.
            Decoded::GivenUp => {
                for share in shares {
                    cache.vacate(&mut self.sequences[share.sequence]);
                }
                return Ok(());
            }
            Decoded::NoRoom => return Err(Error::backend("llama.cpp found no room for a batch that fits")),
        }
        let mut ended = Vec::new();
        let mut failed = None;
        for (share, output) in shares.iter().zip(outputs) {
            let sequence = &mut self.sequences[share.sequence];
            let before = sequence.computed;
            sequence.computed += share.tokens;
            sequence.record_time(took, before);
            let Some(output) = output else {
                sequence.mailbox.give(Ok(Step::Working(sequence.progress())));
                continue;
            };
            let continued = cache.context.logits(output).and_then(|logits| sequence.advance(logits, &self.model));
            match continued {
                // The next continuation begins where the prompt ends.
                Ok(ControlFlow::Continue(())) if sequence.computed <= before => {
                    let seq_id = sequence.seq_id.unwrap_or(0) as u32;
                    if !cache.context.cut(seq_id, sequence.computed) {
                        sequence.fail(Error::internal("a sequence cannot be cut at the end of its prompt"));
                        failed.get_or_insert_with(Vec::new).push(share.sequence);
                    }
                }
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => ended.push(share.sequence),
                Err(error) => {
                    sequence.fail(error);
                    failed.get_or_insert_with(Vec::new).push(share.sequence);
                }
            }
        }
        for &i in failed.iter().flatten() {
            cache.vacate(&mut self.sequences[i]);
            ended.push(i);
        }
        // From the back, so that the indices before stay right.
        ended.sort_unstable();
        for i in ended.into_iter().rev() {
            self.retire(i);
        }
        Ok(())
    }

    /// Ends sequences with an error; what is in their sequences is unknown.
    fn fail(&mut self, sequences: &[usize], error: &Error) {
        let mut sequences = sequences.to_vec();
        sequences.sort_unstable();
        for i in sequences.into_iter().rev() {
            self.sequences[i].fail(error.clone());
            if let Some(cache) = &mut self.cache {
                cache.vacate(&mut self.sequences[i]);
            }
            self.sequences.remove(i);
        }
    }

    /// Removes a sequence; what it computed is kept for the next one that begins alike.
    fn retire(&mut self, i: usize) {
        let mut sequence = self.sequences.remove(i);
        if let Some(cache) = &mut self.cache {
            cache.keep(&mut sequence);
        }
    }
}

/// Computes a batch at the tuner's threads; if that was a trial that failed, once more.
fn decode(cache: &mut KvCache, batch: &mut Batch, tuner: &mut ThreadTuner, watched: &Watched) -> Result<Decoded> {
    // Slices of about one length take about as long.
    let (threads, limit) = tuner.next(batch.len().next_power_of_two());
    let begin = Instant::now();
    watched.until.set(limit.filter(|_| cache.restores()).map(|limit| begin + limit));
    cache.context.use_threads(threads);
    let mut decoded = cache.context.decode(batch);
    let late = matches!(decoded, Ok(Decoded::GivenUp)) && watched.is_late();
    watched.until.set(None);
    tuner.record_time((!late).then(|| begin.elapsed()));
    cache.context.use_threads(tuner.threads());
    if late {
        // llama.cpp computes sequences that are no neighbours one part after another, and takes back only the part that was
        // given up.
        cache.context.rewind(batch)?;
        decoded = cache.context.decode(batch);
    }
    decoded
}

#[cfg(test)]
mod tests;
