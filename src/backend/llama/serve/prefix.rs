//! Prefixes: what a sequence of the KV cache was computed from, and how much of it another prompt can reuse.

use std::sync::Arc;

/// What is reused ends at a multiple of this, and leaves at least [`MIN_LEFT`] tokens: kernels take tokens in groups, and
/// compute a few left over in another way.
pub(super) const GROUP: usize = 16;
const MIN_LEFT: usize = 8;
/// Copying a sequence costs about as much as computing so many tokens.
pub(super) const MIN_COPY: usize = 32;

/// The adapters that a sequence is computed with, by their numbers, and the bits of their scales; none is the model by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::backend::llama) struct AdapterSet(Arc<[(u32, u32)]>);

impl AdapterSet {
    /// Adapters by their numbers, each with its scale, in any order.
    pub(in crate::backend::llama) fn new(adapters: impl IntoIterator<Item = (u32, f32)>) -> Self {
        let mut all: Vec<(u32, u32)> = adapters.into_iter().map(|(number, scale)| (number, scale.to_bits())).collect();
        all.sort_unstable();
        Self(all.into())
    }

    pub(in crate::backend::llama) fn scales(&self) -> Vec<(u32, f32)> {
        self.0.iter().map(|(number, scale)| (*number, f32::from_bits(*scale))).collect()
    }
}

/// The key of what is in the KV cache. The same tokens give other keys and values with other adapters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::backend::llama) struct Prefix {
    pub(in crate::backend::llama) adapters: AdapterSet,
    pub(in crate::backend::llama) tokens: Vec<u32>,
}

impl Prefix {
    /// A prefix of the model with some adapters.
    pub(in crate::backend::llama) fn new(adapters: AdapterSet, tokens: Vec<u32>) -> Self {
        Self { adapters, tokens }
    }

    pub(in crate::backend::llama) fn len(&self) -> usize {
        self.tokens.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// How many tokens from the front need not be computed, where the first `usable` of `computed` are.
    pub(super) fn reusable(&self, computed: &Prefix, usable: usize) -> usize {
        if self.adapters != computed.adapters {
            return 0;
        }
        let pairs = self.tokens.iter().zip(&computed.tokens).take(usable);
        let common = pairs.take_while(|(a, b)| a == b).count();
        common.min(self.tokens.len().saturating_sub(MIN_LEFT)) / GROUP * GROUP
    }
}

#[cfg(test)]
mod tests {
    use super::{AdapterSet, Prefix};

    fn prefix(tokens: impl Iterator<Item = u32>) -> Prefix {
        Prefix::new(AdapterSet::default(), tokens.collect())
    }

    #[test]
    fn a_prefix_is_reused_in_groups_and_leaves_some_tokens() {
        let prompt = prefix(0..100);
        let computed = prefix((0..70).chain(500..600));
        assert_eq!(prompt.reusable(&computed, 170), 64);
        assert_eq!(prompt.reusable(&computed, 40), 32);
        assert_eq!(prompt.reusable(&prompt, 100), 80, "the last eight are computed anew");
    }

    #[test]
    fn what_another_adapter_computed_is_never_reused() {
        let prompt = prefix(0..100);
        let sets = [vec![(1, 1.0)], vec![(1, 0.5)], vec![(2, 1.0)], vec![(1, 1.0), (2, 1.0)]];
        for set in &sets {
            let adapted = Prefix { adapters: AdapterSet::new(set.clone()), ..prompt.clone() };
            assert_eq!((prompt.reusable(&adapted, 100), adapted.reusable(&prompt, 100)), (0, 0));
            for other in &sets {
                let other_order = Prefix { adapters: AdapterSet::new(other.iter().rev().copied()), ..prompt.clone() };
                assert_eq!(adapted.reusable(&other_order, 100), if set == other { 80 } else { 0 });
            }
        }
    }
}
