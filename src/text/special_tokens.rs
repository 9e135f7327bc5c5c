//! Special tokens in chats: what a person writes must not become one.
//!
//! A chat template writes special tokens as text (`<|im_end|>`), and so may a person. Once rendered, the two look alike,
//! but every character still knows where it is from. A special token with a character of a person in it, whatever the
//! template cut, stripped or joined to make it, is handed on as plain text.

use super::jinja::Char;

/// A part of a rendered conversation.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) text: String,
    /// Whether special tokens written in it are meant as such.
    pub(crate) special: bool,
}

/// The special tokens of a vocabulary.
#[derive(Debug, Default)]
pub(super) struct SpecialTokens {
    /// The texts in order, so that those with one beginning are side by side.
    texts: Vec<Box<[u8]>>,
}

impl SpecialTokens {
    pub(super) fn new(special: impl IntoIterator<Item = String>) -> Self {
        let mut texts: Vec<Box<[u8]>> =
            special.into_iter().filter(|text| !text.is_empty()).map(|text| text.into_bytes().into()).collect();
        texts.sort_unstable();
        texts.dedup();
        Self { texts }
    }

    /// A rendered conversation in parts. No part in which special tokens count has one with a foreign character in it,
    /// in whatever order they are looked for; and no token of the template itself is cut.
    pub(super) fn split(&self, rendered: &[Char]) -> Vec<Segment> {
        let text: String = rendered.iter().map(|c| c.get()).collect();
        if !rendered.iter().any(|c| c.is_foreign()) {
            return vec![Segment { text, special: true }];
        }
        let foreign = self.foreign_tokens(&text, rendered);
        let mut segments = Vec::new();
        let mut rest = &*text;
        for range in foreign {
            let (before, after) = rest.split_at(range.start - (text.len() - rest.len()));
            let (token, after) = after.split_at(range.len());
            if !before.is_empty() {
                segments.push(Segment { text: before.to_owned(), special: true });
            }
            segments.push(Segment { text: token.to_owned(), special: false });
            rest = after;
        }
        if !rest.is_empty() || segments.is_empty() {
            segments.push(Segment { text: rest.to_owned(), special: true });
        }
        segments
    }

    /// What lies in a special token with a foreign character, and in none without.
    fn foreign_tokens(&self, text: &str, rendered: &[Char]) -> Vec<std::ops::Range<usize>> {
        let next_foreign = next_foreign(text.len(), rendered);
        let mut ranges: Vec<std::ops::Range<usize>> = Vec::new();
        // Where the tokens that began so far end.
        let (mut own_end, mut foreign_end) = (0, 0);
        for (at, &next) in next_foreign.iter().enumerate() {
            for len in self.lengths(&text.as_bytes()[at..]) {
                let end = if next < at + len { &mut foreign_end } else { &mut own_end };
                *end = (*end).max(at + len);
            }
            if at < foreign_end && at >= own_end {
                match ranges.last_mut() {
                    Some(last) if last.end == at => last.end = at + 1,
                    _ => ranges.push(at..at + 1),
                }
            }
        }
        ranges
    }

    /// The lengths of the special tokens that `text` begins with.
    fn lengths(&self, text: &[u8]) -> impl Iterator<Item = usize> {
        let mut alike = &*self.texts;
        let mut len = 0;
        std::iter::from_fn(move || {
            while let Some(&byte) = text.get(len) {
                let begin = alike.partition_point(|token| token.get(len) < Some(&byte));
                let end = alike.partition_point(|token| token.get(len) <= Some(&byte));
                alike = &alike[begin..end];
                let first = alike.first()?;
                len += 1;
                if first.len() == len {
                    return Some(len);
                }
            }
            None
        })
    }
}

/// For each byte, where the next foreign one is, itself included.
fn next_foreign(bytes: usize, rendered: &[Char]) -> Vec<usize> {
    let mut next = vec![usize::MAX; bytes];
    let mut at = bytes;
    let mut found = usize::MAX;
    for c in rendered.iter().rev() {
        for _ in 0..c.get().len_utf8() {
            at -= 1;
            if c.is_foreign() {
                found = at;
            }
            next[at] = found;
        }
    }
    next
}
