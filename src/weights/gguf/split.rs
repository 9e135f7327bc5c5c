//! Split models, in several GGUF files: `name-00001-of-00003.gguf` and so on, as `llama-gguf-split` writes them.

use super::super::metadata::Metadata;
use super::super::tensors::MAX_PARTS;
use super::super::value::ValueRef;
use crate::{Error, Result};

/// Which part of how many a file is, both from its metadata; `None` for a whole model. The first part is 0.
pub(in crate::weights) fn is_part(metadata: Metadata<'_>) -> Result<Option<(u64, u64)>> {
    let Some(count) = metadata.number("split.count")? else { return Ok(None) };
    let number = metadata.number("split.no")?.unwrap_or(0);
    if count > MAX_PARTS {
        return Err(Error::unsupported(format!("split.count: expected at most {MAX_PARTS} parts, got {count}")));
    }
    if number >= count.max(1) {
        return Err(Error::corrupt(format!("split.no: expected below split.count, {count}, got {number}")));
    }
    Ok((count > 1).then_some((number, count)))
}

/// Whether a file is this part of so many. The types are the format's: for another one llama.cpp ends the process.
pub(in crate::weights) fn check_part(metadata: Metadata<'_>, number: u64, count: u64) -> Result<()> {
    let get = |key: &str| metadata.get(key);
    match (get("split.no"), get("split.count"), get("split.tensors.count")) {
        (Some(ValueRef::U16(n)), Some(ValueRef::U16(all)), tensors) if (n.into(), all.into()) == (number, count) => {
            match tensors {
                Some(ValueRef::I32(_)) => Ok(()),
                None if number > 0 => Ok(()),
                other => Err(Error::corrupt(format!("split.tensors.count: expected an i32, got {}", shown(other)))),
            }
        }
        (n, all, _) => Err(Error::corrupt(format!(
            "expected part {number} of {count}, both as u16, got {} of {}",
            shown(n),
            shown(all)
        ))),
    }
}

fn shown(value: Option<ValueRef<'_>>) -> String {
    value.map_or_else(|| "nothing".into(), |value| format!("{value} as {}", value.value_type().name()))
}

/// Whether a further part is of the same model as the first. As a rule it has no keys but those of the split; what it
/// says must be what the first says. Each lays its tensors out by its own alignment.
pub(in crate::weights) fn check_same_model(first: Metadata<'_>, part: Metadata<'_>) -> Result<()> {
    let own = |key: &str| key == "split.no" || key == "general.alignment";
    for (key, value) in part.iter().filter(|(key, _)| !own(key)) {
        if let Some(expected) = first.get(key)
            && expected != value
        {
            return Err(Error::corrupt(format!("key '{key}': expected {expected} as in the first part, got {value}")));
        }
    }
    Ok(())
}

/// The names of all parts, by the name of one.
pub(in crate::weights) fn siblings(name: &str, number: u64, count: u64) -> Result<Vec<String>> {
    let suffix = |i: u64| format!("-{:05}-of-{count:05}.gguf", i + 1);
    let Some(prefix) = name.strip_suffix(&suffix(number)) else {
        return Err(Error::unsupported(format!(
            "it is part {} of {count}: expected a name that ends in '{}', got '{name}'",
            number + 1,
            suffix(number)
        )));
    };
    Ok((0..count).map(|i| format!("{prefix}{}", suffix(i))).collect())
}
