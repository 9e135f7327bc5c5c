//! Pieces of an answer, from its tokens: whole characters, and never a part of a stop text.

use std::collections::VecDeque;

use super::stop::Stop;
use super::utf8::Utf8;
use crate::engine::{Piece, TokenInfo};

/// Turns tokens into the pieces of an answer.
///
/// A token goes out with the first text that it had a part in. Tokens that only made a stop text are dropped with it.
#[derive(Debug)]
pub(crate) struct Pieces {
    utf8: Utf8,
    stop: Stop,
    /// Tokens that have not gone out, with the place in the stream of text where they began.
    waiting: VecDeque<(usize, TokenInfo)>,
    /// Characters made, and passed by the stop texts, in bytes of text.
    made: usize,
    passed: usize,
}

/// What a token brought.
#[derive(Debug, PartialEq)]
pub(crate) struct Pushed {
    /// Text to show, if any.
    pub(crate) piece: Option<Piece>,
    /// The stop text that came up; the answer ends before it.
    pub(crate) stop: Option<String>,
}

impl Pieces {
    /// No stop text may be empty.
    pub(crate) fn new(stop: Vec<String>) -> Self {
        Self { utf8: Utf8::default(), stop: Stop::new(stop), waiting: VecDeque::new(), made: 0, passed: 0 }
    }

    /// Takes a token and the bytes of its text.
    pub(crate) fn push(&mut self, token: TokenInfo, bytes: &[u8]) -> Pushed {
        self.waiting.push_back((self.made, token));
        let mut text = String::new();
        self.utf8.push(bytes, &mut text);
        self.made += text.len();
        let passed = self.stop.push(&text);
        Pushed { piece: self.piece(passed.text), stop: passed.stop.map(|i| self.stop.text(i).to_owned()) }
    }

    /// No more tokens come: what was held back, and the tokens that are outstanding.
    pub(crate) fn finish(&mut self) -> Pushed {
        let mut text = String::new();
        self.utf8.finish(&mut text);
        self.made += text.len();
        let mut passed = self.stop.push(&text);
        if passed.stop.is_none() {
            let rest = self.stop.finish();
            passed.text.push_str(&rest.text);
            passed.stop = rest.stop;
        }
        let mut piece = self.piece(passed.text);
        if passed.stop.is_none() && !self.waiting.is_empty() {
            piece.get_or_insert_default().tokens.extend(self.waiting.drain(..).map(|(_, token)| token));
        }
        Pushed { piece, stop: passed.stop.map(|i| self.stop.text(i).to_owned()) }
    }

    fn piece(&mut self, text: String) -> Option<Piece> {
        if text.is_empty() {
            return None;
        }
        self.passed += text.len();
        let ready = self.waiting.iter().take_while(|(begin, _)| *begin < self.passed).count();
        Some(Piece::new(text, self.waiting.drain(..ready).map(|(_, token)| token).collect()))
    }
}
