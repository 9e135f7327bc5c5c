//! Layers on a GPU: near what the processor makes of them, told by the provenance, and refused where there is none.
//!
//! A build without llama.cpp's backends for GPUs sees the refusals; `tests/long/vulkan` builds one that computes.

use selvedge::{Accelerator, Answer, Ask, Call, Cancel, Code, Finish, Generate, Options, Prompt, open};

use crate::tiny::{self, tokens};
use crate::{adapters, code, minilm, smollm};

fn options() -> Options {
    Options::new().context_tokens(1024).threads(2)
}

/// Whether this build and this machine have one; a name that no device has tells.
fn is_there() -> bool {
    let folder = tempfile::tempdir().unwrap();
    let path = tiny::write(&tiny::llama(256), folder.path(), "llama.gguf");
    let Err(error) = open(&path, Options::new().accelerator(Accelerator::new().device("none of these"))) else {
        panic!("no device has such a name")
    };
    match error.code() {
        Code::InvalidArgument => {
            println!("{error}");
            true
        }
        other => {
            assert_eq!(other, Code::Unsupported, "{error}");
            println!("skipped: {error}");
            false
        }
    }
}

#[test]
fn a_build_or_a_machine_without_says_so() {
    if is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = tiny::write(&tiny::llama(256), folder.path(), "llama.gguf");
    let error = open(&path, Options::new().accelerator(Accelerator::new())).err().unwrap();
    let message = error.to_string();
    let built = cfg!(any(feature = "cuda", feature = "metal", feature = "vulkan"));
    let expected =
        if built { "finds no GPU on this machine" } else { "enable the feature 'cuda', 'metal' or 'vulkan'" };
    assert!(error.code() == Code::Unsupported && message.contains(expected), "{message}");
}

/// The same tokens as far as both agree, whose logarithms of probabilities differ by no more than what rounding does.
#[track_caller]
fn near(what: &str, ours: &Answer, theirs: &Answer, bound: f32) {
    let same = ours.tokens.iter().zip(&theirs.tokens).take_while(|(a, b)| a.id == b.id);
    let distances: Vec<f32> = same.map(|(a, b)| (a.logprob.unwrap() - b.logprob.unwrap()).abs()).collect();
    assert!(!distances.is_empty(), "{what}: '{}', '{}'", ours.text, theirs.text);
    let farthest = distances.iter().copied().fold(0.0, f32::max);
    println!("{what}: {} tokens alike, {farthest} apart at most", distances.len());
    assert!(farthest < bound, "{what}: {farthest}");
}

#[test]
fn a_text_is_near_the_processors() {
    let Some(path) = smollm().filter(|_| is_there()) else { return };
    let request = || Generate::text("The tide comes in and goes out, and nobody looks up. The capital of France is");
    let request = || request().max_tokens(6).logprobs(true);
    let processor = open(&path, options()).unwrap();
    let expected = processor.run(request()).unwrap();
    assert!(!processor.spec().provenance.runtime.contains("layers on"));
    for (layers, told) in
        [(Some(0), "0 of 31 layers on "), (Some(10), "10 of 31 layers on "), (None, "31 of 31 layers on ")]
    {
        let mut accelerator = Accelerator::new();
        accelerator.layers = layers;
        let engine = open(&path, options().accelerator(accelerator)).unwrap();
        let answer = engine.run(request()).unwrap();
        assert!(answer.provenance.runtime.contains(told), "{}", answer.provenance.runtime);
        near(told, &answer, &expected, 0.15);
        assert!(answer.text.contains("Paris") && expected.text.contains("Paris"), "{}, {}", answer.text, expected.text);
        if layers != Some(0) {
            assert_ne!(answer.tokens, expected.tokens, "to the last bit the same, so computed by the processor");
        }
    }
}

#[test]
fn a_device_is_taken_by_its_name() {
    let Some(path) = smollm().filter(|_| is_there()) else { return };
    let first = open(&path, options().accelerator(Accelerator::new().layers(1))).unwrap();
    let runtime = &first.spec().provenance.runtime;
    let name = runtime.split_once(" layers on ").unwrap().1.split_once(' ').unwrap().0.to_owned();
    let named = open(&path, options().accelerator(Accelerator::new().layers(1).device(&*name))).unwrap();
    assert_eq!(named.spec().provenance.runtime, *runtime);
    let error = open(&path, options().accelerator(Accelerator::new().device("Abacus0"))).err().unwrap();
    let message = error.to_string();
    assert!(message.contains(&name) && message.contains("got 'Abacus0'"), "{message}");
}

/// What the one has computed is not the other's, and comes back where it was made.
#[test]
fn prefixes_are_restored_where_they_were_computed() {
    let Some(path) = smollm().filter(|_| is_there()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("prefixes");
    let accelerated = || open(&path, options().parallel(1).accelerator(Accelerator::new())).unwrap();
    let request = || Generate::new(Prompt::Tokens(tokens(96, 1))).max_tokens(4).logprobs(true);
    let engine = accelerated();
    let expected = engine.run(request()).unwrap();
    let saved = engine.prefix_cache().unwrap().save(&file).unwrap();
    assert_eq!(saved.prefixes, 1);
    let again = accelerated();
    assert_eq!(again.prefix_cache().unwrap().restore(&file).unwrap(), saved);
    let answer = again.run(request()).unwrap();
    assert!(answer.usage.cached_tokens > 0);
    near("restored", &answer, &expected, 0.05);
    let processor = open(&path, options().parallel(1)).unwrap();
    let error = processor.prefix_cache().unwrap().restore(&file).unwrap_err();
    assert!(error.code() == Code::InvalidArgument && error.message().contains("build"), "{error}");
}

#[test]
fn runs_share_the_device_and_end_when_they_are_told() {
    let Some(path) = smollm().filter(|_| is_there()) else { return };
    let engine = open(&path, options().accelerator(Accelerator::new())).unwrap();
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..3)
            .map(|i| {
                scope.spawn({
                    let engine = &engine;
                    move || engine.run(Generate::text(format!("{i} is")).max_tokens(4))
                })
            })
            .collect();
        for run in runs {
            assert_eq!(run.join().unwrap().unwrap().finish, Finish::Length);
        }
    });
    let cancel = Cancel::new();
    let long = Generate::text("one, two, three, ".repeat(40)).max_tokens(400);
    let events = engine.events(long, Call::new().cancel(&cancel)).unwrap();
    cancel.cancel();
    assert_eq!(code(events.answer()), Code::Cancelled);
    // And serves on.
    assert_eq!(engine.run(Generate::text("Two").max_tokens(1)).unwrap().usage.output_tokens, 1);
}

#[test]
fn adapters_change_weights_on_the_device() {
    if !is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = tiny::write(&tiny::llama(1024), folder.path(), "model.gguf");
    let adapter = folder.path().join("adapter.lora");
    std::fs::write(&adapter, adapters::of_rank(1, 4).bytes()).unwrap();
    let options = || options().adapter("one", &adapter);
    let request = || Generate::new(Prompt::Tokens(tokens(50, 1))).max_tokens(4).logprobs(true);
    let processor = open(&path, options()).unwrap();
    let device = open(&path, options().accelerator(Accelerator::new())).unwrap();
    let expected = processor.run(request().adapter("one", 1.0)).unwrap();
    near("adapted", &device.run(request().adapter("one", 1.0)).unwrap(), &expected, 0.05);
    let plain = processor.run(request()).unwrap();
    assert!((plain.tokens[0].logprob.unwrap() - expected.tokens[0].logprob.unwrap()).abs() > 0.1, "it changes much");
    near("plain", &device.run(request()).unwrap(), &plain, 0.05);
}

#[test]
fn vectors_of_texts_are_near_the_processors() {
    let Some(path) = minilm().filter(|_| is_there()) else { return };
    let texts = ["A cold night.", "A warm morning by the sea."];
    let vectors =
        |options: Options| open(&path, options).unwrap().embed(texts).unwrap().as_slice::<f32>().unwrap().to_vec();
    let (ours, theirs) = (vectors(Options::new().accelerator(Accelerator::new())), vectors(Options::new()));
    let farthest = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(farthest > 0.0 && farthest < 2e-3, "{farthest}");
}
