//! Special tokens in chats: what a person writes must not become one.
//!
//! A chat template writes special tokens as text (`<|im_end|>`), and so may a person. After rendering, the two look
//! alike. Therefore the conversation is rendered a second time with every character of the contents that could begin
//! a special token replaced by a private stand-in. If that changes nothing else, the stand-ins show exactly which
//! special tokens came from a content, and those are handed on as plain text. A template that looks into the
//! contents (to cut out `<think>`, for one) may answer the stand-ins differently; then only characters that begin a
//! complete special token are replaced, which leaves what such a template does in order.

use std::collections::HashMap;

use crate::Result;
use crate::engine::{Message, Role};

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
    /// The texts by their first character, longest first.
    texts: HashMap<char, Vec<String>>,
}

impl SpecialTokens {
    pub(super) fn new(special: impl IntoIterator<Item = String>) -> Self {
        let mut texts: HashMap<char, Vec<String>> = HashMap::new();
        for text in special {
            if let Some(first) = text.chars().next() {
                texts.entry(first).or_default().push(text);
            }
        }
        for texts in texts.values_mut() {
            texts.sort_by_key(|t| std::cmp::Reverse(t.len()));
        }
        Self { texts }
    }

    /// Renders `messages` and tells the template's special tokens from the messages'.
    pub(super) fn render(
        &self,
        messages: &[Message],
        render: impl Fn(&[Message]) -> Result<String>,
    ) -> Result<Vec<Segment>> {
        let plain = render(messages)?;
        if !messages.iter().any(|m| self.suspicious(&m.content) || self.suspicious(m.role.name())) {
            return Ok(vec![Segment { text: plain, special: true }]);
        }
        let stand_ins = self.stand_ins(&plain, messages);
        let all = render(&masked(messages, |text| self.mask(text, &stand_ins, |_| true)))?;
        if unmask(&all, &stand_ins).0 == plain {
            return Ok(self.cut(&all, &stand_ins));
        }
        let complete = |rest: &str| self.begins(rest).is_some();
        let some = render(&masked(messages, |text| self.mask(text, &stand_ins, complete)))?;
        Ok(self.cut(&some, &stand_ins))
    }

    fn suspicious(&self, text: &str) -> bool {
        text.chars().any(|c| self.texts.contains_key(&c))
    }

    /// The longest special token that `text` begins with.
    fn begins(&self, text: &str) -> Option<&str> {
        let texts = self.texts.get(&text.chars().next()?)?;
        texts.iter().find(|t| text.starts_with(t.as_str())).map(String::as_str)
    }

    /// One character of the private planes per first character, none of which occurs already.
    fn stand_ins(&self, plain: &str, messages: &[Message]) -> HashMap<char, char> {
        let taken: std::collections::HashSet<char> = plain
            .chars()
            .chain(messages.iter().flat_map(|m| m.content.chars().chain(m.role.name().chars())))
            .filter(|&c| c >= '\u{F0000}')
            .collect();
        let free = ('\u{F0000}'..='\u{10FFFD}').filter(|c| !taken.contains(c));
        self.texts.keys().copied().zip(free).collect()
    }

    fn mask(&self, text: &str, stand_ins: &HashMap<char, char>, when: impl Fn(&str) -> bool) -> String {
        text.char_indices()
            .map(|(at, c)| match stand_ins.get(&c) {
                Some(&stand_in) if when(&text[at..]) => stand_in,
                _ => c,
            })
            .collect()
    }

    fn cut(&self, masked: &str, stand_ins: &HashMap<char, char>) -> Vec<Segment> {
        let (text, from_messages) = unmask(masked, stand_ins);
        let mut segments = Vec::new();
        let mut begin = 0;
        for at in from_messages {
            let Some(token) = text.get(at..).and_then(|rest| self.begins(rest)) else { continue };
            if at < begin {
                continue;
            }
            if at > begin {
                segments.push(Segment { text: text[begin..at].to_owned(), special: true });
            }
            segments.push(Segment { text: token.to_owned(), special: false });
            begin = at + token.len();
        }
        if begin < text.len() {
            segments.push(Segment { text: text[begin..].to_owned(), special: true });
        }
        segments
    }
}

/// The text with the characters back that stand-ins stand for, and where those are.
fn unmask(masked: &str, stand_ins: &HashMap<char, char>) -> (String, Vec<usize>) {
    let back: HashMap<char, char> = stand_ins.iter().map(|(&c, &s)| (s, c)).collect();
    let mut text = String::with_capacity(masked.len());
    let mut places = Vec::new();
    for c in masked.chars() {
        match back.get(&c) {
            Some(&original) => {
                places.push(text.len());
                text.push(original);
            }
            None => text.push(c),
        }
    }
    (text, places)
}

fn masked(messages: &[Message], mask: impl Fn(&str) -> String) -> Vec<Message> {
    messages
        .iter()
        .map(|m| {
            let role = match &m.role {
                Role::Other(name) => Role::Other(mask(name)),
                role => role.clone(),
            };
            Message::new(role, mask(&m.content))
        })
        .collect()
}
