//! Lark grammars: what is refused of them before they are compiled.

use super::refused;
use crate::Result;

/// How deep a grammar or an expression may nest: far deeper than people write, and not so deep that it takes up a stack.
const MAX_NESTING: usize = 100;

/// The most definitions: they may use one another in a chain.
const MAX_DEFINITIONS: usize = 2000;

/// Attributes and directives that ask for more than a form: how to sample, texts to hide or to report, bytes that are no text.
/// A schema within a grammar would pass by the checks that schemas have.
const REFUSED: &[(&str, &str)] = &[
    ("temperature", "sampling is of the request, not of its grammar"),
    ("stop", "no part of a text can be hidden; 'suffix' keeps it"),
    ("capture", "no part of a text is reported by itself"),
    ("stop_capture", "no part of a text is reported by itself"),
    ("allow_invalid_utf8", "an answer is text"),
    ("%json", "a schema within a grammar is not supported"),
    ("%import", "only what the grammar itself defines is supported"),
];

/// Refuses what the compiler would ignore, and what nests too deep for it.
pub(super) fn check(source: &str) -> Result<()> {
    check_nesting("Lark grammar", source)?;
    let colons = source.bytes().filter(|b| *b == b':').count();
    if colons > MAX_DEFINITIONS {
        let why = format_args!("expected at most {MAX_DEFINITIONS} definitions, by their ':', got {colons}");
        return Err(refused("Lark grammar", why));
    }
    for word in words(source) {
        if let Some((name, why)) = REFUSED.iter().find(|(name, _)| *name == word.text) {
            let what = format!("Lark grammar: line {}: '{name}'", word.line);
            return Err(refused(&what, why));
        }
    }
    Ok(())
}

/// Refuses brackets that nest too deep, in whatever they stand.
pub(super) fn check_nesting(what: &str, source: &str) -> Result<()> {
    let (mut depth, mut escaped) = (0usize, false);
    for byte in source.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_NESTING {
            return Err(refused(what, format_args!("expected brackets to nest at most {MAX_NESTING} deep")));
        }
    }
    Ok(())
}

/// A word outside of strings, expressions and comments that stands where an attribute or a directive does.
struct Word<'a> {
    text: &'a str,
    line: usize,
}

fn words(source: &str) -> Vec<Word<'_>> {
    let bytes = source.as_bytes();
    let (mut words, mut at, mut line) = (Vec::new(), 0, 1);
    while at < bytes.len() {
        let end = match bytes[at] {
            b'#' => end_of_line(bytes, at),
            b'/' if bytes.get(at + 1) == Some(&b'/') => end_of_line(bytes, at),
            quote @ (b'"' | b'/') => end_of_quoted(bytes, at + 1, quote),
            b'%' | b'_' | b'a'..=b'z' | b'A'..=b'Z' => {
                let part = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
                let end = at + 1 + bytes[at + 1..].iter().take_while(|b| part(b)).count();
                let text = &source[at..end];
                // Of a rule's name, nothing is known but by what follows: an attribute has a value, or a neighbour.
                let next = source[end..].trim_start().bytes().next();
                let is_attribute = matches!(next, Some(b'=' | b',' | b']'));
                // Its options are JSON, in which the name is a string.
                if text == "%llguidance"
                    && source[end..].lines().next().is_some_and(|l| l.contains("allow_invalid_utf8"))
                {
                    words.push(Word { text: "allow_invalid_utf8", line });
                }
                if text.starts_with('%') || is_attribute {
                    words.push(Word { text, line });
                }
                end
            }
            _ => at + 1,
        };
        line += bytes[at..end].iter().filter(|b| **b == b'\n').count();
        at = end;
    }
    words
}

fn end_of_line(bytes: &[u8], from: usize) -> usize {
    from + bytes[from..].iter().position(|b| *b == b'\n').unwrap_or(bytes.len() - from)
}

fn end_of_quoted(bytes: &[u8], from: usize, quote: u8) -> usize {
    let mut at = from;
    while at < bytes.len() && bytes[at] != quote {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}
