//! Walking, searching and cutting texts, lists and dicts.

use super::equality::lookup;
use super::text::{Char, Text};
use super::value::{ListKind, Value};
use super::{Budget, Res, fail};

/// The items of what can be walked.
pub(super) fn iterate(value: &Value, budget: &Budget) -> Res<Vec<Value>> {
    let items: Vec<Value> = match value {
        Value::Undefined(_) => Vec::new(),
        Value::Text(text) => text.iter().map(|c| Value::Text([*c].as_slice().into())).collect(),
        Value::List(list) => list.items.clone(),
        Value::Dict(dict) => dict.entries.iter().map(|(key, _)| key.clone()).collect(),
        Value::Loop(this) => this.items[(this.index.get() + 1).min(this.items.len())..].to_vec(),
        other => return fail(format!("a {} cannot be walked", other.kind())),
    };
    budget.pay(items.len())?;
    Ok(items)
}

pub(super) fn length(value: &Value) -> Res<usize> {
    match value {
        Value::Undefined(_) => Ok(0),
        Value::Text(text) => Ok(text.len()),
        Value::List(list) if list.kind != ListKind::Generator => Ok(list.items.len()),
        Value::Dict(dict) => Ok(dict.entries.len()),
        Value::Loop(this) => Ok(this.items.len()),
        other => fail(format!("a {} has no length", other.kind())),
    }
}

/// `value[key]`, if it is there.
pub(super) fn item(value: &Value, key: &Value, budget: &Budget) -> Res<Option<Value>> {
    let place = |len: usize| {
        let at = key.as_int()?;
        let at = if at < 0 { at.checked_add(i64::try_from(len).ok()?)? } else { at };
        usize::try_from(at).ok().filter(|at| *at < len)
    };
    Ok(match value {
        Value::Text(text) => place(text.len()).map(|at| Value::Text([text[at]].as_slice().into())),
        Value::List(list) if matches!(list.kind, ListKind::List | ListKind::Tuple) => {
            place(list.items.len()).map(|at| list.items[at].clone())
        }
        Value::Dict(dict) => lookup(&dict.entries, key, budget)?.cloned(),
        _ => None,
    })
}

/// `value[from:to:step]`
pub(super) fn slice(value: &Value, parts: &[Option<i64>; 3], budget: &Budget) -> Res<Value> {
    let places = |len: usize| places(len, parts, budget);
    match value.defined()? {
        Value::Text(text) => {
            let chars: Vec<Char> = places(text.len())?.into_iter().map(|at| text[at]).collect();
            Ok(Value::Text(chars.into()))
        }
        Value::List(list) if matches!(list.kind, ListKind::List | ListKind::Tuple) => {
            Value::sequence(list.kind, places(list.items.len())?.into_iter().map(|at| list.items[at].clone()).collect())
        }
        other => fail(format!("a {} cannot be cut", other.kind())),
    }
}

fn places(len: usize, [from, to, step]: &[Option<i64>; 3], budget: &Budget) -> Res<Vec<usize>> {
    let step = step.unwrap_or(1);
    if step == 0 {
        return fail("a slice's step is 0");
    }
    let Ok(len) = i64::try_from(len) else { return fail("a list is too long") };
    // Where a walk may stand, its end included.
    let (lowest, highest) = if step > 0 { (0, len) } else { (-1, len - 1) };
    let place = |at: i64| (if at < 0 { at.saturating_add(len) } else { at }).clamp(lowest, highest);
    let (first, last) = if step > 0 { (0, len) } else { (len - 1, -1) };
    let from = from.map_or(first, place);
    let to = to.map_or(last, place);
    let mut places = Vec::new();
    let mut at = from;
    while if step > 0 { at < to } else { at > to } {
        places.extend(usize::try_from(at));
        at = at.saturating_add(step);
    }
    budget.pay_chars(places.len())?;
    Ok(places)
}

/// Where `part` is first in `text`.
pub(super) fn find(text: &[Char], part: &[Char], budget: &Budget) -> Res<Option<usize>> {
    find_by(text, part, budget, false)
}

pub(super) fn rfind(text: &[Char], part: &[Char], budget: &Budget) -> Res<Option<usize>> {
    find_by(text, part, budget, true)
}

/// It pays for every character compared: a text of one letter makes that a square.
fn find_by(text: &[Char], part: &[Char], budget: &Budget, from_end: bool) -> Res<Option<usize>> {
    let Some(last) = text.len().checked_sub(part.len()) else { return Ok(None) };
    let mut compared = 0;
    for i in 0..=last {
        let at = if from_end { last - i } else { i };
        let same = text[at..].iter().zip(part).take_while(|(a, b)| a == b).count();
        if same == part.len() {
            budget.pay_chars(compared + same)?;
            return Ok(Some(at));
        }
        compared += same + 1;
        if compared > 1 << 16 {
            budget.pay_chars(compared)?;
            compared = 0;
        }
    }
    budget.pay_chars(compared)?;
    Ok(None)
}

/// The parts between `separator`, at most `most` cuts.
pub(super) fn split<'t>(text: &'t [Char], separator: &[Char], most: usize, budget: &Budget) -> Res<Vec<&'t [Char]>> {
    if separator.is_empty() {
        return fail("split: the separator is empty");
    }
    let mut parts = Vec::new();
    let mut rest = text;
    while parts.len() < most
        && let Some(at) = find(rest, separator, budget)?
    {
        parts.push(&rest[..at]);
        rest = &rest[at + separator.len()..];
    }
    parts.push(rest);
    Ok(parts)
}

/// As `split`, cutting from the end.
pub(super) fn rsplit<'t>(text: &'t [Char], separator: &[Char], most: usize, budget: &Budget) -> Res<Vec<&'t [Char]>> {
    if separator.is_empty() {
        return fail("rsplit: the separator is empty");
    }
    let mut parts = Vec::new();
    let mut rest = text;
    while parts.len() < most
        && let Some(at) = rfind(rest, separator, budget)?
    {
        parts.push(&rest[at + separator.len()..]);
        rest = &rest[..at];
    }
    parts.push(rest);
    parts.reverse();
    Ok(parts)
}

pub(super) fn replace(text: &[Char], old: &[Char], new: &[Char], most: usize, budget: &Budget) -> Res<Text> {
    let mut out = Vec::new();
    if old.is_empty() {
        budget.pay_chars((text.len() + 1).saturating_mul(new.len() + 1))?;
        for (i, c) in text.iter().enumerate() {
            if i < most {
                out.extend_from_slice(new);
            }
            out.push(*c);
        }
        if text.len() < most {
            out.extend_from_slice(new);
        }
        return Ok(out.into());
    }
    let parts = split(text, old, most, budget)?;
    budget.pay_chars(text.len() + parts.len().saturating_mul(new.len()))?;
    Ok(parts.join(new).into())
}

/// The lines of a text, without their ends.
pub(super) fn lines(text: &[Char], keep_ends: bool) -> Vec<&[Char]> {
    let ends = |c: char| {
        matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}')
    };
    let mut lines = Vec::new();
    let mut begin = 0;
    while let Some(len) = text[begin..].iter().position(|c| ends(c.get())) {
        let end = begin + len;
        let both = text[end].get() == '\r' && text.get(end + 1).is_some_and(|c| c.get() == '\n');
        let next = end + 1 + usize::from(both);
        lines.push(&text[begin..if keep_ends { next } else { end }]);
        begin = next;
    }
    if begin < text.len() {
        lines.push(&text[begin..]);
    }
    lines
}
