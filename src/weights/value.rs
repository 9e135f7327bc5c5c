//! Values of metadata, as a file has them.

use std::fmt;

use super::gguf::Reader;

/// The longest text shown in a message in full.
const MAX_SHOWN: usize = 64;

/// A value of a file's metadata. It borrows from the file; arrays are read as they are walked.
///
/// A safetensors file has texts only.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// Unsigned 8-bit integer.
    U8(u8),
    /// Signed 8-bit integer.
    I8(i8),
    /// Unsigned 16-bit integer.
    U16(u16),
    /// Signed 16-bit integer.
    I16(i16),
    /// Unsigned 32-bit integer.
    U32(u32),
    /// Signed 32-bit integer.
    I32(i32),
    /// IEEE 754 binary32.
    F32(f32),
    /// True or false.
    Bool(bool),
    /// A text. GGUF asks for UTF-8, but vocabularies hold pieces of characters: [`Value::as_str`] checks.
    Text(&'a [u8]),
    /// An array of one type.
    Array(Array<'a>),
    /// Unsigned 64-bit integer.
    U64(u64),
    /// Signed 64-bit integer.
    I64(i64),
    /// IEEE 754 binary64.
    F64(f64),
}

/// The type of a value; the numbers are GGUF's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u32)]
pub enum ValueType {
    /// Unsigned 8-bit integer.
    U8 = 0,
    /// Signed 8-bit integer.
    I8 = 1,
    /// Unsigned 16-bit integer.
    U16 = 2,
    /// Signed 16-bit integer.
    I16 = 3,
    /// Unsigned 32-bit integer.
    U32 = 4,
    /// Signed 32-bit integer.
    I32 = 5,
    /// IEEE 754 binary32.
    F32 = 6,
    /// One byte, 0 or 1.
    Bool = 7,
    /// A text with its length before it.
    Text = 8,
    /// An array: the type and number of its elements before them.
    Array = 9,
    /// Unsigned 64-bit integer.
    U64 = 10,
    /// Signed 64-bit integer.
    I64 = 11,
    /// IEEE 754 binary64.
    F64 = 12,
}

impl ValueType {
    const ALL: [ValueType; 13] = {
        use ValueType::*;
        [U8, I8, U16, I16, U32, I32, F32, Bool, Text, Array, U64, I64, F64]
    };

    pub(super) fn of_gguf(number: u32) -> Option<Self> {
        Self::ALL.get(number as usize).copied()
    }

    /// Bytes of one value; `None` for texts and arrays, whose lengths vary.
    pub const fn width(self) -> Option<u64> {
        match self {
            ValueType::U8 | ValueType::I8 | ValueType::Bool => Some(1),
            ValueType::U16 | ValueType::I16 => Some(2),
            ValueType::U32 | ValueType::I32 | ValueType::F32 => Some(4),
            ValueType::U64 | ValueType::I64 | ValueType::F64 => Some(8),
            ValueType::Text | ValueType::Array => None,
        }
    }

    /// Its short lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            ValueType::U8 => "u8",
            ValueType::I8 => "i8",
            ValueType::U16 => "u16",
            ValueType::I16 => "i16",
            ValueType::U32 => "u32",
            ValueType::I32 => "i32",
            ValueType::F32 => "f32",
            ValueType::Bool => "bool",
            ValueType::Text => "string",
            ValueType::Array => "array",
            ValueType::U64 => "u64",
            ValueType::I64 => "i64",
            ValueType::F64 => "f64",
        }
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An array in metadata. Its extent was checked when the file was opened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Array<'a> {
    element_type: ValueType,
    len: u64,
    bytes: &'a [u8],
}

impl<'a> Value<'a> {
    /// The type of the value.
    pub fn value_type(&self) -> ValueType {
        match self {
            Value::U8(_) => ValueType::U8,
            Value::I8(_) => ValueType::I8,
            Value::U16(_) => ValueType::U16,
            Value::I16(_) => ValueType::I16,
            Value::U32(_) => ValueType::U32,
            Value::I32(_) => ValueType::I32,
            Value::F32(_) => ValueType::F32,
            Value::Bool(_) => ValueType::Bool,
            Value::Text(_) => ValueType::Text,
            Value::Array(_) => ValueType::Array,
            Value::U64(_) => ValueType::U64,
            Value::I64(_) => ValueType::I64,
            Value::F64(_) => ValueType::F64,
        }
    }

    /// An integer that is not negative, of any width.
    pub fn as_u64(&self) -> Option<u64> {
        match *self {
            Value::U64(n) => Some(n),
            ref other => other.as_i64()?.try_into().ok(),
        }
    }

    /// An integer that fits, of any width.
    pub fn as_i64(&self) -> Option<i64> {
        match *self {
            Value::U8(n) => Some(n.into()),
            Value::I8(n) => Some(n.into()),
            Value::U16(n) => Some(n.into()),
            Value::I16(n) => Some(n.into()),
            Value::U32(n) => Some(n.into()),
            Value::I32(n) => Some(n.into()),
            Value::U64(n) => n.try_into().ok(),
            Value::I64(n) => Some(n),
            _ => None,
        }
    }

    /// A floating-point number of either width.
    pub fn as_f64(&self) -> Option<f64> {
        match *self {
            Value::F32(x) => Some(x.into()),
            Value::F64(x) => Some(x),
            _ => None,
        }
    }

    /// True or false.
    pub fn as_bool(&self) -> Option<bool> {
        match *self {
            Value::Bool(b) => Some(b),
            _ => None,
        }
    }

    /// A text in UTF-8.
    pub fn as_str(&self) -> Option<&'a str> {
        std::str::from_utf8(self.as_bytes()?).ok()
    }

    /// A text, in UTF-8 or not.
    pub fn as_bytes(&self) -> Option<&'a [u8]> {
        match *self {
            Value::Text(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// An array.
    pub fn as_array(&self) -> Option<Array<'a>> {
        match *self {
            Value::Array(array) => Some(array),
            _ => None,
        }
    }

    /// The value free of its file, if it is a scalar.
    pub(super) fn fixed(self) -> Option<Value<'static>> {
        Some(match self {
            Value::U8(n) => Value::U8(n),
            Value::I8(n) => Value::I8(n),
            Value::U16(n) => Value::U16(n),
            Value::I16(n) => Value::I16(n),
            Value::U32(n) => Value::U32(n),
            Value::I32(n) => Value::I32(n),
            Value::F32(x) => Value::F32(x),
            Value::Bool(b) => Value::Bool(b),
            Value::U64(n) => Value::U64(n),
            Value::I64(n) => Value::I64(n),
            Value::F64(x) => Value::F64(x),
            Value::Text(_) | Value::Array(_) => return None,
        })
    }

    /// A scalar of exactly its width; `None` for texts, arrays, and a boolean that is neither 0 nor 1.
    pub(super) fn scalar(value_type: ValueType, bytes: &[u8]) -> Option<Value<'static>> {
        if value_type.width() != Some(bytes.len() as u64) {
            return None;
        }
        Some(match value_type {
            ValueType::U8 => Value::U8(bytes[0]),
            ValueType::I8 => Value::I8(bytes[0] as i8),
            ValueType::U16 => Value::U16(u16::from_le_bytes(fixed(bytes)?)),
            ValueType::I16 => Value::I16(i16::from_le_bytes(fixed(bytes)?)),
            ValueType::U32 => Value::U32(u32::from_le_bytes(fixed(bytes)?)),
            ValueType::I32 => Value::I32(i32::from_le_bytes(fixed(bytes)?)),
            ValueType::F32 => Value::F32(f32::from_le_bytes(fixed(bytes)?)),
            ValueType::Bool if bytes[0] < 2 => Value::Bool(bytes[0] == 1),
            ValueType::U64 => Value::U64(u64::from_le_bytes(fixed(bytes)?)),
            ValueType::I64 => Value::I64(i64::from_le_bytes(fixed(bytes)?)),
            ValueType::F64 => Value::F64(f64::from_le_bytes(fixed(bytes)?)),
            ValueType::Bool | ValueType::Text | ValueType::Array => return None,
        })
    }
}

fn fixed<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok()
}

impl<'a> Array<'a> {
    /// `bytes` are the elements' own, without the array's type and length.
    pub(super) fn new(element_type: ValueType, len: u64, bytes: &'a [u8]) -> Self {
        Self { element_type, len, bytes }
    }

    /// The type of the elements.
    pub fn element_type(&self) -> ValueType {
        self.element_type
    }

    /// The number of elements.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The elements as they are in the file: scalars little-endian and without gaps.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The elements, one after the other.
    pub fn iter(&self) -> impl Iterator<Item = Value<'a>> + use<'a> {
        let mut reader = Reader::new(self.bytes);
        let (element_type, mut left) = (self.element_type, self.len);
        std::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            reader.value_of(element_type, "").ok()
        })
    }

    /// The elements of an array of texts; nothing for other arrays.
    pub fn texts(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let texts = self.element_type == ValueType::Text;
        self.iter().take_while(move |_| texts).filter_map(|value| value.as_bytes())
    }

    /// The elements of an array of integers, `None` for negative ones; nothing for other arrays.
    pub fn numbers(&self) -> impl Iterator<Item = Option<u64>> + use<'a> {
        use ValueType::*;
        let integers = matches!(self.element_type, U8 | I8 | U16 | I16 | U32 | I32 | U64 | I64);
        self.iter().take_while(move |_| integers).map(|value| value.as_u64())
    }
}

/// Short, for messages: a text up to its first 64 bytes, an array as its type and length.
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
            Value::Array(array) => write!(f, "{}[{}]", array.element_type, array.len),
        }
    }
}
