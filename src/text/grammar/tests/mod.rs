//! Matchers over the vocabulary of a real model and over one of single bytes.

mod forms;
mod hostile;
mod maskbench;
mod schemas;
mod suite;
mod walk;
mod words;

use std::sync::Arc;

use super::{Matcher, Vocabulary, Words};
use crate::engine::Grammar;
use crate::{Code, Digest, Result};

/// What a matcher says of a text that is given to it token by token.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    /// The whole text is of the form.
    Whole,
    /// It is the beginning of one.
    Beginning,
    /// At this token, no text of the form begins so.
    Refused(usize),
}

/// Gives `tokens` to a matcher, each looked for in the mask first.
fn read(matcher: &mut Matcher, tokens: &[u32]) -> Result<Said> {
    for (at, &token) in tokens.iter().enumerate() {
        if matcher.is_done() || !matcher.mask()?.contains(token) {
            return Ok(Said::Refused(at));
        }
        matcher.accept(token)?;
    }
    Ok(if matcher.is_done() || matcher.may_end()? { Said::Whole } else { Said::Beginning })
}

/// A vocabulary with one token for each byte, and one that ends.
fn bytes() -> Arc<Vocabulary> {
    let made = Vocabulary::shared(Digest([1; 32]), || {
        let mut texts: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
        texts.extend([b"<|end|>".to_vec(), b"<|tool|>".to_vec()]);
        let special = (0..258).map(|id| id >= 256).collect();
        Words { texts, special, ends: vec![256] }
    });
    made.unwrap()
}

/// What the form says of a text, byte by byte.
#[track_caller]
fn say(grammar: &Grammar, text: &str) -> Said {
    let tokens: Vec<u32> = text.bytes().map(u32::from).collect();
    read(&mut bytes().matcher(grammar).unwrap(), &tokens).unwrap()
}

#[track_caller]
fn whole(grammar: &Grammar, texts: &[&str]) {
    for text in texts {
        assert_eq!(say(grammar, text), Said::Whole, "{text:?} of {grammar:?}");
    }
}

#[track_caller]
fn not_whole(grammar: &Grammar, texts: &[&str]) {
    for text in texts {
        assert_ne!(say(grammar, text), Said::Whole, "{text:?} of {grammar:?}");
    }
}

/// The refusal of a form names what is wrong.
#[track_caller]
fn refused(grammar: &Grammar, words: &str) {
    let Err(error) = bytes().matcher(grammar) else { panic!("{grammar:?} is not refused") };
    assert_eq!(error.code(), Code::InvalidArgument, "{error}");
    assert!(error.message().contains(words), "expected '{words}' in: {error}");
}
