//! Files that pass the checks: each goes to llama.cpp, and comes back as a typed error where that cannot load it.

use std::fmt;
use std::sync::{Arc, Mutex};

use super::*;
use crate::engine::{Ask, Embed, Finish, Generate, Message};
use crate::source::Loading;
use crate::{Options, open};

fn opened(bytes: Vec<u8>) -> Error {
    match open(bytes, Options::new().threads(1)) {
        Ok(_) => panic!("a file without its weights was loaded"),
        Err(error) => error,
    }
}

/// The same model under the name of an architecture that does not exist.
fn of_another_kind() -> File {
    ["block_count", "context_length", "embedding_length", "attention.head_count"]
        .iter()
        .fold(File::model().text("general.architecture", "nosuch"), |file, key| {
            file.u32(&format!("nosuch.{key}"), if *key == "attention.head_count" { 2 } else { 64 })
        })
}

#[test]
fn what_llama_refuses_is_a_typed_error() {
    let error = opened(File::model().bytes());
    assert_eq!(error.code(), Code::Corrupt, "{error}");
    assert!(error.message().contains("tensor 'output_norm.weight' not found"), "{error}");
    let error = opened(of_another_kind().bytes());
    assert_eq!(error.code(), Code::Unsupported, "{error}");
    assert!(error.message().contains("nosuch"), "{error}");
    let error = opened(File::complete(small).tensor("blk.0.attn_q.bias", &[65], 0, 260).bytes());
    assert_eq!(error.code(), Code::Corrupt, "{error}");
    assert!(error.message().contains("wrong shape"), "{error}");
}

fn small(i: usize) -> f32 {
    ((i * 7919 + 13) % 101) as f32 / 500.0 - 0.1
}

/// Files with a few wrong bytes, through our checks and, where they pass, through llama.cpp: none may end the process,
/// neither when it is loaded nor when it is used.
#[test]
fn damaged_files_are_survived() {
    let good = File::complete(small).bytes();
    let header = WeightFile::of_bytes(Bytes::shared(good.clone())).unwrap().data_start() as usize;
    // A linear congruential generator: always the same files.
    let mut state = 1u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let (mut loaded, mut refused) = (0, 0);
    for _ in 0..3000 {
        let mut file = good.clone();
        for _ in 0..=random(3) {
            // Half of them where the numbers are.
            let at = if random(2) == 0 { random(header) } else { random(700) };
            file[at] = [0, 1, 2, 3, 0x7F, 0x80, 0xFF, b'x'][random(8)];
        }
        if read(&file).is_err() {
            continue;
        }
        match open(file, Options::new().threads(1)) {
            Ok(engine) => {
                loaded += 1;
                // What it says means nothing, and it may not be able to say it.
                let _ = engine.run(Generate::text("some text").max_tokens(3));
            }
            Err(error) => {
                refused += 1;
                assert!(matches!(error.code(), Code::Corrupt | Code::Unsupported), "{error}");
            }
        }
    }
    assert!(loaded > 100 && refused > 50, "loaded {loaded}, refused by llama.cpp {refused}");
}

#[test]
fn a_model_of_nonsense_serves_like_any_other() {
    let file = File::complete(small).bytes();
    let engine = open(file.clone(), Options::new().context_tokens(100).threads(1)).unwrap();
    let answer = engine.run(Generate::text("some text").max_tokens(None)).unwrap();
    let finishes = [Finish::ContextFull, Finish::EndOfText];
    assert!(finishes.contains(&answer.finish), "{:?}", answer.finish);
    assert_eq!(answer.tokens.len() as u64, answer.usage.output_tokens);
    assert!(!engine.spec().abilities.chat);
    let chat = engine.run(Generate::chat([Message::user("Hi")])).unwrap_err();
    assert_eq!(chat.code(), Code::Unsupported);
    // The same from a file, in place and read.
    let path = std::env::temp_dir().join(format!("selvedge-{}.gguf", std::process::id()));
    std::fs::write(&path, &file).unwrap();
    for loading in [Loading::Mapped, Loading::Read] {
        let engine = open(&path, Options::new().loading(loading).context_tokens(100)).unwrap();
        assert_eq!(engine.run(Generate::text("some text").max_tokens(None)).unwrap().text, answer.text);
    }
    std::fs::remove_file(path).unwrap();
}

/// llama.cpp deals the tokens of a context out to its sequences, and would end the process for some numbers of them.
#[test]
fn a_model_that_generates_embeds_texts_of_any_length() {
    for pooling in 1..=3 {
        let file = File::complete(small).u32("llama.context_length", 601).u32("llama.pooling_type", pooling);
        let engine = open(file.bytes(), Options::new().threads(1)).unwrap();
        let abilities = engine.spec().abilities;
        assert!(abilities.generate && abilities.embed && engine.spec().context_tokens == Some(601));
        for tokens in [1, 511, 512, 513, 600, 601] {
            let ids = engine.run(Embed::new(["x".repeat(tokens)]));
            match ids {
                Ok(answer) => assert_eq!(&**answer.outputs[0].1.shape(), &[1, 64]),
                // What begins a text is a token, too.
                Err(error) => assert!(tokens > 590 && error.code() == Code::ContextFull, "{tokens}: {error}"),
            }
        }
        assert!(engine.run(Generate::text("some text").max_tokens(2)).is_ok());
    }
}

#[test]
fn weights_that_are_no_numbers_are_an_error() {
    let file = File::complete(|_| f32::NAN).bytes();
    let engine = open(file, Options::new().threads(1)).unwrap();
    let error = engine.run(Generate::text("some text")).unwrap_err();
    assert_eq!(error.code(), Code::Backend, "{error}");
    assert!(error.message().contains("NaN"), "{error}");
}

/// llama.cpp logs to the host's subscriber and to nothing else.
#[test]
fn native_logs_are_events() {
    // Other tests log, too. With one subscriber alone, tracing asks only the thread that first comes by a place in the
    // code whether anybody listens there; with two, it asks them.
    let _second = tracing::Dispatch::new(Lines(Arc::default()));
    let lines = Arc::new(Mutex::new(Vec::new()));
    tracing::subscriber::with_default(Lines(lines.clone()), || opened(File::model().bytes()));
    let lines = lines.lock().unwrap();
    assert!(lines.iter().any(|line| line.contains("loaded meta data with")), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("tensor 'output_norm.weight' not found")), "{lines:?}");
}

/// Keeps what llama.cpp says.
struct Lines(Arc<Mutex<Vec<String>>>);

impl tracing::Subscriber for Lines {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "selvedge::llama"
    }

    fn event(&self, event: &tracing::Event<'_>) {
        struct Message<'a>(&'a mut Vec<String>);
        impl tracing::field::Visit for Message<'_> {
            fn record_debug(&mut self, _: &tracing::field::Field, value: &dyn fmt::Debug) {
                self.0.push(format!("{value:?}"));
            }
        }
        event.record(&mut Message(&mut self.0.lock().unwrap()));
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}
