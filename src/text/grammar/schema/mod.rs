//! JSON Schemas: what is refused of them, what is said of them in another way, and where a fault of one is.
//!
//! llguidance takes most keywords and refuses some, without the place; some it would ignore, and a few it takes for less than
//! they say. The walk here goes where the schema is in force: into its parts, and where a reference of it points to.

mod locate;

use std::collections::HashSet;

use regex_syntax::hir::{Hir, HirKind};
use serde_json::{Map, Value, json};

pub(super) use locate::located;

use super::refused;
use crate::{Error, Result};

/// Keywords that constrain, in one draft or another, and that no answer can be held to.
const UNSUPPORTED: &[&str] = &[
    "$dynamicRef",
    "$recursiveRef",
    "contains",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "disallow",
    "divisibleBy",
    "else",
    "extends",
    "if",
    "maxContains",
    "minContains",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
    "uniqueItems",
    // Of llguidance itself: it can switch refusals off.
    "x-guidance",
];

/// Keywords whose value is a schema, or a list of schemas, or has schemas by name.
const OF_ONE: &[&str] = &["additionalItems", "additionalProperties", "items"];
const OF_LIST: &[&str] = &["allOf", "anyOf", "items", "oneOf", "prefixItems"];
const OF_NAMES: &[&str] = &["patternProperties", "properties"];

/// Formats of numbers, as schemas made from types have them, and what they mean.
const INTEGERS: &[(&str, i64, i64)] = &[
    ("int8", i8::MIN as i64, i8::MAX as i64),
    ("int16", i16::MIN as i64, i16::MAX as i64),
    ("int32", i32::MIN as i64, i32::MAX as i64),
    ("int64", i64::MIN, i64::MAX),
    ("int", i64::MIN, i64::MAX),
    ("uint8", 0, u8::MAX as i64),
    ("uint16", 0, u16::MAX as i64),
    ("uint32", 0, u32::MAX as i64),
    ("uint64", 0, i64::MAX),
    ("uint", 0, i64::MAX),
];

/// The most levels of parts and references.
const MAX_LEVELS: usize = 5000;

/// The most that counted properties may cost: the square of how many are optional, added up over all objects.
const MAX_COUNTED: usize = 16_000;

/// The least bound that is beyond an `i64`, and the largest `f64` below it.
const BEYOND: f64 = 9_223_372_036_854_775_808.0;
const MAX_BOUND: i64 = 9_223_372_036_854_774_784;

/// Checks a schema, and says in llguidance's way what it says in another.
///
/// # Errors
///
/// `InvalidArgument`, naming keyword and place.
pub(super) fn prepare(mut schema: Value) -> Result<Value> {
    if !schema.is_object() && !schema.is_boolean() {
        return Err(fault("", "schema", "expected an object or a boolean"));
    }
    let mut walk =
        Walk { seen: HashSet::new(), next: Vec::new(), deepest: Vec::new(), counted: 0, has_ids: has_ids(&schema, 0) };
    walk.enter(String::new());
    while let Some(Part { place, entry, depth }) = walk.next.pop() {
        if walk.seen.insert(place.clone())
            && let Some(Value::Object(keywords)) = schema.pointer(&place)
        {
            walk.count(entry, depth)?;
            walk.check(&schema, keywords, &Part { place: place.clone(), entry, depth })?;
            if let Some(Value::Object(keywords)) = schema.pointer_mut(&place) {
                adapt(keywords);
            }
        }
    }
    Ok(schema)
}

/// The options that the compiler is given with a schema. A character is written in one way only, so that a name that must not
/// come again cannot come in another spelling.
pub(super) fn with_options(mut schema: Value) -> Value {
    if let Value::Object(keywords) = &mut schema {
        keywords.insert("x-guidance".into(), json!({ "json_allowed_escapes": "nrbtf\\\"" }));
    }
    schema
}

/// The refusal of a keyword at a place, a JSON pointer into the schema.
fn fault(place: &str, keyword: &str, why: impl std::fmt::Display) -> Error {
    refused(&format!("JSON Schema: {place}/{keyword}"), why)
}

/// A name as a part of a JSON pointer.
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// A schema within the schema: where it is, of which entry, and how deep in it.
struct Part {
    place: String,
    entry: usize,
    depth: usize,
}

struct Walk {
    seen: HashSet<String>,
    next: Vec<Part>,
    /// How deep each entry nests: the schema itself, and what is referred to.
    deepest: Vec<usize>,
    counted: usize,
    /// Whether parts of the schema have addresses of their own, so that a reference may mean something else than it looks like.
    has_ids: bool,
}

impl Walk {
    /// A part that is compiled where it is first referred to, in the middle of what refers to it.
    fn enter(&mut self, place: String) {
        if !self.seen.contains(&place) {
            self.next.push(Part { place, entry: self.deepest.len(), depth: 1 });
            self.deepest.push(0);
        }
    }

    /// All that could stand one within another, over any chain of references, must fit the stack.
    fn count(&mut self, entry: usize, depth: usize) -> Result<()> {
        self.deepest[entry] = self.deepest[entry].max(depth);
        let levels: usize = self.deepest.iter().sum();
        if levels > MAX_LEVELS {
            let why = format_args!("expected parts and references to nest at most {MAX_LEVELS} deep, all added up");
            return Err(refused("JSON Schema", why));
        }
        Ok(())
    }

    fn check(&mut self, schema: &Value, keywords: &Map<String, Value>, part: &Part) -> Result<()> {
        let place = &*part.place;
        for (keyword, value) in keywords {
            if UNSUPPORTED.contains(&&**keyword) && !says_nothing(keyword, value, keywords) {
                return Err(fault(place, keyword, "the keyword is not supported"));
            }
            self.enqueue(part, keyword, value);
        }
        check_constants(keywords, place)?;
        check_patterns(keywords, place)?;
        check_numbers(keywords, place)?;
        check_names(keywords, place)?;
        self.check_counted(keywords, place)?;
        match keywords.get("$ref").map(|value| (value, value.as_str())) {
            Some((_, Some(reference))) => self.follow(schema, reference, place),
            Some((value, None)) => Err(fault(place, "$ref", format_args!("expected a text, got {value}"))),
            None => Ok(()),
        }
    }

    /// Where optional properties are counted, each combination is written out.
    fn check_counted(&mut self, keywords: &Map<String, Value>, place: &str) -> Result<()> {
        let Some(keyword) = ["minProperties", "maxProperties"].into_iter().find(|k| keywords.contains_key(*k)) else {
            return Ok(());
        };
        let optional = keywords.get("properties").and_then(Value::as_object).map_or(0, Map::len);
        self.counted += optional * optional;
        if self.counted > MAX_COUNTED {
            return Err(fault(place, keyword, format_args!("expected fewer properties to count than {optional}")));
        }
        Ok(())
    }

    fn enqueue(&mut self, part: &Part, keyword: &str, value: &Value) {
        let Part { place, entry, depth } = part;
        let within = |place: String| Part { place, entry: *entry, depth: depth + 1 };
        let of_one = OF_ONE.contains(&keyword) && value.is_object();
        self.next.extend(of_one.then(|| within(format!("{place}/{keyword}"))));
        if let (true, Value::Array(list)) = (OF_LIST.contains(&keyword), value) {
            self.next.extend((0..list.len()).map(|i| within(format!("{place}/{keyword}/{i}"))));
        }
        if let (true, Value::Object(names)) = (OF_NAMES.contains(&keyword), value) {
            self.next.extend(names.keys().map(|name| within(format!("{place}/{keyword}/{}", escaped(name)))));
        }
    }

    /// A reference into the schema is followed; with addresses about, all definitions are, for it may mean any of them.
    fn follow(&mut self, schema: &Value, reference: &str, place: &str) -> Result<()> {
        let pointer = reference.strip_prefix('#').map(percent_decoded);
        match pointer {
            Some(pointer) if pointer.is_empty() || pointer.starts_with('/') => {
                if schema.pointer(&pointer).is_some() {
                    self.enter(pointer);
                } else if !self.has_ids {
                    return Err(fault(place, "$ref", format_args!("nothing is at '{reference}'")));
                }
            }
            None if !self.has_ids => {
                return Err(fault(place, "$ref", format_args!("expected a place in the schema, got '{reference}'")));
            }
            _ => {}
        }
        if self.has_ids {
            for list in ["$defs", "definitions"] {
                let names = schema.get(list).and_then(Value::as_object).into_iter().flat_map(Map::keys);
                names.for_each(|name| self.enter(format!("/{list}/{}", escaped(name))));
            }
        }
        Ok(())
    }
}

/// Whether a part of the schema has an address or a name of its own.
fn has_ids(value: &Value, depth: usize) -> bool {
    match value {
        Value::Object(map) => map.iter().any(|(key, value)| {
            let is_id = matches!(&**key, "$id" | "id" | "$anchor" | "$dynamicAnchor") && value.is_string();
            is_id && (depth > 0 || key.contains("nchor")) || has_ids(value, depth + 1)
        }),
        Value::Array(list) => list.iter().any(|value| has_ids(value, depth + 1)),
        _ => false,
    }
}

/// Whether a keyword leaves everything as it would be without it.
fn says_nothing(keyword: &str, value: &Value, beside: &Map<String, Value>) -> bool {
    let is_empty = value.as_object().is_some_and(Map::is_empty);
    match keyword {
        "uniqueItems" => *value == Value::Bool(false),
        "not" => *value == Value::Bool(false),
        "dependencies" | "dependentRequired" | "dependentSchemas" => is_empty,
        "propertyNames" | "unevaluatedItems" | "unevaluatedProperties" => is_empty || *value == Value::Bool(true),
        "if" => !beside.contains_key("then") && !beside.contains_key("else"),
        "then" | "else" => !beside.contains_key("if"),
        "minContains" | "maxContains" => !beside.contains_key("contains"),
        _ => false,
    }
}

/// Bounds are compared as `f64` and written as `i64`. Those that would leave only numbers beyond that are refused.
fn check_numbers(keywords: &Map<String, Value>, place: &str) -> Result<()> {
    for (keyword, side) in [("minimum", 1.0), ("exclusiveMinimum", 1.0), ("maximum", -1.0), ("exclusiveMaximum", -1.0)]
    {
        let Some(bound) = keywords.get(keyword).and_then(Value::as_f64) else { continue };
        if bound * side >= BEYOND {
            return Err(fault(place, keyword, format_args!("expected less than 2^63 from zero, got {bound:e}")));
        }
    }
    Ok(())
}

/// Constants and names are written as they are. What llguidance cannot write it would leave out, and mean another text.
fn check_constants(keywords: &Map<String, Value>, place: &str) -> Result<()> {
    let constants = keywords.get("enum").and_then(Value::as_array).into_iter().flatten().map(|value| ("enum", value));
    for (keyword, value) in constants.chain(keywords.get("const").map(|value| ("const", value))) {
        if has_inexact(value) {
            return Err(fault(place, keyword, format_args!("expected numbers that an f64 holds, got {value}")));
        }
        if has_control(value) {
            return Err(fault(place, keyword, format_args!("expected no control characters, got {value}")));
        }
    }
    let names = keywords.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::keys);
    let required = keywords.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let named = names.map(|name| ("properties", &**name)).chain(required.map(|name| ("required", name)));
    match named.into_iter().find(|(_, name)| name.contains(is_control)) {
        Some((keyword, name)) => {
            Err(fault(place, keyword, format_args!("expected names without control characters, got {name:?}")))
        }
        None => Ok(()),
    }
}

/// A character in a pattern is left out as well, where it stands alone and not in a class of several.
fn check_patterns(keywords: &Map<String, Value>, place: &str) -> Result<()> {
    let pattern = keywords.get("pattern").and_then(Value::as_str).map(|pattern| ("pattern", pattern));
    let names = keywords.get("patternProperties").and_then(Value::as_object).into_iter().flat_map(Map::keys);
    for (keyword, pattern) in pattern.into_iter().chain(names.map(|name| ("patternProperties", &**name))) {
        // One that cannot be read is refused later, with its reason.
        if regex_syntax::parse(pattern).is_ok_and(|read| writes_control(&read)) {
            return Err(fault(place, keyword, format_args!("expected no control characters, got {pattern:?}")));
        }
    }
    Ok(())
}

/// Whether a control character stands alone in a pattern.
fn writes_control(pattern: &Hir) -> bool {
    match pattern.kind() {
        HirKind::Literal(text) => text.0.iter().any(|byte| is_control(char::from(*byte))),
        HirKind::Repetition(repeated) => writes_control(&repeated.sub),
        HirKind::Capture(group) => writes_control(&group.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().any(writes_control),
        HirKind::Empty | HirKind::Class(_) | HirKind::Look(_) => false,
    }
}

/// Whether JSON writes a character by its number alone; U+007F, which it may write as it is, llguidance leaves out as well.
fn is_control(c: char) -> bool {
    c == '\u{7f}' || c < ' ' && !matches!(c, '\u{8}' | '\u{c}' | '\n' | '\r' | '\t')
}

/// Whether a text or a name in a constant has a character that JSON writes by its number alone.
fn has_control(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains(is_control),
        Value::Array(list) => list.iter().any(has_control),
        Value::Object(map) => map.iter().any(|(name, value)| name.contains(is_control) || has_control(value)),
        _ => false,
    }
}

/// Whether there is an integer in a constant that an `f64` may not hold.
fn has_inexact(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.as_f64().is_none_or(|n| n.abs() >= 9_007_199_254_740_992.0),
        Value::Array(list) => list.iter().any(has_inexact),
        Value::Object(map) => map.values().any(has_inexact),
        _ => false,
    }
}

/// Names that the schema does not list may come twice, and count once: of those, no more than one can be asked for.
fn check_names(keywords: &Map<String, Value>, place: &str) -> Result<()> {
    let Some(least) = keywords.get("minProperties").and_then(Value::as_u64) else { return Ok(()) };
    let required: HashSet<&str> =
        keywords.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let listed_only = keywords.get("additionalProperties") == Some(&Value::Bool(false))
        && keywords.get("patternProperties").is_none_or(|names| *names == json!({}));
    let most = required.len() as u64 + 1;
    if least > most && !listed_only {
        return Err(fault(
            place,
            "minProperties",
            format_args!("expected at most {most}, one more than are required, where names are free, got {least}"),
        ));
    }
    Ok(())
}

/// Takes out what says nothing, puts bounds in the place of formats of numbers, and draws in bounds beyond an `i64`, so that a
/// few numbers of such a size are left out.
fn adapt(keywords: &mut Map<String, Value>) {
    let empty: Vec<String> = keywords
        .iter()
        .filter(|(k, v)| UNSUPPORTED.contains(&&***k) && says_nothing(k, v, keywords))
        .map(|(k, _)| k.clone())
        .collect();
    for keyword in empty {
        keywords.remove(&keyword);
    }
    for keyword in ["minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"] {
        let bound = keywords.get(keyword).and_then(Value::as_f64).filter(|bound| bound.abs() >= BEYOND);
        if let Some(bound) = bound {
            keywords.insert(keyword.into(), if bound < 0.0 { -MAX_BOUND } else { MAX_BOUND }.into());
        }
    }
    let is_number = |value: Option<&Value>| matches!(value.and_then(Value::as_str), Some("integer" | "number"));
    let may_be_number = |value: Option<&Value>| {
        let types = value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        is_number(value)
            || value.is_some_and(Value::is_array) && types.clone().all(|t| t != "string") && types.count() > 0
    };
    if !may_be_number(keywords.get("type")) {
        return;
    }
    let Some(format) = keywords.get("format").and_then(Value::as_str).map(str::to_owned) else { return };
    // For a number, any other format is a note.
    keywords.remove("format");
    if let Some((_, least, most)) = INTEGERS.iter().find(|(name, _, _)| *name == format) {
        tighten(keywords, "minimum", (*least).max(-MAX_BOUND), |bound, own| bound > own);
        tighten(keywords, "maximum", (*most).min(MAX_BOUND), |bound, own| bound < own);
    }
}

fn tighten(keywords: &mut Map<String, Value>, keyword: &str, own: i64, is_tighter: impl Fn(f64, f64) -> bool) {
    let is_there = keywords.get(keyword).and_then(Value::as_f64).is_some_and(|bound| is_tighter(bound, own as f64));
    if !is_there {
        keywords.insert(keyword.into(), own.into());
    }
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut decoded, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        let hex = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}
