//! The reader of GBNF.

use std::collections::HashMap;

use super::{MAX_COUNT, MAX_RULES, Part, Rules, fault};
use crate::Result;

/// Reads a grammar.
pub(super) fn parse(source: &str) -> Result<Rules> {
    let mut parser = Parser { source, at: 0, names: HashMap::new(), rules: Vec::new() };
    parser.skip(true);
    while parser.peek().is_some() {
        parser.rule()?;
        parser.skip(true);
    }
    parser.finish()
}

struct Parser<'a> {
    source: &'a str,
    at: usize,
    names: HashMap<&'a str, usize>,
    /// Each rule with the line where it was first named, once it is defined.
    rules: Vec<(usize, Option<Part>)>,
}

impl<'a> Parser<'a> {
    fn finish(self) -> Result<Rules> {
        let Some(&root) = self.names.get("root") else { return Err(fault(1, "expected a rule 'root', found none")) };
        let mut parts = Vec::with_capacity(self.rules.len());
        for (number, (line, part)) in self.rules.into_iter().enumerate() {
            let name = || self.names.iter().find(|(_, n)| **n == number).map_or("", |(name, _)| name);
            parts.push(part.ok_or_else(|| fault(line, format_args!("the rule '{}' is not defined", name())))?);
        }
        Ok(Rules { parts, root })
    }

    fn rule(&mut self) -> Result<()> {
        let line = self.line();
        let number = self.name()?;
        self.skip(false);
        if !self.eat("::=") {
            return Err(self.expected("'::='"));
        }
        self.skip(true);
        let part = self.choice(false)?;
        if self.peek().is_some_and(|c| c != '\n' && c != '\r') {
            return Err(self.expected("the end of the line"));
        }
        if self.rules[number].1.replace(part).is_some() {
            return Err(fault(line, "the rule is defined twice"));
        }
        Ok(())
    }

    /// Alternatives. Inside of brackets, lines don't count.
    fn choice(&mut self, nested: bool) -> Result<Part> {
        let mut parts = vec![self.sequence(nested)?];
        while self.eat("|") {
            self.skip(true);
            parts.push(self.sequence(nested)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Part::Choice(parts) })
    }

    fn sequence(&mut self, nested: bool) -> Result<Part> {
        let mut parts = Vec::new();
        while let Some(c) = self.peek() {
            let part = match c {
                '"' => self.text()?,
                '[' => self.class()?,
                '(' => {
                    self.at += 1;
                    self.skip(true);
                    let part = self.choice(true)?;
                    if !self.eat(")") {
                        return Err(self.expected("')'"));
                    }
                    part
                }
                '.' => {
                    self.at += 1;
                    Part::any()
                }
                '<' | '!' => return Err(fault(self.line(), "tokens by name or number are not supported")),
                c if is_of_name(c) => Part::Rule(self.name()?),
                _ => break,
            };
            let part = self.repeated(part)?;
            parts.push(part);
            self.skip(nested);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Part::Sequence(parts) })
    }

    fn repeated(&mut self, mut part: Part) -> Result<Part> {
        loop {
            let (least, most) = match self.peek() {
                Some('*') => (0, None),
                Some('+') => (1, None),
                Some('?') => (0, Some(1)),
                Some('{') => {
                    let counts = self.counts()?;
                    part = Part::Repeat(Box::new(part), counts.0, counts.1);
                    continue;
                }
                _ => return Ok(part),
            };
            self.at += 1;
            part = Part::Repeat(Box::new(part), least, most);
        }
    }

    /// `{2}`, `{2,}` or `{2,4}`.
    fn counts(&mut self) -> Result<(u32, Option<u32>)> {
        self.at += 1;
        self.skip(false);
        let least = self.number()?;
        self.skip(false);
        let mut most = Some(least);
        if self.eat(",") {
            self.skip(false);
            most = if self.peek() == Some('}') { None } else { Some(self.number()?) };
            self.skip(false);
        }
        if !self.eat("}") {
            return Err(self.expected("'}'"));
        }
        if most.is_some_and(|most| most < least) {
            return Err(fault(self.line(), format_args!("expected at least {least} in {{{least},…}}, got less")));
        }
        Ok((least, most))
    }

    fn number(&mut self) -> Result<u32> {
        let digits = self.rest().bytes().take_while(u8::is_ascii_digit).count();
        let number = self.rest()[..digits].parse().ok().filter(|n| *n <= MAX_COUNT);
        let number = number.ok_or_else(|| self.expected(&format!("a number of at most {MAX_COUNT}")))?;
        self.at += digits;
        Ok(number)
    }

    fn text(&mut self) -> Result<Part> {
        self.at += 1;
        let mut text = String::new();
        loop {
            match self.peek() {
                Some('"') => break,
                Some('\n') | None => return Err(self.expected("'\"'")),
                Some(_) => text.push(self.character()?),
            }
        }
        self.at += 1;
        Ok(Part::Text(text))
    }

    fn class(&mut self) -> Result<Part> {
        self.at += 1;
        let negated = self.eat("^");
        let mut ranges = Vec::new();
        loop {
            match self.peek() {
                Some(']') => break,
                None => return Err(self.expected("']'")),
                Some(_) => {}
            }
            let first = self.character()?;
            let is_range = self.rest().starts_with('-') && !self.rest().starts_with("-]");
            let last = if is_range {
                self.at += 1;
                self.character()?
            } else {
                first
            };
            if last < first {
                return Err(fault(self.line(), format_args!("expected a range upwards, got '{first}-{last}'")));
            }
            ranges.push((first, last));
        }
        if ranges.is_empty() {
            return Err(self.expected("a character"));
        }
        self.at += 1;
        Ok(Part::Class { negated, ranges })
    }

    /// One character, as it is or escaped.
    fn character(&mut self) -> Result<char> {
        let Some(c) = self.peek() else { return Err(self.expected("a character")) };
        self.at += c.len_utf8();
        if c != '\\' {
            return Ok(c);
        }
        let Some(escape) = self.peek() else { return Err(self.expected("an escape")) };
        self.at += escape.len_utf8();
        let digits = match escape {
            'n' => return Ok('\n'),
            'r' => return Ok('\r'),
            't' => return Ok('\t'),
            '\\' | '"' | '[' | ']' => return Ok(escape),
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => return Err(fault(self.line(), format_args!("the escape '\\{escape}' is not known"))),
        };
        let code = self.rest().get(..digits).and_then(|hex| u32::from_str_radix(hex, 16).ok()).and_then(char::from_u32);
        let code = code.ok_or_else(|| self.expected(&format!("the {digits} hexadecimal digits of a character")))?;
        self.at += digits;
        Ok(code)
    }

    /// The number of the rule that is named here.
    fn name(&mut self) -> Result<usize> {
        let len = self.rest().chars().take_while(|c| is_of_name(*c)).count();
        if len == 0 {
            return Err(self.expected("the name of a rule"));
        }
        let name = &self.source[self.at..self.at + len];
        let line = self.line();
        self.at += len;
        if let Some(number) = self.names.get(name) {
            return Ok(*number);
        }
        if self.rules.len() == MAX_RULES {
            return Err(fault(line, format_args!("expected at most {MAX_RULES} rules")));
        }
        self.names.insert(name, self.rules.len());
        self.rules.push((line, None));
        Ok(self.rules.len() - 1)
    }

    /// Passes spaces and comments, and lines if they don't count.
    fn skip(&mut self, lines: bool) {
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t' => self.at += 1,
                '\n' | '\r' if lines => self.at += 1,
                '#' => self.at += self.rest().find('\n').unwrap_or(self.rest().len()),
                _ => break,
            }
        }
    }

    fn eat(&mut self, text: &str) -> bool {
        let is_here = self.rest().starts_with(text);
        if is_here {
            self.at += text.len();
        }
        is_here
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn rest(&self) -> &'a str {
        &self.source[self.at..]
    }

    fn line(&self) -> usize {
        1 + self.source[..self.at].bytes().filter(|b| *b == b'\n').count()
    }

    fn expected(&self, what: &str) -> crate::Error {
        let got = self.peek().map_or("the end".to_owned(), |c| format!("'{}'", c.escape_default()));
        fault(self.line(), format_args!("expected {what}, got {got}"))
    }
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}
