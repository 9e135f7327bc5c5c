//! Fragments: what llama.cpp cuts a text into around tokens that are looked for before all others, and how long that takes.
//!
//! Tokens that a vocabulary calls user-defined count wherever they stand: of Gemma, rows of line ends and blanks, and tags of
//! HTML. llama.cpp keeps a text and these tokens in a linked list, which it walks from the beginning for each one that it
//! finds. So the time grows with the square of their number: 16,384 took 1 s, 32,768 took 4 s. A long text is given to it in
//! parts, cut behind such tokens, so that each part has few: 15 µs for each. The ids are the same.

use std::ops::Range;

use crate::{Error, Result};

/// Tokens of a part after which it is cut where that can be done.
const FEW: usize = 512;
/// The most tokens of a part that can be cut nowhere.
const MOST: usize = 8192;

/// The tokens that are looked for before all others.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    /// Their texts in order, so that those with one beginning are side by side.
    texts: Vec<Box<[u8]>>,
    /// Some of them take the blanks beside them away: a part that begins with those would keep them.
    strips: bool,
}

impl Fragments {
    pub(super) fn new(texts: impl IntoIterator<Item = Box<[u8]>>, strips: bool) -> Self {
        let mut texts: Vec<Box<[u8]>> = texts.into_iter().filter(|text| !text.is_empty()).collect();
        texts.sort_unstable();
        texts.dedup();
        Self { texts, strips }
    }

    /// The parts of a text. One ends only where a token certainly does: one that lies over all the others that it touches is
    /// the longest of them, and so llama.cpp finds it before them.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a text with too many such tokens that touch each other.
    pub(super) fn parts<'t>(&self, text: &'t str) -> Result<Vec<&'t str>> {
        let (mut parts, mut begin, mut found, mut greedy) = (Vec::new(), 0, 0, 0);
        // Tokens that touch each other, and whether the first one lies over all so far.
        let (mut touching, mut covered): (Range<usize>, bool) = (0..0, false);
        // A token is a byte at least.
        let enough = text.len() > FEW && !self.texts.is_empty();
        for at in if enough { 0..text.len() } else { 0..0 } {
            if at == touching.end && covered && found >= FEW && !self.strips && text.is_char_boundary(at) {
                parts.push(&text[begin..at]);
                (begin, found) = (at, 0);
            }
            let Some(len) = self.longest(&text.as_bytes()[at..]) else { continue };
            let end = at + len;
            if at >= touching.end {
                (touching, covered) = (at..end, true);
            } else if end > touching.end {
                (touching.end, covered) = (end, false);
            }
            if at >= greedy {
                (greedy, found) = (end, found + 1);
            }
            if found > MOST {
                return Err(Error::invalid(format!(
                    "a text: expected at most {MOST} tokens that are looked for first and touch each other, got more"
                )));
            }
        }
        parts.push(&text[begin..]);
        Ok(parts)
    }

    /// The length of the longest of the tokens that the text begins with.
    fn longest(&self, text: &[u8]) -> Option<usize> {
        let (mut alike, mut len, mut longest) = (&*self.texts, 0, None);
        while let Some(&byte) = text.get(len) {
            let begin = alike.partition_point(|token| token.get(len) < Some(&byte));
            let end = alike.partition_point(|token| token.get(len) <= Some(&byte));
            alike = &alike[begin..end];
            let Some(first) = alike.first() else { break };
            len += 1;
            if first.len() == len {
                longest = Some(len);
            }
        }
        longest
    }
}

#[cfg(test)]
mod tests;
