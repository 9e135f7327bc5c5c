use crate::engine::{Answer, Finish, Provenance, TokenInfo, Usage};
use crate::layer::cascade::{Check, Threshold, confidence};
use crate::layer::probe::{Classes, Tokens};
use crate::{Digest, Tensor};

fn answer(text: &str, finish: Finish) -> Answer {
    let provenance = Provenance::new("small", Digest::default(), "fake", "fake");
    let mut answer = Answer::new(finish, Usage::default(), provenance.into());
    answer.text = text.into();
    answer
}

#[test]
fn texts_are_judged() {
    let keys = || Check::json_with(["city", "country"]);
    let refusal = || Check::no_refusal(["I cannot", "als Sprachmodell"]);
    let cases: Vec<(Check, &str, bool)> = vec![
        (Check::json(), " {\"a\": [1, null]}\n", true),
        (Check::json(), "7", true),
        (Check::json(), "{\"a\": 1} and that is it", false),
        (Check::json(), "```json\n{}\n```", false),
        (Check::json(), "", false),
        (keys(), r#"{"country": null, "city": "Paris", "more": 1}"#, true),
        (keys(), r#"{"city": "Paris"}"#, false),
        (keys(), r#"["city", "country"]"#, false),
        (keys(), r#"{"in": {"city": 1, "country": 2}}"#, false),
        (Check::length(2..=4), "  Öl\n", true),
        (Check::length(2..=4), "Öläöü", false),
        (Check::length(1..=4), "   ", false),
        (refusal(), "Paris", true),
        (refusal(), "Well, i CANNOT say", false),
        (refusal(), "Als SPRACHMODELL weiß ich es nicht", false),
    ];
    for (check, text, passes) in cases {
        assert_eq!(check.passes(&answer(text, Finish::EndOfText)), passes, "{}: {text:?}", check.name());
    }
    // Deeper than any honest answer: refused, and no stack is used up.
    assert!(!Check::json().passes(&answer(&"[".repeat(1_000_000), Finish::EndOfText)));
}

#[test]
fn ends_are_judged() {
    let stop = Finish::Stop("\n".into());
    for (finish, passes) in [
        (Finish::EndOfText, true),
        (Finish::Complete, true),
        (stop, true),
        (Finish::Length, false),
        (Finish::ContextFull, false),
    ] {
        assert_eq!(Check::finished().passes(&answer("a", finish.clone())), passes, "{finish:?}");
    }
}

#[test]
fn a_check_that_panics_has_failed() {
    assert!(!Check::that("mine", |answer| answer.text.as_bytes()[7] > 0).passes(&answer("short", Finish::EndOfText)));
}

#[test]
fn a_confidence_is_that_of_the_least_sure_row() {
    let rows = |dims: &[usize], p: &[f32]| {
        let mut answer = answer("", Finish::Complete);
        answer.outputs = vec![("p".into(), Tensor::new(dims, p.to_vec()).unwrap())];
        answer
    };
    let probe = Classes::of("p");
    let sure = |above: f32, answer: &Answer| Check::confident(Classes::of("p"), Threshold::fixed(above)).passes(answer);
    let two = rows(&[2, 2], &[0.9, 0.1, 0.25, 0.75]);
    assert_eq!(confidence(&probe, &two), Some(0.75));
    assert!(sure(0.7, &two) && !sure(0.75, &two) && !sure(0.8, &two));
    // Nothing is known of a row, or there is none: not even the lowest threshold accepts that.
    for unknown in [rows(&[2, 2], &[0.9, 0.1, f32::NAN, 0.5]), rows(&[2, 2], &[f32::NAN, 0.5, 0.9, 0.1])] {
        assert_eq!(confidence(&probe, &unknown), None);
        assert!(!sure(f32::NEG_INFINITY, &unknown));
    }
    assert_eq!(confidence(&probe, &answer("", Finish::Complete)), None);
    assert_eq!(confidence(&Classes::of("other"), &two), None);
    let mut text = answer("a b", Finish::EndOfText);
    text.tokens = [0.5f32, 0.125].map(|p| TokenInfo::new(1, Some(p.ln()))).into();
    assert!((confidence(&Tokens, &text).unwrap() - 0.25).abs() < 1e-6);
    text.tokens = vec![TokenInfo::new(1, None)];
    assert_eq!(confidence(&Tokens, &text), None, "logprobs were not asked for");
}
