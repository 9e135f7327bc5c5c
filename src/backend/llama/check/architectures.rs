//! Architectures of GGUF models: what llama.cpp asserts of each, one row for one architecture.
//!
//! As of llama.cpp in `llama-cpp-sys-2` 0.1.161: its graphs (`src/models`) and its reader of hyperparameters.

/// An encoder: it keeps no state from token to token.
const ENCODER: u8 = 1;
/// Attention and feed-forward tensors have the usual names and shapes, and all that is asserted of them is checked here.
const CHECKED: u8 = 1 << 1;
/// Keys and values may differ in size; every other graph asserts that they do not.
const UNEQUAL: u8 = 1 << 2;
/// The graph asserts that the whole head is rotated.
const WHOLE: u8 = 1 << 3;
/// A mixture of experts in any case.
const MIXTURE: u8 = 1 << 4;

/// Sorted by name. One that is not here has none of the marks.
#[rustfmt::skip]
const ARCHITECTURES: &[(&str, u8)] = &[
    ("apertus", WHOLE),
    ("arcee", WHOLE),
    ("arctic", WHOLE),
    ("arwkv7", UNEQUAL),
    ("baichuan", WHOLE),
    ("bailingmoe2", MIXTURE),
    ("bailingmoe3", UNEQUAL),
    ("bert", ENCODER | CHECKED),
    ("chameleon", WHOLE),
    ("codeshell", WHOLE),
    ("cogvlm", WHOLE),
    ("cohere2moe", WHOLE),
    ("dbrx", WHOLE),
    ("deci", WHOLE),
    ("deepseek", WHOLE),
    ("deepseek2", UNEQUAL),
    ("deepseek2-ocr", UNEQUAL),
    ("deepseek32", UNEQUAL),
    ("deepseek4", UNEQUAL),
    ("dots1", WHOLE),
    ("dots3note", UNEQUAL),
    ("dream", WHOLE),
    ("ernie4_5", WHOLE),
    ("ernie4_5-moe", WHOLE),
    ("eurobert", ENCODER),
    ("exaone", WHOLE),
    ("exaone-moe", WHOLE),
    ("exaone4", WHOLE),
    ("falcon", WHOLE),
    ("falcon-h1", UNEQUAL),
    ("gemma", CHECKED | UNEQUAL),
    ("gemma-embedding", ENCODER | UNEQUAL),
    ("gemma2", CHECKED | UNEQUAL),
    ("gemma3", CHECKED | UNEQUAL),
    ("gemma3n", UNEQUAL),
    ("gemma4", UNEQUAL),
    ("gemma4-assistant", UNEQUAL),
    ("glm-dsa", UNEQUAL),
    ("glm4moe", MIXTURE),
    ("glm5-next", UNEQUAL),
    ("gpt-oss", UNEQUAL),
    ("granite", WHOLE),
    ("granite_swa", WHOLE),
    ("granitemoe", WHOLE),
    ("graniteswitch", WHOLE),
    ("grok", WHOLE),
    ("grovemoe", WHOLE | MIXTURE),
    ("hrm_text", UNEQUAL),
    ("hunyuan-moe", WHOLE),
    ("hunyuan_vl", WHOLE),
    ("hy_v3", WHOLE),
    ("hy_v4", UNEQUAL),
    ("internlm2", WHOLE),
    ("jais2", WHOLE),
    ("jamba", UNEQUAL),
    ("jina-bert-v2", ENCODER),
    ("jina-bert-v3", ENCODER),
    ("kimi-k3", UNEQUAL),
    ("kimi-linear", UNEQUAL),
    ("lfm2", UNEQUAL),
    ("lfm2moe", UNEQUAL | MIXTURE),
    ("llada", WHOLE),
    ("llada-moe", WHOLE | MIXTURE),
    ("llama", CHECKED | WHOLE),
    ("llama4", WHOLE),
    ("maincoder", WHOLE),
    ("mamba", UNEQUAL),
    ("mamba2", UNEQUAL),
    ("mellum", WHOLE),
    ("mimo2", UNEQUAL),
    ("minicpm", WHOLE),
    ("minicpm3", UNEQUAL),
    ("minimax-01", WHOLE),
    ("minimax-m2", WHOLE),
    ("mistral3", CHECKED | WHOLE),
    ("mistral4", UNEQUAL),
    ("modern-bert", ENCODER),
    ("nemotron", WHOLE),
    ("neo-bert", ENCODER),
    ("nomic-bert", ENCODER),
    ("nomic-bert-moe", ENCODER),
    ("olmo", WHOLE),
    ("olmo2", WHOLE),
    ("olmoe", WHOLE),
    ("orion", WHOLE),
    ("paddleocr", WHOLE),
    ("pangu-embedded", WHOLE),
    ("plamo", WHOLE),
    ("plamo2", UNEQUAL),
    ("plamo3", UNEQUAL),
    ("plm", UNEQUAL),
    ("pockettts", WHOLE),
    ("qwen2", CHECKED | WHOLE),
    ("qwen2moe", WHOLE),
    ("qwen2vl", WHOLE),
    ("qwen3", CHECKED | WHOLE),
    ("qwen3moe", WHOLE),
    ("qwen3tts", UNEQUAL),
    ("qwen3vl", WHOLE),
    ("qwen3vlmoe", WHOLE),
    ("rnd1", WHOLE),
    ("rwkv6", UNEQUAL),
    ("rwkv6qwen2", UNEQUAL),
    ("rwkv7", UNEQUAL),
    ("seed_oss", WHOLE),
    ("smallthinker", WHOLE),
    ("smollm3", CHECKED | WHOLE),
    ("starcoder2", WHOLE),
    ("step35", UNEQUAL),
    ("t5", UNEQUAL),
    ("t5encoder", UNEQUAL),
    ("talkie", WHOLE),
    ("wavtokenizer-dec", UNEQUAL),
    ("xverse", WHOLE),
];

/// What is known of an architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Architecture(u8);

impl Architecture {
    /// The row of that name.
    pub(super) fn of(name: &str) -> Self {
        let row = ARCHITECTURES.binary_search_by(|(row, _)| (*row).cmp(name));
        Self(row.map_or(0, |i| ARCHITECTURES[i].1))
    }

    pub(super) fn is_encoder(self) -> bool {
        self.0 & ENCODER != 0
    }

    pub(super) fn is_checked(self) -> bool {
        self.0 & CHECKED != 0
    }

    pub(super) fn may_have_unequal_heads(self) -> bool {
        self.0 & UNEQUAL != 0
    }

    pub(super) fn rotates_whole_heads(self) -> bool {
        self.0 & WHOLE != 0
    }

    pub(super) fn is_mixture(self) -> bool {
        self.0 & MIXTURE != 0
    }
}

/// The names of those that are checked in full.
pub(super) fn checked() -> impl Iterator<Item = &'static str> {
    ARCHITECTURES.iter().map(|(name, _)| *name).filter(|name| Architecture::of(name).is_checked())
}

#[cfg(test)]
mod tests {
    use super::{ARCHITECTURES, Architecture, checked};

    #[test]
    fn each_architecture_has_one_row_and_is_found() {
        assert!(ARCHITECTURES.is_sorted_by(|a, b| a.0 < b.0));
        for (name, marks) in ARCHITECTURES {
            assert_eq!(Architecture::of(name).0, *marks, "{name}");
        }
        assert_eq!(Architecture::of("no such").0, 0);
        let all: Vec<_> = checked().collect();
        assert_eq!(all, ["bert", "gemma", "gemma2", "gemma3", "llama", "mistral3", "qwen2", "qwen3", "smollm3"]);
    }
}
