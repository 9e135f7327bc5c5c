//! Index of a model whose tensors lie in several safetensors files.
//!
//! `{"metadata": {"total_size": n}, "weight_map": {"tensor": "file", …}}`, as `transformers` writes it. What `metadata`
//! says is not used: writers disagree about `total_size`.

use std::fmt;

use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::super::metadata::push;
use super::super::tensors::MAX_TENSORS;
use super::header::MAX_HEADER;
use super::listing::{Pair, Text, Texts, check_texts};
use crate::{Error, Result};

/// Which file each tensor lies in.
#[derive(Debug)]
pub(in crate::weights) struct Index<'a> {
    /// Tensors and files, by the names of the tensors.
    pairs: Vec<Pair<'a>>,
}

impl<'a> Index<'a> {
    /// Reads an index; `Corrupt` for what is none, or names files outside its folder.
    pub(in crate::weights) fn read(json: &'a [u8]) -> Result<Self> {
        if json.len() as u64 > MAX_HEADER {
            let got = json.len();
            return Err(Error::unsupported(format!("expected an index of at most {MAX_HEADER} bytes, got {got}")));
        }
        let broken = |what: String| Err(Error::corrupt(format!("safetensors index: {what}")));
        check_texts(json).map_err(|e| e.during("reading a safetensors index"))?;
        let listed: WeightMap<'a> = match serde_json::from_slice(json) {
            Ok(listed) => listed,
            Err(e) => {
                return Err(Error::corrupt(format!("expected JSON to be the index of several safetensors files: {e}")));
            }
        };
        let mut pairs = listed.0.0.all("tensors", MAX_TENSORS)?;
        pairs.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        if let Some(pair) = pairs.windows(2).find(|w| w[0].0 == w[1].0) {
            return broken(format!("tensor '{}' is there twice", pair[0].0.shown()));
        }
        for (_, text) in &pairs {
            let file = &*text.0;
            let plain = !file.is_empty() && !file.contains(['/', '\\', ':', '\0']) && !file.contains("..");
            if !plain || file == "." {
                return broken(format!("'{}': expected the name of a file in the same folder", text.shown()));
            }
        }
        Ok(Self { pairs })
    }

    /// The files, each once, in the order of their names.
    pub(in crate::weights) fn files(&self) -> Result<Vec<&str>> {
        let mut files = Vec::new();
        for (_, Text(file)) in &self.pairs {
            push(&mut files, &**file)?;
        }
        files.sort_unstable();
        files.dedup();
        Ok(files)
    }

    /// The file that a tensor is said to lie in.
    pub(in crate::weights) fn file_of(&self, tensor: &str) -> Option<&str> {
        let found = self.pairs.binary_search_by(|(name, _)| (*name.0).cmp(tensor)).ok()?;
        Some(&self.pairs[found].1.0)
    }

    /// The tensors.
    pub(in crate::weights) fn tensors(&self) -> impl Iterator<Item = &str> {
        self.pairs.iter().map(|(name, _)| &*name.0)
    }
}

/// What the file says, in its order.
struct WeightMap<'a>(Texts<'a>);

impl<'de> Deserialize<'de> for WeightMap<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        from.deserialize_map(WeightMapVisitor)
    }
}

struct WeightMapVisitor;

impl<'de> Visitor<'de> for WeightMapVisitor {
    type Value = WeightMap<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a weight_map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<WeightMap<'de>, A::Error> {
        let (mut files, mut metadata) = (None, None);
        while let Some(Text(field)) = map.next_key()? {
            let twice = match &*field {
                "weight_map" => files.replace(map.next_value()?).is_some(),
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
        files.map(WeightMap).ok_or_else(|| A::Error::missing_field("weight_map"))
    }
}
