//! Literals of calls that are no JSON: Python's, and values without quotes around their keys.

use serde_json::{Map, Value};

/// How deep values may nest.
const MAX_DEPTH: usize = 64;

/// The arguments of `(key=value, …)`.
pub(super) fn python(text: &str) -> Result<Value, String> {
    let mut reader = Literal { rest: text, mark: None };
    reader.expect("(")?;
    let mut map = Map::new();
    while !reader.take(")") {
        let key = reader.word()?;
        reader.expect("=")?;
        map.insert(key, reader.value(1)?);
        if !reader.take(",") {
            reader.expect(")")?;
            break;
        }
    }
    reader.end(Value::Object(map))
}

/// The value of `{key:value,…}`, with texts in `mark`.
pub(super) fn bare(text: &str, mark: &str) -> Result<Value, String> {
    let mut reader = Literal { rest: text, mark: Some(mark) };
    let value = reader.value(1)?;
    reader.end(value)
}

/// A value that stands by itself: JSON, or a word of Python's.
pub(super) fn value(text: &str) -> Option<Value> {
    let text = text.trim();
    if let Ok(value) = serde_json::from_str(text) {
        return Some(value);
    }
    let mut reader = Literal { rest: text, mark: None };
    let value = reader.value(1).ok()?;
    reader.end(value).ok()
}

struct Literal<'t> {
    rest: &'t str,
    /// What texts stand in, if not in quotes.
    mark: Option<&'t str>,
}

impl Literal<'_> {
    fn take(&mut self, token: &str) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        if self.take(token) {
            return Ok(());
        }
        let got: String = self.rest.chars().take(12).collect();
        Err(format!("expected '{token}', got '{got}'"))
    }

    fn end(mut self, value: Value) -> Result<Value, String> {
        self.rest = self.rest.trim_start();
        if self.rest.is_empty() { Ok(value) } else { Err("expected nothing after the value".into()) }
    }

    fn word(&mut self) -> Result<String, String> {
        self.rest = self.rest.trim_start();
        let len = self.rest.find(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '-' | '.' | '$' | '+'));
        let (word, rest) = self.rest.split_at(len.unwrap_or(self.rest.len()));
        if word.is_empty() {
            return Err(format!("expected a word, got '{}'", rest.chars().take(12).collect::<String>()));
        }
        self.rest = rest;
        Ok(word.to_owned())
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        if depth > MAX_DEPTH {
            return Err(format!("expected values to nest at most {MAX_DEPTH} deep"));
        }
        if let Some(text) = self.text()? {
            return Ok(Value::String(text));
        }
        if self.take("[") {
            return self.list("]", depth);
        }
        if self.mark.is_none() && self.take("(") {
            return self.list(")", depth);
        }
        if self.take("{") {
            return self.map(depth);
        }
        let word = self.word()?;
        match &*word {
            "true" | "True" => Ok(Value::Bool(true)),
            "false" | "False" => Ok(Value::Bool(false)),
            "null" | "None" => Ok(Value::Null),
            number => serde_json::from_str(number).map_err(|_| format!("expected a value, got '{number}'")),
        }
    }

    fn list(&mut self, close: &str, depth: usize) -> Result<Value, String> {
        let mut list = Vec::new();
        while !self.take(close) {
            list.push(self.value(depth + 1)?);
            if !self.take(",") {
                self.expect(close)?;
                break;
            }
        }
        Ok(Value::Array(list))
    }

    fn map(&mut self, depth: usize) -> Result<Value, String> {
        let mut map = Map::new();
        while !self.take("}") {
            let key = match self.text()? {
                Some(text) => text,
                None if self.mark.is_some() => self.key()?,
                None => return Err("expected a text as a key".into()),
            };
            self.expect(":")?;
            map.insert(key, self.value(depth + 1)?);
            if !self.take(",") {
                self.expect("}")?;
                break;
            }
        }
        Ok(Value::Object(map))
    }

    /// A key without quotes: all up to its colon.
    fn key(&mut self) -> Result<String, String> {
        let end = self.rest.find(':').ok_or("expected a key and ':'")?;
        let (key, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(key.trim().to_owned())
    }

    /// A text in quotes, if there is one.
    fn text(&mut self) -> Result<Option<String>, String> {
        self.rest = self.rest.trim_start();
        if let Some(mark) = self.mark {
            let Some(begun) = self.rest.strip_prefix(mark) else { return Ok(None) };
            let (text, rest) = begun.split_once(mark).ok_or("expected a text to end")?;
            self.rest = rest;
            return Ok(Some(text.to_owned()));
        }
        let Some(quote) = self.rest.chars().next().filter(|c| matches!(c, '"' | '\'')) else { return Ok(None) };
        let mut chars = self.rest.char_indices().skip(1);
        let mut text = String::new();
        while let Some((at, c)) = chars.next() {
            match c {
                c if c == quote => {
                    self.rest = &self.rest[at + 1..];
                    return Ok(Some(text));
                }
                '\\' => text.push(escaped(&mut chars)?),
                c => text.push(c),
            }
        }
        Err("expected a text to end".into())
    }
}

/// The character that an escape stands for.
fn escaped(chars: &mut impl Iterator<Item = (usize, char)>) -> Result<char, String> {
    let (_, c) = chars.next().ok_or("expected a text to end")?;
    let digits = match c {
        'n' => return Ok('\n'),
        't' => return Ok('\t'),
        'r' => return Ok('\r'),
        'x' => 2,
        'u' => 4,
        'U' => 8,
        other => return Ok(other),
    };
    let hex: String = chars.take(digits).map(|(_, c)| c).collect();
    let code = u32::from_str_radix(&hex, 16).ok().filter(|_| hex.len() == digits);
    code.and_then(char::from_u32).ok_or_else(|| format!("expected {digits} digits of a character, got '{hex}'"))
}
