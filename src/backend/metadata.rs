//! Metadata and provenance of weight files, as specs show them.

#[cfg(any(feature = "llama", feature = "table"))]
use std::collections::BTreeMap;

use crate::weights::ValueRef;
#[cfg(any(feature = "llama", feature = "table"))]
use crate::weights::WeightFile;

/// Numbers and texts in full, arrays as their type and length.
pub(super) fn describe(value: ValueRef<'_>) -> String {
    match value.as_bytes() {
        Some(text) => String::from_utf8_lossy(text).into_owned(),
        None => value.to_string(),
    }
}

/// The metadata of a file in words.
#[cfg(any(feature = "llama", feature = "table"))]
pub(super) fn metadata_of(file: &WeightFile) -> BTreeMap<String, String> {
    file.metadata().iter().map(|(key, value)| (key.to_owned(), describe(value))).collect()
}

/// The name and the version that a file gives its model.
#[cfg(any(feature = "llama", feature = "table"))]
pub(super) fn name_and_version(metadata: &BTreeMap<String, String>) -> (Option<String>, Option<String>) {
    let name = metadata.get("general.name").filter(|name| !name.is_empty()).cloned();
    (name, metadata.get("general.version").cloned())
}
