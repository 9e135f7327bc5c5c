//! Methods of Python's `str`, `dict`, `list` and of `loop`, those that change nothing.

use super::arguments::{Given, int, text};
use super::equality::{equal, lookup};
use super::format::braces;
use super::sequences::{find, iterate, lines, replace, rfind, rsplit, slice, split};
use super::text::{Char, Text, is_space, lower, string, title, trim_end, trim_start, upper};
use super::value::{Dict, List, ListKind, Loop, Value};
use super::write::{is_printable, repr};
use super::{Budget, Res, fail};

const OF_TEXT: &[&str] = &[
    "capitalize",
    "casefold",
    "center",
    "count",
    "endswith",
    "expandtabs",
    "find",
    "format",
    "index",
    "isalnum",
    "isalpha",
    "isascii",
    "isdecimal",
    "isdigit",
    "isidentifier",
    "islower",
    "isnumeric",
    "isprintable",
    "isspace",
    "istitle",
    "isupper",
    "join",
    "ljust",
    "lower",
    "lstrip",
    "partition",
    "removeprefix",
    "removesuffix",
    "replace",
    "rfind",
    "rindex",
    "rjust",
    "rpartition",
    "rsplit",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "swapcase",
    "title",
    "upper",
    "zfill",
];

pub(super) fn has(value: &Value, name: &str) -> bool {
    let names: &[&str] = match value {
        Value::Text(_) => OF_TEXT,
        Value::Dict(_) => &["copy", "get", "items", "keys", "values"],
        Value::List(list) => match list.kind {
            ListKind::List => &["copy", "count", "index"],
            ListKind::Tuple => &["count", "index"],
            _ => &[],
        },
        Value::Loop(_) => &["changed", "cycle"],
        _ => &[],
    };
    names.contains(&name)
}

pub(super) fn call(value: &Value, name: &str, given: Given, budget: &Budget) -> Res<Value> {
    match value {
        Value::Text(text) => of_text(text, name, given, budget),
        Value::Dict(dict) => of_dict(value, dict, name, given, budget),
        Value::List(list) => of_list(value, list, name, given, budget),
        Value::Loop(this) => of_loop(this, name, given, budget),
        other => fail(format!("a {} has no method '{name}'", other.kind())),
    }
}

fn of_dict(value: &Value, dict: &Dict, name: &str, mut given: Given, budget: &Budget) -> Res<Value> {
    let result = match name {
        "get" => {
            let key = given.needed("key")?;
            let default = given.next("default").unwrap_or(Value::None);
            lookup(&dict.entries, &key, budget)?.cloned().unwrap_or(default)
        }
        "copy" => value.clone(),
        "keys" => Value::sequence(ListKind::View("dict_keys"), iterate(value, budget)?)?,
        "values" => {
            budget.pay(dict.entries.len())?;
            let values = dict.entries.iter().map(|(_, value)| value.clone()).collect();
            Value::sequence(ListKind::View("dict_values"), values)?
        }
        _ => items(dict, ListKind::View("dict_items"), budget)?,
    };
    given.end(name)?;
    Ok(result)
}

/// Pairs of key and value.
pub(super) fn items(dict: &Dict, kind: ListKind, budget: &Budget) -> Res<Value> {
    budget.pay(dict.entries.len())?;
    let pairs: Res<Vec<Value>> =
        dict.entries.iter().map(|(key, value)| Value::tuple(vec![key.clone(), value.clone()])).collect();
    Value::sequence(kind, pairs?)
}

fn of_list(value: &Value, list: &List, name: &str, mut given: Given, budget: &Budget) -> Res<Value> {
    if name == "copy" {
        given.end(name)?;
        return Ok(value.clone());
    }
    let item = given.needed("value")?;
    given.end(name)?;
    let mut count = 0;
    for (at, other) in list.items.iter().enumerate() {
        if equal(other, &item, budget)? {
            if name == "index" {
                return Ok(Value::Int(i64::try_from(at).unwrap_or(i64::MAX)));
            }
            count += 1;
        }
    }
    if name == "index" { fail("index: the value is not in the list") } else { Ok(Value::Int(count)) }
}

fn of_loop(this: &Loop, name: &str, mut given: Given, budget: &Budget) -> Res<Value> {
    let values = given.rest();
    given.end(name)?;
    if name == "cycle" {
        return match values.len() {
            0 => fail("cycle: expected at least one value"),
            len => Ok(values[this.index.get() % len].clone()),
        };
    }
    let mut text = Vec::new();
    repr(&Value::tuple(values)?, &mut text, budget)?;
    let new = Some(Text::from(text));
    let changed = *this.changed.borrow() != new;
    this.changed.replace(new);
    Ok(Value::Bool(changed))
}

fn of_text(text: &Text, name: &str, mut given: Given, budget: &Budget) -> Res<Value> {
    budget.pay_chars(text.len())?;
    if name == "format" {
        return braces(text, &given, budget);
    }
    let result = match name {
        "strip" | "lstrip" | "rstrip" => strip(text, name, given.some("chars"), budget)?,
        "split" | "rsplit" => {
            let separator = given.some("sep");
            let most = usize::try_from(given.int("maxsplit", -1)?).unwrap_or(usize::MAX);
            texts(
                match &separator {
                    None if name == "split" => words(text, most),
                    None => last_words(text, most),
                    Some(separator) => {
                        let separator = self::text_argument(separator, "sep")?;
                        if name == "split" {
                            split(text, &separator, most, budget)?
                        } else {
                            rsplit(text, &separator, most, budget)?
                        }
                    }
                },
                ListKind::List,
            )?
        }
        "partition" | "rpartition" => {
            let separator = given.text("sep")?;
            if separator.is_empty() {
                return fail(format!("{name}: the separator is empty"));
            }
            partition(text, &separator, name == "partition", budget)?
        }
        "splitlines" => texts(lines(text, given.flag("keepends")), ListKind::List)?,
        "join" => join(text, &iterate(&given.needed("iterable")?, budget)?, budget)?,
        "replace" => {
            let (old, new) = (given.text("old")?, given.text("new")?);
            let most = usize::try_from(given.int("count", -1)?).unwrap_or(usize::MAX);
            Value::Text(replace(text, &old, &new, most, budget)?)
        }
        "removeprefix" => {
            let prefix = given.text("prefix")?;
            Value::Text(text.strip_prefix(&*prefix).unwrap_or(text).into())
        }
        "removesuffix" => {
            let suffix = given.text("suffix")?;
            Value::Text(text.strip_suffix(&*suffix).unwrap_or(text).into())
        }
        "startswith" | "endswith" => {
            let parts = given.needed("prefix")?;
            let cut = between(text, &mut given, budget)?;
            Value::Bool(begins_or_ends(cut.as_text(), &parts, name == "startswith")?)
        }
        "find" | "rfind" | "index" | "rindex" | "count" => search(text, name, &mut given, budget)?,
        "center" | "ljust" | "rjust" | "zfill" => {
            let width = usize::try_from(given.int("width", 0)?).unwrap_or(0);
            let fill = match given.some("fillchar") {
                None => Char::own(if name == "zfill" { '0' } else { ' ' }),
                Some(Value::Text(fill)) if fill.len() == 1 => fill[0],
                Some(_) => return fail(format!("{name}: expected one character to fill with")),
            };
            Value::Text(padded(text, name, width, fill, budget)?)
        }
        "expandtabs" => {
            let size = usize::try_from(given.int("tabsize", 8)?).unwrap_or(0);
            Value::Text(expanded(text, size, budget)?)
        }
        _ => match cased(text, name) {
            Some(chars) => Value::Text(chars.into()),
            None => Value::Bool(is(text, name)),
        },
    };
    given.end(name)?;
    Ok(result)
}

fn text_argument(value: &Value, name: &str) -> Res<Text> {
    text(value, name)
}

fn texts(parts: Vec<&[Char]>, kind: ListKind) -> Res<Value> {
    Value::sequence(kind, parts.into_iter().map(|part| Value::Text(part.into())).collect())
}

/// `strip`, `lstrip`, `rstrip`; without `chars` it is white space that goes.
pub(super) fn strip(text: &[Char], name: &str, chars: Option<Value>, budget: &Budget) -> Res<Value> {
    let chars = match chars {
        Some(chars) => Some(self::text_argument(&chars, "chars")?),
        None => None,
    };
    if let Some(chars) = &chars {
        budget.pay_chars(text.len().saturating_mul(chars.len()))?;
    }
    let goes = |c: char| match &chars {
        Some(chars) => chars.iter().any(|own| own.get() == c),
        None => is_space(c),
    };
    let mut kept = text;
    if name != "rstrip" {
        kept = trim_start(kept, goes);
    }
    if name != "lstrip" {
        kept = trim_end(kept, goes);
    }
    Ok(Value::Text(kept.into()))
}

fn words(text: &[Char], most: usize) -> Vec<&[Char]> {
    let mut words = Vec::new();
    let mut rest = trim_start(text, is_space);
    while !rest.is_empty() {
        let end = rest.iter().position(|c| is_space(c.get())).unwrap_or(rest.len());
        if words.len() == most {
            words.push(rest);
            break;
        }
        words.push(&rest[..end]);
        rest = trim_start(&rest[end..], is_space);
    }
    words
}

fn last_words(text: &[Char], most: usize) -> Vec<&[Char]> {
    let mut words = Vec::new();
    let mut rest = trim_end(text, is_space);
    while !rest.is_empty() {
        let begin = rest.iter().rposition(|c| is_space(c.get())).map_or(0, |at| at + 1);
        if words.len() == most {
            words.push(rest);
            break;
        }
        words.push(&rest[begin..]);
        rest = trim_end(&rest[..begin], is_space);
    }
    words.reverse();
    words
}

fn partition(text: &[Char], separator: &[Char], first: bool, budget: &Budget) -> Res<Value> {
    let at = if first { find(text, separator, budget)? } else { rfind(text, separator, budget)? };
    let nothing: &[Char] = &[];
    texts(
        match at {
            Some(at) => vec![&text[..at], separator, &text[at + separator.len()..]],
            None if first => vec![text, nothing, nothing],
            None => vec![nothing, nothing, text],
        },
        ListKind::Tuple,
    )
}

fn join(separator: &[Char], items: &[Value], budget: &Budget) -> Res<Value> {
    let mut out = Vec::new();
    for (i, item) in items.iter().enumerate() {
        let item = self::text_argument(item, "join")?;
        budget.pay_chars(separator.len() + item.len())?;
        if i > 0 {
            out.extend_from_slice(separator);
        }
        out.extend_from_slice(&item);
    }
    Ok(Value::Text(out.into()))
}

/// The part of the text between the arguments `start` and `end`.
fn between(text: &Text, given: &mut Given, budget: &Budget) -> Res<Value> {
    let start = given.some("start").map(|value| int(&value, "start")).transpose()?;
    let end = given.some("end").map(|value| int(&value, "end")).transpose()?;
    match (start, end) {
        (None, None) => Ok(Value::Text(text.clone())),
        parts => slice(&Value::Text(text.clone()), &[parts.0, parts.1, None], budget),
    }
}

fn begins_or_ends(text: Option<&Text>, parts: &Value, begins: bool) -> Res<bool> {
    let Some(text) = text else { return Ok(false) };
    let one = |part: &Value| {
        let part = self::text_argument(part, if begins { "startswith" } else { "endswith" })?;
        Ok(if begins { text.starts_with(&part) } else { text.ends_with(&part) })
    };
    match parts {
        Value::List(list) if list.kind == ListKind::Tuple => {
            for part in &list.items {
                if one(part)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        part => one(part),
    }
}

fn search(text: &Text, name: &str, given: &mut Given, budget: &Budget) -> Res<Value> {
    let part = given.text("sub")?;
    let start = match given.positional.get(1) {
        Some(value) if !matches!(value, Value::None) => int(value, "start")?,
        _ => 0,
    };
    let len = i64::try_from(text.len()).unwrap_or(i64::MAX);
    let before = if start < 0 { start.saturating_add(len).max(0) } else { start };
    let cut = between(text, given, budget)?;
    let Some(cut) = cut.as_text() else { return Ok(Value::Int(-1)) };
    if name == "count" {
        let count = if part.is_empty() { cut.len() + 1 } else { split(cut, &part, usize::MAX, budget)?.len() - 1 };
        return Ok(Value::Int(i64::try_from(count).unwrap_or(i64::MAX)));
    }
    let from_end = name.starts_with('r');
    let at = if from_end { rfind(cut, &part, budget)? } else { find(cut, &part, budget)? };
    match at.and_then(|at| i64::try_from(at).ok()) {
        Some(_) if before > len => Ok(Value::Int(-1)),
        Some(at) => Ok(Value::Int(at + before)),
        None if name.ends_with("index") => fail(format!("{name}: the part is not in the text")),
        None => Ok(Value::Int(-1)),
    }
}

/// `center`, `ljust`, `rjust`, `zfill`
pub(super) fn padded(text: &[Char], name: &str, width: usize, fill: Char, budget: &Budget) -> Res<Text> {
    let space = width.saturating_sub(text.len());
    budget.pay_chars(text.len().saturating_add(space))?;
    let before = match name {
        "ljust" => 0,
        "center" => space / 2 + (space & width & 1),
        _ => space,
    };
    let signed = name == "zfill" && text.first().is_some_and(|c| matches!(c.get(), '+' | '-'));
    let head = usize::from(signed);
    let mut out = text[..head].to_vec();
    out.extend(std::iter::repeat_n(fill, before));
    out.extend_from_slice(&text[head..]);
    out.extend(std::iter::repeat_n(fill, space - before));
    Ok(out.into())
}

fn expanded(text: &[Char], size: usize, budget: &Budget) -> Res<Text> {
    let mut out = Vec::new();
    let mut column = 0;
    for &c in text {
        match c.get() {
            '\t' => {
                let spaces = if size == 0 { 0 } else { size - column % size };
                budget.pay_chars(spaces)?;
                out.extend(std::iter::repeat_n(c.like(' '), spaces));
                column += spaces;
            }
            other => {
                column = if matches!(other, '\n' | '\r') { 0 } else { column + 1 };
                out.push(c);
            }
        }
    }
    Ok(out.into())
}

/// The methods that change letters.
pub(super) fn cased(text: &[Char], name: &str) -> Option<Vec<Char>> {
    Some(match name {
        "lower" => lower(text),
        "casefold" => {
            lower(text).into_iter().flat_map(|c| if c.get() == 'ß' { vec![c.like('s'); 2] } else { vec![c] }).collect()
        }
        "upper" => upper(text),
        "capitalize" => match text.split_first() {
            Some((first, rest)) => title(*first).chain(lower(rest)).collect(),
            None => Vec::new(),
        },
        "title" => {
            let mut inside = false;
            let mut out = Vec::new();
            for &c in text {
                if inside {
                    out.extend(lower(&[c]))
                } else {
                    out.extend(title(c))
                }
                inside = c.get().is_alphabetic();
            }
            out
        }
        "swapcase" => {
            text.iter().flat_map(|c| if c.get().is_uppercase() { lower(&[*c]) } else { upper(&[*c]) }).collect()
        }
        _ => return None,
    })
}

fn is(text: &[Char], name: &str) -> bool {
    let all = |test: fn(char) -> bool| !text.is_empty() && text.iter().all(|c| test(c.get()));
    let cased = |test: fn(char) -> bool| {
        text.iter().any(|c| c.get().is_uppercase() || c.get().is_lowercase()) && text.iter().all(|c| test(c.get()))
    };
    match name {
        "isalnum" => all(char::is_alphanumeric),
        "isalpha" => all(char::is_alphabetic),
        "isascii" => text.iter().all(|c| c.get().is_ascii()),
        "isdecimal" | "isdigit" => all(|c| c.is_numeric() && (!c.is_ascii() || c.is_ascii_digit())),
        "isnumeric" => all(char::is_numeric),
        "isidentifier" => all(|c| c.is_alphanumeric() || c == '_') && !text[0].get().is_numeric(),
        "islower" => cased(|c| !c.is_uppercase()),
        "isupper" => cased(|c| !c.is_lowercase()),
        "isprintable" => text.iter().all(|c| is_printable(c.get())),
        "isspace" => all(is_space),
        // istitle
        _ => {
            string(text).chars().any(char::is_alphabetic)
                && self::cased(text, "title").is_some_and(|titled| titled == text)
        }
    }
}
