//! The `tojson` filter as Hugging Face sets it up: Python's `json.dumps`, without the HTML escapes of web templates.

use super::arguments::{Given, text};
use super::equality::ordering;
use super::text::{Char, Text};
use super::value::{ListKind, Value};
use super::write::{float, push};
use super::{Budget, Res, fail};

/// `ensure_ascii`, `indent`, `separators` and `sort_keys` are Python's.
pub(super) fn tojson(value: &Value, mut given: Given, budget: &Budget) -> Res<Value> {
    let ensure_ascii = given.flag("ensure_ascii");
    let indent = match given.some("indent") {
        None => None,
        Some(Value::Text(indent)) => Some(indent),
        Some(width) => match width.as_int() {
            Some(width) => {
                let width = usize::try_from(width).unwrap_or(0);
                budget.pay_chars(width)?;
                Some(Text::own(&" ".repeat(width)))
            }
            None => return fail(format!("tojson: indent: expected a whole number or a text, got {}", width.kind())),
        },
    };
    let (between, after_key) = match given.some("separators") {
        None => (Text::own(if indent.is_some() { "," } else { ", " }), Text::own(": ")),
        Some(Value::List(pair)) if pair.items.len() == 2 => {
            (text(&pair.items[0], "separators")?, text(&pair.items[1], "separators")?)
        }
        Some(_) => return fail("tojson: separators: expected two texts"),
    };
    let sort = given.flag("sort_keys");
    given.end("tojson")?;
    let mut writer = Writer { budget, ensure_ascii, indent, between, after_key, sort, out: Vec::new() };
    writer.value(value, 0)?;
    Ok(Value::Text(writer.out.into()))
}

struct Writer<'b> {
    budget: &'b Budget,
    ensure_ascii: bool,
    indent: Option<Text>,
    between: Text,
    after_key: Text,
    sort: bool,
    out: Vec<Char>,
}

impl Writer<'_> {
    fn value(&mut self, value: &Value, depth: usize) -> Res<()> {
        self.budget.pay(1)?;
        match value {
            Value::Text(text) => return self.text(text),
            Value::List(list) if matches!(list.kind, ListKind::List | ListKind::Tuple) => {
                return self.items(("[", "]"), &list.items, depth, |writer, item| writer.value(item, depth + 1));
            }
            Value::Dict(dict) => {
                let mut entries: Vec<(&Value, &Value)> = dict.entries.iter().map(|(key, value)| (key, value)).collect();
                if self.sort {
                    self.sort(&mut entries)?;
                }
                return self.items(("{", "}"), &entries, depth, |writer, (key, value)| {
                    writer.key(key)?;
                    writer.add_own(&writer.after_key.clone())?;
                    writer.value(value, depth + 1)
                });
            }
            Value::Undefined(why) => return fail(format!("tojson: {why}")),
            _ => {}
        }
        match scalar(value) {
            Some(text) => push(&mut self.out, &text),
            None => return fail(format!("tojson: a {} cannot be written", value.kind())),
        }
        Ok(())
    }

    fn sort(&self, entries: &mut [(&Value, &Value)]) -> Res<()> {
        let mut failure = None;
        entries.sort_by(|(a, _), (b, _)| match ordering(a, b, self.budget) {
            Ok(order) => order.unwrap_or(std::cmp::Ordering::Equal),
            Err(fault) => {
                failure = Some(fault);
                std::cmp::Ordering::Equal
            }
        });
        failure.map_or(Ok(()), Err)
    }

    fn key(&mut self, key: &Value) -> Res<()> {
        match (key, scalar(key)) {
            (Value::Text(text), _) => self.text(text),
            (_, Some(text)) => self.text(&Text::own(&text)),
            _ => fail(format!("tojson: a key must be no {}", key.kind())),
        }
    }

    fn items<T>(
        &mut self,
        (open, close): (&str, &str),
        items: &[T],
        depth: usize,
        write: impl Fn(&mut Self, &T) -> Res<()>,
    ) -> Res<()> {
        push(&mut self.out, open);
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                self.add_own(&self.between.clone())?;
            }
            self.line(depth + 1)?;
            write(self, item)?;
        }
        if !items.is_empty() {
            self.line(depth)?;
        }
        push(&mut self.out, close);
        Ok(())
    }

    fn add_own(&mut self, text: &[Char]) -> Res<()> {
        self.budget.pay_chars(text.len())?;
        self.out.extend_from_slice(text);
        Ok(())
    }

    fn line(&mut self, depth: usize) -> Res<()> {
        if let Some(indent) = self.indent.clone() {
            self.budget.pay_chars(indent.len().saturating_mul(depth))?;
            push(&mut self.out, "\n");
            for _ in 0..depth {
                self.out.extend_from_slice(&indent);
            }
        }
        Ok(())
    }

    fn text(&mut self, text: &[Char]) -> Res<()> {
        self.budget.pay_chars(text.len())?;
        push(&mut self.out, "\"");
        for &c in text {
            let escaped = match c.get() {
                '"' => "\\\"".to_owned(),
                '\\' => "\\\\".to_owned(),
                '\n' => "\\n".to_owned(),
                '\r' => "\\r".to_owned(),
                '\t' => "\\t".to_owned(),
                '\u{8}' => "\\b".to_owned(),
                '\u{c}' => "\\f".to_owned(),
                other if other < ' ' || self.ensure_ascii && other > '~' => {
                    let mut units = [0; 2];
                    other.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect()
                }
                _ => {
                    self.out.push(c);
                    continue;
                }
            };
            self.out.extend(escaped.chars().map(|e| c.like(e)));
        }
        push(&mut self.out, "\"");
        Ok(())
    }
}

fn scalar(value: &Value) -> Option<String> {
    Some(match value {
        Value::None => "null".to_owned(),
        Value::Bool(b) => b.to_string(),
        Value::Int(i) => i.to_string(),
        Value::Float(f) if f.is_nan() => "NaN".to_owned(),
        Value::Float(f) if f.is_infinite() => if *f > 0.0 { "Infinity" } else { "-Infinity" }.to_owned(),
        Value::Float(f) => float(*f),
        _ => return None,
    })
}
