//! Prefixes: what a sequence of the KV cache was computed from, and how much of it another prompt can reuse.

/// What is reused ends at a multiple of this, and leaves at least [`MIN_LEFT`] tokens: kernels take tokens in groups, and
/// compute a few left over in another way.
const GROUP: usize = 16;
const MIN_LEFT: usize = 8;
/// Copying a sequence costs about as much as computing so many tokens.
pub(super) const MIN_COPY: usize = 32;

/// The adapter that a sequence is computed with; the default is the model by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Adapter(u32);

/// The key of what is in the KV cache. The same tokens give other keys and values with another adapter.
#[derive(Clone, Debug, Default)]
pub(super) struct Prefix {
    pub(super) adapter: Adapter,
    pub(super) tokens: Vec<u32>,
}

impl Prefix {
    /// A prefix of the model by itself.
    pub(super) fn new(tokens: Vec<u32>) -> Self {
        Self { adapter: Adapter::default(), tokens }
    }

    pub(super) fn len(&self) -> usize {
        self.tokens.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// How many tokens from the front need not be computed, where the first `usable` of `computed` are.
    pub(super) fn reusable(&self, computed: &Prefix, usable: usize) -> usize {
        if self.adapter != computed.adapter {
            return 0;
        }
        let pairs = self.tokens.iter().zip(&computed.tokens).take(usable);
        let common = pairs.take_while(|(a, b)| a == b).count();
        common.min(self.tokens.len().saturating_sub(MIN_LEFT)) / GROUP * GROUP
    }
}

#[cfg(test)]
mod tests {
    use super::{Adapter, Prefix};

    #[test]
    fn a_prefix_is_reused_in_groups_and_leaves_some_tokens() {
        let prompt = Prefix::new((0..100).collect());
        let computed = Prefix::new((0..70).chain(500..600).collect());
        assert_eq!(prompt.reusable(&computed, 170), 64);
        assert_eq!(prompt.reusable(&computed, 40), 32);
        assert_eq!(prompt.reusable(&prompt, 100), 80, "the last eight are computed anew");
    }

    #[test]
    fn what_another_adapter_computed_is_never_reused() {
        let prompt = Prefix::new((0..100).collect());
        let adapted = Prefix { adapter: Adapter(1), ..prompt.clone() };
        assert_eq!((prompt.reusable(&adapted, 100), adapted.reusable(&prompt, 100)), (0, 0));
        assert_eq!(adapted.reusable(&adapted, 100), 80);
    }
}
