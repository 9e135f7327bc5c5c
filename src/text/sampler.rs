//! Sampling: the choice of the next token from the logits.
//!
//! Written here and not left to a runtime: it is the same for every runtime that gives logits, draws the same on
//! every platform, and has no undefined corner: logits of a hostile model may hold anything.

use std::cmp::Ordering;

use crate::engine::{Sampling, TokenInfo};
use crate::{Error, Result};

/// The sampler of one answer: chooses its tokens.
#[derive(Debug)]
pub(crate) struct Sampler {
    sampling: Sampling,
    random: Random,
    /// Tokens that the model says must never be chosen.
    suppressed: Vec<u32>,
    /// What is added to the logits of tokens.
    bias: Vec<(u32, f32)>,
    candidates: Vec<Candidate>,
}

/// A set of tokens, as bits: token 0 is the lowest of the first word.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowed<'a>(&'a [u32]);

impl<'a> Allowed<'a> {
    /// Tokens beyond the words are not in the set.
    pub(crate) fn new(words: &'a [u32]) -> Self {
        Self(words)
    }

    /// Whether `token` is in the set.
    pub(crate) fn contains(&self, token: u32) -> bool {
        self.0.get(token as usize / 32).is_some_and(|word| word >> (token % 32) & 1 == 1)
    }

    /// The tokens of the set below `end`, in order.
    pub(crate) fn tokens(&self, end: usize) -> impl Iterator<Item = u32> + 'a {
        let words = self.0.iter().zip(0u32..).filter(|(word, _)| **word != 0);
        words
            .flat_map(|(word, i)| (0..32).filter(move |bit| word >> bit & 1 == 1).map(move |bit| i * 32 + bit))
            .take_while(move |token| (*token as usize) < end)
    }
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    id: u32,
    logit: f32,
}

impl Sampler {
    pub(crate) fn new(sampling: Sampling, suppressed: Vec<u32>) -> Self {
        let seed = sampling.seed.map_or_else(draw_seed, u64::from);
        Self { sampling, random: Random::new(seed), suppressed, bias: Vec::new(), candidates: Vec::new() }
    }

    /// Adds to the logits of tokens; minus infinity rules one out.
    pub(crate) fn biased(mut self, bias: Vec<(u32, f32)>) -> Self {
        self.bias = bias;
        self
    }

    /// Chooses from `logits`, one per token of the vocabulary; `seen` are the tokens so far, prompt included. Where a set is
    /// given, the choice is of it, as if the model ruled out all other tokens.
    pub(crate) fn choose(&mut self, logits: &[f32], seen: &[u32], allowed: Option<Allowed<'_>>) -> Result<u32> {
        check(logits)?;
        let s = self.sampling;
        let looks_back = s.repeat_penalty != 1.0 || s.frequency_penalty != 0.0 || s.presence_penalty != 0.0;
        if s.temperature == 0.0 && (!looks_back || s.penalty_last_n == 0) && self.is_plain() {
            match allowed {
                None => return Ok(likeliest(logits)),
                Some(allowed) => return likeliest_of(logits, allowed),
            }
        }
        self.candidates.clear();
        self.candidates.extend((0..).zip(logits).map(|(id, &logit)| Candidate { id, logit }));
        if let Some(allowed) = allowed {
            for candidate in self.candidates.iter_mut().filter(|c| !allowed.contains(c.id)) {
                candidate.logit = f32::NEG_INFINITY;
            }
        }
        for &id in &self.suppressed {
            if let Some(candidate) = self.candidates.get_mut(id as usize) {
                candidate.logit = f32::NEG_INFINITY;
            }
        }
        for &(id, bias) in &self.bias {
            if let Some(candidate) = self.candidates.get_mut(id as usize) {
                candidate.logit = (candidate.logit + bias).min(f32::MAX);
            }
        }
        if looks_back {
            let last = s.penalty_last_n as usize;
            self.penalize(&seen[seen.len().saturating_sub(last)..]);
        }
        // What follows needs one that can be drawn: of none, a filter leaves none.
        if self.candidates.iter().all(|c| c.logit == f32::NEG_INFINITY) {
            return Err(Error::backend(
                "no token is left to choose: the model suppresses, or the bias, the penalties or the grammar rule out, all",
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

    /// Whether the logits are taken as they are.
    fn is_plain(&self) -> bool {
        self.suppressed.is_empty() && self.bias.is_empty()
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

/// The `n` likeliest tokens under the logits as they are, with their log-probabilities; equals in the order of their ids.
pub(crate) fn top_logprobs(logits: &[f32], n: usize) -> Vec<TokenInfo> {
    let most = logits.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
    let sum: f64 = logits.iter().map(|&l| weight(l, most)).sum();
    let mut all: Vec<Candidate> = (0..).zip(logits).map(|(id, &logit)| Candidate { id, logit }).collect();
    let n = n.min(all.len());
    if (1..all.len()).contains(&n) {
        all.select_nth_unstable_by(n - 1, likelier);
    }
    all.truncate(n);
    all.sort_unstable_by(likelier);
    let logprob = |logit: f32| ((f64::from(logit) - f64::from(most) - sum.ln()) as f32).min(0.0);
    all.into_iter().map(|c| TokenInfo::new(c.id, Some(logprob(c.logit)))).collect()
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

/// As [`likeliest`], of a set.
fn likeliest_of(logits: &[f32], allowed: Allowed<'_>) -> Result<u32> {
    let mut best: Option<(u32, f32)> = None;
    for id in allowed.tokens(logits.len()) {
        let logit = logits[id as usize];
        if logit > best.map_or(f32::NEG_INFINITY, |(_, logit)| logit) {
            best = Some((id, logit));
        }
    }
    let none = || Error::backend("no token is left to choose: the model rules out all that the grammar allows");
    best.map(|(id, _)| id).ok_or_else(none)
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
