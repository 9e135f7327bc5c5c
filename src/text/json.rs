//! The `tojson` filter as chat templates expect it: Python's `json.dumps`, without the HTML escapes of web templates.

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};

/// Deeper values than any conversation has.
const MAX_DEPTH: usize = 64;
/// Bytes that cost a unit of fuel, as for the engine's own work.
const BYTES_PER_FUEL: usize = 64;

/// It pays for what it writes: a list may hold another one many times, and grows with each level.
pub(super) fn tojson(state: &State, value: &Value, indent: Option<Value>, options: Kwargs) -> Result<Value, Error> {
    let indent = match indent {
        Some(indent) => Some(indent),
        None => options.get::<Option<Value>>("indent")?,
    };
    let indent = match indent {
        Some(value) if !value.is_none() => Some(usize::try_from(value)?.min(16)),
        _ => None,
    };
    // Python's other options change nothing here: nothing is escaped, and maps are sorted already.
    for known in ["ensure_ascii", "sort_keys", "separators"] {
        options.get::<Option<Value>>(known)?;
    }
    options.assert_all_used()?;
    let mut writer = Writer { state, indent, text: String::new() };
    writer.value(value, 0)?;
    Ok(Value::from_safe_string(writer.text))
}

struct Writer<'s, 'template, 'env> {
    state: &'s State<'template, 'env>,
    indent: Option<usize>,
    text: String,
}

impl Writer<'_, '_, '_> {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        if depth > MAX_DEPTH {
            return Err(Error::new(ErrorKind::InvalidOperation, "tojson: the value is nested too deeply"));
        }
        self.pay(self.indent.map_or(0, |width| width * depth))?;
        match value.kind() {
            ValueKind::Undefined | ValueKind::None => self.text.push_str("null"),
            ValueKind::Bool => self.text.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => self.text.push_str(&value.to_string()),
            ValueKind::String => self.string(value.as_str().unwrap_or_default())?,
            ValueKind::Seq | ValueKind::Iterable => {
                self.list(('[', ']'), value.try_iter()?, depth, |writer, item| writer.value(&item, depth + 1))?;
            }
            ValueKind::Map => {
                self.list(('{', '}'), value.try_iter()?, depth, |writer, key| {
                    if matches!(key.kind(), ValueKind::Seq | ValueKind::Iterable | ValueKind::Map) {
                        return Err(Error::new(ErrorKind::InvalidOperation, "tojson: a key must be no list or map"));
                    }
                    writer.string(&key.to_string())?;
                    writer.text.push_str(": ");
                    writer.value(&value.get_item(&key)?, depth + 1)
                })?;
            }
            other => return Err(Error::new(ErrorKind::InvalidOperation, format!("tojson: cannot write a {other}"))),
        }
        Ok(())
    }

    fn list(
        &mut self,
        (open, close): (char, char),
        items: impl Iterator<Item = Value>,
        depth: usize,
        mut item: impl FnMut(&mut Self, Value) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.text.push(open);
        let mut some = false;
        for value in items {
            if some {
                self.text.push_str(if self.indent.is_some() { "," } else { ", " });
            }
            self.line(depth + 1);
            item(self, value)?;
            some = true;
        }
        if some {
            self.line(depth);
        }
        self.text.push(close);
        Ok(())
    }

    fn line(&mut self, depth: usize) {
        if let Some(width) = self.indent {
            self.text.push('\n');
            self.text.extend(std::iter::repeat_n(' ', width * depth));
        }
    }

    fn string(&mut self, value: &str) -> Result<(), Error> {
        self.pay(value.len())?;
        self.text.push('"');
        for c in value.chars() {
            match c {
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                '\n' => self.text.push_str("\\n"),
                '\r' => self.text.push_str("\\r"),
                '\t' => self.text.push_str("\\t"),
                '\u{8}' => self.text.push_str("\\b"),
                '\u{c}' => self.text.push_str("\\f"),
                c if c < ' ' => self.text.push_str(&format!("\\u{:04x}", c as u32)),
                c => self.text.push(c),
            }
        }
        self.text.push('"');
        Ok(())
    }

    fn pay(&self, bytes: usize) -> Result<(), Error> {
        self.state.consume_fuel(1 + (bytes / BYTES_PER_FUEL) as u64)
    }
}
