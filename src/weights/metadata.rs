//! Metadata: keys and values beside the tensors.

use super::value::{ArrayRef, ValueRef, ValueType};
use crate::{Code, Error, Result};

/// Many times what the largest models have.
pub(super) const MAX_KEYS: u64 = 1 << 16;

/// Metadata: the keys and values of a file, in its order. Values are read from the file when they are asked for.
///
/// # Examples
///
/// ```
/// # use selvedge::{Loading, weights::{GgufWriter, WeightFile}};
/// # let folder = std::env::temp_dir().join(format!("selvedge-doc-metadata-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # let path = folder.join("m.gguf");
/// # let mut writer = GgufWriter::new();
/// # writer.set("general.architecture", "llama")?.set("llama.block_count", 2u32)?;
/// # writer.create(&path)?.finish()?;
/// let file = WeightFile::open(&path, Loading::Mapped)?;
/// let metadata = file.metadata();
/// assert_eq!(metadata.text("general.architecture")?, Some("llama"));
/// assert_eq!(metadata.number("llama.block_count")?, Some(2));
/// assert_eq!(metadata.number("llama.context_length")?, None);
/// # std::fs::remove_dir_all(folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Metadata<'a> {
    entries: &'a Entries,
    bytes: &'a [u8],
}

impl<'a> Metadata<'a> {
    pub(super) fn new(entries: &'a Entries, bytes: &'a [u8]) -> Self {
        Self { entries, bytes }
    }

    /// The number of keys.
    pub fn len(&self) -> usize {
        self.entries.list.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.list.is_empty()
    }

    /// Keys and values in the file's order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&'a str, ValueRef<'a>)> + use<'a> {
        let bytes = self.bytes;
        self.entries.list.iter().map(move |(key, value)| (&**key, value.read(bytes)))
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<ValueRef<'a>> {
        let Entries { list, order } = self.entries;
        let found = order.binary_search_by(|&i| (*list[i as usize].0).cmp(key)).ok()?;
        Some(list[order[found] as usize].1.read(self.bytes))
    }

    /// An integer that is not negative, if the key is there.
    ///
    /// # Errors
    ///
    /// `Corrupt` if the key has something else.
    pub fn number(&self, key: &str) -> Result<Option<u64>> {
        self.typed(key, "a number that is not negative", |value| value.as_u64())
    }

    /// A floating-point number, if the key is there.
    ///
    /// # Errors
    ///
    /// `Corrupt` if the key has something else.
    pub fn real(&self, key: &str) -> Result<Option<f64>> {
        self.typed(key, "a real number", |value| value.as_f64())
    }

    /// A text in UTF-8, if the key is there.
    ///
    /// # Errors
    ///
    /// `Corrupt` if the key has something else.
    pub fn text(&self, key: &str) -> Result<Option<&'a str>> {
        self.typed(key, "a text in UTF-8", |value| value.as_str())
    }

    /// An array, if the key is there.
    ///
    /// # Errors
    ///
    /// `Corrupt` if the key has something else.
    pub fn array(&self, key: &str) -> Result<Option<ArrayRef<'a>>> {
        self.typed(key, "an array", |value| value.as_array())
    }

    fn typed<T>(&self, key: &str, expected: &str, read: impl Fn(&ValueRef<'a>) -> Option<T>) -> Result<Option<T>> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => match read(&value) {
                Some(read) => Ok(Some(read)),
                None => Err(Error::corrupt(format!("key '{key}': expected {expected}, got {value}"))),
            },
        }
    }
}

/// What [`Metadata`] looks up: where each value is.
#[derive(Debug, Default)]
pub(super) struct Entries {
    list: Vec<(Box<str>, Stored)>,
    /// Places in `list`, by key.
    order: Vec<u32>,
}

/// A scalar, or where in the file a longer value lies.
#[derive(Debug)]
pub(super) enum Stored {
    Scalar(ValueRef<'static>),
    Text { at: usize, len: usize },
    Array { element_type: ValueType, len: u64, at: usize, bytes: usize },
    Own(Box<str>),
}

impl Stored {
    fn read<'a>(&'a self, bytes: &'a [u8]) -> ValueRef<'a> {
        let slice = |at: usize, len: usize| bytes.get(at..at + len).unwrap_or_default();
        match *self {
            Stored::Scalar(value) => value,
            Stored::Text { at, len } => ValueRef::Text(slice(at, len)),
            Stored::Array { element_type, len, at, bytes } => {
                ValueRef::Array(ArrayRef::new(element_type, len, slice(at, bytes)))
            }
            Stored::Own(ref text) => ValueRef::Text(text.as_bytes()),
        }
    }
}

impl Entries {
    pub(super) fn push(&mut self, key: &str, value: Stored) -> Result<()> {
        let key = owned(key)?;
        push(&mut self.list, (key, value))
    }

    /// Once all are there: `Corrupt` for a key that is there twice.
    pub(super) fn sort(&mut self) -> Result<()> {
        self.order = sorted(&self.list, |(key, _)| key)
            .map_err(|e| e.during("reading the metadata"))?
            .map_err(|key| Error::corrupt(format!("key '{key}' is there twice")))?;
        Ok(())
    }
}

/// The places of `list` in the order of their names, or the name that is there twice.
pub(super) fn sorted<T>(list: &[T], name: impl Fn(&T) -> &str) -> Result<Result<Vec<u32>, String>> {
    let mut order = Vec::new();
    order.try_reserve_exact(list.len()).map_err(no_memory)?;
    // No list is longer than the limits of the formats.
    order.extend(0..list.len() as u32);
    order.sort_unstable_by(|&a, &b| name(&list[a as usize]).cmp(name(&list[b as usize])));
    let twice = order.windows(2).find(|w| name(&list[w[0] as usize]) == name(&list[w[1] as usize]));
    Ok(match twice {
        Some(pair) => Err(name(&list[pair[0] as usize]).to_owned()),
        None => Ok(order),
    })
}

/// Adds to a list whose length a file decides: `OutOfMemory` instead of an abort.
pub(super) fn push<T>(list: &mut Vec<T>, item: T) -> Result<()> {
    list.try_reserve(1).map_err(no_memory)?;
    list.push(item);
    Ok(())
}

pub(super) fn owned(text: &str) -> Result<Box<str>> {
    let mut own = String::new();
    own.try_reserve_exact(text.len()).map_err(no_memory)?;
    own.push_str(text);
    Ok(own.into_boxed_str())
}

fn no_memory(cause: std::collections::TryReserveError) -> Error {
    Error::new(Code::OutOfMemory, "no memory for what a file's header lists").because(cause)
}
