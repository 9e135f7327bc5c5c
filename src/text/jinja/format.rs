//! Python's `'…' % values` and `'…'.format(values)`.

use super::arguments::Given;
use super::equality::{lookup, number};
use super::sequences::item;
use super::text::{Char, Text, string};
use super::value::{ListKind, Value};
use super::write::{float, push, repr, text_of};
use super::{Budget, Res, fail};

/// No number needs more, and `format!` takes no more than 65,535.
const MAX_PRECISION: usize = 1000;

/// How a value is written: `[[fill]align][sign][#][0][width][,][.precision][kind]`
#[derive(Default)]
struct Spec {
    fill: Option<Char>,
    align: Option<char>,
    sign: Option<char>,
    alternate: bool,
    width: usize,
    comma: bool,
    precision: Option<usize>,
    kind: Option<char>,
}

/// `format % values`
pub(super) fn percent(format: &[Char], values: &Value, budget: &Budget) -> Res<Value> {
    let all: Vec<Value> = match values {
        Value::List(list) if list.kind == ListKind::Tuple => list.items.clone(),
        other => vec![other.clone()],
    };
    let mut left = all.iter();
    let mut out = Vec::new();
    let mut rest = format;
    while let Some(at) = rest.iter().position(|c| c.get() == '%') {
        budget.pay_chars(at)?;
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        let mut key = None;
        if rest.first().is_some_and(|c| c.get() == '(') {
            let Some(end) = rest.iter().position(|c| c.get() == ')') else { return fail("%: a '(' is not closed") };
            key = Some(Value::Text(rest[1..end].into()));
            rest = &rest[end + 1..];
        }
        let (spec, after) = percent_spec(rest)?;
        rest = after;
        if spec.kind == Some('%') {
            push(&mut out, "%");
            continue;
        }
        let value = match (key, values) {
            (Some(key), Value::Dict(dict)) => lookup(&dict.entries, &key, budget)?,
            (Some(_), _) => return fail("%: names need a dict"),
            (None, _) => left.next(),
        };
        let Some(value) = value else { return fail("%: not enough values for the format") };
        add(value, &spec, &mut out, budget)?;
    }
    // Python takes what has keys or places for a mapping, of which nothing need be used.
    let is_mapping = match values {
        Value::List(list) => list.kind != ListKind::Tuple,
        Value::Dict(_) | Value::Undefined(_) => true,
        _ => false,
    };
    if left.next().is_some() && !is_mapping {
        return fail("%: more values than the format takes");
    }
    budget.pay_chars(rest.len())?;
    out.extend_from_slice(rest);
    Ok(Value::Text(out.into()))
}

fn percent_spec(text: &[Char]) -> Res<(Spec, &[Char])> {
    let mut spec = Spec { align: Some('>'), ..Spec::default() };
    let mut at = 0;
    let c = |at: usize| text.get(at).map(|c| c.get());
    while let Some(flag @ ('-' | '+' | ' ' | '0' | '#')) = c(at) {
        match flag {
            '-' => spec.align = Some('<'),
            '0' if spec.align != Some('<') => (spec.fill, spec.align) = (Some(Char::own('0')), Some('=')),
            '#' => spec.alternate = true,
            '0' => {}
            sign => spec.sign = Some(sign),
        }
        at += 1;
    }
    (spec.width, at) = digits(text, at);
    if c(at) == Some('.') {
        let (precision, after) = digits(text, at + 1);
        (spec.precision, at) = (Some(precision), after);
    }
    spec.kind = c(at);
    match spec.kind {
        Some('s' | 'r' | 'a' | 'c' | '%') if spec.align == Some('=') => (spec.fill, spec.align) = (None, Some('>')),
        Some('i' | 'u') => spec.kind = Some('d'),
        _ => {}
    }
    match spec.kind {
        Some('s' | 'r' | 'd' | 'x' | 'X' | 'o' | 'f' | 'F' | 'e' | 'E' | '%' | 'c' | 'a' | 'g' | 'G') => {
            Ok((spec, &text[at + 1..]))
        }
        other => fail(format!("%: unknown format '{}'", other.map_or(String::new(), String::from))),
    }
}

fn digits(text: &[Char], begin: usize) -> (usize, usize) {
    let mut number = 0usize;
    let mut at = begin;
    while let Some(digit) = text.get(at).and_then(|c| c.get().to_digit(10)) {
        number = number.saturating_mul(10).saturating_add(digit as usize);
        at += 1;
    }
    (number, at)
}

fn add(value: &Value, spec: &Spec, out: &mut Vec<Char>, budget: &Budget) -> Res<()> {
    let mut body = match spec.kind {
        None | Some('s') if value.as_text().is_some() || spec.kind.is_some() || number(value).is_none() => {
            text_of(value, budget)?.to_vec()
        }
        Some('r' | 'a') => {
            let mut body = Vec::new();
            repr(value, &mut body, budget)?;
            body
        }
        Some('c') => match value {
            Value::Text(text) if text.len() == 1 => text.to_vec(),
            other => match other.as_int().and_then(|i| u32::try_from(i).ok()).and_then(char::from_u32) {
                Some(c) => vec![Char::own(c)],
                None => return fail("%c: expected a character"),
            },
        },
        _ => return add_number(value, spec, out, budget),
    };
    if let Some(most) = spec.precision {
        body.truncate(most);
    }
    pad(&body, 0, spec, '<', out, budget)
}

fn add_number(value: &Value, spec: &Spec, out: &mut Vec<Char>, budget: &Budget) -> Res<()> {
    let precision = spec.precision.unwrap_or(6);
    if precision > MAX_PRECISION {
        return fail(format!("a format: expected a precision of at most {MAX_PRECISION}, got {precision}"));
    }
    let Some(f) = number(value.defined()?) else {
        return fail(format!("a format: expected a number, got {}", value.kind()));
    };
    let whole = value.as_int().or_else(|| (f.is_finite() && f.abs() < 9e18).then_some(f.trunc() as i64));
    let negative = value.as_int().map_or(f.is_sign_negative() && !f.is_nan(), |i| i < 0);
    let body = match (spec.kind, whole) {
        (Some('d' | 'n'), Some(i)) => grouped(&i.unsigned_abs().to_string(), spec),
        (Some('x'), Some(i)) => format!("{}{:x}", if spec.alternate { "0x" } else { "" }, i.unsigned_abs()),
        (Some('X'), Some(i)) => format!("{}{:X}", if spec.alternate { "0X" } else { "" }, i.unsigned_abs()),
        (Some('o'), Some(i)) => format!("{}{:o}", if spec.alternate { "0o" } else { "" }, i.unsigned_abs()),
        (Some('b'), Some(i)) => format!("{}{:b}", if spec.alternate { "0b" } else { "" }, i.unsigned_abs()),
        (Some('f' | 'F'), _) => grouped(&format!("{:.precision$}", f.abs()), spec),
        (Some('%'), _) => format!("{:.precision$}%", f.abs() * 100.0),
        (Some('e'), _) => exponent(&format!("{:.precision$e}", f.abs())),
        (Some('E'), _) => exponent(&format!("{:.precision$e}", f.abs())).to_uppercase(),
        (Some('g' | 'G'), _) => general(f.abs(), spec.precision.unwrap_or(6)),
        (None, _) => match (value.as_int(), spec.precision) {
            (Some(i), _) => grouped(&i.unsigned_abs().to_string(), spec),
            (None, None) => grouped(&float(f.abs()), spec),
            (None, Some(precision)) => general(f.abs(), precision),
        },
        (Some(other), _) => return fail(format!("a format: a number has no form '{other}'")),
    };
    let sign = match spec.sign {
        _ if negative => "-",
        Some('+') => "+",
        Some(' ') => " ",
        _ => "",
    };
    let all: Vec<Char> = sign.chars().chain(body.chars()).map(Char::own).collect();
    pad(&all, sign.len(), spec, '>', out, budget)
}

fn grouped(digits: &str, spec: &Spec) -> String {
    if !spec.comma {
        return digits.to_owned();
    }
    let (whole, rest) = digits.split_at(digits.find('.').unwrap_or(digits.len()));
    let mut out = String::new();
    for (i, c) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out + rest
}

/// `1e5` as `1e+05`.
fn exponent(text: &str) -> String {
    let Some((digits, exponent)) = text.split_once('e') else { return text.to_owned() };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.unsigned_abs())
}

/// So many significant digits, with an exponent where that is shorter.
fn general(f: f64, precision: usize) -> String {
    let precision = precision.max(1);
    let scientific = format!("{:.*e}", precision - 1, f);
    let Some((digits, power)) = scientific.split_once('e') else { return scientific };
    let power: i64 = power.parse().unwrap_or(0);
    let trimmed = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if power < -4 || power >= precision as i64 {
        return exponent(&format!("{}e{power}", trimmed(digits)));
    }
    let decimals = usize::try_from(precision as i64 - 1 - power).unwrap_or(0);
    trimmed(&format!("{f:.decimals$}"))
}

/// Fills a body up to the width; `sign` of its characters stay before a fill by `=`.
fn pad(body: &[Char], sign: usize, spec: &Spec, align: char, out: &mut Vec<Char>, budget: &Budget) -> Res<()> {
    let space = spec.width.saturating_sub(body.len());
    budget.pay_chars(body.len().saturating_add(space))?;
    let fill = spec.fill.unwrap_or(Char::own(' '));
    let before = match spec.align.unwrap_or(align) {
        '<' => 0,
        '^' => space / 2,
        _ => space,
    };
    let head = if spec.align == Some('=') { sign } else { 0 };
    out.extend_from_slice(&body[..head]);
    out.extend(std::iter::repeat_n(fill, before));
    out.extend_from_slice(&body[head..]);
    out.extend(std::iter::repeat_n(fill, space - before));
    Ok(())
}

/// `format.format(values)`
pub(super) fn braces(format: &[Char], given: &Given, budget: &Budget) -> Res<Value> {
    let mut out = Vec::new();
    let mut at = 0;
    let mut count = 0;
    while let Some(&c) = format.get(at) {
        let twice = format.get(at + 1).is_some_and(|next| next.get() == c.get());
        match c.get() {
            '{' | '}' if twice => {
                out.push(c);
                at += 2;
            }
            '{' => {
                let Some(len) = format[at..].iter().position(|c| c.get() == '}') else {
                    return fail("format: a '{' is not closed");
                };
                field(&format[at + 1..at + len], given, &mut count, &mut out, budget)?;
                at += len + 1;
            }
            '}' => return fail("format: a '}' stands alone"),
            _ => {
                out.push(c);
                at += 1;
            }
        }
    }
    budget.pay_chars(format.len())?;
    Ok(Value::Text(out.into()))
}

/// `name!conversion:spec`
fn field(field: &[Char], given: &Given, count: &mut usize, out: &mut Vec<Char>, budget: &Budget) -> Res<()> {
    let split = field.iter().position(|c| c.get() == ':').unwrap_or(field.len());
    let spec = brace_spec(field.get(split + 1..).unwrap_or_default())?;
    let name = string(&field[..split]);
    let (name, conversion) = name.split_once('!').map_or((&*name, None), |(name, c)| (name, Some(c)));
    let mut value = named(name, given, count, budget)?;
    match conversion {
        None => {}
        Some("s") => value = Value::Text(text_of(&value, budget)?),
        Some("r" | "a") => {
            let mut text = Vec::new();
            repr(&value, &mut text, budget)?;
            value = Value::Text(text.into());
        }
        Some(other) => return fail(format!("format: unknown conversion '{other}'")),
    }
    add(&value, &spec, out, budget)
}

fn named(name: &str, given: &Given, count: &mut usize, budget: &Budget) -> Res<Value> {
    let end = name.find(['[', '.']).unwrap_or(name.len());
    let (first, mut rest) = name.split_at(end);
    let found = match first.parse::<usize>() {
        Ok(at) => given.positional.get(at),
        Err(_) if first.is_empty() => {
            *count += 1;
            given.positional.get(*count - 1)
        }
        Err(_) => given.named.iter().find(|(n, _)| &**n == first).map(|(_, value)| value),
    };
    let Some(mut value) = found.cloned() else { return fail(format!("format: there is no value '{first}'")) };
    while !rest.is_empty() {
        let Some((key, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) else {
            return fail(format!("format: '{name}' is not supported"));
        };
        let key = key.parse().map_or_else(|_| Value::Text(Text::own(key)), Value::Int);
        value = match item(&value, &key, budget)? {
            Some(value) => value,
            None => return fail(format!("format: '{name}' is not there")),
        };
        rest = after;
    }
    Ok(value)
}

fn brace_spec(text: &[Char]) -> Res<Spec> {
    let mut spec = Spec::default();
    let c = |at: usize| text.get(at).map(|c| c.get());
    let is_align = |c: Option<char>| matches!(c, Some('<' | '>' | '^' | '='));
    let mut at = 0;
    if is_align(c(1)) {
        (spec.fill, spec.align, at) = (text.first().copied(), c(1), 2);
    } else if is_align(c(0)) {
        (spec.align, at) = (c(0), 1);
    }
    if let Some(sign @ ('+' | '-' | ' ')) = c(at) {
        (spec.sign, at) = (Some(sign), at + 1);
    }
    if c(at) == Some('#') {
        (spec.alternate, at) = (true, at + 1);
    }
    if c(at) == Some('0') && spec.align.is_none() {
        (spec.fill, spec.align, at) = (Some(Char::own('0')), Some('='), at + 1);
    }
    (spec.width, at) = digits(text, at);
    if c(at) == Some(',') {
        (spec.comma, at) = (true, at + 1);
    }
    if c(at) == Some('.') {
        let (precision, after) = digits(text, at + 1);
        (spec.precision, at) = (Some(precision), after);
    }
    if let Some(kind) = c(at) {
        (spec.kind, at) = (Some(kind), at + 1);
    }
    if at < text.len() {
        return fail(format!("format: '{}' is not supported", string(text)));
    }
    Ok(spec)
}
