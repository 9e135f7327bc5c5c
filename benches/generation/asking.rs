//! Asking: engines, prompts, and the times of one answer.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use selvedge::{Answer, Call, Engine, Generate, Options, Prompt, Request, Step, Tokenizer, open};

const STORY: &str =
    "Once upon a time there was a mill by the river, and in the mill lived a miller with his three sons. ";

/// An engine with so many threads, of so many tokens in so many runs.
pub(crate) fn engine(path: &Path, threads: u32, context: u32, parallel: u32) -> Arc<dyn Engine> {
    open(path, options(threads, context, parallel)).expect("the model opens")
}

/// The options of such an engine.
pub(crate) fn options(threads: u32, context: u32, parallel: u32) -> Options {
    Options::new().threads(threads).context_tokens(context).parallel(parallel)
}

/// A prompt of `len` tokens that begins with `begin`. With another beginning nothing of it is computed before.
pub(crate) fn prompt(engine: &dyn Engine, begin: &str, len: usize) -> Vec<u32> {
    let text = format!("{begin}. {}", STORY.repeat(len / 16 + 1));
    let mut tokens = tokenizer(engine).tokenize(&Prompt::Text(text)).expect("a text");
    assert!(tokens.len() >= len, "the story is too short");
    tokens.truncate(len);
    tokens
}

/// A story of about so many tokens.
pub(crate) fn story(tokens: usize) -> String {
    STORY.repeat(tokens / 23)
}

fn tokenizer(engine: &dyn Engine) -> &dyn Tokenizer {
    engine.tokenizer().expect("a text engine")
}

/// A greedy request for so many tokens.
pub(crate) fn request(prompt: &[u32], new_tokens: u32) -> Generate {
    Generate::new(Prompt::Tokens(prompt.to_vec())).max_tokens(new_tokens)
}

/// An answer, and the seconds to its first piece and to its end.
pub(crate) struct Timed {
    pub(crate) first: f64,
    pub(crate) whole: f64,
    pub(crate) answer: Answer,
}

impl Timed {
    /// Asks, and waits for the end.
    pub(crate) fn ask(engine: &dyn Engine, request: impl Into<Request>) -> Self {
        let begin = Instant::now();
        let mut run = engine.start(request.into(), Call::new()).expect("starts");
        let mut first = None;
        loop {
            match run.step().expect("goes on") {
                Step::Event(_) => _ = first.get_or_insert_with(|| begin.elapsed().as_secs_f64()),
                Step::Done(answer) => {
                    let whole = begin.elapsed().as_secs_f64();
                    return Self { first: first.unwrap_or(whole), whole, answer };
                }
                _ => {}
            }
        }
    }

    /// Asks for a continuation that must have so many tokens.
    pub(crate) fn continuation(engine: &dyn Engine, prompt: &[u32], new_tokens: u32) -> Self {
        let timed = Self::ask(engine, request(prompt, new_tokens));
        assert_eq!(timed.answer.usage.output_tokens, u64::from(new_tokens), "the answer must not end by itself");
        assert_eq!(timed.answer.usage.cached_tokens, 0, "the prompt must be computed");
        timed
    }

    pub(crate) fn tokens(&self) -> Vec<u32> {
        self.answer.tokens.iter().map(|token| token.id).collect()
    }

    /// Seconds of computing the prompt.
    pub(crate) fn prompt(&self) -> f64 {
        self.answer.usage.compute.as_secs_f64()
    }

    /// Seconds of generating.
    pub(crate) fn generation(&self) -> f64 {
        self.answer.usage.generate.as_secs_f64()
    }
}
