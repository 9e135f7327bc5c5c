//! What a model will need, from its header alone.

use super::embedder;
use super::facts::Facts;
use super::generator::SLICE;
use super::state::Division;
use super::worker::Plan;
use crate::engine::MemoryEstimate;

/// What one context takes, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    /// Keys and values.
    cache: u64,
    /// Buffers of a computation.
    scratch: u64,
}

impl Needs {
    pub(super) fn total(&self) -> u64 {
        self.cache.saturating_add(self.scratch)
    }
}

/// Weights as they are in the file, and beside them what there is at most at one time: the context of all generations,
/// and that of the longest text to embed.
pub(super) fn estimate(facts: &Facts, plan: &Plan) -> MemoryEstimate {
    let mut needs = vec![plan.generation];
    if plan.embeds {
        needs.push(plan.embedding.needs(embedder::most_tokens(plan)));
    }
    let sum = |bytes: fn(&Needs) -> u64| needs.iter().map(bytes).fold(0, u64::saturating_add);
    MemoryEstimate::new(facts.weight_bytes, sum(|n| n.cache), sum(|n| n.scratch))
}

/// The context of all generations: keys and values in 16 bits, and the buffers of a slice.
pub(super) fn generation(facts: &Facts, plan: &Plan) -> Needs {
    if !plan.generates {
        return Needs::default();
    }
    let cells = u64::from(Division::most_cells(plan));
    let slice = u64::from(SLICE).min(cells);
    // Logits: in the graph and in the buffer that they are read from.
    let logits = u64::from(plan.parallel).saturating_mul(facts.vocabulary.tokens as u64).saturating_mul(8);
    // How much each token of a slice looks at each cell, per head.
    let looks = slice.saturating_mul(cells).saturating_mul(facts.heads.saturating_mul(4));
    let scratch = slice.saturating_mul(bytes_per_token(facts)).saturating_add(logits).saturating_add(looks);
    Needs { cache: cells.saturating_mul(facts.cache_elements).saturating_mul(2), scratch }
}

/// What contexts to embed with take, by the tokens that they compute at once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Embedding {
    cache: u64,
    scratch: u64,
}

impl Embedding {
    /// Per token: buffers of its computation, its vector, and the logits that llama.cpp has room for although nobody
    /// asks for them; a model that could generate computes them, too, which takes as much again.
    pub(super) fn new(facts: &Facts, generates: bool) -> Self {
        let logits = (facts.vocabulary.tokens as u64).saturating_mul(4);
        let computed = if generates { logits } else { 0 };
        let results = facts.width.saturating_mul(4).saturating_add(logits).saturating_add(computed);
        // An encoder keeps no keys and values.
        let cache = if generates { facts.cache_elements.saturating_mul(2) } else { 0 };
        Self { cache, scratch: bytes_per_token(facts).saturating_add(results) }
    }

    pub(super) fn needs(&self, tokens: u32) -> Needs {
        let tokens = u64::from(tokens);
        // Which token may look at which, in 16 bits: at all, and within a window.
        let masks = tokens.saturating_mul(tokens).saturating_mul(4);
        let cells = tokens.next_multiple_of(super::state::LENGTH_UNIT.into());
        Needs {
            cache: cells.saturating_mul(self.cache),
            scratch: tokens.saturating_mul(self.scratch).saturating_add(masks),
        }
    }
}

/// Buffers of one token in a computation, as f32: the inputs and outputs of the widest operations, which live at the
/// same time.
fn bytes_per_token(facts: &Facts) -> u64 {
    let attention = facts.heads.saturating_mul(facts.head_size).saturating_mul(3);
    let widest = facts.feed_forward.saturating_mul(3).max(attention);
    facts.width.saturating_mul(4).saturating_add(widest).saturating_mul(4)
}
