//! The place of a fault that only the compiler finds: the smallest part of a schema that has it, and the keyword without which
//! it has not.

use serde_json::{Map, Value};

use super::super::refused;
use super::{OF_LIST, OF_NAMES, OF_ONE, escaped, fault, percent_decoded};
use crate::Error;

/// Compilations that a place is worth; without one, the whole schema is named.
const MAX_TRIALS: usize = 60;
/// A schema that is larger is named as a whole: each trial is a compilation of it.
const MAX_BYTES: usize = 32 << 10;

/// The refusal of a schema that `compile` refused with `why`.
pub(in crate::text::grammar) fn located(
    schema: &Value,
    why: String,
    compile: impl Fn(Value) -> Option<String>,
) -> Error {
    let is_large = schema.to_string().len() > MAX_BYTES;
    let mut search = Search { root: schema, why: &why, compile, trials: if is_large { 0 } else { MAX_TRIALS } };
    let mut place = String::new();
    while let Some(part) = search.part_with_fault(&place) {
        place = part;
    }
    match search.keyword_with_fault(&place) {
        Some(keyword) => fault(&place, &keyword, why),
        None => refused(&format!("JSON Schema: {}", if place.is_empty() { "/" } else { &place }), why),
    }
}

struct Search<'a, F> {
    root: &'a Value,
    why: &'a str,
    compile: F,
    trials: usize,
}

impl<F: Fn(Value) -> Option<String>> Search<'_, F> {
    /// The place of a part that has the fault by itself.
    fn part_with_fault(&mut self, place: &str) -> Option<String> {
        let keywords = self.root.pointer(place)?.as_object()?;
        let parts: Vec<String> = parts(keywords, place).collect();
        parts.into_iter().find(|part| self.root.pointer(part).is_some_and(|schema| self.has_fault(schema.clone())))
    }

    /// The keyword that the part at the place has the fault of.
    fn keyword_with_fault(&mut self, place: &str) -> Option<String> {
        let keywords = self.root.pointer(place)?.as_object()?;
        let constrains = |keyword: &&String| !matches!(&***keyword, "$defs" | "definitions" | "$schema" | "type");
        let others: Vec<&String> = keywords.keys().filter(constrains).collect();
        let types = keywords.keys().filter(|keyword| *keyword == "type");
        others
            .into_iter()
            .chain(types)
            .find(|keyword| {
                let mut without = keywords.clone();
                without.remove(*keyword);
                // Out of trials, nothing is known.
                self.trials > 0 && !self.has_fault(Value::Object(without))
            })
            .cloned()
    }

    /// Whether a part fails as the whole does; what it refers to stays with it.
    fn has_fault(&mut self, mut part: Value) -> bool {
        if self.trials == 0 {
            return false;
        }
        self.trials -= 1;
        if let (Value::Object(part), Value::Object(root)) = (&mut part, self.root) {
            for list in ["$defs", "definitions", "$schema"] {
                if let (Some(value), false) = (root.get(list), part.contains_key(list)) {
                    part.insert(list.into(), value.clone());
                }
            }
        }
        (self.compile)(part).is_some_and(|why| why == self.why)
    }
}

/// The places of the schemas in a schema, definitions and what it refers to too.
fn parts(keywords: &Map<String, Value>, place: &str) -> impl Iterator<Item = String> {
    keywords.iter().flat_map(move |(keyword, value)| -> Vec<String> {
        let below = |name: &str| format!("{place}/{keyword}/{}", escaped(name));
        match value {
            Value::String(to) if keyword == "$ref" => {
                to.strip_prefix('#').map(percent_decoded).filter(|to| to.starts_with('/')).into_iter().collect()
            }
            Value::Object(_) if OF_ONE.contains(&&**keyword) => vec![format!("{place}/{keyword}")],
            Value::Array(list) if OF_LIST.contains(&&**keyword) => {
                (0..list.len()).map(|i| below(&i.to_string())).collect()
            }
            Value::Object(names) if OF_NAMES.contains(&&**keyword) || matches!(&**keyword, "$defs" | "definitions") => {
                names.keys().map(|name| below(name)).collect()
            }
            _ => Vec::new(),
        }
    })
}
