//! LoRA adapters: what they change is what merging them into the weights would, and nobody else's answer.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use selvedge::{Ask, Call, Code, Engine, Generate, Options, Prompt, TokenInfo, open};

use crate::craft::{File, Tensor};
use crate::tiny::{self, noise, tokens};
use crate::{code, smollm};

const RANK: usize = 4;
const ALPHA: f32 = 6.0;
/// Matrices, and their inputs and outputs.
const CHANGED: [(&str, usize, usize); 5] = [
    ("blk.0.attn_q.weight", 64, 64),
    ("blk.0.attn_v.weight", 64, 32),
    ("blk.1.attn_output.weight", 64, 64),
    ("blk.0.ffn_up.weight", 64, 96),
    ("blk.1.ffn_down.weight", 96, 64),
];

fn factor(seed: usize, i: usize, half: usize, count: usize) -> Vec<f32> {
    let number = noise(1000 + seed * 100 + i * 2 + half);
    (0..count).map(|j| number(j) * 0.6).collect()
}

fn tensor(name: &str, dims: &[usize], values: &[f32]) -> Tensor {
    let fill: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let (name, dims) = (name.as_bytes().to_vec(), dims.iter().map(|&dim| dim as u64).collect());
    Tensor { name, dims, kind: 0, offset: None, bytes: fill.len(), fill }
}

fn head() -> File {
    File::new()
        .text("general.architecture", "llama")
        .text("general.type", "adapter")
        .text("adapter.type", "lora")
        .f32("adapter.lora.alpha", ALPHA)
}

fn adapter(seed: usize) -> File {
    of_rank(seed, RANK)
}

/// An adapter of five matrices, and of a norm, which llama.cpp passes over.
pub(crate) fn of_rank(seed: usize, rank: usize) -> File {
    let file = CHANGED.iter().enumerate().fold(head(), |file, (i, (name, input, output))| {
        file.any_tensor(tensor(&format!("{name}.lora_a"), &[*input, rank], &factor(seed, i, 0, input * rank)))
            .any_tensor(tensor(&format!("{name}.lora_b"), &[rank, *output], &factor(seed, i, 1, output * rank)))
    });
    file.any_tensor(tensor("blk.0.attn_norm.weight", &[64], &[0.0; 64]))
}

/// The model with an adapter in its weights: W + scale × α/r × B·A.
fn merged(mut model: File, seed: usize, scale: f32) -> File {
    for (i, (name, input, output)) in CHANGED.iter().enumerate() {
        let (a, b) = (factor(seed, i, 0, input * RANK), factor(seed, i, 1, output * RANK));
        let tensor = model.tensors_mut().iter_mut().find(|t| t.name == name.as_bytes()).unwrap();
        let weights = tensor.fill.as_chunks::<4>().0.iter().enumerate().map(|(at, bytes)| {
            let (o, n) = (at / input, at % input);
            let change: f64 = (0..RANK).map(|k| f64::from(b[o * RANK + k]) * f64::from(a[k * input + n])).sum();
            let by = f64::from(scale) * f64::from(ALPHA) / RANK as f64;
            (f64::from(f32::from_le_bytes(*bytes)) + by * change) as f32
        });
        tensor.fill = weights.flat_map(f32::to_le_bytes).collect();
    }
    model
}

fn generate(seed: usize, max: u32) -> Generate {
    Generate::new(Prompt::Tokens(tokens(50, seed))).max_tokens(max).logprobs(true)
}

/// The largest difference of two answers' log-probabilities, over the tokens that they begin with in common.
fn difference(a: &[TokenInfo], b: &[TokenInfo]) -> (usize, f32) {
    let common = a.iter().zip(b).take_while(|(a, b)| a.id == b.id);
    common.fold((0, 0.0), |(n, most), (a, b)| (n + 1, most.max((a.logprob.unwrap() - b.logprob.unwrap()).abs())))
}

fn options(folder: &Path) -> Options {
    for seed in [1, 2] {
        fs::write(folder.join(format!("{seed}.lora")), adapter(seed).bytes()).unwrap();
    }
    let path = |seed: usize| folder.join(format!("{seed}.lora"));
    Options::new().context_tokens(1024).parallel(4).adapter("one", path(1)).adapter("two", path(2))
}

#[test]
fn an_adapter_is_its_product_added_to_the_weights() {
    let folder = tempfile::tempdir().unwrap();
    let model = tiny::llama(1024);
    let engine = open(tiny::write(&model, folder.path(), "model.gguf"), options(folder.path())).unwrap();
    let facts: Vec<_> = engine.spec().adapters.iter().map(|a| (a.name.as_str(), a.applied, a.total)).collect();
    assert_eq!(facts, [("one", 5, 6), ("two", 5, 6)]);
    let plain = engine.run(generate(1, 16)).unwrap();
    assert!(plain.adapters.is_empty());
    let both = merged(merged(model.clone(), 1, 1.0), 2, 0.5);
    let cases = [
        (vec![("one", 1.0)], merged(model.clone(), 1, 1.0)),
        (vec![("one", -0.5)], merged(model.clone(), 1, -0.5)),
        (vec![("two", 1.0)], merged(model.clone(), 2, 1.0)),
        (vec![("two", 0.5), ("one", 1.0)], both),
    ];
    for (set, merged) in cases {
        let expected =
            open(tiny::write(&merged, folder.path(), "merged.gguf"), Options::new().context_tokens(1024)).unwrap();
        let expected = expected.run(generate(1, 16)).unwrap();
        let request = set.iter().fold(generate(1, 16), |request, (name, scale)| request.adapter(*name, *scale));
        let answer = engine.run(request).unwrap();
        let (same, most) = difference(&answer.tokens, &expected.tokens);
        let (_, changed) = difference(&answer.tokens, &plain.tokens);
        println!("{set:?}: {same} tokens alike, within {most:e}; without the adapter {changed}");
        // Keys and values are kept in 16 bits, which round otherwise where numbers were added in another order.
        assert!(same == expected.tokens.len() && most < 5e-4, "{set:?}: {same} tokens, {most}");
        assert!(answer.tokens[0].id != plain.tokens[0].id || changed > 100.0 * most, "{set:?}: {changed}");
        let applied: Vec<_> = answer.adapters.iter().map(|a| (a.name.as_str(), a.scale, a.applied, a.total)).collect();
        assert_eq!(applied, set.iter().map(|(name, scale)| (*name, *scale, 5, 6)).collect::<Vec<_>>());
    }
}

/// Runs with other adapters, at the same time and one after another, and what was computed with them.
#[test]
fn runs_with_other_adapters_do_not_meet() {
    let folder = tempfile::tempdir().unwrap();
    let path = tiny::write(&tiny::llama(1024), folder.path(), "model.gguf");
    let engine = open(&path, options(folder.path())).unwrap();
    let request = |i: usize| {
        let request = generate(i % 2, 24);
        match i % 5 {
            0 => request,
            1 => request.adapter("one", 1.0),
            2 => request.adapter("one", 0.5),
            3 => request.adapter("two", 1.0),
            _ => request.adapter("one", 1.0).adapter("two", 1.0),
        }
    };
    let fresh = || open(&path, options(folder.path())).unwrap();
    let alone: Vec<_> = (0..10).map(|i| fresh().run(request(i)).unwrap().tokens).collect();
    let kinds: std::collections::BTreeSet<_> = alone.iter().map(|tokens| format!("{tokens:?}")).collect();
    assert_eq!(kinds.len(), 10, "each is an answer of its own");
    for _ in 0..5 {
        std::thread::scope(|scope| {
            let runs: Vec<_> = (0..10)
                .map(|i| {
                    scope.spawn({
                        let engine = &engine;
                        move || engine.run(request(i)).unwrap()
                    })
                })
                .collect();
            for (run, alone) in runs.into_iter().zip(&alone) {
                // A batch of several runs rounds otherwise than one; with other adapters the numbers are a tenth apart.
                let (same, most) = difference(&run.join().unwrap().tokens, alone);
                assert!(same == alone.len() && most < 1e-3, "{same} tokens, {most}");
            }
        });
    }
    // The same prompt, with the same adapters or others.
    let engine = open(&path, options(folder.path()).parallel(1)).unwrap();
    let cached = |engine: &Arc<dyn Engine>, i| engine.run(request(i)).unwrap().usage.cached_tokens;
    assert_eq!((cached(&engine, 1), cached(&engine, 1)), (0, 32));
    let file = folder.path().join("prefixes");
    engine.prefix_cache().unwrap().save(&file).unwrap();
    assert_eq!(cached(&engine, 7), 0, "another scale");
    // Saved, it is known by the adapter's file and not by its number.
    let renumbered = Options::new().context_tokens(1024).parallel(1).adapter("x", folder.path().join("2.lora"));
    let other = open(&path, renumbered.clone()).unwrap();
    assert_eq!(other.prefix_cache().unwrap().restore(&file).unwrap().prefixes, 0);
    let other = open(&path, renumbered.adapter("one", folder.path().join("1.lora"))).unwrap();
    assert_eq!(other.prefix_cache().unwrap().restore(&file).unwrap().prefixes, 1);
    let answer = other.run(request(1)).unwrap();
    assert_eq!((answer.usage.cached_tokens, answer.tokens), (32, alone[1].clone()));
}

#[test]
fn an_adapter_of_something_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let model = tiny::write(&tiny::llama(256), folder.path(), "model.gguf");
    let at = folder.path().join("bad.lora");
    let opened = |bytes: &[u8]| {
        fs::write(&at, bytes).unwrap();
        open(&model, Options::new().context_tokens(256).adapter("bad", &at))
    };
    assert!(opened(&adapter(1).bytes()).is_ok());
    let with = |name: &str, dims: &[usize]| {
        let count = dims.iter().product::<usize>();
        tensor(name, dims, &vec![0.1; count])
    };
    let pair = |name: &str, a: &[usize], b: &[usize]| {
        head().any_tensor(with(&format!("{name}.lora_a"), a)).any_tensor(with(&format!("{name}.lora_b"), b))
    };
    let good = || pair("blk.0.attn_q.weight", &[64, 4], &[4, 64]);
    assert!(opened(&good().bytes()).is_ok());
    let cases = [
        (tiny::llama(256), Code::Unsupported, "general.type"),
        (good().text("general.architecture", "qwen2"), Code::Unsupported, "general.architecture"),
        (good().text("adapter.type", "control_vector"), Code::Unsupported, "adapter.type"),
        (good().u32("adapter.lora.alpha", 1), Code::Corrupt, "adapter.lora.alpha"),
        (good().f32("adapter.lora.alpha", f32::NAN), Code::Corrupt, "adapter.lora.alpha"),
        (good().u32("general.type", 1), Code::Corrupt, "general.type"),
        (good().array("adapter.alora.invocation_tokens", 4, 1, vec![0; 4]), Code::Unsupported, "aLoRA"),
        (head().any_tensor(with("blk.0.attn_norm.weight", &[64])), Code::Unsupported, "got none"),
        (head().any_tensor(with("blk.0.attn_q.weight", &[64, 64])), Code::Unsupported, ".lora_a or .lora_b"),
        (head().any_tensor(with("blk.0.attn_q.weight.lora_a", &[64, 4])), Code::Corrupt, "got one of them"),
        (pair("token_embd.weight", &[4, 300], &[4, 64]), Code::Unsupported, "only matrices"),
        (pair("blk.0.attn_q.weight.lora_a", &[64, 4], &[4, 64]), Code::Unsupported, "only matrices"),
        (pair("output.weight", &[64, 4], &[4, 300]), Code::Corrupt, "the model has none"),
        (pair("blk.2.attn_q.weight", &[64, 4], &[4, 64]), Code::Corrupt, "the model has none"),
        (pair("blk.0.attn_q.weight", &[32, 4], &[4, 64]), Code::Corrupt, "expected factors"),
        (pair("blk.0.attn_q.weight", &[64, 4], &[4, 32]), Code::Corrupt, "expected factors"),
        (pair("blk.0.attn_q.weight", &[64, 4], &[5, 64]), Code::Corrupt, "expected factors"),
        (pair("blk.0.attn_q.weight", &[4, 64], &[64, 4]), Code::Corrupt, "expected factors"),
        (pair("blk.0.attn_q.weight", &[64, 4, 2], &[4, 64, 2]), Code::Corrupt, "expected factors"),
    ];
    for (file, expected, says) in cases {
        let error = opened(&file.bytes()).err().unwrap_or_else(|| panic!("{says}: it opened"));
        assert_eq!(error.code(), expected, "{says}: {error}");
        assert!(format!("{error:#}").contains(says), "{says}: {error:#}");
    }
    // In a type that products are not computed with.
    let mut integers = good();
    integers.tensors_mut().iter_mut().for_each(|tensor| tensor.kind = 26);
    assert_eq!(code(opened(&integers.bytes())), Code::Unsupported);
    // Cut, or with any byte of its header changed: refused, or an adapter of other numbers.
    let bytes = good().bytes();
    let header = bytes.len() - 2 * 64 * 4 * 4;
    for place in 0..header {
        assert_ne!(opened(&bytes[..place]).map(drop).unwrap_err().code(), Code::Internal);
        let mut damaged = bytes.clone();
        damaged[place] ^= 1 << (place % 8);
        if let Ok(engine) = opened(&damaged) {
            _ = engine.run(Generate::new(Prompt::Tokens(tokens(9, 1))).max_tokens(2).adapter("bad", 1.0));
        }
    }
    let engine = opened(&bytes).unwrap();
    let start = |request: Generate| code(engine.start(request.into(), Call::new()));
    assert_eq!(start(generate(1, 1).adapter("good", 1.0)), Code::InvalidArgument);
    for scale in [0.0, f32::NAN, f32::INFINITY] {
        assert_eq!(start(generate(1, 1).adapter("bad", scale)), Code::InvalidArgument);
    }
    assert_eq!(start(generate(1, 1).adapter("bad", 1.0).adapter("bad", 2.0)), Code::InvalidArgument);
    let twice = Options::new().adapter("bad", &at).adapter("bad", &at);
    assert_eq!(code(open(&model, twice)), Code::InvalidArgument);
    assert_eq!(code(open(&model, Options::new().adapter("bad", folder.path().join("none")))), Code::NotFound);
    if let Some(encoder) = crate::minilm() {
        assert_eq!(code(open(encoder, Options::new().adapter("bad", &at))), Code::Unsupported);
    }
    if let Some(larger) = smollm() {
        assert_eq!(code(open(larger, Options::new().adapter("bad", &at))), Code::Corrupt);
    }
}
