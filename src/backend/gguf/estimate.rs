//! What a model will need, from its header alone.

use super::embedder::TOGETHER;
use super::facts::Facts;
use super::generator::SLICE;
use crate::engine::MemoryEstimate;

/// Weights as they are in the file, keys and values of `cells` tokens in 16 bits, and the buffers of a computation. For
/// an encoder, the buffers of as many tokens as it computes at once.
pub(super) fn estimate(facts: &Facts, cells: u64, sequences: u64, generates: bool) -> MemoryEstimate {
    if !generates {
        let tokens = u64::from(facts.context).min(TOGETHER as u64);
        return MemoryEstimate::new(facts.weight_bytes, 0, tokens.saturating_mul(bytes_per_token(facts)));
    }
    let cache = cells.saturating_mul(facts.cache_elements).saturating_mul(2);
    let slice = u64::from(SLICE).min(cells);
    // Logits: in the graph and in the buffer that they are read from.
    let logits = sequences.saturating_mul(facts.vocabulary.tokens as u64).saturating_mul(8);
    // How much each token of a slice looks at each cell, per head.
    let looks = slice.saturating_mul(cells).saturating_mul(facts.heads.saturating_mul(4));
    let scratch = slice.saturating_mul(bytes_per_token(facts)).saturating_add(logits).saturating_add(looks);
    MemoryEstimate::new(facts.weight_bytes, cache, scratch)
}

/// Buffers of one token in a computation, as f32: the inputs and outputs of the widest operations, which live at the
/// same time.
pub(super) fn bytes_per_token(facts: &Facts) -> u64 {
    let attention = facts.heads.saturating_mul(facts.head_size).saturating_mul(3);
    let widest = facts.feed_forward.saturating_mul(3).max(attention);
    facts.width.saturating_mul(4).saturating_add(widest).saturating_mul(4)
}
