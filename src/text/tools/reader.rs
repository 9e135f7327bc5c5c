//! Reader: the events of an answer, from its text as it comes.
//!
//! However the text is cut, the events are the same but for where their pieces end. What could still become a mark is held
//! back, and of a call that is being read the whole text is, so that it can be given back if it is none.

mod call;
mod marks;

use std::collections::HashMap;

use super::format::Format;
use super::scan::{ObjectScan, Scan};
use crate::engine::{CallPiece, Event, MalformedCall, Piece, TokenInfo, ToolCall};
use marks::{Found, Kind, Marks};

/// Blanks before the first word that are waited through.
const MAX_BLANKS: usize = 64;

/// The parameters of a tool that are texts, and those that are not.
pub(in crate::text) type Parameters = HashMap<String, bool>;

/// What is looked for in an answer.
#[derive(Debug, Default)]
pub(in crate::text) struct Terms {
    /// How calls are written; `None` if none are looked for.
    pub(in crate::text) format: Option<Format>,
    pub(in crate::text) tools: HashMap<String, Parameters>,
    /// What reasoning stands in.
    pub(in crate::text) tags: Option<(String, String)>,
    /// Whether reasoning is told apart; otherwise it is text, in which no call is looked for.
    pub(in crate::text) separate: bool,
    /// Whether the prompt ends within reasoning.
    pub(in crate::text) is_thinking: bool,
    /// What ids are made from.
    pub(in crate::text) seed: u64,
}

/// Reads one answer.
#[derive(Debug)]
pub(crate) struct Reader {
    terms: Terms,
    marks: Marks,
    state: State,
    /// Text that is not read to its end, and how far it is.
    pending: String,
    at: usize,
    /// Where the call begins that is being read.
    call: usize,
    /// Whether blanks are passed over.
    skips: bool,
    index: u32,
    tokens: Vec<TokenInfo>,
    events: Vec<Event>,
}

#[derive(Debug)]
enum State {
    /// At the first word of an answer, which may be a call without a mark.
    Start,
    Text,
    Thinking,
    /// Past the mark of a call.
    Begin,
    /// In the object that a call is; `is_plain` if no mark says that it is one. So much of its arguments has gone out.
    Object {
        scan: ObjectScan,
        is_plain: bool,
        sent: usize,
    },
    /// Past the name.
    Named {
        name: String,
    },
    Arguments {
        name: String,
        scan: Scan,
        start: usize,
        sent: usize,
    },
    /// Within arguments that stand in marks of their own; what is read of them, as JSON.
    Tagged {
        name: String,
        json: String,
        searched: usize,
    },
    Literal {
        name: String,
        scan: Scan,
        start: usize,
    },
    /// In what is no call.
    Bad {
        reason: String,
        searched: usize,
    },
    /// Past a call, and past the mark of its end.
    After {
        is_closed: bool,
    },
}

impl Reader {
    pub(in crate::text) fn new(terms: Terms) -> Self {
        let marks = Marks::new(terms.format.as_ref(), terms.tags.as_ref());
        let state = if terms.is_thinking { State::Thinking } else { State::Start };
        Self {
            skips: terms.is_thinking && terms.separate,
            terms,
            marks,
            state,
            pending: String::new(),
            at: 0,
            call: 0,
            index: 0,
            tokens: Vec::new(),
            events: Vec::new(),
        }
    }

    /// One that hands on an answer as it is.
    pub(crate) fn plain() -> Self {
        Self::new(Terms::default())
    }

    fn is_plain(&self) -> bool {
        self.terms.format.is_none() && !self.terms.separate
    }

    /// Whether a token of this name, which is no text otherwise, is a part of a mark.
    pub(crate) fn is_mark(&self, name: &str) -> bool {
        !self.is_plain() && self.marks.have(name)
    }

    /// Takes the next piece of the answer.
    pub(crate) fn push(&mut self, piece: Piece) -> Vec<Event> {
        if self.is_plain() {
            return vec![Event::Text(piece)];
        }
        self.pending += &piece.text;
        self.tokens.extend(piece.tokens);
        while self.step(false) {}
        self.forget();
        std::mem::take(&mut self.events)
    }

    /// The answer has ended.
    pub(crate) fn finish(&mut self) -> Vec<Event> {
        while self.step(true) {}
        self.forget();
        if !self.tokens.is_empty() {
            let tokens = std::mem::take(&mut self.tokens);
            self.events.push(Event::Text(Piece::new("", tokens)));
        }
        std::mem::take(&mut self.events)
    }

    /// Frees what is read, but for the beginning of a call that may have to be given back.
    fn forget(&mut self) {
        if matches!(self.state, State::Start | State::Text | State::Thinking | State::After { .. }) {
            self.pending.drain(..self.at);
            self.at = 0;
        }
    }

    fn rest(&self) -> &str {
        &self.pending[self.at..]
    }

    fn skip_blanks(&mut self) {
        self.at = self.pending.len() - self.rest().trim_start().len();
    }

    /// Goes on as far as the next change; `false` once more text is needed, or there is none if it is the `last`.
    fn step(&mut self, last: bool) -> bool {
        match self.state {
            State::Start => self.start(last),
            State::Text => self.text(last),
            State::Thinking => self.thinking(last),
            State::After { is_closed } => self.after(is_closed, last),
            _ => self.in_call(last),
        }
    }

    fn start(&mut self, last: bool) -> bool {
        if self.skips {
            self.skip_blanks();
        }
        let Some(format) = self.terms.format.as_ref().filter(|_| self.marks.may_be_bare) else {
            if self.skips && self.rest().is_empty() {
                return false;
            }
            return self.to(State::Text);
        };
        let rest = self.rest();
        let word = rest.trim_start();
        let begin = self.pending.len() - word.len();
        let blanks = rest.len() - word.len();
        let waits = !last && blanks <= MAX_BLANKS;
        if word.is_empty() {
            return if waits || last && rest.is_empty() { false } else { self.to(State::Text) };
        }
        let tag = self.terms.tags.as_ref().map(|(open, _)| marks::loose(word, open));
        let text = marks::loose(word, &format.text_begin);
        let name = marks::name(word);
        match (tag, text) {
            (Some(Found::Yes(_)), _) => self.to(State::Text),
            (_, Found::Yes(len)) if len > 0 => {
                self.at = begin + len;
                self.skips = true;
                self.to(State::Text)
            }
            (Some(Found::Part), _) | (_, Found::Part) if waits => false,
            _ if format.body.is_object() => match word.strip_prefix('[').map(str::trim_start) {
                Some("") if waits => false,
                Some(inner) if inner.starts_with('{') => self.begin_plain(self.pending.len() - inner.len()),
                None if word.starts_with('{') => self.begin_plain(begin),
                _ => self.to(State::Text),
            },
            _ if name.len() == word.len() && waits && self.terms.tools.keys().any(|tool| tool.starts_with(name)) => {
                false
            }
            _ if self.terms.tools.contains_key(name) => {
                self.call = self.at;
                self.to(State::Begin)
            }
            _ => self.to(State::Text),
        }
    }

    /// An object that may be a call, though no mark says so.
    fn begin_plain(&mut self, at: usize) -> bool {
        (self.call, self.at) = (self.at, at);
        self.to(State::Object { scan: ObjectScan::new(at), is_plain: true, sent: 0 })
    }

    fn to(&mut self, state: State) -> bool {
        self.state = state;
        true
    }

    fn text(&mut self, last: bool) -> bool {
        if self.skips {
            self.skip_blanks();
            self.skips = self.rest().is_empty();
            if self.skips {
                return false;
            }
        }
        let (end, found) = self.marks.next(self.rest(), Kind::is_in_text, last);
        let begin = self.at;
        self.at += end;
        self.show(begin..self.at, false);
        let Some((kind, len)) = found else { return false };
        let mark = self.at;
        self.at += len;
        match kind {
            Kind::Call => {
                self.call = mark;
                self.to(State::Begin)
            }
            Kind::Again => self.to(State::Start),
            Kind::Think | Kind::Thought => {
                if self.terms.separate {
                    self.skips = true;
                } else {
                    self.show(mark..self.at, false);
                }
                self.to(State::Thinking)
            }
        }
    }

    fn thinking(&mut self, last: bool) -> bool {
        if self.skips {
            self.skip_blanks();
            if self.rest().is_empty() {
                return false;
            }
            self.skips = false;
        }
        let (end, found) = self.marks.next(self.rest(), |kind| kind == Kind::Thought, last);
        let begin = self.at;
        self.at += end;
        self.show(begin..self.at, self.terms.separate);
        let Some((_, len)) = found else { return false };
        let mark = self.at;
        self.at += len;
        if self.terms.separate {
            self.skips = true;
        } else {
            self.show(mark..self.at, false);
        }
        self.to(State::Start)
    }

    fn after(&mut self, is_closed: bool, last: bool) -> bool {
        let is_object = self.terms.format.as_ref().is_some_and(|format| format.body.is_object());
        let between = |c: char| is_object && !is_closed && matches!(c, '[' | ']' | ',' | ';');
        // A mark may begin with a bracket, and comes before what is passed over.
        let word = self.rest().trim_start();
        let begin = self.pending.len() - word.len();
        if word.is_empty() {
            self.at = begin;
            return false;
        }
        let (found, is_part) = self.marks.after(word);
        if is_part && !last {
            return false;
        }
        let next = word.chars().next().unwrap_or_default();
        let (end, close, is_begin) = match found {
            Some((marks::Follows::Begin, len)) => (len, false, true),
            Some((marks::Follows::Again, len)) => {
                self.at = begin + len;
                return self.to(State::Start);
            }
            Some((marks::Follows::End, len)) => (len, true, false),
            Some((marks::Follows::Next, len)) => (len, is_closed, false),
            Some((marks::Follows::Close, len)) => {
                self.at = begin + len;
                return self.to(State::Text);
            }
            None if is_object && next == '{' && !is_closed => (0, false, true),
            None if between(next) => (next.len_utf8(), is_closed, false),
            None if self.marks.is_listed && !is_closed && next == ']' => (1, true, false),
            None if self.marks.is_listed && !is_closed && marks::name(word).starts_with(next) => (0, false, true),
            None => {
                self.at = begin;
                return self.to(State::Text);
            }
        };
        self.at = begin + end;
        if is_begin {
            self.call = begin;
            return self.to(State::Begin);
        }
        self.to(State::After { is_closed: close })
    }

    fn show(&mut self, range: std::ops::Range<usize>, is_reasoning: bool) {
        if range.is_empty() {
            return;
        }
        let piece = Piece::new(&self.pending[range], std::mem::take(&mut self.tokens));
        self.events.push(if is_reasoning { Event::Reasoning(piece) } else { Event::Text(piece) });
    }

    fn show_arguments(&mut self, name: &str, arguments: &str) {
        let mut piece = CallPiece::new(self.index, name, arguments);
        piece.tokens = std::mem::take(&mut self.tokens);
        self.events.push(Event::CallPiece(piece));
    }

    fn called(&mut self, id: Option<String>, name: String, arguments: String) -> bool {
        let id = id.unwrap_or_else(|| id_of(self.terms.seed, self.index));
        self.events.push(Event::ToolCall(ToolCall { id, name, arguments }));
        self.index = self.index.saturating_add(1);
        self.to(State::After { is_closed: false })
    }

    fn malformed(&mut self, reason: String) -> bool {
        let text = &self.pending[self.call..self.at];
        self.events.push(Event::Malformed(MalformedCall::new(self.index, text, reason)));
        self.index = self.index.saturating_add(1);
        self.to(State::After { is_closed: true })
    }
}

/// Nine letters and digits, of a conversation and a place. FNV-1a, whose last bits are well mixed by a multiplication.
fn id_of(seed: u64, index: u32) -> String {
    let hash = index
        .to_le_bytes()
        .iter()
        .fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    let mut left = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16;
    let digit = |digit: u64| char::from_digit(digit as u32, 36).unwrap_or('0');
    (0..9)
        .map(|_| {
            let c = digit(left % 36);
            left /= 36;
            c
        })
        .collect()
}
