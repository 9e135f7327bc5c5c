//! The `tojson` filter as chat templates expect it: Python's `json.dumps`, without the HTML escapes of web templates.

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Error, ErrorKind, Value};

/// Deeper values than any conversation has.
const MAX_DEPTH: usize = 64;

pub(super) fn tojson(value: &Value, indent: Option<Value>, options: Kwargs) -> Result<Value, Error> {
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
    let mut text = String::new();
    write(value, indent, 0, &mut text)?;
    Ok(Value::from_safe_string(text))
}

fn write(value: &Value, indent: Option<usize>, depth: usize, text: &mut String) -> Result<(), Error> {
    if depth > MAX_DEPTH {
        return Err(Error::new(ErrorKind::InvalidOperation, "tojson: the value is nested too deeply"));
    }
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => text.push_str("null"),
        ValueKind::Bool => text.push_str(if value.is_true() { "true" } else { "false" }),
        ValueKind::Number => text.push_str(&value.to_string()),
        ValueKind::String => string(value.as_str().unwrap_or_default(), text),
        ValueKind::Seq | ValueKind::Iterable => {
            let items: Vec<Value> = value.try_iter()?.collect();
            list(('[', ']'), items.len(), indent, depth, text, |i, text| write(&items[i], indent, depth + 1, text))?;
        }
        ValueKind::Map => {
            let keys: Vec<Value> = value.try_iter()?.collect();
            list(('{', '}'), keys.len(), indent, depth, text, |i, text| {
                string(&keys[i].to_string(), text);
                text.push_str(": ");
                write(&value.get_item(&keys[i])?, indent, depth + 1, text)
            })?;
        }
        other => return Err(Error::new(ErrorKind::InvalidOperation, format!("tojson: cannot write a {other}"))),
    }
    Ok(())
}

fn list(
    (open, close): (char, char),
    len: usize,
    indent: Option<usize>,
    depth: usize,
    text: &mut String,
    mut item: impl FnMut(usize, &mut String) -> Result<(), Error>,
) -> Result<(), Error> {
    let line = |depth: usize, text: &mut String| {
        if let Some(width) = indent {
            text.push('\n');
            text.extend(std::iter::repeat_n(' ', width * depth));
        }
    };
    text.push(open);
    for i in 0..len {
        if i > 0 {
            text.push_str(if indent.is_some() { "," } else { ", " });
        }
        line(depth + 1, text);
        item(i, text)?;
    }
    if len > 0 {
        line(depth, text);
    }
    text.push(close);
    Ok(())
}

fn string(value: &str, text: &mut String) {
    text.push('"');
    for c in value.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            c if c < ' ' => text.push_str(&format!("\\u{:04x}", c as u32)),
            c => text.push(c),
        }
    }
    text.push('"');
}
