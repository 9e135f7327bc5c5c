//! Texts of users against the splitters of llama.cpp: none may end the process, on whatever thread.

use super::child::{self, End};
use super::*;
use crate::engine::{Ask, Generate};
use crate::{Options, open};

/// Every pre-tokenizer of llama.cpp that has a splitter of its own.
pub(super) const PRE_TOKENIZERS: [&str; 37] = [
    "default",
    "llama-bpe",
    "jais-2",
    "dbrx",
    "deepseek-llm",
    "deepseek-v3",
    "spark2_5",
    "youtu",
    "deepseek-coder",
    "falcon",
    "starcoder",
    "gpt-2",
    "stablelm2",
    "qwen35",
    "poro-chat",
    "chatglm-bpe",
    "viking",
    "tekken",
    "chameleon",
    "gpt-4o",
    "granite-embed-multi-97m",
    "tiny_aya",
    "kimi-k2",
    "superbpe",
    "bailingmoe",
    "seed-coder",
    "ufakzeka",
    "grok-2",
    "afmoe",
    "laguna",
    "exaone-moe",
    "exaone",
    "sarvam-moe",
    "mmbert",
    "minicpm5",
    "whitespace",
    "bloom",
];

/// Those whose tokens are no bytes: this vocabulary lacks most characters.
const WHOLE_CHARACTERS: [&str; 3] = ["sarvam-moe", "mmbert", "whitespace"];

/// What rows are made of.
const ROWS: [&str; 15] =
    [" ", "=", "a", "A", "1", "\n", "\t", "中", "a\u{301}", "A a", "a ", "'s", "aB", "\u{1F600}", "\n/"];

/// A model with the bytes as tokens, and this pre-tokenizer.
fn model(pre: &str) -> Vec<u8> {
    let kept = |b: &u8| matches!(b, 33..=126 | 161..=172 | 174..=255);
    let mut next = 255;
    let mut text = |b: u8| {
        next += u32::from(!kept(&b));
        char::from_u32(if kept(&b) { u32::from(b) } else { next }).unwrap().to_string()
    };
    let bytes: Vec<String> = (0..=255).map(&mut text).collect();
    let others = (256..300).map(|i| format!("token{i}"));
    let tokens: Vec<u8> = bytes.into_iter().chain(others).flat_map(|t| string(t.as_bytes())).collect();
    File::complete(|i| ((i * 7919 + 13) % 101) as f32 / 500.0 - 0.1)
        .text("tokenizer.ggml.model", "gpt2")
        .text("tokenizer.ggml.pre", pre)
        .array("tokenizer.ggml.tokens", 8, 300, tokens)
        .array("tokenizer.ggml.token_type", 5, 300, 1i32.to_le_bytes().repeat(300))
        .array("tokenizer.ggml.merges", 8, 1, string(b"a a"))
        .u32("llama.context_length", 1 << 20)
        .bytes()
}

/// Asks on a thread with this stack, as an app's own might have.
fn ask(file: Vec<u8>, texts: Vec<String>, stack: usize) -> Vec<Result<u64>> {
    let engine = open(file, Options::new().threads(1).context_tokens(512)).unwrap();
    let answers = move || {
        let ask = |text: String| engine.run(Generate::text(text).max_tokens(1)).map(|answer| answer.usage.input_tokens);
        texts.into_iter().map(ask).collect()
    };
    std::thread::Builder::new().stack_size(stack).spawn(answers).unwrap().join().unwrap()
}

/// What the child process runs for one pre-tokenizer.
pub(super) fn try_all(pre: &str) {
    let row = |unit: &str, n: usize| unit.repeat(n / unit.chars().count());
    let mut texts: Vec<String> = ROWS.iter().map(|unit| row(unit, 8000)).collect();
    texts.extend(ROWS.iter().map(|unit| format!("{}\nend", row(unit, 60_000))));
    // Long texts of short stretches: what is thought to be enough of a stack must be.
    let mut state = 1u64;
    for _ in 0..60 {
        let mut text = String::new();
        for _ in 0..200 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text += &row(ROWS[(state >> 33) as usize % ROWS.len()], 1 + (state >> 40) as usize % 200);
        }
        texts.push(text);
    }
    for got in ask(model(pre), texts, 512 << 10) {
        // More tokens than the context holds, or too many digits.
        if let Err(error) = got {
            assert!(matches!(error.code(), Code::ContextFull | Code::InvalidArgument), "{error}");
        }
    }
}

#[test]
fn no_text_ends_the_process_whatever_the_pre_tokenizer() {
    let died: Vec<_> =
        child::each("texts", &PRE_TOKENIZERS).into_iter().filter(|(_, end)| *end != End::Taken).collect();
    assert!(died.is_empty(), "{died:?}");
}

/// Ids do not depend on the stack: 10,000 texts, whole on a large stack and as they come.
#[test]
fn ids_are_those_of_a_large_stack() {
    use super::super::native::file::{Input, Stream};
    use super::super::native::model::Model;
    let mut state = 7u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for pre in PRE_TOKENIZERS {
        let file = model(pre);
        let model = Model::load(&Input::One(Stream::of_bytes(&file).unwrap()), false, &mut |_| true).unwrap();
        let texts: Vec<String> = (0..10_000 / PRE_TOKENIZERS.len() + 1)
            .map(|_| (0..random(40)).map(|_| ROWS[random(ROWS.len())].repeat(random(9))).collect())
            .collect();
        let here: Vec<_> = texts.iter().map(|text| model.tokenize(text, false, false).unwrap()).collect();
        let there = crate::threads::on_stack("large", 256 << 20, || {
            Ok(texts.iter().map(|text| model.tokenize(text, false, false).unwrap()).collect::<Vec<_>>())
        });
        assert_eq!(here, there.unwrap(), "{pre}");
        if WHOLE_CHARACTERS.contains(&pre) {
            continue;
        }
        // Every token is a byte or 'aa': the text comes back whole.
        for (text, tokens) in texts.iter().zip(&here) {
            let mut bytes = Vec::new();
            tokens.iter().for_each(|&token| model.piece(token as u32, &mut bytes));
            assert_eq!(String::from_utf8_lossy(&bytes), *text, "{pre}");
        }
    }
}
