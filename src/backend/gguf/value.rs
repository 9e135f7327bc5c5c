//! The values of GGUF keys.

use std::fmt;

use crate::{Error, Result};

/// Deeper arrays than this occur nowhere, and reading them costs stack.
const MAX_NESTING: u32 = 4;
/// The longest text shown in a message or in metadata in full.
const MAX_SHOWN: usize = 64;

/// Bytes with a place, read from the front.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn at(&self) -> u64 {
        self.at as u64
    }

    pub(super) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    pub(super) fn left(&self) -> u64 {
        self.len() - self.at()
    }

    pub(super) fn take(&mut self, len: u64, what: &str) -> Result<&'a [u8]> {
        if len > self.left() {
            let (at, left) = (self.at, self.left());
            return Err(Error::corrupt(format!("{what}, at byte {at}: expected {len} bytes, got {left}: truncated")));
        }
        // `len` is at most the length of a slice.
        let taken = &self.bytes[self.at..self.at + len as usize];
        self.at += len as usize;
        Ok(taken)
    }

    pub(super) fn u32(&mut self, what: &str) -> Result<u32> {
        Ok(u32::from_le_bytes(array(self.take(4, what)?)))
    }

    pub(super) fn u64(&mut self, what: &str) -> Result<u64> {
        Ok(u64::from_le_bytes(array(self.take(8, what)?)))
    }

    pub(super) fn string(&mut self, what: &str) -> Result<&'a [u8]> {
        let len = self.u64(what)?;
        self.take(len, what)
    }
}

/// A value, as it is in the file.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    F32(f32),
    Bool(bool),
    Text(&'a [u8]),
    Array(Array<'a>),
    U64(u64),
    I64(i64),
    F64(f64),
}

/// An array whose elements have been bounded, but not yet been read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Array<'a> {
    /// The number of the elements' type.
    pub(super) kind: u32,
    pub(super) len: u64,
    bytes: &'a [u8],
}

/// The numbers of the types that matter by number.
pub(super) const INT32: u32 = 5;
pub(super) const FLOAT32: u32 = 6;
pub(super) const STRING: u32 = 8;
pub(super) const ARRAY: u32 = 9;

impl<'a> Value<'a> {
    pub(super) fn number(&self) -> Option<u64> {
        match *self {
            Value::U8(n) => Some(n.into()),
            Value::U16(n) => Some(n.into()),
            Value::U32(n) => Some(n.into()),
            Value::U64(n) => Some(n),
            Value::I8(n) => n.try_into().ok(),
            Value::I16(n) => n.try_into().ok(),
            Value::I32(n) => n.try_into().ok(),
            Value::I64(n) => n.try_into().ok(),
            _ => None,
        }
    }

    pub(super) fn real(&self) -> Option<f64> {
        match *self {
            Value::F32(x) => Some(x.into()),
            Value::F64(x) => Some(x),
            _ => None,
        }
    }

    pub(super) fn text(&self) -> Option<&'a str> {
        match *self {
            Value::Text(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    pub(super) fn array(&self) -> Option<Array<'a>> {
        match *self {
            Value::Array(array) => Some(array),
            _ => None,
        }
    }

    /// For metadata: scalars and texts in full, arrays as their type and length.
    pub(super) fn in_words(&self) -> String {
        match self {
            Value::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            other => other.to_string(),
        }
    }
}

impl<'a> Array<'a> {
    /// The elements of an array of texts; nothing for other arrays.
    pub(super) fn texts(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut reader = Reader::new(if self.kind == STRING { self.bytes } else { &[] });
        std::iter::from_fn(move || reader.string("").ok())
    }

    /// The elements of an array of integers that are not negative; nothing for others, `None` for negative ones.
    pub(super) fn numbers(&self) -> impl Iterator<Item = Option<u64>> + use<'a> {
        let (kind, width) = (self.kind, width(self.kind).unwrap_or(0) as usize);
        let integer = matches!(kind, 0..=5 | 10 | 11);
        let bytes = if integer { self.bytes } else { &[] };
        bytes.chunks_exact(width.max(1)).map(move |bytes| scalar(kind, bytes).and_then(|value| value.number()))
    }
}

/// Short, for messages.
impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::U8(n) => n.fmt(f),
            Value::I8(n) => n.fmt(f),
            Value::U16(n) => n.fmt(f),
            Value::I16(n) => n.fmt(f),
            Value::U32(n) => n.fmt(f),
            Value::I32(n) => n.fmt(f),
            Value::U64(n) => n.fmt(f),
            Value::I64(n) => n.fmt(f),
            Value::F32(x) => x.fmt(f),
            Value::F64(x) => x.fmt(f),
            Value::Bool(b) => b.fmt(f),
            Value::Text(bytes) => {
                write!(f, "'{}'", String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_SHOWN)]))
            }
            Value::Array(array) => write!(f, "{}[{}]", type_name(array.kind), array.len),
        }
    }
}

/// Reads the value of `key`, its type first.
pub(super) fn read_value<'a>(reader: &mut Reader<'a>, key: &str) -> Result<Value<'a>> {
    let kind = reader.u32("a value's type")?;
    match kind {
        STRING => Ok(Value::Text(reader.string(key)?)),
        ARRAY => read_array(reader, key),
        _ => {
            let Some(width) = width(kind) else {
                return Err(Error::corrupt(format!("key '{key}': its type {kind} is not known")));
            };
            let bytes = reader.take(width, key)?;
            scalar(kind, bytes)
                .ok_or_else(|| Error::corrupt(format!("key '{key}': expected 0 or 1 as boolean, got {}", bytes[0])))
        }
    }
}

fn read_array<'a>(reader: &mut Reader<'a>, key: &str) -> Result<Value<'a>> {
    let kind = reader.u32("an array's type")?;
    let len = reader.u64("an array's length")?;
    let mut rest = Reader::new(reader.bytes);
    rest.at = reader.at;
    skip(&mut rest, key, kind, len, 1)?;
    let bytes = reader.take(rest.at() - reader.at(), key)?;
    Ok(Value::Array(Array { kind, len, bytes }))
}

/// Passes the elements of an array, checking that each is whole.
fn skip(reader: &mut Reader<'_>, key: &str, kind: u32, len: u64, depth: u32) -> Result<()> {
    let too_long = |min: u64, left: u64| {
        if len > left / min {
            return Err(Error::corrupt(format!("key '{key}': it claims {len} elements, which do not fit: truncated")));
        }
        Ok(())
    };
    match kind {
        STRING => {
            too_long(8, reader.left())?;
            for _ in 0..len {
                reader.string(key)?;
            }
        }
        ARRAY => {
            if depth >= MAX_NESTING {
                return Err(Error::corrupt(format!("key '{key}': arrays nested deeper than {MAX_NESTING}")));
            }
            too_long(12, reader.left())?;
            for _ in 0..len {
                let (kind, len) = (reader.u32("an array's type")?, reader.u64("an array's length")?);
                skip(reader, key, kind, len, depth + 1)?;
            }
        }
        _ => {
            let Some(width) = width(kind) else {
                return Err(Error::corrupt(format!("key '{key}': its type {kind} is not known")));
            };
            too_long(width, reader.left())?;
            let bytes = reader.take(len * width, key)?;
            if type_name(kind) == "bool" && bytes.iter().any(|&b| b > 1) {
                return Err(Error::corrupt(format!("key '{key}': expected 0 or 1 as booleans")));
            }
        }
    }
    Ok(())
}

/// A scalar of exactly its width; `None` for a boolean that is neither 0 nor 1.
fn scalar<'a>(kind: u32, bytes: &[u8]) -> Option<Value<'a>> {
    Some(match kind {
        0 => Value::U8(bytes[0]),
        1 => Value::I8(bytes[0] as i8),
        2 => Value::U16(u16::from_le_bytes(array(bytes))),
        3 => Value::I16(i16::from_le_bytes(array(bytes))),
        4 => Value::U32(u32::from_le_bytes(array(bytes))),
        5 => Value::I32(i32::from_le_bytes(array(bytes))),
        6 => Value::F32(f32::from_le_bytes(array(bytes))),
        7 if bytes[0] < 2 => Value::Bool(bytes[0] == 1),
        10 => Value::U64(u64::from_le_bytes(array(bytes))),
        11 => Value::I64(i64::from_le_bytes(array(bytes))),
        12 => Value::F64(f64::from_le_bytes(array(bytes))),
        _ => return None,
    })
}

fn width(kind: u32) -> Option<u64> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}

fn type_name(kind: u32) -> &'static str {
    const NAMES: [&str; 13] =
        ["u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "string", "array", "u64", "i64", "f64"];
    NAMES.get(kind as usize).copied().unwrap_or("unknown")
}

/// The bytes as an array; the caller took exactly so many.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(bytes);
    array
}
