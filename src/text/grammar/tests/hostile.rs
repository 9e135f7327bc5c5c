//! Forms that are made to take up a stack, a heap or an afternoon: each is refused, or compiled within the bounds, and what is
//! compiled gives its first masks.

mod lists;

use super::bytes;
use super::words::smollm;
use crate::Code;
use crate::engine::Grammar;
use lists::Form;

#[test]
fn no_form_takes_more_than_it_may() {
    let vocabulary = smollm().unwrap_or_else(bytes);
    let (mut cases, mut refusals, mut slowest) = (0, 0, (std::time::Duration::ZERO, String::new()));
    for form in lists::forms() {
        let grammar = match form {
            Form::Schema(source) => Grammar::JsonSchema(source),
            Form::Regex(source) => Grammar::Regex(source),
            Form::Lark(source) => Grammar::Lark(source),
            Form::Gbnf(source) => Grammar::Gbnf(source),
        };
        let begin = std::time::Instant::now();
        let compiled = vocabulary.matcher(&grammar);
        // As much as a run asks of it; a refusal may come as late as this.
        let used = compiled.and_then(|mut matcher| {
            for _ in 0..8 {
                if matcher.is_done() {
                    break;
                }
                let Some(token) = matcher.mask()?.tokens(usize::MAX).last() else { break };
                matcher.accept(token)?;
            }
            Ok(())
        });
        let took = begin.elapsed();
        let text = format!("{grammar:?}").chars().take(90).collect::<String>();
        if took > slowest.0 {
            slowest = (took, text.clone());
        }
        if let Err(error) = used {
            assert_eq!(error.code(), Code::InvalidArgument, "{text}: {error}");
            assert!(error.message().len() < 1000 && !error.message().contains("panic"), "{text}: {error}");
            refusals += 1;
        }
        cases += 1;
    }
    println!("{cases} hostile forms, {refusals} refused; the slowest took {:?}: {}", slowest.0, slowest.1);
    assert!(cases > 250 && refusals > 180, "{cases} cases, {refusals} refused");
}
