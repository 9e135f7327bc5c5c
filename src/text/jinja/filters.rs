//! Jinja2's filters: those of one value. `filters_of_lists` has those of many.

use super::arguments::{Given, int};
use super::equality::number;
use super::format::percent;
use super::json::tojson;
use super::methods::{self, cased, padded, strip};
use super::sequences::{length, lines, replace};
use super::text::{Char, Text, is, is_space, lower, string, upper};
use super::value::Value;
use super::write::text_of;
use super::{Budget, Res, fail};

/// All of both files.
pub(super) const FILTERS: &[&str] = &[
    "abs",
    "attr",
    "batch",
    "capitalize",
    "center",
    "count",
    "d",
    "default",
    "dictsort",
    "e",
    "escape",
    "first",
    "float",
    "forceescape",
    "format",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "safe",
    "select",
    "selectattr",
    "slice",
    "sort",
    "string",
    "sum",
    "title",
    "tojson",
    "trim",
    "truncate",
    "unique",
    "upper",
    "urlencode",
    "wordcount",
];

/// None if the filter is not one of one value.
pub(super) fn call(name: &str, value: &Value, mut given: Given, budget: &Budget) -> Option<Res<Value>> {
    let text = || text_of(value, budget);
    Some(match name {
        "tojson" => tojson(value, given, budget),
        "format" => text().and_then(|text| format(&text, given, budget)),
        "default" | "d" => {
            let default = given.next("default_value").unwrap_or_else(|| Value::text(""));
            let also_false = given.flag("boolean");
            let missing = value.is_undefined() || also_false && !value.is_true();
            ended(given, name, Ok(if missing { default } else { value.clone() }))
        }
        "string" => ended(given, name, text().map(Value::Text)),
        "safe" => ended(given, name, text().map(|text| Value::Text(text.into_markup()))),
        "length" | "count" => {
            ended(given, name, length(value).map(|len| Value::Int(i64::try_from(len).unwrap_or(i64::MAX))))
        }
        "lower" => ended(given, name, text().map(|text| Value::Text(lower(&text).into()))),
        "upper" => ended(given, name, text().map(|text| Value::Text(upper(&text).into()))),
        "capitalize" => {
            ended(given, name, text().map(|text| Value::Text(cased(&text, "capitalize").unwrap_or_default().into())))
        }
        "title" => ended(given, name, text().map(|text| Value::Text(titled(&text).into()))),
        "trim" => {
            let chars = given.some("chars");
            ended(given, name, text().and_then(|text| strip(&text, "strip", chars, budget)))
        }
        "center" => {
            let width = given.int("width", 80);
            let centered = width.and_then(|width| {
                padded(&text()?, "center", usize::try_from(width).unwrap_or(0), Char::own(' '), budget)
            });
            ended(given, name, centered.map(Value::Text))
        }
        "replace" => text().and_then(|text| replaced(&text, given, budget)),
        "indent" => super::arguments::text(value, "indent").and_then(|text| indented(&text, given, budget)),
        "truncate" => truncated(value, given),
        "wordcount" => ended(given, name, text().map(|text| Value::Int(words(&text)))),
        "escape" | "e" => ended(given, name, text().map(|text| Value::Text(text.escaped()))),
        "forceescape" => ended(given, name, text().map(|text| Value::Text(Text::from(&*text).escaped()))),
        "urlencode" => {
            let plain = !matches!(value, Value::List(_) | Value::Dict(_));
            let encoded =
                if plain { text().map(|text| url_encoded(&text)) } else { fail("urlencode: expected a text") };
            ended(given, name, encoded.map(Value::Text))
        }
        "int" => to_int(value, given),
        "float" => to_float(value, given),
        "abs" => ended(given, name, absolute(value)),
        "round" => rounded(value, given),
        "attr" => {
            let attribute = given.text("name");
            ended(given, name, attribute.and_then(|attribute| attr(value, &attribute)))
        }
        _ => return None,
    })
}

/// The result, if all arguments were taken.
pub(super) fn ended(given: Given, name: &str, result: Res<Value>) -> Res<Value> {
    let value = result?;
    given.end(name)?;
    Ok(value)
}

fn format(format: &Text, mut given: Given, budget: &Budget) -> Res<Value> {
    if given.named.is_empty() {
        return percent(format, &Value::tuple(given.rest())?, budget);
    }
    let named: Vec<_> = given.named.iter().map(|(name, value)| (Value::text(name), value.clone())).collect();
    percent(format, &Value::dict(named)?, budget)
}

fn titled(text: &[Char]) -> Vec<Char> {
    let mut begins = true;
    let mut out = Vec::new();
    for &c in text {
        if matches!(c.get(), '-' | '(' | '{' | '[' | '<') || is_space(c.get()) {
            begins = true;
            out.push(c);
        } else {
            out.extend(if begins { upper(&[c]) } else { lower(&[c]) });
            begins = false;
        }
    }
    out
}

fn replaced(text: &Text, mut given: Given, budget: &Budget) -> Res<Value> {
    let old = text_of(&given.needed("old")?, budget)?;
    let new = text_of(&given.needed("new")?, budget)?;
    let most = usize::try_from(given.int("count", -1)?).unwrap_or(usize::MAX);
    given.end("replace")?;
    Ok(Value::Text(replace(text, &old, &new, most, budget)?))
}

fn indented(text: &Text, mut given: Given, budget: &Budget) -> Res<Value> {
    let indent = match given.next("width") {
        Some(Value::Text(indent)) => indent,
        width => {
            let width = width.map_or(Ok(4), |width| int(&width, "width"))?;
            let width = usize::try_from(width).unwrap_or(0);
            budget.pay_chars(width)?;
            Text::own(&" ".repeat(width))
        }
    };
    let (first, blank) = (given.flag("first"), given.flag("blank"));
    given.end("indent")?;
    // As Jinja2: with a line's end at the end, the last line may be empty.
    let all: Vec<Char> = text.iter().copied().chain([Char::own('\n')]).collect();
    let lines = lines(&all, false);
    budget.pay_chars(all.len().saturating_add(lines.len().saturating_mul(indent.len())))?;
    let mut out = Vec::new();
    for (i, line) in lines.into_iter().enumerate() {
        if i > 0 {
            out.push(Char::own('\n'));
        }
        if if i == 0 { first } else { blank || !line.is_empty() } {
            out.extend_from_slice(&indent);
        }
        out.extend_from_slice(line);
    }
    Ok(Value::Text(out.into()))
}

fn truncated(value: &Value, mut given: Given) -> Res<Value> {
    let most = usize::try_from(given.int("length", 255)?).unwrap_or(0);
    let kill = given.flag("killwords");
    let end = match given.next("end") {
        Some(end) => super::arguments::text(&end, "end")?,
        None => Text::own("..."),
    };
    let leeway = usize::try_from(given.int("leeway", 5)?).unwrap_or(0);
    given.end("truncate")?;
    if most < end.len() {
        return fail(format!("truncate: expected a length of at least {}, got {most}", end.len()));
    }
    if length(value)? <= most.saturating_add(leeway) {
        return Ok(value.clone());
    }
    let text = super::arguments::text(value, "truncate")?;
    let mut kept = &text[..most - end.len()];
    if !kill {
        kept = kept.iter().rposition(|c| c.get() == ' ').map_or(kept, |at| &kept[..at]);
    }
    Ok(Value::Text(kept.iter().chain(end.iter()).copied().collect()))
}

fn words(text: &[Char]) -> i64 {
    let mut inside = false;
    let mut count = 0;
    for c in text {
        let word = c.get().is_alphanumeric() || c.get() == '_';
        count += i64::from(word && !inside);
        inside = word;
    }
    count
}

fn url_encoded(text: &[Char]) -> Text {
    let mut out = Vec::new();
    for &c in text {
        if c.get().is_ascii_alphanumeric() || "_.-~/".contains(c.get()) {
            out.push(c);
            continue;
        }
        for byte in c.get().encode_utf8(&mut [0; 4]).bytes() {
            out.extend(format!("%{byte:02X}").chars().map(|e| c.like(e)));
        }
    }
    out.into()
}

fn to_int(value: &Value, mut given: Given) -> Res<Value> {
    let default = given.next("default").unwrap_or(Value::Int(0));
    let base = u32::try_from(given.int("base", 10)?).unwrap_or(10);
    given.end("int")?;
    let found = match value.defined() {
        Err(fault) => return Err(fault),
        Ok(Value::Float(f)) if f.is_finite() && f.abs() < 9.2e18 => Some(f.trunc() as i64),
        Ok(Value::Text(text)) => {
            let text = string(text);
            let digits = text.trim().replace('_', "");
            let prefix = match base {
                16 => "0x",
                8 => "0o",
                2 => "0b",
                _ => "",
            };
            let digits = digits.strip_prefix(prefix).unwrap_or(&digits);
            let whole = if (2..=36).contains(&base) { i64::from_str_radix(digits, base).ok() } else { None };
            whole.or_else(|| python_float(&text).filter(|f| f.abs() < 9.2e18).map(|f| f.trunc() as i64))
        }
        Ok(other) => other.as_int(),
    };
    Ok(found.map_or(default, Value::Int))
}

fn python_float(text: &str) -> Option<f64> {
    text.trim().replace('_', "").parse().ok()
}

fn to_float(value: &Value, mut given: Given) -> Res<Value> {
    let default = given.next("default").unwrap_or(Value::Float(0.0));
    given.end("float")?;
    let found = match value.defined()? {
        Value::Text(text) => python_float(&string(text)),
        other => number(other),
    };
    Ok(found.map_or(default, Value::Float))
}

fn absolute(value: &Value) -> Res<Value> {
    match value.defined()? {
        Value::Float(f) => Ok(Value::Float(f.abs())),
        other => match int(other, "abs")?.checked_abs() {
            Some(i) => Ok(Value::Int(i)),
            None => fail("a whole number is too large"),
        },
    }
}

fn rounded(value: &Value, mut given: Given) -> Res<Value> {
    let precision = given.int("precision", 0)?;
    let method = given.some("method");
    given.end("round")?;
    let Ok(precision) = i32::try_from(precision) else { return fail("round: the precision is too large") };
    let Some(f) = number(value.defined()?) else { return fail(format!("round: a {} is no number", value.kind())) };
    let scale = 10f64.powi(precision);
    match method.as_ref().and_then(Value::as_text) {
        Some(method) if is(method, "ceil") => Ok(Value::Float((f * scale).ceil() / scale)),
        Some(method) if is(method, "floor") => Ok(Value::Float((f * scale).floor() / scale)),
        Some(method) if !is(method, "common") => fail(format!("round: there is no method '{method}'")),
        _ => match value.as_int() {
            Some(i) if precision >= 0 => Ok(Value::Int(i)),
            Some(_) => Ok(Value::Int(round_half_even(f, precision) as i64)),
            None => Ok(Value::Float(round_half_even(f, precision))),
        },
    }
}

/// As Python: of the decimal digits that the number really has.
fn round_half_even(f: f64, precision: i32) -> f64 {
    match usize::try_from(precision) {
        Ok(digits) if digits <= 300 => format!("{f:.digits$}").parse().unwrap_or(f),
        Ok(_) => f,
        Err(_) => {
            let scale = 10f64.powi(-precision);
            (f / scale).round_ties_even() * scale
        }
    }
}

/// Only what is no item.
fn attr(value: &Value, name: &Text) -> Res<Value> {
    let name = string(name);
    match value.defined()? {
        Value::Namespace(namespace) if namespace.get(&name).is_some() => {
            Ok(namespace.get(&name).unwrap_or(Value::None))
        }
        value if methods::has(value, &name) => {
            Ok(Value::Callable(std::rc::Rc::new(super::value::Callable::Method(value.clone(), name.into()))))
        }
        value => Ok(Value::undefined(format!("a {} has no attribute '{name}'", value.kind()))),
    }
}
