//! Run of a request: some texts a step.

use std::sync::Arc;
use std::time::Instant;

use rayon::prelude::*;

use super::Shared;
use crate::engine::{Answer, Call, Embed, Finish, Progress, Run, Step, Usage};
use crate::weights::Pool;
use crate::{Code, Error, Result, Tensor};

/// Bytes of text that a step takes for each thread: about a millisecond of tokenizing.
const STEP: usize = 8 << 10;

pub(super) struct EmbedRun {
    shared: Arc<Shared>,
    call: Call,
    request: Embed,
    values: Vec<f32>,
    usage: Usage,
    done: usize,
    ended: bool,
}

/// What a thread needs to embed a text.
#[derive(Default)]
struct Desk {
    ids: Vec<u32>,
    weights: Vec<f32>,
    usage: Usage,
}

impl EmbedRun {
    pub(super) fn new(shared: Arc<Shared>, call: Call, request: Embed) -> Self {
        Self { shared, call, request, values: Vec::new(), usage: Usage::default(), done: 0, ended: false }
    }

    fn next(&mut self) -> Result<Step> {
        self.call.check()?;
        let width = self.shared.rows.table.width();
        if self.done == 0 {
            self.reserve(width)?;
        }
        let count = self.count();
        let texts = &self.request.texts[self.done..self.done + count];
        let out = &mut self.values[self.done * width..(self.done + count) * width];
        let shared = &*self.shared;
        self.usage = sum(self.usage, shared.embed_all(texts, self.request.normalize, out)?);
        self.done += count;
        if self.done < self.request.texts.len() {
            return Ok(Step::Working(Progress::new(self.done as u64, Some(self.request.texts.len() as u64))));
        }
        let values = Tensor::new(&[self.done, width], std::mem::take(&mut self.values))?;
        let mut answer = Answer::new(Finish::Complete, self.usage, shared.spec.provenance.clone());
        answer.outputs = vec![(Embed::OUTPUT.to_owned(), values)];
        answer.id = self.call.id;
        Ok(Step::Done(answer))
    }

    /// Room for all vectors.
    fn reserve(&mut self, width: usize) -> Result<()> {
        let size = self.request.texts.len().saturating_mul(width);
        let failed = |e| Error::new(Code::OutOfMemory, format!("no memory for {size} numbers")).because(e);
        self.values.try_reserve_exact(size).map_err(failed)?;
        self.values.resize(size, 0.0);
        Ok(())
    }

    /// How many texts the next step takes: one at least.
    fn count(&self) -> usize {
        let (mut left, mut count) = (STEP.saturating_mul(self.shared.threads()), 0);
        for text in &self.request.texts[self.done..] {
            if count > 0 && text.len() > left {
                break;
            }
            // A text costs something even if it is empty.
            left = left.saturating_sub(text.len().max(64));
            count += 1;
        }
        count
    }
}

/// Of two threads, or steps.
fn sum(mut a: Usage, b: Usage) -> Usage {
    a.input_tokens += b.input_tokens;
    a.prepare += b.prepare;
    a.compute += b.compute;
    a
}

impl Shared {
    fn threads(&self) -> usize {
        self.pool.as_ref().map_or(1, rayon::ThreadPool::current_num_threads)
    }

    /// Embeds texts into as many rows. Each is computed by itself, so that the threads make no difference.
    fn embed_all(&self, texts: &[String], normalize: bool, out: &mut [f32]) -> Result<Usage> {
        let width = self.rows.table.width();
        let in_turn = |texts: &[String], out: &mut [f32]| {
            let mut desk = Desk::default();
            texts
                .iter()
                .zip(out.chunks_exact_mut(width))
                .try_for_each(|(text, out)| self.embed(text, normalize, &mut desk, out))?;
            Ok(desk.usage)
        };
        let Some(pool) = &self.pool else { return in_turn(texts, out) };
        let share = texts.len().div_ceil(self.threads());
        pool.install(|| {
            let shares = texts.par_chunks(share).zip(out.par_chunks_mut(share * width));
            shares.map(|(texts, out)| in_turn(texts, out)).try_reduce(Usage::default, |a, b| Ok(sum(a, b)))
        })
    }

    fn embed(&self, text: &str, normalize: bool, desk: &mut Desk, out: &mut [f32]) -> Result<()> {
        let begin = Instant::now();
        self.tokens.ids(text, &mut desk.ids)?;
        desk.usage.input_tokens += desk.ids.len() as u64;
        let tokenized = Instant::now();
        desk.usage.prepare += tokenized - begin;
        let rows = &self.rows;
        let weighted = rows.weights.as_ref().map(|weights| {
            let n = desk.ids.len() as f32;
            desk.weights.clear();
            desk.weights.extend(desk.ids.iter().map(|&id| weights[id as usize] / n));
        });
        if let Some(mapping) = &rows.mapping {
            desk.ids.iter_mut().for_each(|id| *id = mapping[*id as usize]);
        }
        let pool = if weighted.is_some() { Pool::Weighted(&desk.weights) } else { Pool::Mean };
        rows.table.pool_into(&desk.ids, pool, normalize, out)?;
        if !out.iter().all(|x| x.is_finite()) {
            return Err(Error::backend("the table gave an embedding with NaN or infinite numbers"));
        }
        desk.usage.compute += tokenized.elapsed();
        Ok(())
    }
}

impl Run for EmbedRun {
    fn step(&mut self) -> Result<Step> {
        if self.ended {
            return Err(Error::invalid("the run has ended"));
        }
        let step = self.next();
        if !matches!(step, Ok(Step::Working(_))) {
            self.ended = true;
            (self.request.texts, self.values) = (Vec::new(), Vec::new());
        }
        step
    }
}
