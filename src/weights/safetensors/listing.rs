//! Listing: the JSON of a header, read so that nothing in it can mean two things: no key twice, no field beyond the format's.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::super::metadata::{MAX_KEYS, push};
use super::super::tensors::MAX_TENSORS;
use crate::{Error, Result};

pub(super) const MAX_RANK: usize = 8;
/// A text that is wrong is shown whole by serde_json, in up to six bytes for one, and copied: this bounds what that takes.
const MAX_TEXT: usize = 2 << 20;

/// A text as it stands in the JSON, of which it is a part unless it has escapes.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

impl Text<'_> {
    /// Its beginning, for a message.
    pub(super) fn shown(&self) -> String {
        self.0.chars().take(64).flat_map(char::escape_debug).collect()
    }
}

/// `Unsupported` for JSON with a text that is too long: what is said of a wrong one by serde_json shows all of it, which
/// can take many times its length.
pub(super) fn check_texts(json: &[u8]) -> Result<()> {
    let (mut begun, mut escaped) = (None, false);
    for (i, &b) in json.iter().enumerate() {
        match begun {
            _ if escaped => escaped = false,
            Some(_) if b == b'\\' => escaped = true,
            Some(from) if b == b'"' => {
                let got = i - from - 1;
                if got > MAX_TEXT {
                    return Err(Error::unsupported(format!("expected texts of at most {MAX_TEXT} bytes, got {got}")));
                }
                begun = None;
            }
            None if b == b'"' => begun = Some(i),
            _ => {}
        }
    }
    Ok(())
}

/// A key or a name, and what belongs to it.
pub(super) type Pair<'a> = (Text<'a>, Text<'a>);

/// What a header lists, in its order.
#[derive(Default)]
pub(super) struct Listing<'a> {
    pub(super) metadata: Kept<Pair<'a>>,
    pub(super) tensors: Kept<Listed<'a>>,
}

/// How many there are, and of these no more than may be: a header of megabytes could list millions.
pub(super) struct Kept<T> {
    pub(super) count: usize,
    pub(super) items: Vec<T>,
    /// Once there was no memory for one.
    failed: Option<Error>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { count: 0, items: Vec::new(), failed: None }
    }
}

impl<T> Kept<T> {
    pub(super) fn push(&mut self, item: T, max: u64) {
        self.count += 1;
        if self.count as u64 <= max && self.failed.is_none() {
            self.failed = push(&mut self.items, item).err();
        }
    }

    /// All of them.
    ///
    /// # Errors
    ///
    /// `Unsupported` for more than are kept, `OutOfMemory`.
    pub(super) fn all(self, what: &str, max: u64) -> Result<Vec<T>> {
        if self.count as u64 > max {
            return Err(Error::unsupported(format!("expected at most {max} {what}, got {}", self.count)));
        }
        self.failed.map_or(Ok(self.items), Err)
    }
}

/// A tensor as the header lists it.
pub(super) struct Listed<'a> {
    pub(super) name: Text<'a>,
    pub(super) dtype: Text<'a>,
    /// The dimensions given, which may be more than `dims` holds.
    pub(super) rank: usize,
    pub(super) dims: [u64; MAX_RANK],
    /// First byte and the one after the last, from the beginning of the data.
    pub(super) data_offsets: [u64; 2],
}

impl<'a> Listing<'a> {
    pub(super) fn read(json: &'a [u8]) -> Result<Self> {
        check_texts(json).map_err(|e| e.during("reading a safetensors header"))?;
        serde_json::from_slice(json).map_err(|e| Error::corrupt(format!("safetensors header: {e}")))
    }
}

impl<'de> Deserialize<'de> for Listing<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        from.deserialize_map(ListingVisitor)
    }
}

struct ListingVisitor;

impl<'de> Visitor<'de> for ListingVisitor {
    type Value = Listing<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Listing<'de>, A::Error> {
        let (mut tensors, mut metadata) = (Kept::default(), None);
        while let Some(name) = map.next_key::<Text>()? {
            if name.0 == "__metadata__" {
                let texts = map.next_value::<Texts>()?.0;
                if metadata.replace(texts).is_some() {
                    return Err(A::Error::duplicate_field("__metadata__"));
                }
                continue;
            }
            let Fields { dtype, shape, data_offsets } = map.next_value()?;
            tensors.push(Listed { name, dtype, rank: shape.rank, dims: shape.dims, data_offsets }, MAX_TENSORS);
        }
        Ok(Listing { metadata: metadata.unwrap_or_default(), tensors })
    }
}

struct Fields<'a> {
    dtype: Text<'a>,
    shape: Dims,
    data_offsets: [u64; 2],
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        from.deserialize_map(FieldsVisitor)
    }
}

/// Written out, since a derived one would take an array of the three as well.
struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of dtype, shape and data_offsets")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Fields<'de>, A::Error> {
        const FIELDS: &[&str] = &["dtype", "shape", "data_offsets"];
        let (mut dtype, mut shape, mut data_offsets) = (None, None, None);
        while let Some(Text(field)) = map.next_key()? {
            let twice = match &*field {
                "dtype" => dtype.replace(map.next_value()?).is_some(),
                "shape" => shape.replace(map.next_value()?).is_some(),
                "data_offsets" => data_offsets.replace(map.next_value()?).is_some(),
                _ => return Err(A::Error::unknown_field(&field, FIELDS)),
            };
            if twice {
                return Err(A::Error::custom(format!("field '{field}' is there twice")));
            }
        }
        let missing = A::Error::missing_field;
        Ok(Fields {
            dtype: dtype.ok_or_else(|| missing("dtype"))?,
            shape: shape.ok_or_else(|| missing("shape"))?,
            data_offsets: data_offsets.ok_or_else(|| missing("data_offsets"))?,
        })
    }
}

/// Counts all dimensions and keeps those that a tensor may have.
struct Dims {
    rank: usize,
    dims: [u64; MAX_RANK],
}

impl<'de> Deserialize<'de> for Dims {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        from.deserialize_seq(DimsVisitor)
    }
}

struct DimsVisitor;

impl<'de> Visitor<'de> for DimsVisitor {
    type Value = Dims;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of dimensions")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<Dims, A::Error> {
        let mut all = Dims { rank: 0, dims: [0; MAX_RANK] };
        while let Some(dim) = seq.next_element()? {
            if let Some(kept) = all.dims.get_mut(all.rank) {
                *kept = dim;
            }
            all.rank += 1;
        }
        Ok(all)
    }
}

/// Keys and texts, each key once as far as this goes: the metadata's own list looks for repetitions.
pub(super) struct Texts<'a>(pub(super) Kept<Pair<'a>>);

impl<'de> Deserialize<'de> for Texts<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        from.deserialize_map(TextsVisitor)
    }
}

struct TextsVisitor;

impl<'de> Visitor<'de> for TextsVisitor {
    type Value = Texts<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Texts<'de>, A::Error> {
        let mut texts = Kept::default();
        while let Some(entry) = map.next_entry()? {
            texts.push(entry, MAX_KEYS);
        }
        Ok(Texts(texts))
    }
}
