//! Prompts by products of ours: near those of llama.cpp, the same whoever else is served, and counted in the estimate.

use std::sync::Arc;

use selvedge::backend::inspect;
use selvedge::kernel::{Isa, active};
use selvedge::{Answer, Ask, Code, Engine, Generate, Options, Prompt, open};

use crate::{code, smollm, tiny};

/// Whether this processor has such products.
fn are_there() -> bool {
    let there = matches!(active(), Isa::Avx2 | Isa::Avx512);
    if !there {
        println!("skipped: this processor's products are llama.cpp's");
    }
    there
}

fn options() -> Options {
    Options::new().context_tokens(1024).threads(2)
}

/// A text of so many tokens, about.
fn long(words: usize) -> String {
    "The tide comes in and goes out, and nobody on the pier looks up. ".repeat(words / 14)
}

#[test]
fn a_prompt_is_near_what_llama_makes_of_it() {
    let Some(path) = smollm().filter(|_| are_there()) else { return };
    let engines = [options().own_products(), options()].map(|options| open(&path, options).unwrap());
    let mut farthest = 0.0_f32;
    for words in [3, 40, 300] {
        let request =
            || Generate::text(format!("{}And then", long(words))).max_tokens(8).logprobs(true).top_logprobs(5);
        let [ours, theirs] = engines.each_ref().map(|engine| engine.run(request()).unwrap());
        assert_ne!(
            ours.tokens, theirs.tokens,
            "{words} words: to the last bit the same, so computed by the same products"
        );
        // After a place where they chose otherwise the texts are two; there itself both tokens are about as likely.
        let same = ours.tokens.iter().zip(&theirs.tokens).take_while(|(a, b)| a.id == b.id).count();
        for (likeliest, token) in ours.top_logprobs.iter().zip(&theirs.tokens).take(same + 1) {
            let Some(found) = likeliest.iter().find(|found| found.id == token.id) else {
                panic!("{words} words: '{}', '{}'", ours.text, theirs.text)
            };
            farthest = farthest.max((found.logprob.unwrap() - token.logprob.unwrap()).abs());
        }
        println!("{words} words: {same} tokens the same, log-probabilities {farthest} apart at most");
    }
    assert!(farthest < 0.15, "{farthest}");
}

/// To the last bit: alone on one thread, and together with others on two.
#[test]
fn runs_together_are_as_each_alone() {
    let Some(path) = smollm().filter(|_| are_there()) else { return };
    let requests: Vec<Generate> =
        (0..5).map(|i| Generate::text(format!("{}{i} is", long(i * 60))).max_tokens(12).logprobs(true)).collect();
    let alone = open(&path, options().own_products().threads(1).parallel(1)).unwrap();
    let expected: Vec<Answer> = requests.iter().map(|request| alone.run(request.clone()).unwrap()).collect();
    let together = open(&path, options().own_products().context_tokens(4096).parallel(5)).unwrap();
    for _ in 0..2 {
        let answers: Vec<Answer> = std::thread::scope(|scope| {
            let runs: Vec<_> =
                requests.iter().map(|request| scope.spawn(|| together.run(request.clone()).unwrap())).collect();
            runs.into_iter().map(|run| run.join().unwrap()).collect()
        });
        for (answer, expected) in answers.iter().zip(&expected) {
            assert_eq!(answer.tokens, expected.tokens);
        }
    }
}

#[test]
fn packed_weights_are_in_the_estimate_and_left_out_where_they_do_not_fit() {
    let Some(path) = smollm().filter(|_| are_there()) else { return };
    let weights = |engine: &Arc<dyn Engine>| engine.spec().memory.weights;
    let (with, without) = (open(&path, options().own_products()).unwrap(), open(&path, options()).unwrap());
    let packed = weights(&with) - weights(&without);
    // 30 layers of 576 × 576 twice, 576 × 192 twice and 576 × 1536 three times, in blocks of 20 bytes.
    assert_eq!(packed, 30 * (2 * 576 * 576 + 2 * 576 * 192 + 3 * 576 * 1536) / 32 * 20);
    let request = || Generate::text(long(100)).max_tokens(4).logprobs(true);
    let theirs = without.run(request()).unwrap();
    assert_ne!(with.run(request()).unwrap().tokens, theirs.tokens);
    let limit = with.spec().memory.total() - 1;
    let limited = open(&path, options().own_products().memory_limit(limit)).unwrap();
    assert_eq!(weights(&limited), weights(&without));
    assert_eq!(limited.run(request()).unwrap().tokens, theirs.tokens);
    let too_little = options().own_products().memory_limit(without.spec().memory.total() - 1);
    assert_eq!(code(open(&path, too_little)), Code::OutOfMemory);
    let inspected = |options: Options| inspect(&path, &options).unwrap().backends[0].1.clone().unwrap();
    assert_eq!(inspected(options().own_products()), with.spec().memory);
    assert_eq!(inspected(options().own_products().memory_limit(limit)), without.spec().memory);
}

/// Keys and values of one kind would make another text of the other.
#[test]
fn a_prefix_is_not_restored_where_prompts_are_computed_otherwise() {
    let Some(path) = smollm().filter(|_| are_there()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("prefixes");
    let open = |options: Options| open(&path, options).unwrap();
    let engine = open(options().own_products());
    engine.run(Generate::text(long(100)).max_tokens(1)).unwrap();
    engine.prefix_cache().unwrap().save(&file).unwrap();
    let other = open(options());
    let error = other.prefix_cache().unwrap().restore(&file).unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument, "{error}");
    assert!(error.message().contains("build"), "{error}");
    assert_eq!(open(options().own_products()).prefix_cache().unwrap().restore(&file).unwrap().prefixes, 1);
}

/// Weights that nothing packs: the option changes nothing.
#[test]
fn a_model_of_plain_numbers_is_computed_as_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = tiny::write(&tiny::llama(512), folder.path(), "llama.gguf");
    let engines = [Options::new().own_products(), Options::new()].map(|options| open(&path, options).unwrap());
    let request = || Generate::new(Prompt::Tokens(tiny::tokens(200, 1))).max_tokens(8).logprobs(true);
    let [a, b] = engines.each_ref().map(|engine| (engine.spec().memory, engine.run(request()).unwrap().tokens));
    assert_eq!(a, b);
}

/// Texts are computed whole, several together where they are short: by the request alone.
#[cfg(target_os = "linux")]
#[test]
fn embeddings_are_near_and_the_same_again() {
    let Some(path) = smollm().filter(|_| are_there()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let pooled = folder.path().join("pooled.gguf");
    super::memory::with_pooling(&path, &pooled);
    let engines = [options().own_products(), options()].map(|options| open(&pooled, options).unwrap());
    let request = || selvedge::Embed::new([long(20), "a word".into(), long(200)]);
    let vectors = |engine: &Arc<dyn Engine>| -> Vec<f32> {
        engine.run(request()).unwrap().outputs[0].1.as_slice::<f32>().unwrap().to_vec()
    };
    let (ours, theirs) = (vectors(&engines[0]), vectors(&engines[1]));
    assert_ne!(ours, theirs);
    assert_eq!(vectors(&engines[0]), ours);
    let cosine: Vec<f32> =
        ours.chunks(576).zip(theirs.chunks(576)).map(|(a, b)| a.iter().zip(b).map(|(a, b)| a * b).sum()).collect();
    assert!(cosine.len() == 3 && cosine.iter().all(|cosine| *cosine > 0.995), "{cosine:?}");
}
