//! Sampling: the choice of the next token from the logits.
//!
//! Written here and not left to a runtime: it is the same for every runtime that gives logits, draws the same on
//! every platform, and has no undefined corner: logits of a hostile model may hold anything.

use std::cmp::Ordering;

use crate::engine::Sampling;
use crate::{Error, Result};

/// The sampler of one answer: chooses its tokens.
#[derive(Debug)]
pub(crate) struct Sampler {
    sampling: Sampling,
    random: Random,
    /// Tokens that the model says must never be chosen.
    suppressed: Vec<u32>,
    candidates: Vec<Candidate>,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    id: u32,
    logit: f32,
}

impl Sampler {
    pub(crate) fn new(sampling: Sampling, suppressed: Vec<u32>) -> Self {
        let seed = sampling.seed.map_or_else(draw_seed, u64::from);
        Self { sampling, random: Random::new(seed), suppressed, candidates: Vec::new() }
    }

    /// Chooses from `logits`, one per token of the vocabulary; `seen` are the tokens so far, prompt included.
    pub(crate) fn choose(&mut self, logits: &[f32], seen: &[u32]) -> Result<u32> {
        check(logits)?;
        let s = self.sampling;
        let looks_back = s.repeat_penalty != 1.0 || s.frequency_penalty != 0.0 || s.presence_penalty != 0.0;
        if s.temperature == 0.0 && (!looks_back || s.penalty_last_n == 0) && self.suppressed.is_empty() {
            return Ok(likeliest(logits));
        }
        self.candidates.clear();
        self.candidates.extend((0..).zip(logits).map(|(id, &logit)| Candidate { id, logit }));
        for &id in &self.suppressed {
            if let Some(candidate) = self.candidates.get_mut(id as usize) {
                candidate.logit = f32::NEG_INFINITY;
            }
        }
        if looks_back {
            let last = s.penalty_last_n as usize;
            self.penalize(&seen[seen.len().saturating_sub(last)..]);
        }
        // What follows needs one that can be drawn: of none, a filter leaves none.
        if self.candidates.iter().all(|c| c.logit == f32::NEG_INFINITY) {
            return Err(Error::backend(
                "no token is left to choose: the model suppresses, or the penalties rule out, all",
            ));
        }
        if s.temperature == 0.0 {
            // Ties go to the lower id, as in `likeliest`.
            return Ok(self
                .candidates
                .iter()
                .fold(self.candidates[0], |a, &b| if b.logit > a.logit { b } else { a })
                .id);
        }
        self.filter();
        Ok(self.draw())
    }

    fn penalize(&mut self, seen: &[u32]) {
        let s = self.sampling;
        let mut seen = seen.to_vec();
        seen.sort_unstable();
        for run in seen.chunk_by(|a, b| a == b) {
            let Some(candidate) = self.candidates.get_mut(run[0] as usize) else { continue };
            // Dividing a negative logit would make the token likelier, so it is multiplied.
            if candidate.logit > 0.0 {
                candidate.logit /= s.repeat_penalty;
            } else {
                candidate.logit *= s.repeat_penalty;
            }
            candidate.logit -= run.len() as f32 * s.frequency_penalty + s.presence_penalty;
            // The penalties may be any finite numbers, but what comes after needs numbers it can order.
            candidate.logit = if candidate.logit.is_nan() { f32::NEG_INFINITY } else { candidate.logit.min(f32::MAX) };
        }
    }

    /// Keeps the candidates that top-k, top-p and min-p leave. Only what must be sorted is sorted.
    fn filter(&mut self) {
        let s = self.sampling;
        let all = &mut self.candidates;
        if s.top_k > 0 && (s.top_k as usize) < all.len() {
            let k = s.top_k as usize;
            all.select_nth_unstable_by(k - 1, likelier);
            all.truncate(k);
        }
        if s.top_p < 1.0 {
            all.sort_unstable_by(likelier);
            let most = all[0].logit;
            let sum: f64 = all.iter().map(|c| weight(c.logit, most)).sum();
            let mut reached = 0.0;
            let kept = all.iter().position(|c| {
                reached += weight(c.logit, most) / sum;
                reached >= f64::from(s.top_p)
            });
            all.truncate(kept.map_or(all.len(), |last| last + 1));
        }
        if s.min_p > 0.0 {
            let most = all.iter().fold(f32::NEG_INFINITY, |a, c| a.max(c.logit));
            all.retain(|c| weight(c.logit, most) >= f64::from(s.min_p));
        }
        // The draw walks the candidates in one fixed order, whatever the selection above left.
        all.sort_unstable_by_key(|c| c.id);
    }

    fn draw(&mut self) -> u32 {
        let temperature = f64::from(self.sampling.temperature);
        let most = self.candidates.iter().fold(f32::NEG_INFINITY, |a, c| a.max(c.logit));
        let heat = |c: &Candidate| ((f64::from(c.logit) - f64::from(most)) / temperature).exp();
        let sum: f64 = self.candidates.iter().map(heat).sum();
        let target = self.random.unit() * sum;
        let mut reached = 0.0;
        let mut last = self.candidates[0].id;
        for candidate in &self.candidates {
            let weight = heat(candidate);
            if weight > 0.0 {
                reached += weight;
                last = candidate.id;
                if reached > target {
                    break;
                }
            }
        }
        last
    }
}

/// The natural logarithm of the probability of `id` under the logits as they are.
pub(crate) fn logprob(logits: &[f32], id: u32) -> f32 {
    let most = logits.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
    let sum: f64 = logits.iter().map(|&l| weight(l, most)).sum();
    let logit = logits.get(id as usize).copied().unwrap_or(f32::NEG_INFINITY);
    // A sum that rounds below its largest term must not give a probability above 1.
    ((f64::from(logit) - f64::from(most) - sum.ln()) as f32).min(0.0)
}

fn weight(logit: f32, most: f32) -> f64 {
    f64::from(logit - most).exp()
}

fn likelier(a: &Candidate, b: &Candidate) -> Ordering {
    b.logit.total_cmp(&a.logit).then(a.id.cmp(&b.id))
}

/// `-inf` says "never" and is fine; a NaN, `+inf` or nothing but `-inf` is a broken model.
fn check(logits: &[f32]) -> Result<()> {
    let (mut broken, mut some) = (false, false);
    for &logit in logits {
        broken |= logit.is_nan() || logit == f32::INFINITY;
        some |= logit > f32::NEG_INFINITY;
    }
    if broken || !some {
        return Err(Error::backend("the model gave no usable scores for the next token (NaN or infinite)"));
    }
    Ok(())
}

fn likeliest(logits: &[f32]) -> u32 {
    let most = logits.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
    logits.iter().position(|&l| l == most).unwrap_or(0) as u32
}

/// SplitMix64 (Steele, Lea, Flood 2014): passes the usual batteries, and a token needs one draw.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Uniform in [0, 1).
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        (z >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// The standard library seeds its hash maps from the system's random source; there is no other way to it in `std`.
fn draw_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}
