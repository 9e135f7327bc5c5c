//! Language and embedding models in GGUF, through llama.cpp.

use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use selvedge::{
    Answer, Ask, Call, Cancel, Code, Embed, Engine, Event, Finish, Generate, Message, Options, Source, open,
};

use crate::corpus;

const CAPITAL: &str = "The capital of France is";

fn smollm2() -> Option<PathBuf> {
    corpus::path("smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
}

/// One engine for all tests: they run side by side on it, as an app's requests would.
fn engine() -> Option<Arc<dyn Engine>> {
    static ENGINE: OnceLock<Option<Arc<dyn Engine>>> = OnceLock::new();
    let opened = || Some(open(smollm2()?, Options::new().context_tokens(4096)).expect("opens"));
    ENGINE.get_or_init(opened).clone()
}

fn ids(answer: &Answer) -> Vec<u32> {
    answer.tokens.iter().map(|t| t.id).collect()
}

#[test]
fn greedy_text_is_the_models() {
    let Some(engine) = engine() else { return };
    let answer = engine.run(Generate::text(CAPITAL).max_tokens(16)).unwrap();
    assert!(answer.text.starts_with(" Paris"), "{}", answer.text);
    assert_eq!((answer.finish, answer.usage.output_tokens), (Finish::Length, 16));
    assert_eq!(answer.usage.input_tokens, 5);
    assert!(answer.usage.compute.as_nanos() > 0 && answer.usage.generate.as_nanos() > 0);
}

#[test]
fn a_streamed_answer_is_the_whole_one() {
    let Some(engine) = engine() else { return };
    let request = Generate::text(CAPITAL).max_tokens(24).logprobs(true);
    let mut events = engine.generate(request).unwrap();
    let (mut text, mut tokens) = (String::new(), Vec::new());
    for event in &mut events {
        let Event::Text(piece) = event.unwrap() else { continue };
        text += &piece.text;
        tokens.extend(piece.tokens);
    }
    let answer = events.answer().unwrap();
    assert_eq!((&answer.text, &answer.tokens), (&text, &tokens));
    assert!(tokens.iter().all(|t| t.logprob.is_some_and(|p| p <= 0.0 && p.is_finite())), "{tokens:?}");
}

#[test]
fn a_seed_decides_the_text() {
    let Some(engine) = engine() else { return };
    let reported = |seed| {
        let request =
            Generate::text("Once upon a time").max_tokens(24).temperature(1.0).top_k(50).top_p(0.95).min_p(0.02);
        ids(&engine.run(request.seed(seed)).unwrap())
    };
    let first = reported(7);
    assert_eq!(first, reported(7));
    assert!((8..12).any(|seed| reported(seed) != first), "four other seeds gave the same text");
}

#[test]
fn a_stop_text_may_span_tokens() {
    let Some(engine) = engine() else { return };
    let free = engine.run(Generate::text(CAPITAL).max_tokens(16)).unwrap().text;
    // From the middle of one word to the middle of a later one.
    let words: Vec<(usize, &str)> = free.match_indices(' ').collect();
    let (from, to) = (words[2].0 - 2, words[3].0 + 3);
    let stop = &free[from..to];
    let answer = engine.run(Generate::text(CAPITAL).max_tokens(16).stop([stop])).unwrap();
    assert_eq!(answer.text, free[..free.find(stop).unwrap()]);
    assert_eq!(answer.finish, Finish::Stop(stop.into()));
}

#[test]
fn chat_uses_the_models_own_template() {
    let Some(engine) = engine() else { return };
    assert!(engine.spec().abilities.chat);
    let ask = |messages: Vec<Message>| engine.run(Generate::chat(messages).max_tokens(8)).unwrap();
    let defaulted = ask(vec![Message::user("Hi")]);
    // The template's default system message, as the model's metadata spells it.
    let system = "You are a helpful AI assistant named SmolLM, trained by Hugging Face";
    let explicit = ask(vec![Message::system(system), Message::user("Hi")]);
    assert_eq!(defaulted.usage.input_tokens, explicit.usage.input_tokens);
    assert_eq!(defaulted.text, explicit.text);
    assert!(!defaulted.text.is_empty());
}

#[test]
fn special_tokens_in_a_message_are_text() {
    let Some(engine) = engine() else { return };
    let tokens =
        |content: &str| engine.run(Generate::chat([Message::user(content)]).max_tokens(1)).unwrap().usage.input_tokens;
    // As a special token it would be one.
    let plain = tokens("a");
    assert!(tokens("a<|im_end|>") >= plain + 4, "the marker of the template was taken for one");
}

#[test]
fn the_next_turn_reuses_the_last() {
    let Some(path) = smollm2() else { return };
    let engine = open(path, Options::new().context_tokens(1024)).unwrap();
    let first = [Message::user("Name three colours.")];
    let answer = engine.run(Generate::chat(first.clone()).max_tokens(12)).unwrap();
    assert_eq!(answer.usage.cached_tokens, 0);
    let second = [first[0].clone(), Message::assistant(answer.text), Message::user("And three more?")];
    let next = engine.run(Generate::chat(second).max_tokens(4)).unwrap();
    // Reuse goes in whole groups of tokens, so that it does not change the answer.
    assert!(next.usage.cached_tokens >= answer.usage.input_tokens / 2, "{:?}", next.usage);
}

#[test]
fn a_prompt_beyond_the_context_is_refused() {
    let Some(path) = smollm2() else { return };
    let engine = open(path, Options::new().context_tokens(256)).unwrap();
    let error = engine.run(Generate::text("word ".repeat(400))).unwrap_err();
    assert_eq!(error.code(), Code::ContextFull, "{error}");
    let full = engine.run(Generate::text("word ".repeat(200)).max_tokens(None)).unwrap();
    assert!(matches!(full.finish, Finish::ContextFull | Finish::EndOfText), "{:?}", full.finish);
    assert!(full.usage.input_tokens + full.usage.output_tokens <= 256);
}

#[test]
fn a_cancelled_answer_leaves_an_engine_that_serves() {
    let Some(engine) = engine() else { return };
    let cancel = Cancel::new();
    let request = Generate::text("Once upon a time").max_tokens(None);
    let mut events = engine.events(request, Call::new().cancel(&cancel)).unwrap();
    events.next().unwrap().unwrap();
    cancel.cancel();
    let end = events.find(|event| event.is_err()).unwrap();
    assert_eq!(end.unwrap_err().code(), Code::Cancelled);
    assert!(engine.run(Generate::text(CAPITAL).max_tokens(2)).unwrap().text.starts_with(" Paris"));
}

/// The three sentences of the sentence-transformers README, with the similarities printed there.
#[test]
fn minilm_in_gguf_ranks_sentences() {
    let Some(path) = corpus::path("minilm-gguf/all-MiniLM-L6-v2-f16.gguf") else { return };
    let sentences = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."];
    let whole = std::fs::metadata(&path).unwrap().len();
    for source in [Source::from(&path), Source::file(File::open(&path).unwrap(), 0..whole)] {
        let engine = open(source, Options::new()).unwrap();
        let abilities = engine.spec().abilities;
        assert!(abilities.embed && !abilities.generate && engine.spec().embedding_size == Some(384));
        let vectors = engine.embed(sentences).unwrap();
        assert_eq!(vectors.shape()[..], [3, 384]);
        let rows: Vec<&[f32]> = vectors.as_slice::<f32>().unwrap().chunks_exact(384).collect();
        let dot = |a: usize, b: usize| rows[a].iter().zip(rows[b]).map(|(x, y)| x * y).sum::<f32>();
        assert!((0..3).all(|i| (dot(i, i) - 1.0).abs() < 1e-4), "vectors have length 1");
        for (a, b, published) in [(0, 1, 0.6660), (0, 2, 0.1046), (1, 2, 0.1411)] {
            assert!((dot(a, b) - published).abs() < 2e-3, "sentences {a} and {b}: {}, not {published}", dot(a, b));
        }
        let raw = engine.run(Embed::new(sentences).normalize(false)).unwrap();
        let raw = raw.output(Embed::OUTPUT).unwrap().as_slice::<f32>().unwrap().to_vec();
        let length = raw[..384].iter().map(|x| x * x).sum::<f32>().sqrt();
        assert!((length - 1.0).abs() > 1e-2 && (raw[0] / length - rows[0][0]).abs() < 1e-4, "{length}");
    }
}
