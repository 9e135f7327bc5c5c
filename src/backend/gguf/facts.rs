//! What a header says about the model, and whether llama.cpp will survive it.
//!
//! llama.cpp asserts where it could refuse: a hundred places end the process on metadata that contradicts itself.
//! The checks here stand before those that any architecture can reach: layers, heads, experts, rope; those of the
//! vocabulary are in `vocabulary`.

use super::tensors::{check_tensors, is_usual};
use super::vocabulary::{Vocabulary, check_vocabulary};
use crate::weights::{Metadata, ValueRef, WeightFile};
use crate::{Error, Result};

/// What the backend must know before and after the model is loaded.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Facts {
    pub(super) architecture: String,
    /// Tokens of context that the model was trained for.
    pub(super) context: u32,
    pub(super) width: u64,
    pub(super) feed_forward: u64,
    pub(super) head_size: u64,
    pub(super) key_size: u64,
    pub(super) value_size: u64,
    pub(super) layers: Vec<Layer>,
    /// Elements of keys and values that one token takes in all layers together.
    pub(super) cache_elements: u64,
    pub(super) heads: u64,
    pub(super) pooling: Pooling,
    pub(super) vocabulary: Vocabulary,
    pub(super) weight_bytes: u64,
}

/// The sizes of one layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layer {
    /// Heads of queries, and those of keys and values that they share.
    pub(super) heads: u64,
    pub(super) shared_heads: u64,
    /// 0 where the file does not say.
    pub(super) feed_forward: u64,
}

/// How the vectors of the tokens of a text become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pooling {
    /// The file does not say; the model is not made for embeddings.
    Unspecified,
    /// A vector per text: the mean, the first or the last token's.
    PerText,
    /// One vector per token, or a rank: nothing that an embed request could return.
    Other(u64),
}

/// llama.cpp's `LLAMA_MAX_LAYERS` and `LLAMA_MAX_EXPERTS`.
const MAX_LAYERS: u64 = 512;
const MAX_EXPERTS: u64 = 1024;
const MAX_WIDTH: u64 = 1 << 20;

/// Architectures whose keys and values may differ in size; every other graph asserts that they do not.
const UNEQUAL_HEADS: &[&str] = &[
    "arwkv7",
    "bailingmoe3",
    "deepseek2",
    "deepseek2-ocr",
    "deepseek32",
    "deepseek4",
    "dots3note",
    "falcon-h1",
    "gemma",
    "gemma-embedding",
    "gemma2",
    "gemma3",
    "gemma3n",
    "gemma4",
    "gemma4-assistant",
    "glm-dsa",
    "glm5-next",
    "gpt-oss",
    "hrm_text",
    "hy_v4",
    "jamba",
    "kimi-k3",
    "kimi-linear",
    "lfm2",
    "lfm2moe",
    "mamba",
    "mamba2",
    "mimo2",
    "minicpm3",
    "mistral4",
    "plamo2",
    "plamo3",
    "plm",
    "qwen3tts",
    "rwkv6",
    "rwkv6qwen2",
    "rwkv7",
    "step35",
    "t5",
    "t5encoder",
    "wavtokenizer-dec",
];

/// Architectures whose graph asserts that the whole head is rotated.
const WHOLE_HEAD_ROTATED: &[&str] = &[
    "apertus",
    "arcee",
    "arctic",
    "baichuan",
    "chameleon",
    "codeshell",
    "cogvlm",
    "cohere2moe",
    "dbrx",
    "deci",
    "deepseek",
    "dots1",
    "dream",
    "ernie4_5",
    "ernie4_5-moe",
    "exaone",
    "exaone-moe",
    "exaone4",
    "falcon",
    "granite",
    "granite_swa",
    "graniteswitch",
    "granitemoe",
    "grok",
    "grovemoe",
    "hunyuan-moe",
    "hunyuan_vl",
    "hy_v3",
    "internlm2",
    "jais2",
    "llada",
    "llada-moe",
    "llama",
    "llama4",
    "maincoder",
    "mellum",
    "minicpm",
    "minimax-01",
    "minimax-m2",
    "mistral3",
    "nemotron",
    "olmo",
    "olmo2",
    "olmoe",
    "orion",
    "paddleocr",
    "pangu-embedded",
    "plamo",
    "pockettts",
    "qwen2",
    "qwen2moe",
    "qwen2vl",
    "qwen3",
    "qwen3moe",
    "qwen3vl",
    "qwen3vlmoe",
    "rnd1",
    "seed_oss",
    "smallthinker",
    "smollm3",
    "starcoder2",
    "talkie",
    "xverse",
];

/// Architectures that are mixtures of experts in any case.
const MIXTURES: &[&str] = &["bailingmoe2", "glm4moe", "grovemoe", "lfm2moe", "llada-moe"];

const ROPE_SCALINGS: &[&str] = &["none", "linear", "yarn", "longrope"];

impl Facts {
    /// Reads and checks what the header says.
    ///
    /// Errors: `Corrupt` for metadata that is missing or contradicts itself, `Unsupported` for a file that is not a
    /// model by itself, or whose tokenizer is not taken.
    pub(super) fn read(file: &WeightFile) -> Result<Self> {
        let header = file.metadata();
        let Some(architecture) = header.text("general.architecture")? else {
            return Err(Error::corrupt("key 'general.architecture' is missing"));
        };
        if file.tensors().len() == 0 {
            return Err(Error::unsupported("expected a model, got a GGUF file without weights"));
        }
        if let Some((_, parts)) = file.part()?
            && parts != file.files().len() as u64
        {
            return Err(Error::unsupported(format!(
                "it is one part of a model split into {parts}: expected the path to it, with the others beside it"
            )));
        }
        if let Some(kind) = header.text("general.type")?
            && kind != "model"
        {
            return Err(Error::unsupported(format!("expected a model, got a GGUF file of type '{kind}'")));
        }
        let keys = Keys { header, architecture };
        let layers = keys.within("block_count", 1, MAX_LAYERS)?;
        let context = keys.within("context_length", 1, u64::from(u32::MAX))?;
        let width = keys.within("embedding_length", 1, MAX_WIDTH)?;
        keys.check_experts(layers)?;
        keys.check_rope()?;
        keys.check_norms()?;
        keys.check_output(width)?;
        keys.check_sizes(width)?;
        let heads = keys.heads(layers, width)?;
        let feed_forward = keys.per_layer("feed_forward_length", layers)?;
        let layer = |i: usize| Layer {
            heads: heads.queries.get(i).copied().unwrap_or(0),
            shared_heads: heads.shared.get(i).copied().unwrap_or(0),
            feed_forward: feed_forward.get(i).copied().unwrap_or(0),
        };
        let facts = Self {
            architecture: architecture.to_owned(),
            context: u32::try_from(context).unwrap_or(u32::MAX),
            width,
            layers: (0..layers as usize).map(layer).collect(),
            feed_forward: feed_forward.iter().copied().max().unwrap_or(0),
            head_size: heads.key.max(heads.value),
            key_size: heads.key,
            value_size: heads.value,
            cache_elements: heads.cache_elements(),
            heads: heads.queries.iter().copied().max().unwrap_or(0),
            pooling: keys.pooling()?,
            vocabulary: check_vocabulary(header)?,
            weight_bytes: file.tensor_bytes(),
        };
        check_tensors(file, &facts)?;
        Ok(facts)
    }
}

/// The keys of one architecture.
struct Keys<'a> {
    header: Metadata<'a>,
    architecture: &'a str,
}

/// The elements of a head. Those that are rotated are those of the keys, unless the file says otherwise.
#[derive(Clone, Copy, PartialEq)]
struct Head {
    key: u64,
    value: u64,
    rotated: Option<u64>,
}

/// The heads of all layers and the elements of one.
struct Heads {
    queries: Vec<u64>,
    shared: Vec<u64>,
    key: u64,
    value: u64,
}

impl Heads {
    fn cache_elements(&self) -> u64 {
        self.shared.iter().sum::<u64>().saturating_mul(self.key + self.value)
    }
}

impl Keys<'_> {
    fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.architecture)
    }

    fn number(&self, name: &str) -> Result<Option<u64>> {
        self.header.number(&self.key(name))
    }

    /// A key that must be there and within a range.
    fn within(&self, name: &str, least: u64, most: u64) -> Result<u64> {
        match self.number(name)? {
            Some(n) if (least..=most).contains(&n) => Ok(n),
            Some(n) => Err(self.corrupt(name, format!("expected {least} to {most}, got {n}"))),
            None => Err(self.corrupt(name, "it is missing".into())),
        }
    }

    /// A number that holds for all layers, or one for each; empty if the key is missing.
    fn per_layer(&self, name: &str, layers: u64) -> Result<Vec<u64>> {
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

    fn check_experts(&self, layers: u64) -> Result<()> {
        let count = self.number("expert_count")?.unwrap_or(0);
        let used = self.per_layer("expert_used_count", layers)?;
        let (first, used) = (used.first().copied().unwrap_or(0), used.into_iter().max().unwrap_or(0));
        if count > MAX_EXPERTS || used > count || (count > 0 && used == 0) {
            return Err(self.corrupt(
                "expert_count",
                format!("expected 1 to {MAX_EXPERTS} of which some are used, got {count} of which {used} are used"),
            ));
        }
        if first == 0 && MIXTURES.contains(&self.architecture) {
            return Err(self.corrupt("expert_used_count", "expected at least 1 in the first layer, got 0".into()));
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

    fn check_rope(&self) -> Result<()> {
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

    fn check_norms(&self) -> Result<()> {
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
    fn check_output(&self, width: u64) -> Result<()> {
        match self.number("embedding_length_out")?.unwrap_or(0) {
            0 => Ok(()),
            n if n == width || n < width && !is_usual(self.architecture) => Ok(()),
            n => Err(self.corrupt("embedding_length_out", format!("expected the {width} of the width, got {n}"))),
        }
    }

    /// Sizes that single architectures can have in one relation to the width only.
    fn check_sizes(&self, width: u64) -> Result<()> {
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

    fn heads(&self, layers: u64, width: u64) -> Result<Heads> {
        let heads = self.per_layer("attention.head_count", layers)?;
        let mut shared = self.per_layer("attention.head_count_kv", layers)?;
        if shared.is_empty() {
            shared.clone_from(&heads);
        }
        if heads.iter().chain(&shared).any(|&n| n > width) {
            return Err(self.corrupt("attention.head_count", format!("expected at most the {width} of the width")));
        }
        for (&all, &kv) in heads.iter().zip(&shared) {
            // Queries are dealt out evenly to the keys and values; a layer without attention has none.
            if kv > all || (kv > 0 && all % kv != 0) {
                return Err(self
                    .corrupt("attention.head_count_kv", format!("{kv} heads do not divide the {all} of the queries")));
            }
        }
        // As llama.cpp reads them: the first layer's heads give the size.
        let first = heads.first().copied().unwrap_or(0);
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
        if is_usual(self.architecture) && first > 0 {
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
        if key != value && !UNEQUAL_HEADS.contains(&self.architecture) {
            return wrong("attention.value_length", format!("expected the {key} of the keys, got {value}"));
        }
        let whole = WHOLE_HEAD_ROTATED.contains(&self.architecture);
        if rotated > key.max(value) || whole && rotated != value {
            return wrong("rope.dimension_count", format!("expected the {value} of a head, got {rotated}"));
        }
        Ok(())
    }

    fn pooling(&self) -> Result<Pooling> {
        Ok(match self.number("pooling_type")? {
            None => Pooling::Unspecified,
            Some(1..=3) => Pooling::PerText,
            Some(other @ (0 | 4)) => Pooling::Other(other),
            Some(other) => return Err(self.corrupt("pooling_type", format!("expected 0 to 4, got {other}"))),
        })
    }

    fn corrupt(&self, name: &str, what: String) -> Error {
        Error::corrupt(format!("key '{}': {what}", self.key(name)))
    }
}
