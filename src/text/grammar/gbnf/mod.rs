//! GBNF, the notation of llama.cpp's grammars, said in Lark.
//!
//! Lark has a lexer, and GBNF has none: there a rule may end in the middle of what looks like a word. So everything that does
//! not come back to itself becomes one terminal, the rules that it uses included: a regular expression takes exactly what the
//! rules do. Between terminals the longest one counts, so of an ambiguous grammar that does come back to itself some texts may
//! be left out; none are added.

mod parse;
mod write;

use super::lark::check_nesting;
use super::refused;
use crate::{Error, Result};

/// The most rules of a grammar: they may use one another in a chain.
const MAX_RULES: usize = 1000;
/// The most repetitions that a grammar may count.
const MAX_COUNT: u32 = 10_000;

/// A part of a rule.
#[derive(Debug, PartialEq)]
enum Part {
    Text(String),
    /// One character of the ranges, or none of them.
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    /// The rule of this number.
    Rule(usize),
    Sequence(Vec<Part>),
    Choice(Vec<Part>),
    /// At least so many, at most so many.
    Repeat(Box<Part>, u32, Option<u32>),
}

impl Part {
    /// Any one character.
    fn any() -> Self {
        Self::Class { negated: false, ranges: vec![('\0', char::MAX)] }
    }

    fn for_each_rule(&self, f: &mut impl FnMut(usize)) {
        match self {
            Part::Rule(rule) => f(*rule),
            Part::Sequence(parts) | Part::Choice(parts) => parts.iter().for_each(|part| part.for_each_rule(f)),
            Part::Repeat(part, ..) => part.for_each_rule(f),
            Part::Text(_) | Part::Class { .. } => {}
        }
    }
}

/// A grammar: its rules, and which of them it begins with.
#[derive(Debug)]
struct Rules {
    parts: Vec<Part>,
    root: usize,
}

/// The grammar in Lark.
///
/// # Errors
///
/// `InvalidArgument` for one that is wrong, with the line, or that nests too deep.
pub(super) fn to_lark(source: &str) -> Result<String> {
    check_nesting("GBNF grammar", source)?;
    Ok(write::write(&parse::parse(source)?))
}

fn fault(line: usize, why: impl std::fmt::Display) -> Error {
    refused(&format!("GBNF grammar: line {line}"), why)
}

#[cfg(test)]
mod tests;
