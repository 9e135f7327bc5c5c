//! Marks: where they begin in a text, whatever blanks are in them.

use super::super::format::{Body, Format};

/// Blanks in a row that may be in a mark.
const MAX_BLANKS: usize = 16;

/// Whether a text begins with a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It does, in so many bytes.
    Yes(usize),
    /// So far as it goes.
    Part,
    No,
}

/// Compares without blanks: models write more of them than templates do, or fewer.
pub(super) fn loose(text: &str, mark: &str) -> Found {
    let mut wanted = mark.chars().filter(|c| !c.is_whitespace());
    let Some(mut next) = wanted.next() else { return Found::Yes(0) };
    let mut blanks = 0;
    for (at, c) in text.char_indices() {
        if c == next {
            blanks = 0;
            match wanted.next() {
                Some(c) => next = c,
                None => return Found::Yes(at + c.len_utf8()),
            }
        } else if c.is_whitespace() && at > 0 && blanks < MAX_BLANKS {
            blanks += 1;
        } else {
            return Found::No;
        }
    }
    Found::Part
}

/// The characters of a name that a text begins with.
pub(super) fn name(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '-' | '.'));
    &text[..end.unwrap_or(text.len())]
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A call begins.
    Call,
    /// A call without a mark of its own may begin.
    Again,
    Think,
    Thought,
}

impl Kind {
    pub(super) fn is_in_text(self) -> bool {
        self != Kind::Thought
    }
}

/// What a mark after a call says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Follows {
    Begin,
    Again,
    End,
    /// Another call follows in the list.
    Next,
    Close,
}

/// The marks of a format and of reasoning.
#[derive(Debug, Default)]
pub(super) struct Marks {
    all: Vec<(Kind, String)>,
    ends: Vec<(Follows, String)>,
    /// Everything that is written around calls.
    texts: Vec<String>,
    /// What stands before each call.
    pub(super) each: String,
    /// Whether an answer may begin with a call without any mark.
    pub(super) may_be_bare: bool,
    /// Whether calls follow each other in a list, without marks of their own.
    pub(super) is_listed: bool,
}

impl Marks {
    pub(super) fn new(format: Option<&Format>, tags: Option<&(String, String)>) -> Self {
        let mut marks = Self::default();
        if let Some(format) = format {
            marks.of_format(format);
        }
        if let Some((open, close)) = tags {
            marks.all.extend([(Kind::Think, open.clone()), (Kind::Thought, close.clone())]);
            marks.texts.extend([open.clone(), close.clone()]);
        }
        marks
    }

    fn of_format(&mut self, format: &Format) {
        let Format { open, begin, end, between, close, body, .. } = format;
        // A list is one whether its brackets are there or not.
        let lead = |text: &str| match body {
            Body::Object { .. } => {
                text.trim_end_matches(|c: char| c == '[' || c.is_whitespace()).trim_start().to_owned()
            }
            _ => text.trim().to_owned(),
        };
        let (first, each) = (lead(open), lead(begin));
        let has_mark = !first.is_empty() || !each.is_empty();
        // A bracket begins a call where one may begin, and not in any text.
        let is_mark = |mark: &str| mark.len() > 2;
        self.each = each.clone();
        self.all
            .extend([&first, &each].into_iter().filter(|mark| is_mark(mark)).map(|mark| (Kind::Call, mark.clone())));
        self.ends.extend([first, each].into_iter().filter(|mark| !mark.is_empty()).map(|mark| (Follows::Begin, mark)));
        if !has_mark && between.chars().filter(|c| !c.is_whitespace()).count() > 1 {
            self.all.push((Kind::Again, between.trim().to_owned()));
            self.ends.push((Follows::Again, between.trim().to_owned()));
        }
        let mut ends = vec![(Follows::End, end), (Follows::Close, close)];
        if !open.is_empty() {
            ends.push((Follows::Next, between));
        }
        let ends = ends.into_iter().map(|(end, mark)| (end, mark.trim().to_owned()));
        self.ends.extend(ends.filter(|(_, mark)| !mark.is_empty()));
        self.may_be_bare = !has_mark;
        self.is_listed = begin.trim().is_empty() && !open.is_empty() && !body.is_object();
        self.texts.extend(format.texts().into_iter().map(str::to_owned));
    }

    /// Whether a text is a part of a mark.
    pub(super) fn have(&self, text: &str) -> bool {
        !text.is_empty() && self.texts.iter().any(|mark| mark.contains(text))
    }

    /// The first mark of a kind in a text: where, which and how long. Without one, how far none can begin.
    pub(super) fn next(&self, text: &str, of: impl Fn(Kind) -> bool, last: bool) -> (usize, Option<(Kind, usize)>) {
        let marks: Vec<&(Kind, String)> = self.all.iter().filter(|(kind, _)| of(*kind)).collect();
        let firsts: Vec<char> = marks.iter().filter_map(|(_, mark)| mark.chars().next()).collect();
        for (at, _) in text.char_indices().filter(|(_, c)| firsts.contains(c)) {
            let here = &text[at..];
            let mut longest: Option<(Kind, usize)> = None;
            let mut is_part = false;
            for (kind, mark) in &marks {
                match loose(here, mark) {
                    Found::Yes(len) if longest.is_none_or(|(_, longest)| len > longest) => longest = Some((*kind, len)),
                    Found::Part => is_part = true,
                    _ => {}
                }
            }
            if is_part && !last {
                return (at, None);
            }
            if longest.is_some() {
                return (at, longest);
            }
        }
        (text.len(), None)
    }

    /// The longest mark that follows a call, and whether one may be coming.
    pub(super) fn after(&self, text: &str) -> (Option<(Follows, usize)>, bool) {
        let mut longest: Option<(Follows, usize)> = None;
        let mut is_part = false;
        for (end, mark) in &self.ends {
            match loose(text, mark) {
                Found::Yes(len) if longest.is_none_or(|(_, longest)| len > longest) => longest = Some((*end, len)),
                Found::Part => is_part = true,
                _ => {}
            }
        }
        (longest, is_part)
    }
}
