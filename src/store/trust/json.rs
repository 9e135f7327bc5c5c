//! JSON, read strictly: one meaning per text, bounded memory, and the canonical form that signatures of TUF are over.
//!
//! Refused: keys that come twice, also when they are spelt differently; fractions, exponents and integers beyond 64 bits;
//! lone surrogates; anything behind the value; more than 128 levels or [`MAX_NODES`] values.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Unexpected, Visitor};

use crate::error::{Error, Result};

/// The values that a text may hold, keys not counted: memory of at most some hundred times as many bytes.
const MAX_NODES: usize = 1 << 20;

/// A value. The keys of an object are in the order of their code points, as the canonical form wants them.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    Integer(i64),
    Text(String),
    /// What [`parse_foreign`](Self::parse_foreign) alone lets pass; no field is one.
    Fraction,
    List(Vec<Json>),
    Object(BTreeMap<String, Json>),
}

impl Json {
    /// `what` names the text in errors.
    ///
    /// # Errors
    ///
    /// `Corrupt` for what the head of this file lists, and for more than `max_bytes`.
    pub(super) fn parse(what: &str, bytes: &[u8], max_bytes: usize) -> Result<Self> {
        Self::read(what, bytes, max_bytes, false)
    }

    /// The same, of a text that may hold fractions in fields that are not read here.
    pub(super) fn parse_foreign(what: &str, bytes: &[u8], max_bytes: usize) -> Result<Self> {
        Self::read(what, bytes, max_bytes, true)
    }

    fn read(what: &str, bytes: &[u8], max_bytes: usize, fractions: bool) -> Result<Self> {
        if bytes.len() > max_bytes {
            return Err(Error::corrupt(format!("{what}: expected at most {max_bytes} bytes, got {}", bytes.len())));
        }
        let left = Cell::new(MAX_NODES);
        let mut reader = serde_json::Deserializer::from_slice(bytes);
        let refused = |e: serde_json::Error| Error::corrupt(format!("{what}: not the JSON that is taken here: {e}"));
        let value = Value { left: &left, fractions }.deserialize(&mut reader).map_err(refused)?;
        reader.end().map_err(refused)?;
        Ok(value)
    }

    /// The canonical form: no space, keys in order, and nothing escaped but quotes and backslashes.
    pub(super) fn canonical(&self) -> Vec<u8> {
        let mut out = String::new();
        self.write_canonical(&mut out);
        out.into_bytes()
    }

    fn write_canonical(&self, out: &mut String) {
        match self {
            // No text that is signed in this form has one.
            Json::Null | Json::Fraction => out.push_str("null"),
            Json::Bool(true) => out.push_str("true"),
            Json::Bool(false) => out.push_str("false"),
            Json::Integer(integer) => out.push_str(&integer.to_string()),
            Json::Text(text) => write_text(text, out),
            Json::List(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    out.push_str(if i == 0 { "" } else { "," });
                    item.write_canonical(out);
                }
                out.push(']');
            }
            Json::Object(members) => {
                out.push('{');
                for (i, (key, value)) in members.iter().enumerate() {
                    out.push_str(if i == 0 { "" } else { "," });
                    write_text(key, out);
                    out.push(':');
                    value.write_canonical(out);
                }
                out.push('}');
            }
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Json::Null => "null",
            Json::Bool(_) => "a truth value",
            Json::Integer(_) => "an integer",
            Json::Text(_) => "a text",
            Json::Fraction => "a fraction",
            Json::List(_) => "a list",
            Json::Object(_) => "an object",
        }
    }

    /// The members, under a name for errors.
    pub(super) fn members(&self, what: impl Into<String>) -> Result<Members<'_>> {
        let what = what.into();
        match self {
            Json::Object(members) => Ok(Members { what, members }),
            other => Err(Error::corrupt(format!("{what}: expected an object, got {}", other.kind()))),
        }
    }

    pub(super) fn text(&self, what: &str) -> Result<&str> {
        match self {
            Json::Text(text) => Ok(text),
            other => Err(Error::corrupt(format!("{what}: expected a text, got {}", other.kind()))),
        }
    }
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

/// The members of an object, with its place for errors.
#[derive(Debug)]
pub(super) struct Members<'a> {
    pub(super) what: String,
    members: &'a BTreeMap<String, Json>,
}

impl<'a> Members<'a> {
    pub(super) fn find(&self, key: &str) -> Option<&'a Json> {
        self.members.get(key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'a String, &'a Json)> {
        self.members.iter()
    }

    pub(super) fn get(&self, key: &str) -> Result<&'a Json> {
        self.find(key).ok_or_else(|| Error::corrupt(format!("{}: expected '{key}', got none", self.what)))
    }

    fn wrong(&self, key: &str, expected: &str, got: &Json) -> Error {
        Error::corrupt(format!("{}: '{key}': expected {expected}, got {}", self.what, got.kind()))
    }

    pub(super) fn object(&self, key: &str) -> Result<Members<'a>> {
        self.get(key)?.members(format!("{}: '{key}'", self.what))
    }

    pub(super) fn text(&self, key: &str) -> Result<&'a str> {
        match self.get(key)? {
            Json::Text(text) => Ok(text),
            other => Err(self.wrong(key, "a text", other)),
        }
    }

    pub(super) fn list(&self, key: &str) -> Result<&'a [Json]> {
        match self.get(key)? {
            Json::List(items) => Ok(items),
            other => Err(self.wrong(key, "a list", other)),
        }
    }

    pub(super) fn truth(&self, key: &str) -> Result<bool> {
        match self.get(key)? {
            Json::Bool(truth) => Ok(*truth),
            other => Err(self.wrong(key, "a truth value", other)),
        }
    }

    /// An integer in a range.
    pub(super) fn integer(&self, key: &str, min: u64, max: u64) -> Result<u64> {
        match self.get(key)? {
            Json::Integer(integer) => match u64::try_from(*integer) {
                Ok(n) if (min..=max).contains(&n) => Ok(n),
                _ => Err(Error::corrupt(format!("{}: '{key}': expected {min} to {max}, got {integer}", self.what))),
            },
            other => Err(self.wrong(key, "an integer", other)),
        }
    }

    /// An integer that is written as a text, as JSON of Protocol Buffers has those of 64 bits, or as it is.
    #[cfg(feature = "keyless")]
    pub(super) fn written_integer(&self, key: &str) -> Result<u64> {
        let Json::Text(text) = self.get(key)? else { return self.integer(key, 0, i64::MAX as u64) };
        let number = text.parse::<i64>().ok().and_then(|n| u64::try_from(n).ok()).filter(|n| n.to_string() == *text);
        let got = shown(text);
        number.ok_or_else(|| Error::corrupt(format!("{}: '{key}': expected a number, got '{got}'", self.what)))
    }

    /// The text must be this one.
    pub(super) fn expect(&self, key: &str, expected: &str) -> Result<()> {
        let got = self.text(key)?;
        if got == expected {
            return Ok(());
        }
        Err(Error::corrupt(format!("{}: '{key}': expected '{expected}', got '{}'", self.what, shown(got))))
    }

    /// No other keys than these.
    pub(super) fn only(&self, keys: &[&str]) -> Result<()> {
        match self.members.keys().find(|key| !keys.contains(&&***key)) {
            None => Ok(()),
            Some(key) => Err(Error::corrupt(format!("{}: '{}': not a key of this format", self.what, shown(key)))),
        }
    }
}

/// The beginning of a foreign text, for a message: without control characters.
pub(super) fn shown(text: &str) -> String {
    const MAX: usize = 80;
    let begin: String = text.chars().take(MAX).flat_map(char::escape_debug).collect();
    if text.chars().nth(MAX).is_some() { begin + "…" } else { begin }
}

#[derive(Clone, Copy)]
struct Value<'a> {
    left: &'a Cell<usize>,
    fractions: bool,
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Json, D::Error> {
        match self.left.get().checked_sub(1) {
            Some(left) => self.left.set(left),
            None => return Err(D::Error::custom(format!("more than {MAX_NODES} values"))),
        }
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value without fractions")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Json, E> {
        Ok(Json::Bool(truth))
    }

    fn visit_i64<E>(self, integer: i64) -> Result<Json, E> {
        Ok(Json::Integer(integer))
    }

    fn visit_u64<E: serde::de::Error>(self, integer: u64) -> Result<Json, E> {
        let too_large = |_| E::custom(format!("{integer} is more than {}", i64::MAX));
        i64::try_from(integer).map(Json::Integer).map_err(too_large)
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Json, E> {
        if self.fractions { Ok(Json::Fraction) } else { Err(E::invalid_type(Unexpected::Float(number), &self)) }
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.into()))
    }

    fn visit_string<E>(self, text: String) -> Result<Json, E> {
        Ok(Json::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(Value { ..self })? {
            items.push(item);
        }
        Ok(Json::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut members = BTreeMap::new();
        while let Some(key) = map.next_key::<String>()? {
            let value = map.next_value_seed(Value { ..self })?;
            if members.contains_key(&key) {
                return Err(A::Error::custom(format!("the key '{}' comes twice", shown(&key))));
            }
            members.insert(key, value);
        }
        Ok(Json::Object(members))
    }
}
