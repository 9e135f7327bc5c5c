//! Service times of an engine: what was observed of earlier runs, and what a further one is expected to take.

use std::time::Duration;

use crate::engine::{Request, Usage};

/// Runs of a kind until anything is expected of the next one.
const MIN_OBSERVED: u32 = 8;
/// The share of the newest observation in the mean.
const NEWEST: f64 = 0.125;

/// The work of a request, as far as its time depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::layer::schedule) enum Work {
    Tensors,
    Embed,
    /// Tokens to be generated at most, where there is a limit.
    Generate(Option<u32>),
}

impl Work {
    pub(in crate::layer::schedule) fn of(request: &Request) -> Self {
        match request {
            Request::Tensors(_) => Work::Tensors,
            // Documents are computed as texts to embed are.
            Request::Embed(_) | Request::Rerank(_) => Work::Embed,
            // A token of a continuation takes what a generated one does.
            Request::Score(score) => Work::Generate(u32::try_from(score.continuations.len()).ok()),
            Request::Generate(generate) => Work::Generate(generate.max_tokens),
        }
    }
}

/// Means of what runs took.
#[derive(Debug, Default)]
pub(super) struct ServiceTimes {
    tensors: Mean,
    embed: Mean,
    generate: Mean,
    /// Of those that generate: until the first token, and for each.
    first_token: Mean,
    per_token: Mean,
}

impl ServiceTimes {
    /// Takes in a run that was answered.
    pub(super) fn observe(&mut self, work: Work, took: Duration, usage: &Usage) {
        match work {
            Work::Tensors => self.tensors.observe(took),
            Work::Embed => self.embed.observe(took),
            Work::Generate(_) => {
                self.generate.observe(took);
                let tokens = u32::try_from(usage.output_tokens.max(1)).unwrap_or(u32::MAX);
                self.first_token.observe(took.saturating_sub(usage.generate));
                self.per_token.observe(usage.generate / tokens);
            }
        }
    }

    /// The time that a run is expected to take; `None` while too little was observed. Of text, the lesser of what a run took
    /// in the mean and what so many tokens take.
    pub(super) fn expected(&self, work: Work) -> Option<Duration> {
        match work {
            Work::Tensors => self.tensors.get(),
            Work::Embed => self.embed.get(),
            Work::Generate(max_tokens) => {
                let mean = self.generate.get()?;
                let by_tokens = max_tokens.and_then(|max| {
                    Some(self.first_token.get()?.saturating_add(self.per_token.get()?.saturating_mul(max)))
                });
                Some(by_tokens.map_or(mean, |time| time.min(mean)))
            }
        }
    }
}

/// A mean in which older observations weigh less and less.
#[derive(Debug, Default)]
struct Mean {
    count: u32,
    seconds: f64,
}

impl Mean {
    fn observe(&mut self, took: Duration) {
        self.count = self.count.saturating_add(1);
        // The first ones have equal shares.
        let share = (1.0 / f64::from(self.count)).max(NEWEST);
        self.seconds += (took.as_secs_f64() - self.seconds) * share;
    }

    fn get(&self) -> Option<Duration> {
        (self.count >= MIN_OBSERVED).then(|| Duration::try_from_secs_f64(self.seconds).unwrap_or_default())
    }
}
