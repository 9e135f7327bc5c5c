//! Requests of every kind to tiny models, each known by its number, and what each of them gets when nobody else asks.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use selvedge::{
    Answer, Ask, Call, Engine, Finish, Generate, Grammar, Message, Options, Prompt, Request, Score, Tensor, TokenInfo,
    open,
};

use crate::random::splitmix64;
use crate::tiny::{self, tokens};
use crate::{adapters, craft};

/// Requests that there are: few enough that many of a schedule begin alike, or are the same.
pub(crate) const COUNT: usize = 200;
/// The products of such an adapter are computed row by row, as those of Q4_1 are: 6 divides neither by 4 nor by 8.
const RANK: usize = 6;

const SCHEMA: &str = r#"{"type":"object","properties":{"n":{"type":"integer","minimum":0,"maximum":99},
    "is":{"enum":["x","yes"]},"of":{"type":"array","items":{"type":"boolean"},"maxItems":2}},"required":["n","is"],"additionalProperties":false}"#;

/// Numbers of a seed.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn below(&mut self, n: usize) -> usize {
        (splitmix64(&mut self.0) % n as u64) as usize
    }

    /// Whether a thing happens that happens once in so many times.
    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// The request of a number, in a context of so many tokens.
pub(crate) fn request(number: usize, context: usize) -> Request {
    let mut chance = Chance(number as u64 * 7919 + 1);
    if chance.one_in(8) {
        let request = Score::new(prompt(&mut chance, context), ["yes", "no, never", "y"]);
        return adapted(request, Score::adapter, &mut chance).into();
    }
    let prompt = if chance.one_in(5) { chat(&mut chance) } else { prompt(&mut chance, context) };
    let max = if chance.one_in(12) { None } else { Some(1 + chance.below(20) as u32) };
    let mut request = Generate::new(prompt).max_tokens(max).logprobs(true);
    request = match chance.below(8) {
        0 => request.temperature(1.0).top_k(8).seed(number as u32),
        1 => request.temperature(2.5).top_p(0.9).seed(number as u32),
        2 => request.repeat_penalty(1.3),
        3 => request.ban([65, 66, 270]).top_logprobs(3),
        _ => request,
    };
    request = match chance.below(12) {
        0 => request.grammar(Grammar::json_schema(SCHEMA)),
        1 => request.grammar(Grammar::regex("[a-f]{3,9}(-[0-9]{2}){1,2}")),
        2 => request.grammar(Grammar::lark("start: (\"yes\" | N) \".\"\nN: /[0-9]{1,4}/")),
        3 => request.grammar(Grammar::gbnf("root ::= item{1,3}\nitem ::= \"- \" [a-z]{1,4} \"\\n\"")),
        _ => request,
    };
    request = match chance.below(6) {
        0 => request.stop(["token2", "en1"]),
        1 => request.stop(["e", "1"]),
        _ => request,
    };
    adapted(request, Generate::adapter, &mut chance).into()
}

fn adapted<T>(request: T, with: impl Fn(T, &'static str, f32) -> T, chance: &mut Chance) -> T {
    match chance.below(9) {
        0 => with(request, "one", 1.0),
        1 => with(request, "one", 0.5),
        2 => with(request, "two", -1.0),
        // Not both: llama.cpp adds their changes in the order of their addresses, which rounds otherwise in each engine.
        3 => with(request, "two", 0.25),
        _ => request,
    }
}

/// Begins as others do, and parts from them somewhere.
fn prompt(chance: &mut Chance, context: usize) -> Prompt {
    let stem = tokens(420, chance.below(3));
    let common =
        chance.one_of(if context > 256 { &[8, 30, 48, 100, 180, 300, 400] } else { &[8, 30, 48, 64, 100, 180] });
    let (own, seed) = (chance.below(40), 5 + chance.below(30));
    Prompt::Tokens(stem[..common].iter().copied().chain(tokens(own, seed)).collect())
}

/// Turns of a few conversations: what one turn computes the next one begins with.
fn chat(chance: &mut Chance) -> Prompt {
    let topic = chance.one_of(&["sea", "bread"]);
    let turns = (0..1 + 2 * chance.below(3)).map(|turn| match turn % 2 {
        0 => Message::user(format!("{turn}: more of the {topic}, please.")),
        _ => Message::assistant(format!("{topic}, {turn}, and so on")),
    });
    Prompt::Chat(turns.collect())
}

/// All of an answer that must not depend on who else is served.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) text: String,
    pub(crate) finish: Finish,
    tokens: Vec<TokenInfo>,
    top_logprobs: Vec<Vec<TokenInfo>>,
    outputs: Vec<(String, Tensor)>,
    input_tokens: u64,
    output_tokens: u64,
    adapters: Vec<(String, f32)>,
}

impl From<&Answer> for Outcome {
    fn from(answer: &Answer) -> Self {
        Self {
            text: answer.text.clone(),
            finish: answer.finish.clone(),
            tokens: answer.tokens.clone(),
            top_logprobs: answer.top_logprobs.clone(),
            outputs: answer.outputs.clone(),
            input_tokens: answer.usage.input_tokens,
            output_tokens: answer.usage.output_tokens,
            adapters: answer.adapters.iter().map(|adapter| (adapter.name.clone(), adapter.scale)).collect(),
        }
    }
}

/// A family of models that requests are put to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Family {
    Llama,
    /// One of its layers sees 16 tokens back.
    Gemma3,
}

/// Models and adapters in a folder, and the answers that requests get alone.
pub(crate) struct Models {
    pub(crate) folder: tempfile::TempDir,
    /// Whether their prompts are computed with kernels of this library.
    own_products: bool,
    alone: HashMap<(Family, usize, usize), Outcome>,
}

impl Models {
    pub(crate) fn new(own_products: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write = |file: &craft::File, name: &str| tiny::write(file, folder.path(), name);
        let with_template = |file: craft::File| {
            let turns = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}";
            tiny::quantized(file).text("tokenizer.chat_template", turns)
        };
        for (name, file) in [("llama", tiny::llama(1024)), ("gemma3", tiny::gemma3(1024))] {
            write(&with_template(file), &format!("{name}.gguf"));
            for seed in [1, 2] {
                let adapter = adapters::of_rank(seed, RANK).text("general.architecture", name);
                write(&adapter, &format!("{name}.{seed}.lora"));
            }
        }
        Self { folder, own_products, alone: HashMap::new() }
    }

    pub(crate) fn open(&self, family: Family, options: Options) -> Arc<dyn Engine> {
        open(path(self.folder.path(), family, "gguf"), options).unwrap()
    }

    /// Options with both adapters, in one order or the other.
    pub(crate) fn options(&self, family: Family, context: usize, turned: bool) -> Options {
        let adapter = |number: usize| path(self.folder.path(), family, &format!("{number}.lora"));
        let mut names = [("one", 1), ("two", 2)];
        if turned {
            names.reverse();
        }
        let mut options = Options::new().context_tokens(context as u32).threads(1);
        options.own_products = self.own_products;
        names.iter().fold(options, |options, (name, number)| options.adapter(*name, adapter(*number)))
    }

    /// What a request gets from an engine that was opened for it.
    pub(crate) fn alone(&mut self, family: Family, context: usize, number: usize) -> Outcome {
        if let Some(outcome) = self.alone.get(&(family, context, number)) {
            return outcome.clone();
        }
        let engine = self.open(family, self.options(family, context, false).parallel(1));
        let answer = engine.run_with(request(number, context), Call::new()).unwrap();
        assert_eq!(answer.usage.cached_tokens, 0);
        let outcome = Outcome::from(&answer);
        self.alone.insert((family, context, number), outcome.clone());
        outcome
    }
}

fn path(folder: &Path, family: Family, ending: &str) -> PathBuf {
    let name = if family == Family::Llama { "llama" } else { "gemma3" };
    folder.join(format!("{name}.{ending}"))
}
