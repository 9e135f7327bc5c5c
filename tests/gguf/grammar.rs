//! Texts held to a form, through a real model: SmolLM2-135M, which would write something else.

use std::thread;

use selvedge::{Answer, Ask, Call, Code, Finish, Generate, Grammar, Message};

use crate::code;
use crate::generate::shared;

const PERSON: &str = r#"{"type":"object","properties":{"name":{"type":"string","maxLength":20},
    "age":{"type":"integer","minimum":0,"maximum":150},"likes":{"type":"array","items":{"enum":["tea","coffee","water"]},"minItems":1,"maxItems":3}},
    "required":["name","age","likes"],"additionalProperties":false}"#;

fn ask(grammar: Grammar) -> Generate {
    Generate::chat([Message::user("Ann is 31 years old and drinks tea. Describe her.")])
        .max_tokens(120)
        .grammar(grammar)
}

#[track_caller]
fn is_a_person(answer: &Answer) {
    assert_eq!(answer.finish, Finish::EndOfText, "{}", answer.text);
    let validator = jsonschema::validator_for(&serde_json::from_str(PERSON).unwrap()).unwrap();
    let value = serde_json::from_str(&answer.text).unwrap_or_else(|e| panic!("{}: {e}", answer.text));
    assert!(validator.is_valid(&value), "{value}");
}

#[test]
fn json_validates_greedy_and_drawn() {
    let Some(engine) = shared() else { return };
    let request = || ask(Grammar::json_schema(PERSON));
    is_a_person(&engine.run(request()).unwrap());
    let mut whole = 0;
    for seed in 0..8 {
        for drawn in [request().temperature(1.5), request().temperature(1.0).top_k(5).repeat_penalty(1.3)] {
            let answer = engine.run(drawn.seed(seed)).unwrap();
            // JSON may have blanks without end, and a hot model likes them.
            if answer.finish != Finish::Length {
                is_a_person(&answer);
                whole += 1;
            }
        }
    }
    assert!(whole > 0, "one of 16 is whole");
    let with = engine.run(request().logprobs(true)).unwrap();
    is_a_person(&with);
    // Of the model, and not of what the form leaves: there, the first brace had no rival.
    assert!(with.tokens[0].logprob.unwrap() < -0.1, "{:?}", with.tokens[0]);
    assert!(with.tokens.iter().all(|token| token.logprob.unwrap() <= 0.0));
}

#[test]
fn every_kind_of_form_holds() {
    let Some(engine) = shared() else { return };
    let text = |grammar: Grammar| {
        let answer = engine.run(ask(grammar)).unwrap();
        assert_eq!(answer.finish, Finish::EndOfText, "{}", answer.text);
        answer.text
    };
    let year = text(Grammar::regex("in the year [12][0-9]{3}"));
    assert!(year.starts_with("in the year ") && year.len() == 16, "{year}");
    let sum = text(Grammar::lark("start: N (\" + \" N){2}\nN: /[0-9]{1,3}/"));
    assert!(sum.split(" + ").count() == 3 && sum.split(" + ").all(|n| n.parse::<u16>().is_ok()), "{sum}");
    let list = text(Grammar::gbnf("root ::= item{3}\nitem ::= \"- \" [a-z]{1,12} \"\\n\""));
    let is_item = |line: &str| line.strip_prefix("- ").is_some_and(|word| word.bytes().all(|b| b.is_ascii_lowercase()));
    assert!(list.lines().count() == 3 && list.lines().all(is_item), "{list}");
}

#[test]
fn a_cut_answer_says_so() {
    let Some(engine) = shared() else { return };
    let cut = engine.run(ask(Grammar::json_schema(PERSON)).max_tokens(5)).unwrap();
    assert_eq!((cut.finish, cut.tokens.len()), (Finish::Length, 5));
    assert!(serde_json::from_str::<serde_json::Value>(&cut.text).is_err(), "{}", cut.text);
    // The last token that is allowed completes it: it is whole.
    let whole = engine.run(ask(Grammar::regex("yes|no"))).unwrap();
    let exact = engine.run(ask(Grammar::regex("yes|no")).max_tokens(whole.tokens.len() as u32)).unwrap();
    assert_eq!((exact.finish, exact.text), (Finish::EndOfText, whole.text));
    let stopped = engine.run(ask(Grammar::json_schema(PERSON)).stop(["age"])).unwrap();
    assert_eq!(stopped.finish, Finish::Stop("age".into()));
}

#[test]
fn a_wrong_form_is_refused_at_the_start() {
    let Some(engine) = shared() else { return };
    let start = |grammar: Grammar| engine.start(ask(grammar).into(), Call::new());
    let error = start(Grammar::json_schema(r#"{"properties":{"a":{"contains":{}}}}"#)).map(|_| ()).unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    assert!(error.to_string().contains("/properties/a/contains"), "{error}");
    assert_eq!(code(start(Grammar::regex("("))), Code::InvalidArgument);
    assert_eq!(code(start(Grammar::lark("start: x"))), Code::InvalidArgument);
    assert_eq!(code(start(Grammar::gbnf("root ::= x"))), Code::InvalidArgument);
}

/// Who is held to a form sits in the same batches, and those beside notice nothing.
#[test]
fn free_texts_beside_a_form_are_unchanged() {
    let Some(engine) = shared() else { return };
    let free = |i: u32| Generate::text(format!("The number {i} is")).max_tokens(24).logprobs(true);
    let alone: Vec<Answer> = (0..3).map(|i| engine.run(free(i)).unwrap()).collect();
    let form = engine.run(ask(Grammar::json_schema(PERSON))).unwrap();
    thread::scope(|scope| {
        let held = scope.spawn(|| engine.run(ask(Grammar::json_schema(PERSON))).unwrap());
        let beside: Vec<_> = (0..3).map(|i| scope.spawn(move || engine.run(free(i)).unwrap())).collect();
        for (alone, beside) in alone.iter().zip(beside) {
            let beside = beside.join().unwrap();
            assert_eq!((&alone.text, &alone.tokens), (&beside.text, &beside.tokens));
        }
        assert_eq!(held.join().unwrap().text, form.text);
    });
}

#[cfg(feature = "schemars")]
mod typed {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Debug, schemars::JsonSchema, serde::Deserialize)]
    #[allow(dead_code, reason = "filled, and looked at by Debug")]
    struct Person {
        name: Name,
        age: u8,
        drink: Option<Drink>,
        size: f32,
    }

    #[derive(Debug, schemars::JsonSchema, serde::Deserialize)]
    #[schemars(extend("maxLength" = 12))]
    struct Name(String);

    #[derive(Debug, schemars::JsonSchema, serde::Deserialize)]
    #[serde(rename_all = "snake_case")]
    #[allow(dead_code, reason = "as above")]
    enum Drink {
        Tea,
        /// Black.
        Coffee,
        Water {
            litres: u8,
        },
    }

    fn question() -> Generate {
        Generate::chat([Message::user("Ann is 31 years old and drinks tea. Describe her.")]).max_tokens(200)
    }

    #[test]
    fn an_answer_is_a_value_of_a_type() {
        let Some(engine) = shared() else { return };
        for seed in 0..4 {
            let person: Person = engine.generate_as(question().temperature(0.8).seed(seed)).unwrap();
            assert!(person.name.0.chars().count() <= 12, "{person:?}");
        }
    }

    #[test]
    fn what_is_no_value_is_a_typed_error() {
        let Some(engine) = shared() else { return };
        let cut = engine.generate_as::<Person>(question().max_tokens(4)).unwrap_err();
        assert!(cut.code() == Code::InvalidArgument && cut.message().contains("max_tokens"), "{cut}");
        let stopped = engine.generate_as::<Person>(question().stop(["age"])).unwrap_err();
        assert!(stopped.message().starts_with("stop:"), "{stopped}");
        let twice = engine.generate_as::<Person>(question().grammar(Grammar::regex("a"))).unwrap_err();
        assert!(twice.message().starts_with("grammar:"), "{twice}");
        let set = engine.generate_as::<std::collections::BTreeSet<u8>>(question()).unwrap_err();
        assert!(set.message().contains("uniqueItems"), "{set}");
        assert!(engine.generate_as::<BTreeMap<String, bool>>(question().max_tokens(3)).is_err());
    }
}
