//! Generating in the form of a JSON Schema, beside generating freely.

use std::path::Path;

use selvedge::{Finish, Grammar, Trim};

use crate::asking::{Timed, engine, prompt, request};
use crate::figures::{Ratios, load, median, rounds};

const ROUNDS: usize = 7;
const NEW_TOKENS: u32 = 128;
const PROMPT: usize = 48;
/// Strings, numbers, names and one of a few words; never done within the tokens.
const SCHEMA: &str = r#"{
    "type": "object",
    "properties": {
        "people": {
            "type": "array",
            "minItems": 40,
            "items": {
                "type": "object",
                "properties": {
                    "name": { "type": "string", "maxLength": 20 },
                    "age": { "type": "integer", "minimum": 0, "maximum": 120 },
                    "town": { "enum": ["Aldmoor", "Bexley", "Corran"] },
                    "about": { "type": "string", "maxLength": 80 }
                },
                "required": ["name", "age", "town", "about"],
                "additionalProperties": false
            }
        }
    },
    "required": ["people"],
    "additionalProperties": false
}"#;

/// Tokens per second with the schema over those without, compiling the schema included.
pub(crate) fn bench(path: &Path, threads: u32) {
    let engine = engine(path, threads, 1024, 1);
    let (mut ratios, mut prepared) = (Ratios::default(), Vec::new());
    for round in 0..=rounds(ROUNDS) {
        let prompt = prompt(&*engine, &format!("Round {round}"), PROMPT);
        let ask = |grammar: Option<Grammar>| {
            engine.trim(Trim::Caches).expect("forgets");
            let timed = Timed::ask(&*engine, request(&prompt, NEW_TOKENS).grammar(grammar));
            assert_eq!((timed.answer.finish.clone(), timed.tokens().len()), (Finish::Length, NEW_TOKENS as usize));
            timed
        };
        let formed = || ask(Some(Grammar::json_schema(SCHEMA)));
        let (formed, free) = if round % 2 == 0 {
            let formed = formed();
            (formed, ask(None))
        } else {
            let free = ask(None);
            (formed(), free)
        };
        let text = &formed.answer.text;
        assert!(text.trim_start().starts_with('{') && text.contains("\"people\""), "not of the form: {text}");
        if round > 0 {
            ratios.speed(formed.whole - formed.prompt(), free.whole - free.prompt());
            prepared.push(formed.answer.usage.prepare.as_secs_f64() * 1e3);
        }
    }
    println!("form, {threads} threads: {:.2} ms to prepare, load {}", median(&mut prepared), load());
    ratios.at_least(&format!("json_schema_{threads}t_over_free"), 0.95);
}
