//! Header of a GGUF model, as far as serving it depends on it.

use super::vocabulary::Vocabulary;

/// The header of a model: what the backend must know before and after it is loaded.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::backend::llama) struct Header {
    pub(in crate::backend::llama) architecture: String,
    /// Tokens of context that the model was trained for.
    pub(in crate::backend::llama) context: u32,
    pub(in crate::backend::llama) width: u64,
    pub(in crate::backend::llama) feed_forward: u64,
    pub(in crate::backend::llama) head_size: u64,
    pub(in crate::backend::llama) key_size: u64,
    pub(in crate::backend::llama) value_size: u64,
    pub(in crate::backend::llama) layers: Vec<Layer>,
    /// Elements of keys and values that one token takes in all layers together.
    pub(in crate::backend::llama) cache_elements: u64,
    pub(in crate::backend::llama) heads: u64,
    pub(in crate::backend::llama) pooling: Pooling,
    /// How it ranks, or what it lacks for that.
    pub(in crate::backend::llama) ranking: std::result::Result<Ranking, String>,
    pub(in crate::backend::llama) vocabulary: Vocabulary,
    pub(in crate::backend::llama) weight_bytes: u64,
    /// What the matrices of its layers take once more, where they are packed for products with prompts.
    pub(in crate::backend::llama) packed_bytes: u64,
    pub(in crate::backend::llama) tensors: u64,
}

/// The sizes of one layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::backend::llama) struct Layer {
    /// Heads of queries, and those of keys and values that they share.
    pub(in crate::backend::llama) heads: u64,
    pub(in crate::backend::llama) shared_heads: u64,
    /// 0 where the file does not say.
    pub(in crate::backend::llama) feed_forward: u64,
}

/// How the vectors of the tokens of a text become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::backend::llama) enum Pooling {
    /// The file does not say; the model is not made for embeddings.
    Unspecified,
    /// A vector per text: the mean, the first or the last token's.
    PerText,
    /// One vector per token: nothing that an embed request could return.
    PerToken,
    /// What a head makes of it: how relevant the one of two texts is to the other.
    Rank,
}

/// How a query and a document are put to a model that ranks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::backend::llama) enum Ranking {
    /// As two texts, with the tokens between that the tokenizer has for it.
    Pair,
    /// In a text of the file with places for both.
    Template(String),
}
