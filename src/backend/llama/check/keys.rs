//! Keys of one architecture, and whether llama.cpp survives what they say: layers, heads, experts, rope.

use super::architectures::Architecture;
use super::header::Pooling;
use crate::weights::{Metadata, ValueRef};
use crate::{Error, Result};

/// llama.cpp's `LLAMA_MAX_EXPERTS`.
const MAX_EXPERTS: u64 = 1024;

const ROPE_SCALINGS: &[&str] = &["none", "linear", "yarn", "longrope"];

/// The keys of one architecture.
pub(super) struct Keys<'a> {
    pub(super) header: Metadata<'a>,
    pub(super) architecture: &'a str,
}

/// The elements of a head. Those that are rotated are those of the keys, unless the file says otherwise.
#[derive(Clone, Copy, PartialEq)]
struct Head {
    key: u64,
    value: u64,
    rotated: Option<u64>,
}

/// The heads of all layers and the elements of one.
pub(super) struct Heads {
    pub(super) queries: Vec<u64>,
    pub(super) shared: Vec<u64>,
    pub(super) key: u64,
    pub(super) value: u64,
}

impl Heads {
    pub(super) fn cache_elements(&self) -> u64 {
        self.shared.iter().sum::<u64>().saturating_mul(self.key + self.value)
    }
}

impl Keys<'_> {
    pub(super) fn is_encoder(&self) -> bool {
        self.row().is_encoder()
    }

    fn row(&self) -> Architecture {
        Architecture::of(self.architecture)
    }

    pub(super) fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.architecture)
    }

    fn number(&self, name: &str) -> Result<Option<u64>> {
        self.header.number(&self.key(name))
    }

    /// A key that must be there and within a range.
    pub(super) fn within(&self, name: &str, min: u64, max: u64) -> Result<u64> {
        match self.number(name)? {
            Some(n) if (min..=max).contains(&n) => Ok(n),
            Some(n) => Err(self.corrupt(name, format!("expected {min} to {max}, got {n}"))),
            None => Err(self.corrupt(name, "it is missing".into())),
        }
    }

    /// A number that holds for all layers, or one for each; empty if the key is missing.
    pub(super) fn per_layer(&self, name: &str, layers: u64) -> Result<Vec<u64>> {
        let layers = layers as usize;
        match self.header.get(&self.key(name)) {
            None => Ok(Vec::new()),
            Some(ValueRef::Array(array)) => {
                let numbers: Option<Vec<u64>> = array.numbers().collect();
                match numbers {
                    Some(numbers) if numbers.len() == layers => Ok(numbers),
                    _ => Err(self.corrupt(name, format!("expected {layers} numbers, got {}", ValueRef::Array(array)))),
                }
            }
            Some(_) => Ok(vec![self.number(name)?.unwrap_or(0); layers]),
        }
    }

    pub(super) fn check_experts(&self, layers: u64) -> Result<()> {
        let count = self.number("expert_count")?.unwrap_or(0);
        let all = self.per_layer("expert_used_count", layers)?;
        let (first, used) = (all.first().copied().unwrap_or(0), all.iter().copied().max().unwrap_or(0));
        if count > MAX_EXPERTS || used > count || (count > 0 && used == 0) {
            return Err(self.corrupt(
                "expert_count",
                format!("expected 1 to {MAX_EXPERTS} of which some are used, got {count} of which {used} are used"),
            ));
        }
        if first == 0 && self.row().is_mixture() {
            return Err(self.corrupt("expert_used_count", "expected at least 1 in the first layer, got 0".into()));
        }
        // The graphs of these give every layer as many as the first.
        if self.row().is_checked() && all.iter().any(|n| *n != first) {
            return Err(self.corrupt("expert_used_count", "expected the same number in all layers".into()));
        }
        let groups = self.number("expert_group_count")?.unwrap_or(0);
        let groups_used = self.number("expert_group_used_count")?.unwrap_or(0);
        let fits = match (count, groups) {
            (_, 0) => true,
            // The group of all needs no second one to choose from, but more than one expert.
            (count, 1) => count > 1,
            (count, groups) => groups < count && count % groups == 0 && groups_used > 0 && groups_used < groups,
        };
        if !fits {
            return Err(self.corrupt(
                "expert_group_count",
                format!(
                    "expected groups of equal size, fewer than the {count} experts, some of them used, got {groups}"
                ),
            ));
        }
        if let Some(ahead) = self.number("nextn_predict_layers")?
            && ahead >= layers
        {
            return Err(
                self.corrupt("nextn_predict_layers", format!("expected fewer than {layers} layers, got {ahead}"))
            );
        }
        Ok(())
    }

    pub(super) fn check_rope(&self) -> Result<()> {
        if let Some(base) = self.header.real(&self.key("rope.freq_base"))?
            && !(base.is_finite() && base > 0.0)
        {
            return Err(self.corrupt("rope.freq_base", format!("expected a number above 0, got {base}")));
        }
        if let Some(scaling) = self.header.text(&self.key("rope.scaling.type"))?
            && !ROPE_SCALINGS.contains(&scaling)
        {
            return Err(
                self.corrupt("rope.scaling.type", format!("expected one of {ROPE_SCALINGS:?}, got '{scaling}'"))
            );
        }
        Ok(())
    }

    /// A model that looks back over windows only has a layer that does so.
    pub(super) fn check_windows(&self, layers: u64) -> Result<()> {
        let name = "attention.sliding_window_pattern";
        let windowed = match self.architecture {
            "gemma2" => true,
            "gemma3" => self.number("attention.sliding_window")?.unwrap_or(0) > 0,
            _ => false,
        };
        // Each layer says so itself, or every n-th has none.
        let some = match self.header.get(&self.key(name)) {
            Some(ValueRef::Array(array)) => {
                let width = (array.bytes().len() as u64).checked_div(array.len()).unwrap_or(0);
                array.bytes().iter().take((layers * width) as usize).any(|byte| *byte != 0)
            }
            Some(number) => number.as_u64() != Some(1),
            None => true,
        };
        if windowed && !some {
            return Err(self.corrupt(name, "expected a layer with a window, got none".into()));
        }
        Ok(())
    }

    pub(super) fn check_norms(&self) -> Result<()> {
        for name in ["attention.layer_norm_epsilon", "attention.layer_norm_rms_epsilon"] {
            if let Some(epsilon) = self.header.real(&self.key(name))?
                && !(epsilon.is_finite() && epsilon >= 0.0)
            {
                return Err(self.corrupt(name, format!("expected a number from 0, got {epsilon}")));
            }
        }
        Ok(())
    }

    /// Embeddings are read as so many numbers for each text, whatever there are.
    pub(super) fn check_output(&self, width: u64) -> Result<()> {
        match self.number("embedding_length_out")?.unwrap_or(0) {
            0 => Ok(()),
            n if n == width || n < width && !self.row().is_checked() => Ok(()),
            n => Err(self.corrupt("embedding_length_out", format!("expected the {width} of the width, got {n}"))),
        }
    }

    /// Sizes that single architectures can have in one relation to the width only.
    pub(super) fn check_sizes(&self, width: u64) -> Result<()> {
        let sizes: &[(&str, u64, bool)] = match self.architecture {
            "gemma-embedding" => &[("dense_2_feat_in", width, true), ("dense_3_feat_out", width, true)],
            "granitehybrid" | "jamba" => &[("ssm.inner_size", 2 * width, false)],
            _ => &[],
        };
        for &(name, expected, optional) in sizes {
            match self.number(name)?.unwrap_or(0) {
                n if n == expected || n == 0 && optional => {}
                n => return Err(self.corrupt(name, format!("expected {expected}, got {n}"))),
            }
        }
        Ok(())
    }

    pub(super) fn heads(&self, layers: u64, width: u64) -> Result<Heads> {
        let heads = self.per_layer("attention.head_count", layers)?;
        let mut shared = self.per_layer("attention.head_count_kv", layers)?;
        if shared.is_empty() {
            shared.clone_from(&heads);
        }
        if heads.iter().chain(&shared).any(|&n| n > width) {
            return Err(self.corrupt("attention.head_count", format!("expected at most the {width} of the width")));
        }
        // As llama.cpp reads them: the first layer's heads give the size.
        let first = heads.first().copied().unwrap_or(0);
        if first == 0 && self.row().is_checked() {
            return Err(self.corrupt("attention.head_count", "expected at least 1 in the first layer, got 0".into()));
        }
        for (&all, &kv) in heads.iter().zip(&shared) {
            // Queries are dealt out evenly to the keys and values; a layer without attention has none.
            if kv > all || (kv > 0 && all % kv != 0) {
                return Err(self
                    .corrupt("attention.head_count_kv", format!("{kv} heads do not divide the {all} of the queries")));
            }
        }
        if first > 0 && !width.is_multiple_of(first) && self.number("attention.key_length")?.is_none() {
            return Err(
                self.corrupt("attention.head_count", format!("{first} heads do not divide the {width} of the width"))
            );
        }
        let usual = width.checked_div(first).unwrap_or(0);
        let head = self.head("", Head { key: usual, value: usual, rotated: None })?;
        // Layers with a sliding window may have others.
        let swa = self.head("_swa", head)?;
        for (ending, head) in [("", head), ("_swa", swa)] {
            self.check_head(ending, head, width, first > 0)?;
        }
        if self.row().is_checked() && first > 0 {
            // The graphs of these compute every layer with the heads of the first; the state has each layer's own.
            let same = |heads: &[u64]| heads.iter().all(|n| *n > 0 && *n == heads[0]);
            if !same(&heads) || !same(&shared) {
                return Err(self.corrupt("attention.head_count_kv", "expected the same heads in all layers".into()));
            }
            if swa != head {
                return Err(self.corrupt("attention.key_length_swa", "expected the heads of the other layers".into()));
            }
        }
        Ok(Heads { queries: heads, shared, key: head.key, value: head.value })
    }

    /// The sizes of a head by the keys with this ending; `default` has those that are missing.
    fn head(&self, ending: &str, default: Head) -> Result<Head> {
        let key = self.number(&format!("attention.key_length{ending}"))?.unwrap_or(default.key);
        let value = self.number(&format!("attention.value_length{ending}"))?.unwrap_or(default.value);
        let rotated = self.number(&format!("rope.dimension_count{ending}"))?.or(default.rotated).unwrap_or(key);
        Ok(Head { key, value, rotated: Some(rotated) })
    }

    fn check_head(&self, ending: &str, head: Head, width: u64, some: bool) -> Result<()> {
        let wrong = |name: &str, what: String| Err(self.corrupt(&format!("{name}{ending}"), what));
        let Head { key, value, rotated } = head;
        let rotated = rotated.unwrap_or(key);
        if key > width.max(1 << 14) || value > width.max(1 << 14) {
            return wrong("attention.key_length", format!("heads of {key} and {value} elements are too large"));
        }
        if !some {
            return Ok(());
        }
        if key == 0 || value == 0 {
            return wrong("attention.key_length", "expected at least 1, got 0".into());
        }
        // Pairs of elements are rotated.
        if !rotated.is_multiple_of(2) {
            return wrong("rope.dimension_count", format!("expected an even number, got {rotated}"));
        }
        // To rotate none of them takes ggml for ever.
        if rotated == 0 && self.row().is_checked() {
            return wrong("rope.dimension_count", "expected at least 2, got 0".into());
        }
        if key != value && !self.row().may_have_unequal_heads() {
            return wrong("attention.value_length", format!("expected the {key} of the keys, got {value}"));
        }
        let whole = self.row().rotates_whole_heads();
        if rotated > key.max(value) || whole && rotated != value {
            return wrong("rope.dimension_count", format!("expected the {value} of a head, got {rotated}"));
        }
        Ok(())
    }

    pub(super) fn pooling(&self) -> Result<Pooling> {
        Ok(match self.number("pooling_type")? {
            None => Pooling::Unspecified,
            Some(1..=3) => Pooling::PerText,
            Some(4) => Pooling::Rank,
            Some(0) => Pooling::PerToken,
            Some(other) => return Err(self.corrupt("pooling_type", format!("expected 0 to 4, got {other}"))),
        })
    }

    fn corrupt(&self, name: &str, what: String) -> Error {
        Error::corrupt(format!("key '{}': {what}", self.key(name)))
    }
}
