//! The index of a model whose tensors lie in several safetensors files.
//!
//! `{"metadata": {"total_size": n}, "weight_map": {"tensor": "file", …}}`, as `transformers` writes it. What `metadata`
//! says is not used: writers disagree about `total_size`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::super::MAX_TENSORS;
use super::header::MAX_HEADER;
use crate::{Error, Result};

/// Which file each tensor lies in.
#[derive(Debug)]
pub(in crate::weights) struct Index {
    /// The tensors that the index lists, of which no more are kept than may be.
    count: usize,
    files: BTreeMap<String, String>,
}

impl Index {
    /// Reads an index; `Corrupt` for what is none, or names files outside its folder.
    pub(in crate::weights) fn read(json: &[u8]) -> Result<Self> {
        if json.len() as u64 > MAX_HEADER {
            let got = json.len();
            return Err(Error::unsupported(format!("expected an index of at most {MAX_HEADER} bytes, got {got}")));
        }
        let index: Self = serde_json::from_slice(json)
            .map_err(|e| Error::corrupt(format!("expected JSON to be the index of several safetensors files: {e}")))?;
        if index.count as u64 > MAX_TENSORS {
            let got = index.count;
            return Err(Error::unsupported(format!("expected an index of at most {MAX_TENSORS} tensors, got {got}")));
        }
        for file in index.files() {
            let plain = !file.is_empty() && !file.contains(['/', '\\', ':', '\0']) && !file.contains("..");
            if !plain || file == "." {
                return Err(Error::corrupt(format!(
                    "safetensors index: '{}': expected the name of a file in the same folder",
                    file.escape_debug()
                )));
            }
        }
        Ok(index)
    }

    /// The files, each once, in the order of their names.
    pub(in crate::weights) fn files(&self) -> BTreeSet<&str> {
        self.files.values().map(|file| &**file).collect()
    }

    /// The file that a tensor is said to lie in.
    pub(in crate::weights) fn file_of(&self, tensor: &str) -> Option<&str> {
        self.files.get(tensor).map(|file| &**file)
    }

    /// The tensors.
    pub(in crate::weights) fn tensors(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(|name| &**name)
    }
}

impl<'de> Deserialize<'de> for Index {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        from.deserialize_map(IndexVisitor)
    }
}

struct IndexVisitor;

impl<'de> Visitor<'de> for IndexVisitor {
    type Value = Index;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a weight_map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Index, A::Error> {
        let (mut files, mut metadata) = (None, None);
        while let Some(field) = map.next_key::<String>()? {
            let twice = match &*field {
                "weight_map" => files.replace(map.next_value::<Files>()?).is_some(),
                "metadata" => metadata.replace(map.next_value::<IgnoredAny>()?).is_some(),
                other => {
                    let got: String = other.chars().take(64).collect();
                    return Err(A::Error::custom(format!(
                        "expected the fields weight_map and metadata, got '{}'",
                        got.escape_debug()
                    )));
                }
            };
            if twice {
                return Err(A::Error::custom(format!("field '{field}' is there twice")));
            }
        }
        files.map(|Files { count, files }| Index { count, files }).ok_or_else(|| A::Error::missing_field("weight_map"))
    }
}

struct Files {
    count: usize,
    files: BTreeMap<String, String>,
}

impl<'de> Deserialize<'de> for Files {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        from.deserialize_map(FilesVisitor)
    }
}

struct FilesVisitor;

impl<'de> Visitor<'de> for FilesVisitor {
    type Value = Files;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object from tensors to files")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Files, A::Error> {
        let (mut count, mut files) = (0, BTreeMap::new());
        while let Some((tensor, file)) = map.next_entry::<String, String>()? {
            if files.contains_key(&tensor) {
                return Err(A::Error::custom(format!("tensor '{}' is there twice", tensor.escape_debug())));
            }
            count += 1;
            if count as u64 <= MAX_TENSORS {
                files.insert(tensor, file);
            }
        }
        Ok(Files { count, files })
    }
}
