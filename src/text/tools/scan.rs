//! Scanners: where a bracketed value ends, character by character and in any depth.

use std::ops::Range;

/// How texts are quoted in a value.
#[derive(Clone, Debug)]
pub(super) enum Quotes {
    /// `"`, with `\` before a character that is meant as such.
    Json,
    /// `"` or `'`, with `\`.
    Python,
    /// A mark on either side.
    Mark(Vec<char>),
}

/// Follows a value from its first bracket to the one that closes it.
#[derive(Clone, Debug)]
pub(super) struct Scan {
    quotes: Quotes,
    depth: usize,
    /// The quote of the text that it is in.
    quote: Option<char>,
    escaped: bool,
    /// Characters of a quoting mark that have been seen.
    marked: usize,
}

impl Scan {
    pub(super) fn new(quotes: Quotes) -> Self {
        Self { quotes, depth: 0, quote: None, escaped: false, marked: 0 }
    }

    /// Whether the value ends with this character.
    pub(super) fn push(&mut self, c: char) -> bool {
        match &self.quotes {
            Quotes::Mark(mark) => {
                self.marked = match mark.get(self.marked) {
                    Some(next) if *next == c => self.marked + 1,
                    _ => usize::from(mark.first() == Some(&c)),
                };
                if self.marked > 0 {
                    if self.marked == mark.len() {
                        self.marked = 0;
                        self.quote = self.quote.xor(Some(c));
                    }
                    return false;
                }
            }
            _ if self.quote.is_some() => {
                match c {
                    _ if self.escaped => self.escaped = false,
                    '\\' => self.escaped = true,
                    c if self.quote == Some(c) => self.quote = None,
                    _ => {}
                }
                return false;
            }
            Quotes::Json if c == '"' => self.quote = Some(c),
            Quotes::Python if matches!(c, '"' | '\'') => self.quote = Some(c),
            _ => {}
        }
        if self.quote.is_some() {
            return false;
        }
        match c {
            '{' | '[' | '(' => self.depth += 1,
            '}' | ']' | ')' => {
                self.depth = self.depth.saturating_sub(1);
                return self.depth == 0;
            }
            _ => {}
        }
        false
    }
}

/// Follows a JSON object, and finds the members of it that a call has.
#[derive(Clone, Debug)]
pub(super) struct ObjectScan {
    scan: Scan,
    /// Where the object begins.
    pub(super) start: usize,
    text: Range<usize>,
    is_value: bool,
    key: Option<Member>,
    value: Option<usize>,
    pub(super) found: [Option<Range<usize>>; 4],
    /// Whether there is a key that no call has.
    pub(super) has_other: bool,
}

/// The members of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Member {
    Name,
    Arguments,
    Id,
    /// OpenAI's object around name and arguments.
    Function,
}

/// Names of members, beside those of a format.
const MEMBERS: &[(&str, Member)] = &[
    ("name", Member::Name),
    ("tool_name", Member::Name),
    ("arguments", Member::Arguments),
    ("parameters", Member::Arguments),
    ("id", Member::Id),
    ("tool_call_id", Member::Id),
    ("function", Member::Function),
];

impl ObjectScan {
    pub(super) fn new(start: usize) -> Self {
        Self {
            scan: Scan::new(Quotes::Json),
            start,
            text: 0..0,
            is_value: false,
            key: None,
            value: None,
            found: [const { None }; 4],
            has_other: false,
        }
    }

    /// Takes the character `c` at `at` of `text`; whether the object ends with it.
    pub(super) fn push(&mut self, c: char, at: usize, text: &str, names: (&str, &str)) -> bool {
        let was_quoted = self.scan.quote.is_some();
        let depth = self.scan.depth;
        let ends = self.scan.push(c);
        if depth != 1 {
            return ends;
        }
        match (was_quoted, self.scan.quote.is_some()) {
            (false, true) => {
                self.text.start = at;
                if self.is_value && self.value.is_none() {
                    self.value = Some(at);
                }
            }
            (true, false) => self.text.end = at + c.len_utf8(),
            (true, true) => {}
            (false, false) => match c {
                ':' if !self.is_value => {
                    let key = text.get(self.text.clone()).unwrap_or_default().trim_matches('"');
                    let known = MEMBERS.iter().find(|(name, _)| *name == key).map(|(_, member)| *member);
                    self.key = match key {
                        key if key == names.0 => Some(Member::Name),
                        key if key == names.1 => Some(Member::Arguments),
                        _ => known,
                    };
                    self.has_other |= self.key.is_none() && key != "type";
                    (self.is_value, self.value) = (true, None);
                }
                ',' | '}' => {
                    if let (Some(member), Some(start)) = (self.key.take(), self.value.take()) {
                        self.found[member as usize].get_or_insert(start..at);
                    }
                    self.is_value = false;
                }
                c if self.is_value && self.value.is_none() && !c.is_whitespace() => self.value = Some(at),
                _ => {}
            },
        }
        ends
    }

    /// The value of a member that is whole.
    pub(super) fn member<'t>(&self, member: Member, text: &'t str) -> Option<&'t str> {
        self.found[member as usize].clone().and_then(|range| text.get(range)).map(str::trim)
    }

    /// Where the arguments begin, if they are an object; and where they end, or what is known of them by `at`.
    pub(super) fn arguments(&self, at: usize, text: &str) -> Option<Range<usize>> {
        let range = match (&self.found[Member::Arguments as usize], self.key, self.value) {
            (Some(range), _, _) => range.start..range.start + text.get(range.clone())?.trim_end().len(),
            // What follows them may be blank.
            (None, Some(Member::Arguments), Some(start)) if self.scan.depth > 1 => start..at,
            _ => return None,
        };
        text[range.clone()].starts_with('{').then_some(range)
    }
}
