//! A model split into several GGUF files: `name-00001-of-00003.gguf` and so on, as `llama-gguf-split` writes them.

use crate::weights::{MAX_PARTS, Metadata};
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
