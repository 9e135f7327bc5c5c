//! Splitter: what cuts a text into words before they become tokens, and the stack it needs.
//!
//! For byte-pair encoding llama.cpp splits a text with regular expressions first. For some pre-tokenizers the splitter is written
//! by hand; for the others it is `std::regex`, which calls itself once per character of what it tries to match, so that a long
//! row of blanks overruns the stack of a thread. Such a text is tokenized on a stack that is large enough for it.

use std::borrow::Cow;

use crate::{Error, Result};

/// Characters of a stretch that any thread has stack enough for.
const ON_ANY_STACK: usize = 64;
/// Bytes of stack per character. 784 were the most for the 36 splitters of llama.cpp 0.1.161, on x86-64 with gcc 13 at `-O3`.
const STACK_PER_CHARACTER: usize = 2048;
const STACK: usize = 512 << 10;
/// For `superbpe` the time grows with the square of a row of digits: 20,000 took 12 s.
const MAX_DIGITS: usize = 4096;

/// What splits a text into words, before these are encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::backend::llama) struct Splitter {
    /// It may be one that calls itself.
    recursive: bool,
    /// The most digits in a row that it can be given.
    max_digits: Option<usize>,
    /// It takes words and leaves the blanks between them to the encoder, which ends the process at two in a row.
    single_blanks: bool,
}

impl Splitter {
    /// That of a vocabulary: of byte pairs, with the name of its pre-tokenizer.
    pub(super) fn of(byte_pairs: bool, pre: &str) -> Self {
        Self {
            recursive: byte_pairs,
            max_digits: (byte_pairs && pre == "superbpe").then_some(MAX_DIGITS),
            single_blanks: byte_pairs && pre == "whitespace",
        }
    }

    /// The text as the splitter may be given it.
    pub(super) fn text(self, text: &str) -> Cow<'_, str> {
        if !self.single_blanks {
            return text.into();
        }
        let mut before = false;
        let kept = text.chars().filter(|c| !std::mem::replace(&mut before, c.is_whitespace()) || !c.is_whitespace());
        kept.collect::<String>().into()
    }

    /// The stack that a text needs; `None` if any is enough.
    pub(super) fn stack(self, text: &str) -> Option<usize> {
        let characters = if self.recursive { longest_stretch(text) } else { 0 };
        (characters > ON_ANY_STACK).then(|| characters.saturating_mul(STACK_PER_CHARACTER).saturating_add(STACK))
    }

    pub(super) fn check(self, text: &str) -> Result<()> {
        let Some(most) = self.max_digits else { return Ok(()) };
        let longest = text.split(|c: char| !c.is_numeric()).map(|run| run.chars().count()).max().unwrap_or(0);
        if longest > most {
            return Err(Error::invalid(format!(
                "a text: the pre-tokenizer 'superbpe' takes at most {most} digits in a row, got {longest}"
            )));
        }
        Ok(())
    }
}

/// Characters of the longest part of a text that one match can go through. No splitter goes on from the end of a line to a
/// character that is neither a blank nor a slash.
fn longest_stretch(text: &str) -> usize {
    let (mut longest, mut current, mut after_line) = (0, 0, false);
    for c in text.chars() {
        if after_line && !c.is_whitespace() && c != '/' {
            (longest, current) = (longest.max(current), 0);
        }
        after_line = matches!(c, '\n' | '\r') || after_line && (c.is_whitespace() || c == '/');
        current += 1;
    }
    longest.max(current)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_ends_where_a_line_does() {
        assert_eq!(longest_stretch(""), 0);
        assert_eq!(longest_stretch("abc def"), 7);
        assert_eq!(longest_stretch("abc\ndefgh\nij"), 6);
        assert_eq!(longest_stretch("abc\n\n  \n defgh"), 9, "blanks belong to the line before");
        assert_eq!(longest_stretch("a\n/\n/\nb"), 6, "a slash goes on");
        assert_eq!(longest_stretch(&"中\n".repeat(100)), 2);
    }

    #[test]
    fn only_byte_pairs_need_a_stack() {
        let row = " ".repeat(8000);
        assert_eq!(Splitter::of(false, "").stack(&row), None);
        assert!(Splitter::of(true, "tekken").stack(&row).is_some_and(|bytes| bytes > 8000 * 784));
        assert_eq!(Splitter::of(true, "tekken").stack(&"a line of words\n".repeat(8000)), None);
    }

    #[test]
    fn blanks_are_single_where_two_end_the_process() {
        assert_eq!(Splitter::of(true, "whitespace").text("a  b \n\t c "), "a b c ");
        assert_eq!(Splitter::of(true, "tekken").text("a  b"), "a  b");
    }

    #[test]
    fn rows_of_digits_are_bounded_where_they_take_long() {
        let row = "7".repeat(MAX_DIGITS + 1);
        assert!(Splitter::of(true, "llama-bpe").check(&row).is_ok());
        let error = Splitter::of(true, "superbpe").check(&row).unwrap_err();
        assert!(error.message().contains("at most 4096 digits in a row, got 4097"), "{error}");
    }
}
