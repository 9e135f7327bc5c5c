//! Text whose characters know where they are from.

use std::cmp::Ordering;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// Set in a character that a person wrote; no character is that large.
const FOREIGN: u32 = 1 << 31;

/// A character, and whether a person wrote it; that does not count when characters are compared.
#[derive(Clone, Copy)]
pub(in crate::text) struct Char(u32);

impl Char {
    pub(in crate::text) fn own(c: char) -> Self {
        Self(c as u32)
    }

    pub(in crate::text) fn foreign(c: char) -> Self {
        Self(c as u32 | FOREIGN)
    }

    pub(in crate::text) fn get(self) -> char {
        char::from_u32(self.0 & !FOREIGN).unwrap_or(char::REPLACEMENT_CHARACTER)
    }

    pub(in crate::text) fn is_foreign(self) -> bool {
        self.0 & FOREIGN != 0
    }

    /// Another character of the same origin.
    pub(super) fn like(self, c: char) -> Self {
        Self(c as u32 | self.0 & FOREIGN)
    }
}

impl PartialEq for Char {
    fn eq(&self, other: &Self) -> bool {
        self.0 & !FOREIGN == other.0 & !FOREIGN
    }
}

impl Eq for Char {}

impl Ord for Char {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.0 & !FOREIGN).cmp(&(other.0 & !FOREIGN))
    }
}

impl PartialOrd for Char {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for Char {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

/// A text that does not change.
#[derive(Clone)]
pub(in crate::text) struct Text {
    chars: Arc<[Char]>,
    /// Python's `Markup`, from `safe` and `escape`: what is added to it is escaped.
    is_markup: bool,
}

impl Text {
    /// A text of the template, or of the app.
    pub(in crate::text) fn own(text: &str) -> Self {
        text.chars().map(Char::own).collect()
    }

    /// A text that a person may have written.
    pub(in crate::text) fn foreign(text: &str) -> Self {
        text.chars().map(Char::foreign).collect()
    }

    pub(super) fn is(&self, text: &str) -> bool {
        is(self, text)
    }

    pub(super) fn is_markup(&self) -> bool {
        self.is_markup
    }

    pub(super) fn into_markup(self) -> Self {
        Self { is_markup: true, ..self }
    }

    /// With the escapes of HTML, if it has none yet.
    pub(super) fn escaped(&self) -> Self {
        if self.is_markup { self.clone() } else { Self::from(escaped(self)).into_markup() }
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.chars == other.chars
    }
}

impl Eq for Text {}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        self.chars.cmp(&other.chars)
    }
}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Deref for Text {
    type Target = [Char];

    fn deref(&self) -> &[Char] {
        &self.chars
    }
}

impl FromIterator<Char> for Text {
    fn from_iter<I: IntoIterator<Item = Char>>(chars: I) -> Self {
        Self { chars: chars.into_iter().collect(), is_markup: false }
    }
}

impl From<Vec<Char>> for Text {
    fn from(chars: Vec<Char>) -> Self {
        Self { chars: chars.into(), is_markup: false }
    }
}

impl From<&[Char]> for Text {
    fn from(chars: &[Char]) -> Self {
        Self { chars: chars.into(), is_markup: false }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&string(self))
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        string(self).fmt(f)
    }
}

pub(in crate::text) fn string(chars: &[Char]) -> String {
    chars.iter().map(|c| c.get()).collect()
}

pub(super) fn is(chars: &[Char], text: &str) -> bool {
    chars.iter().map(|c| c.get()).eq(text.chars())
}

/// What Python's `str.isspace` and `\s` take for white space.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

pub(super) fn trim_start(chars: &[Char], strip: impl Fn(char) -> bool) -> &[Char] {
    let kept = chars.iter().position(|c| !strip(c.get())).unwrap_or(chars.len());
    &chars[kept..]
}

pub(super) fn trim_end(chars: &[Char], strip: impl Fn(char) -> bool) -> &[Char] {
    let kept = chars.iter().rposition(|c| !strip(c.get())).map_or(0, |at| at + 1);
    &chars[..kept]
}

pub(super) fn escaped(text: &[Char]) -> Vec<Char> {
    let mut out = Vec::new();
    for &c in text {
        let escape = match c.get() {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            '"' => "&#34;",
            '\'' => "&#39;",
            _ => {
                out.push(c);
                continue;
            }
        };
        out.extend(escape.chars().map(|e| c.like(e)));
    }
    out
}

pub(super) fn lower(chars: &[Char]) -> Vec<Char> {
    chars.iter().flat_map(|c| c.get().to_lowercase().map(|l| c.like(l))).collect()
}

pub(super) fn upper(chars: &[Char]) -> Vec<Char> {
    chars.iter().flat_map(|c| c.get().to_uppercase().map(|u| c.like(u))).collect()
}

/// The first letter of a word: `ß` becomes `Ss`, and two letters in one have a form of their own.
pub(super) fn title(c: Char) -> impl Iterator<Item = Char> {
    let pair = match c.get() {
        'Ǆ'..='ǆ' => Some('ǅ'),
        'Ǉ'..='ǉ' => Some('ǈ'),
        'Ǌ'..='ǌ' => Some('ǋ'),
        'Ǳ'..='ǳ' => Some('ǲ'),
        _ => None,
    };
    let mut upper = c.get().to_uppercase();
    let first = pair.or(upper.next()).map(|u| c.like(u));
    let rest = upper.filter(move |_| pair.is_none());
    first.into_iter().chain(rest.flat_map(move |u| u.to_lowercase().map(move |l| c.like(l))))
}
