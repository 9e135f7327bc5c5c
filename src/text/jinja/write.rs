//! Values as Python's `str` and `repr` write them.

use super::text::{Char, Text};
use super::value::{Dict, List, ListKind, Value};
use super::{Budget, Res};

/// `str(value)`
pub(super) fn text_of(value: &Value, budget: &Budget) -> Res<Text> {
    if let Value::Text(text) = value {
        return Ok(text.clone());
    }
    let mut out = Vec::new();
    write(value, &mut out, budget)?;
    Ok(out.into())
}

pub(super) fn write(value: &Value, out: &mut Vec<Char>, budget: &Budget) -> Res<()> {
    match value {
        Value::Text(text) => {
            budget.pay_chars(text.len())?;
            out.extend_from_slice(text);
            Ok(())
        }
        Value::Undefined(_) => Ok(()),
        other => repr(other, out, budget),
    }
}

/// `repr(value)`
pub(super) fn repr(value: &Value, out: &mut Vec<Char>, budget: &Budget) -> Res<()> {
    budget.pay(1)?;
    match value {
        Value::Undefined(_) => push(out, "Undefined"),
        Value::None => push(out, "None"),
        Value::Bool(true) => push(out, "True"),
        Value::Bool(false) => push(out, "False"),
        Value::Int(i) => push(out, &i.to_string()),
        Value::Float(f) => push(out, &float(*f)),
        Value::Text(text) => {
            budget.pay_chars(text.len())?;
            push(out, if text.is_markup() { "Markup(" } else { "" });
            quoted(text, out);
            push(out, if text.is_markup() { ")" } else { "" });
        }
        Value::List(list) => return items(list, out, budget),
        Value::Dict(dict) => return entries(dict, out, budget),
        Value::Loop(this) => push(out, &format!("<LoopContext {}/{}>", this.index.get() + 1, this.items.len())),
        Value::Namespace(_) => push(out, "<Namespace>"),
        Value::Callable(_) => push(out, "<function>"),
    }
    Ok(())
}

pub(super) fn push(out: &mut Vec<Char>, text: &str) {
    out.extend(text.chars().map(Char::own));
}

fn items(list: &List, out: &mut Vec<Char>, budget: &Budget) -> Res<()> {
    let (open, close) = match list.kind {
        ListKind::List => ("[".to_owned(), "]"),
        ListKind::Tuple => ("(".to_owned(), ")"),
        ListKind::View(name) => (format!("{name}(["), "])"),
        ListKind::Generator => {
            push(out, "<generator object>");
            return Ok(());
        }
    };
    push(out, &open);
    for (i, item) in list.items.iter().enumerate() {
        if i > 0 {
            push(out, ", ");
        }
        repr(item, out, budget)?;
    }
    if list.kind == ListKind::Tuple && list.items.len() == 1 {
        push(out, ",");
    }
    push(out, close);
    Ok(())
}

fn entries(dict: &Dict, out: &mut Vec<Char>, budget: &Budget) -> Res<()> {
    push(out, "{");
    for (i, (key, value)) in dict.entries.iter().enumerate() {
        if i > 0 {
            push(out, ", ");
        }
        repr(key, out, budget)?;
        push(out, ": ");
        repr(value, out, budget)?;
    }
    push(out, "}");
    Ok(())
}

fn quoted(text: &[Char], out: &mut Vec<Char>) {
    let has = |quote: char| text.iter().any(|c| c.get() == quote);
    let quote = if has('\'') && !has('"') { '"' } else { '\'' };
    out.push(Char::own(quote));
    for &c in text {
        let escaped = match c.get() {
            '\n' => "\\n".to_owned(),
            '\r' => "\\r".to_owned(),
            '\t' => "\\t".to_owned(),
            '\\' => "\\\\".to_owned(),
            q if q == quote => format!("\\{q}"),
            other if is_printable(other) => {
                out.push(c);
                continue;
            }
            other => match other as u32 {
                code @ 0..=0xff => format!("\\x{code:02x}"),
                code @ 0x100..=0xffff => format!("\\u{code:04x}"),
                code => format!("\\U{code:08x}"),
            },
        };
        out.extend(escaped.chars().map(|e| c.like(e)));
    }
    out.push(Char::own(quote));
}

/// Nearly `str.isprintable`: Rust's standard library has no table of what is unassigned.
pub(super) fn is_printable(c: char) -> bool {
    let hidden = matches!(c as u32, 0xad | 0x600..=0x605 | 0x61c | 0x6dd | 0x70f | 0x180e | 0x200b..=0x200f
        | 0x202a..=0x202e | 0x2060..=0x206f | 0xfeff | 0xfff9..=0xfffb | 0xe000..=0xf8ff | 0xe0000..=0x10ffff);
    !(c.is_control() || c != ' ' && c.is_whitespace() || hidden)
}

/// A float as Python writes it: `1.0`, `1e+16`, `1e-05`.
pub(super) fn float(f: f64) -> String {
    if f.is_nan() {
        return "nan".to_owned();
    }
    if f.is_infinite() {
        return if f > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{f:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    match exponent.parse::<i32>() {
        Ok(e) if !(-4..16).contains(&e) => {
            format!("{digits}e{}{:02}", if e < 0 { '-' } else { '+' }, e.unsigned_abs())
        }
        _ => {
            let plain = format!("{f}");
            if plain.contains('.') { plain } else { plain + ".0" }
        }
    }
}
