//! Embedder: texts in, one vector or score each out.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::super::native::context::{Batch, Context, Decoded, Shape};
use super::super::native::model::Model;
use super::super::plan::{MAX_TEXTS, Plan, TOGETHER, max_embedding_tokens};
use super::mailbox::Mailbox;
use crate::engine::{Answer, Call, Embed, Progress, Rerank, Step, Trim};
use crate::kernel;
use crate::{Error, Result, Tensor};

/// A request on the worker's side.
pub(in crate::backend::llama) struct EmbedJob {
    pub(in crate::backend::llama) call: Call,
    pub(in crate::backend::llama) mailbox: Arc<Mailbox>,
    pub(in crate::backend::llama) texts: Vec<Vec<u32>>,
    pub(in crate::backend::llama) wanted: Wanted,
    pub(in crate::backend::llama) answer: Answer,
    pub(in crate::backend::llama) values: Vec<f32>,
    pub(in crate::backend::llama) done: usize,
    pub(in crate::backend::llama) enqueued: Option<Instant>,
}

/// What is wanted of each text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::backend::llama) enum Wanted {
    Vector {
        normalized: bool,
    },
    /// What the rank head says of it.
    Score,
}

impl EmbedJob {
    fn is_dead(&self) -> bool {
        self.mailbox.is_gone() || self.call.check().is_err()
    }

    /// How many of the texts come next, and their tokens.
    fn next(&self) -> (usize, usize) {
        let (mut count, mut tokens) = (0, 0);
        for text in self.texts[self.done..].iter().take(MAX_TEXTS as usize) {
            if count > 0 && tokens + text.len() > TOGETHER {
                break;
            }
            count += 1;
            tokens += text.len();
        }
        (count, tokens)
    }
}

/// All embed requests of a model.
pub(in crate::backend::llama) struct Embedder {
    model: Arc<Model>,
    plan: Plan,
    stop: Arc<AtomicBool>,
    jobs: VecDeque<EmbedJob>,
    /// The context and the tokens it takes; made when first needed, and anew for a longer text.
    context: Option<(Context, u32)>,
    batch: Batch,
    watched: Rc<Watched>,
}

/// Whose text is being computed, for the abort callback to look at.
type Watched = RefCell<Option<(Call, Arc<Mailbox>)>>;

impl Embedder {
    pub(in crate::backend::llama) fn new(model: Arc<Model>, plan: Plan, stop: Arc<AtomicBool>) -> Self {
        let (jobs, batch) = (VecDeque::new(), Batch::default());
        Self { model, plan, stop, jobs, context: None, batch, watched: Rc::default() }
    }

    pub(in crate::backend::llama) fn add(&mut self, job: EmbedJob) {
        self.jobs.push_back(job);
    }

    pub(in crate::backend::llama) fn drop_abandoned(&mut self) {
        self.jobs.retain(|job| !job.is_dead());
    }

    pub(in crate::backend::llama) fn trim(&mut self, level: Trim) -> u64 {
        match self.context.take() {
            Some((_, tokens)) if level >= Trim::All => self.plan.embedding.needs(tokens).total(),
            kept => {
                self.context = kept;
                0
            }
        }
    }

    /// Computes some texts of the request whose turn it is; false if there is nothing to compute.
    pub(in crate::backend::llama) fn round(&mut self) -> bool {
        let wanted = self.jobs.iter().enumerate().filter(|(_, job)| job.mailbox.has_room());
        // The first of the highest priority.
        let Some((i, _)) = wanted.max_by_key(|(i, job)| (job.call.priority, std::cmp::Reverse(*i))) else {
            return false;
        };
        let Some(mut job) = self.jobs.remove(i) else { return false };
        match self.compute(&mut job) {
            Ok(true) => {
                let answer = job.finish();
                job.mailbox.give(answer.map(Step::Done));
            }
            Ok(false) => {
                let progress = Progress::new(job.done as u64, Some(job.texts.len() as u64));
                job.mailbox.give(Ok(Step::Working(progress)));
                // To the end: requests take turns.
                self.jobs.push_back(job);
            }
            Err(error) => job.mailbox.give(Err(error)),
        }
        true
    }

    /// True once all texts are done.
    fn compute(&mut self, job: &mut EmbedJob) -> Result<bool> {
        if let Some(enqueued) = job.enqueued.take() {
            job.answer.usage.queued = enqueued.elapsed();
        }
        let begin = Instant::now();
        let (count, tokens) = job.next();
        self.prepare(tokens)?;
        let Some((context, _)) = &mut self.context else { return Err(Error::internal("no context to embed with")) };
        self.batch.clear();
        for (sequence, text) in (0..).zip(&job.texts[job.done..job.done + count]) {
            for (position, &token) in text.iter().enumerate() {
                self.batch.push(token, position, sequence, true);
            }
        }
        *self.watched.borrow_mut() = Some((job.call.clone(), job.mailbox.clone()));
        let decoded = context.decode(&mut self.batch);
        *self.watched.borrow_mut() = None;
        match decoded? {
            Decoded::Done => {}
            // Only if the call is over, or the engine is.
            Decoded::GivenUp => {
                context.clear();
                job.call.check()?;
                return Err(Error::new(crate::Code::Cancelled, "the engine was closed"));
            }
            Decoded::NoRoom => return Err(Error::backend("llama.cpp found no room for texts that fit")),
        }
        for sequence in 0..count as u32 {
            let begin = job.values.len();
            match job.wanted {
                Wanted::Vector { .. } => job.values.extend_from_slice(context.embedding(sequence)?),
                Wanted::Score => job.values.push(context.rank(sequence)?),
            }
            let values = &mut job.values[begin..];
            if !values.iter().all(|x| x.is_finite()) {
                return Err(Error::backend("the model gave NaN or infinite numbers for a text"));
            }
            if job.wanted == (Wanted::Vector { normalized: true }) {
                kernel::normalize(values);
            }
        }
        context.clear();
        job.done += count;
        job.answer.usage.compute += begin.elapsed();
        Ok(job.done == job.texts.len())
    }

    fn prepare(&mut self, tokens: usize) -> Result<()> {
        if self.context.as_ref().is_some_and(|(_, have)| *have as usize >= tokens) {
            return Ok(());
        }
        // Two contexts at a time would be the memory of both.
        self.context = None;
        let size = u32::try_from(tokens.next_power_of_two()).unwrap_or(u32::MAX);
        let size = size.clamp(TOGETHER as u32, max_embedding_tokens(&self.plan));
        let shape = Shape {
            tokens: size,
            // A text must be computed whole, since its tokens look at each other and are pooled together.
            batch: size,
            sequences: MAX_TEXTS,
            outputs: size,
            embeddings: true,
            threads: self.plan.threads,
            made: self.plan.made(&self.plan.embedding.needs(size)),
            // The fused kernel does without a matrix of looks, and ours is not asked.
            per_cell: 0,
            per_token: self.plan.work.per_token,
            attended_cell: 0,
        };
        let mut context = Context::new(self.model.clone(), shape)?;
        let (watched, stop) = (self.watched.clone(), self.stop.clone());
        context.watch(move || {
            let over = |(call, mailbox): &(Call, Arc<Mailbox>)| mailbox.is_gone() || call.check().is_err();
            stop.load(Ordering::Acquire) || watched.borrow().as_ref().is_some_and(over)
        });
        self.context = Some((context, size));
        Ok(())
    }
}

impl EmbedJob {
    fn finish(&mut self) -> Result<Answer> {
        let (texts, values) = (self.texts.len(), std::mem::take(&mut self.values));
        self.answer.outputs = match self.wanted {
            Wanted::Vector { .. } => {
                let size = values.len() / texts.max(1);
                vec![(Embed::OUTPUT.to_owned(), Tensor::new(&[texts, size], values)?)]
            }
            Wanted::Score => vec![
                (Rerank::ORDER.to_owned(), Tensor::new(&[texts], order(&values))?),
                (Rerank::SCORE.to_owned(), Tensor::new(&[texts], values)?),
            ],
        };
        Ok(self.answer.clone())
    }
}

/// The places of scores, the highest first; of the same ones the earlier.
fn order(scores: &[f32]) -> Vec<i64> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].partial_cmp(&scores[a]).unwrap_or(std::cmp::Ordering::Equal));
    order.into_iter().map(|place| place as i64).collect()
}

#[cfg(test)]
mod tests {
    use super::order;

    #[test]
    fn the_highest_comes_first_and_of_equals_the_earlier() {
        assert_eq!(order(&[0.5, -1.0, 3.0, 0.5, -0.0, 0.0]), [2, 0, 3, 4, 5, 1]);
        assert!(order(&[]).is_empty());
    }
}
