//! Texts of users against the splitters of llama.cpp: none may end the process, on whatever thread.

use super::super::native::file::{Input, Stream, Terms};
use super::super::native::model::Model;
use super::child::{self, End};
use super::*;

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
    "gemma4",
];

/// Those whose tokens are no bytes: this vocabulary lacks most characters.
const WHOLE_CHARACTERS: [&str; 4] = ["sarvam-moe", "mmbert", "whitespace", "gemma4"];

/// What rows are made of.
const ROWS: [&str; 15] =
    [" ", "=", "a", "A", "1", "\n", "\t", "中", "a\u{301}", "A a", "a ", "'s", "aB", "\u{1F600}", "\n/"];

/// A model with the bytes as tokens, and this pre-tokenizer.
fn model(pre: &str) -> File {
    let kept = |b: &u8| matches!(b, 33..=126 | 161..=172 | 174..=255);
    let mut next = 255;
    let mut text = |b: u8| {
        next += u32::from(!kept(&b));
        char::from_u32(if kept(&b) { u32::from(b) } else { next }).unwrap().to_string()
    };
    let bytes: Vec<String> = (0..=255).map(&mut text).collect();
    let others = (256..300).map(|i| format!("token{i}"));
    let tokens: Vec<u8> = bytes.into_iter().chain(others).flat_map(|t| string(t.as_bytes())).collect();
    File::complete(weight)
        .text("tokenizer.ggml.model", if pre == "gemma4" { pre } else { "gpt2" })
        .text("tokenizer.ggml.pre", pre)
        .array("tokenizer.ggml.tokens", 8, 300, tokens)
        .array("tokenizer.ggml.token_type", 5, 300, 1i32.to_le_bytes().repeat(300))
        .array("tokenizer.ggml.merges", 8, 1, string(b"a a"))
}

fn weight(i: usize) -> f32 {
    ((i * 7919 + 13) % 101) as f32 / 500.0 - 0.1
}

pub(super) fn load(pre: &str) -> Model {
    load_file(&model(pre).bytes())
}

fn load_file(file: &[u8]) -> Model {
    Model::load(&Input::One(Stream::of_bytes(file).unwrap()), Terms::default(), &mut |_| true).unwrap()
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
    // As an app's own thread might be.
    let small = std::thread::Builder::new().stack_size(512 << 10);
    let model = load(pre);
    let name = pre.to_owned();
    let tokenize = move || {
        let pre = &*name;
        for text in texts {
            match model.tokenize(&text, true, false) {
                Ok(tokens) => assert!(WHOLE_CHARACTERS.contains(&pre) || tokens.len() >= text.len() / 8, "{pre}"),
                Err(error) => assert!(pre == "superbpe" && error.code() == Code::InvalidArgument, "{pre}: {error}"),
            }
        }
    };
    small.spawn(tokenize).unwrap().join().unwrap();
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
    let mut state = 7u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for pre in PRE_TOKENIZERS {
        let model = load(pre);
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

/// Tokens that llama.cpp looks for first cut a long text into parts; its ids are those of one call.
#[test]
fn parts_of_a_text_have_its_ids() {
    let cases = [
        ("SentencePiece", File::complete(weight), 6, 34),
        ("byte pairs", model("llama-bpe"), 1, 290),
        ("WordPiece", File::encoder(weight), 1, 290),
    ];
    for (name, file, bytes, first) in cases {
        // The last ten are user-defined, but for one that is a control token.
        let types = [vec![bytes; 256], vec![1; 34], vec![4; 9], vec![3]].concat();
        let types: Vec<u8> = types.iter().flat_map(|kind: &i32| kind.to_le_bytes()).collect();
        let model = load_file(&file.array("tokenizer.ggml.token_type", 5, 300, types).bytes());
        let tokens = (first..first + 10).map(|i| format!("token{i}"));
        let bits: Vec<String> = tokens.chain(["a ", "  ", "é", "\n", "aa"].map(String::from)).collect();
        let mut state = 3u64;
        for n in [1, 500, 5000] {
            let text: String = (0..n)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    &*bits[(state >> 33) as usize % bits.len()]
                })
                .collect();
            for (whole, special) in [(false, false), (false, true), (true, false), (true, true)] {
                let parts = model.tokenize(&text, whole, special).unwrap();
                let at_once = model.tokenize_at_once(&text, whole, special).unwrap();
                assert!(parts == at_once, "{name}, {n}, whole: {whole}, special: {special}");
                let found = parts.iter().filter(|token| (290..300).contains(*token)).count();
                assert!(n < 5000 || found > 2500, "{name}: {found} tokens to cut at");
            }
        }
    }
}

/// A million characters with 120,000 tokens to cut at: in one call it would take a minute.
#[test]
fn a_long_text_of_such_tokens_is_cut() {
    let types = [vec![6; 256], vec![1; 34], vec![4; 10]].concat();
    let types: Vec<u8> = types.iter().flat_map(|kind: &i32| kind.to_le_bytes()).collect();
    let file = File::complete(weight).array("tokenizer.ggml.token_type", 5, 300, types);
    let text = "x token34".repeat(120_000);
    let tokens = load_file(&file.bytes()).tokenize(&text, false, false).unwrap();
    assert_eq!(tokens.iter().filter(|token| **token == 290).count(), 120_000);
}
