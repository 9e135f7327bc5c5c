//! Continuations that are scored, one after the other, each from the end of the prompt.

use crate::engine::Score;
use crate::text::{logprob, top_logprobs};
use crate::{Error, Result, Tensor};

/// The continuations, and what the model says of those that are done.
pub(super) struct Scored {
    continuations: Vec<Vec<u32>>,
    /// The logits after the prompt, which every continuation begins with.
    first: Vec<f32>,
    logprobs: Vec<f32>,
    greedy: Vec<bool>,
    /// Of the continuation under way: its tokens so far, the sum of their log-probabilities, and whether all are the likeliest.
    now: (usize, f64, bool),
}

/// What comes next.
pub(super) enum Scoring {
    /// A token is to be computed; `anew`: right after the prompt.
    Compute { token: u32, anew: bool },
    /// The outputs of the answer.
    Done(Vec<(String, Tensor)>),
}

impl Scored {
    pub(super) fn new(continuations: Vec<Vec<u32>>) -> Self {
        let (first, logprobs, greedy) = Default::default();
        Self { continuations, first, logprobs, greedy, now: (0, 0.0, true) }
    }

    /// Takes the logits after the prompt, or after the token that was to be computed.
    pub(super) fn advance(&mut self, logits: &[f32]) -> Result<Scoring> {
        let mut anew = self.first.is_empty();
        if anew {
            self.first = logits.to_vec();
        } else {
            self.score(logits)?;
        }
        loop {
            let Some(continuation) = self.continuations.get(self.logprobs.len()) else { return self.outputs() };
            match self.now.0 {
                done if done == continuation.len() => {
                    self.logprobs.push(self.now.1 as f32);
                    self.greedy.push(self.now.2);
                    (self.now, anew) = ((0, 0.0, true), true);
                }
                0 => {
                    let first = std::mem::take(&mut self.first);
                    let scored = self.score(&first);
                    self.first = first;
                    scored?;
                    anew = true;
                }
                done => return Ok(Scoring::Compute { token: continuation[done - 1], anew: anew && done == 1 }),
            }
        }
    }

    /// Scores the next token of the continuation under way.
    fn score(&mut self, logits: &[f32]) -> Result<()> {
        let (done, sum, greedy) = self.now;
        let token = self.continuations.get(self.logprobs.len()).and_then(|continuation| continuation.get(done));
        let token = *token.ok_or_else(|| Error::internal("a continuation has ended"))?;
        let logprob = logprob(logits, token);
        if logprob.is_nan() {
            return Err(Error::backend("the model gave no usable scores for the next token (NaN or infinite)"));
        }
        let likeliest = top_logprobs(logits, 1).first().is_some_and(|likeliest| likeliest.id == token);
        self.now = (done + 1, sum + f64::from(logprob), greedy && likeliest);
        Ok(())
    }

    fn outputs(&mut self) -> Result<Scoring> {
        let tokens: Vec<i64> = self.continuations.iter().map(|continuation| continuation.len() as i64).collect();
        let count = [tokens.len()];
        let (logprobs, greedy) = (std::mem::take(&mut self.logprobs), std::mem::take(&mut self.greedy));
        Ok(Scoring::Done(vec![
            (Score::LOGPROB.to_owned(), Tensor::new(&count, logprobs)?),
            (Score::TOKENS.to_owned(), Tensor::new(&count, tokens)?),
            (Score::GREEDY.to_owned(), Tensor::new(&count, greedy)?),
        ]))
    }
}
