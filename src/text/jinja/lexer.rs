//! A template's source as tokens, with Jinja2's rules for white space: `trim_blocks` and `lstrip_blocks` are on, as
//! Hugging Face sets them.

use std::sync::Arc;

use super::text::{Char, Text, is_space};
use super::{Res, fail};

pub(super) struct Token {
    pub(super) line: u32,
    pub(super) kind: TokenKind,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) enum TokenKind {
    /// Text of the template itself.
    Data(Text),
    ExpressionBegin,
    ExpressionEnd,
    BlockBegin,
    BlockEnd,
    Name(Arc<str>),
    Text(Text),
    Int(i64),
    Float(f64),
    Operator(&'static str),
}

/// Longest first.
const OPERATORS: &[&str] = &[
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".",
    ":", "|", ",", ";",
];

pub(super) fn tokens(source: &str) -> Res<Vec<Token>> {
    let source = source.replace("\r\n", "\n").replace('\r', "\n");
    // A last line's end does not count.
    let source = source.strip_suffix('\n').unwrap_or(&source);
    let mut lexer = Lexer { source: source.chars().collect(), at: 0, line: 1, line_begins: true, tokens: Vec::new() };
    while lexer.at < lexer.source.len() {
        lexer.text_and_tag()?;
    }
    Ok(lexer.tokens)
}

struct Lexer {
    source: Vec<char>,
    at: usize,
    line: u32,
    /// Whether the last thing read ended with a line's end.
    line_begins: bool,
    tokens: Vec<Token>,
}

#[derive(Clone, Copy, PartialEq)]
enum Tag {
    Raw,
    Comment,
    Block,
    Expression,
}

impl Lexer {
    /// Text up to a tag or the end, then the tag.
    fn text_and_tag(&mut self) -> Res<()> {
        let begin = self.at;
        let mut at = begin;
        let tag = loop {
            match (self.source.get(at), self.source.get(at + 1)) {
                (Some('{'), Some('%')) if self.raw_begins(at).is_some() => break Some(Tag::Raw),
                (Some('{'), Some('%')) => break Some(Tag::Block),
                (Some('{'), Some('#')) => break Some(Tag::Comment),
                (Some('{'), Some('{')) => break Some(Tag::Expression),
                (Some(_), _) => at += 1,
                (None, _) => break None,
            }
        };
        let Some(tag) = tag else {
            self.data(begin, at);
            self.advance(at);
            return Ok(());
        };
        let sign = self.source.get(at + 2).copied().filter(|c| matches!(c, '-' | '+'));
        self.data(begin, self.stripped(begin, at, sign, tag));
        let after_raw = self.raw_begins(at);
        self.advance(at + 2 + usize::from(sign.is_some()));
        match tag {
            Tag::Comment => self.comment(),
            Tag::Raw => self.raw(after_raw.unwrap_or(self.at)),
            Tag::Block => self.inside(TokenKind::BlockBegin),
            Tag::Expression => self.inside(TokenKind::ExpressionBegin),
        }
    }

    /// Where the text before a tag ends once what the tag strips is gone.
    fn stripped(&self, begin: usize, end: usize, sign: Option<char>, tag: Tag) -> usize {
        let spaces = self.source[begin..end].iter().rev().take_while(|c| is_space(**c)).count();
        match sign {
            Some('-') => end - spaces,
            None if tag != Tag::Expression => {
                let line = self.source[begin..end].iter().rposition(|c| *c == '\n').map(|at| begin + at + 1);
                match line.or(self.line_begins.then_some(begin)) {
                    Some(line) if end - line <= spaces => line,
                    _ => end,
                }
            }
            _ => end,
        }
    }

    fn data(&mut self, begin: usize, end: usize) {
        if begin < end {
            let text = self.source[begin..end].iter().map(|c| Char::own(*c)).collect();
            self.push(TokenKind::Data(text));
        }
    }

    fn push(&mut self, kind: TokenKind) {
        self.tokens.push(Token { line: self.line, kind });
    }

    fn advance(&mut self, to: usize) {
        let passed = &self.source[self.at..to];
        self.line += passed.iter().filter(|c| **c == '\n').count() as u32;
        if let Some(last) = passed.last() {
            self.line_begins = *last == '\n';
        }
        self.at = to;
    }

    fn starts(&self, at: usize, text: &str) -> bool {
        text.chars().enumerate().all(|(i, c)| self.source.get(at + i) == Some(&c))
    }

    fn skip_spaces(&self, mut at: usize) -> usize {
        while self.source.get(at).is_some_and(|c| is_space(*c)) {
            at += 1;
        }
        at
    }

    /// If `{% raw %}` stands at `at`: where it ends.
    fn raw_begins(&self, at: usize) -> Option<usize> {
        let at = at + 2 + usize::from(matches!(self.source.get(at + 2), Some('-' | '+')));
        let at = self.skip_spaces(at);
        if !self.starts(at, "raw") {
            return None;
        }
        let at = self.skip_spaces(at + 3);
        match self.starts(at, "-%}") {
            true => Some(self.skip_spaces(at + 3)),
            false => self.starts(at, "%}").then_some(at + 2),
        }
    }

    /// Where a block's `%}` with its sign, or another end like it, ends, if it stands at `at`.
    fn closes(&self, at: usize, end: &str) -> Option<usize> {
        let (sign, at) = match self.source.get(at) {
            Some(c @ ('-' | '+')) => (Some(*c), at + 1),
            _ => (None, at),
        };
        if !self.starts(at, end) {
            return None;
        }
        let after = at + end.len();
        match sign {
            Some('-') => Some(self.skip_spaces(after)),
            Some(_) => Some(after),
            None => Some(after + usize::from(self.source.get(after) == Some(&'\n'))),
        }
    }

    fn comment(&mut self) -> Res<()> {
        let line = self.line;
        for at in self.at..self.source.len() {
            if let Some(end) = self.closes(at, "#}") {
                self.advance(end);
                return Ok(());
            }
        }
        fail(format!("line {line}: a comment is not closed"))
    }

    fn raw(&mut self, begin: usize) -> Res<()> {
        let line = self.line;
        self.advance(begin);
        for at in begin..self.source.len() {
            if !self.starts(at, "{%") {
                continue;
            }
            let sign = self.source.get(at + 2).copied().filter(|c| matches!(c, '-' | '+'));
            let name = self.skip_spaces(at + 2 + usize::from(sign.is_some()));
            if !self.starts(name, "endraw") {
                continue;
            }
            if let Some(end) = self.closes(self.skip_spaces(name + 6), "%}") {
                self.data(begin, self.stripped(begin, at, sign, Tag::Raw));
                self.advance(end);
                return Ok(());
            }
        }
        fail(format!("line {line}: 'raw' is not closed"))
    }

    /// What is between `{{ }}` or `{% %}`.
    fn inside(&mut self, begin: TokenKind) -> Res<()> {
        let block = begin == TokenKind::BlockBegin;
        let line = self.line;
        self.push(begin);
        let mut open: Vec<&str> = Vec::new();
        loop {
            self.advance(self.skip_spaces(self.at));
            let Some(&c) = self.source.get(self.at) else {
                return fail(format!("line {line}: a tag is not closed"));
            };
            if open.is_empty()
                && let Some(end) = self.end_of_tag(block)
            {
                self.push(if block { TokenKind::BlockEnd } else { TokenKind::ExpressionEnd });
                self.advance(end);
                return Ok(());
            }
            match c {
                '0'..='9' => self.number()?,
                '"' | '\'' => self.text(c)?,
                c if c.is_alphabetic() || c == '_' => self.name(),
                _ => self.operator(&mut open)?,
            }
        }
    }

    fn end_of_tag(&self, block: bool) -> Option<usize> {
        if block {
            return self.closes(self.at, "%}");
        }
        match self.starts(self.at, "-}}") {
            true => Some(self.skip_spaces(self.at + 3)),
            false => self.starts(self.at, "}}").then_some(self.at + 2),
        }
    }

    fn operator(&mut self, open: &mut Vec<&str>) -> Res<()> {
        let Some(operator) = OPERATORS.iter().find(|o| self.starts(self.at, o)) else {
            return fail(format!("line {}: unexpected '{}'", self.line, self.source[self.at]));
        };
        match *operator {
            "(" => open.push(")"),
            "[" => open.push("]"),
            "{" => open.push("}"),
            ")" | "]" | "}" if open.pop() != Some(operator) => {
                return fail(format!("line {}: unexpected '{operator}'", self.line));
            }
            _ => {}
        }
        self.push(TokenKind::Operator(operator));
        self.advance(self.at + operator.len());
        Ok(())
    }

    fn name(&mut self) {
        let begin = self.at;
        let mut end = begin;
        while self.source.get(end).is_some_and(|c| c.is_alphanumeric() || *c == '_') {
            end += 1;
        }
        let name: String = self.source[begin..end].iter().collect();
        self.push(TokenKind::Name(name.into()));
        self.advance(end);
    }

    fn digits(&self, mut at: usize, radix: u32) -> usize {
        let digit = |at: usize| self.source.get(at).is_some_and(|c| c.is_digit(radix));
        while digit(at) || self.source.get(at) == Some(&'_') && digit(at + 1) {
            at += 1;
        }
        at
    }

    fn number(&mut self) -> Res<()> {
        let prefix =
            self.source.get(self.at + 1).map(|c| c.to_ascii_lowercase()).filter(|_| self.source[self.at] == '0');
        let radix = match prefix {
            Some('x') => 16,
            Some('o') => 8,
            Some('b') => 2,
            _ => 10,
        };
        let begin = if radix == 10 { self.at } else { self.at + 2 };
        let mut end = self.digits(begin, radix);
        let mut float = false;
        let digit = |at: usize| self.source.get(at).is_some_and(char::is_ascii_digit);
        if radix == 10 {
            if self.source.get(end) == Some(&'.') && digit(end + 1) {
                (end, float) = (self.digits(end + 1, 10), true);
            }
            if matches!(self.source.get(end), Some('e' | 'E')) {
                let sign = usize::from(matches!(self.source.get(end + 1), Some('+' | '-')));
                if digit(end + 1 + sign) {
                    (end, float) = (self.digits(end + 1 + sign, 10), true);
                }
            }
        }
        let text: String = self.source[begin..end].iter().filter(|c| **c != '_').collect();
        let number = match float {
            true => text.parse().ok().map(TokenKind::Float),
            false => i64::from_str_radix(&text, radix).ok().map(TokenKind::Int),
        };
        let Some(number) = number else {
            return fail(format!("line {}: the number '{text}' is not one, or too large", self.line));
        };
        self.push(number);
        self.advance(end);
        Ok(())
    }

    fn text(&mut self, quote: char) -> Res<()> {
        let mut text = Vec::new();
        let mut at = self.at + 1;
        loop {
            match self.source.get(at) {
                None => return fail(format!("line {}: a text is not closed", self.line)),
                Some(c) if *c == quote => break,
                Some('\\') => at = self.escape(at + 1, &mut text)?,
                Some(c) => {
                    text.push(Char::own(*c));
                    at += 1;
                }
            }
        }
        self.push(TokenKind::Text(text.into()));
        self.advance(at + 1);
        Ok(())
    }

    /// What stands for the characters after a backslash, as in Python; where it ends.
    fn escape(&self, at: usize, text: &mut Vec<Char>) -> Res<usize> {
        let Some(&c) = self.source.get(at) else { return Ok(at) };
        let simple = match c {
            '\n' => return Ok(at + 1),
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'v' => '\u{b}',
            '\\' | '\'' | '"' => c,
            '0'..='7' => return self.code(at, at, 3, 8, text),
            'x' => return self.code(at, at + 1, 2, 16, text),
            'u' => return self.code(at, at + 1, 4, 16, text),
            'U' => return self.code(at, at + 1, 8, 16, text),
            _ => {
                text.extend([Char::own('\\'), Char::own(c)]);
                return Ok(at + 1);
            }
        };
        text.push(Char::own(simple));
        Ok(at + 1)
    }

    fn code(&self, name: usize, begin: usize, most: usize, radix: u32, text: &mut Vec<Char>) -> Res<usize> {
        let digits: String = self.source[begin..].iter().take(most).take_while(|c| c.is_digit(radix)).collect();
        let code = u32::from_str_radix(&digits, radix).ok().and_then(char::from_u32);
        let whole = radix == 8 || digits.len() == most;
        let Some(code) = code.filter(|_| whole) else {
            return fail(format!("line {}: '\\{}' needs {most} digits of a character", self.line, self.source[name]));
        };
        text.push(Char::own(code));
        Ok(begin + digits.len())
    }
}
