//! Values of metadata, as a file has them.

use std::fmt;

/// The longest text shown in a message in full.
const MAX_SHOWN: usize = 64;

/// Value of a file's metadata. It borrows from the file; arrays are read as they are walked.
///
/// A safetensors file has texts only.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum ValueRef<'a> {
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
    /// A text. GGUF asks for UTF-8, but vocabularies hold pieces of characters: [`ValueRef::as_str`] checks.
    Text(&'a [u8]),
    /// An array of one type.
    Array(ArrayRef<'a>),
    /// Unsigned 64-bit integer.
    U64(u64),
    /// Signed 64-bit integer.
    I64(i64),
    /// IEEE 754 binary64.
    F64(f64),
}

/// Type of a [`ValueRef`]; the numbers are GGUF's.
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

    /// Name, short and in lower case.
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

/// Array in a file's metadata. Its extent was checked when the file was opened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ArrayRef<'a> {
    element_type: ValueType,
    len: u64,
    bytes: &'a [u8],
}

impl<'a> ValueRef<'a> {
    /// The type of the value.
    pub fn value_type(&self) -> ValueType {
        match self {
            ValueRef::U8(_) => ValueType::U8,
            ValueRef::I8(_) => ValueType::I8,
            ValueRef::U16(_) => ValueType::U16,
            ValueRef::I16(_) => ValueType::I16,
            ValueRef::U32(_) => ValueType::U32,
            ValueRef::I32(_) => ValueType::I32,
            ValueRef::F32(_) => ValueType::F32,
            ValueRef::Bool(_) => ValueType::Bool,
            ValueRef::Text(_) => ValueType::Text,
            ValueRef::Array(_) => ValueType::Array,
            ValueRef::U64(_) => ValueType::U64,
            ValueRef::I64(_) => ValueType::I64,
            ValueRef::F64(_) => ValueType::F64,
        }
    }

    /// An integer that is not negative, of any width.
    pub fn as_u64(&self) -> Option<u64> {
        match *self {
            ValueRef::U64(n) => Some(n),
            ref other => other.as_i64()?.try_into().ok(),
        }
    }

    /// An integer that fits, of any width.
    pub fn as_i64(&self) -> Option<i64> {
        match *self {
            ValueRef::U8(n) => Some(n.into()),
            ValueRef::I8(n) => Some(n.into()),
            ValueRef::U16(n) => Some(n.into()),
            ValueRef::I16(n) => Some(n.into()),
            ValueRef::U32(n) => Some(n.into()),
            ValueRef::I32(n) => Some(n.into()),
            ValueRef::U64(n) => n.try_into().ok(),
            ValueRef::I64(n) => Some(n),
            _ => None,
        }
    }

    /// A floating-point number of either width.
    pub fn as_f64(&self) -> Option<f64> {
        match *self {
            ValueRef::F32(x) => Some(x.into()),
            ValueRef::F64(x) => Some(x),
            _ => None,
        }
    }

    /// True or false.
    pub fn as_bool(&self) -> Option<bool> {
        match *self {
            ValueRef::Bool(b) => Some(b),
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
            ValueRef::Text(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// An array.
    pub fn as_array(&self) -> Option<ArrayRef<'a>> {
        match *self {
            ValueRef::Array(array) => Some(array),
            _ => None,
        }
    }

    /// The value free of its file, if it is a scalar.
    pub(super) fn fixed(self) -> Option<ValueRef<'static>> {
        Some(match self {
            ValueRef::U8(n) => ValueRef::U8(n),
            ValueRef::I8(n) => ValueRef::I8(n),
            ValueRef::U16(n) => ValueRef::U16(n),
            ValueRef::I16(n) => ValueRef::I16(n),
            ValueRef::U32(n) => ValueRef::U32(n),
            ValueRef::I32(n) => ValueRef::I32(n),
            ValueRef::F32(x) => ValueRef::F32(x),
            ValueRef::Bool(b) => ValueRef::Bool(b),
            ValueRef::U64(n) => ValueRef::U64(n),
            ValueRef::I64(n) => ValueRef::I64(n),
            ValueRef::F64(x) => ValueRef::F64(x),
            ValueRef::Text(_) | ValueRef::Array(_) => return None,
        })
    }

    /// A scalar of exactly its width; `None` for texts, arrays, and a boolean that is neither 0 nor 1.
    pub(super) fn scalar(value_type: ValueType, bytes: &[u8]) -> Option<ValueRef<'static>> {
        if value_type.width() != Some(bytes.len() as u64) {
            return None;
        }
        Some(match value_type {
            ValueType::U8 => ValueRef::U8(bytes[0]),
            ValueType::I8 => ValueRef::I8(bytes[0] as i8),
            ValueType::U16 => ValueRef::U16(u16::from_le_bytes(fixed(bytes)?)),
            ValueType::I16 => ValueRef::I16(i16::from_le_bytes(fixed(bytes)?)),
            ValueType::U32 => ValueRef::U32(u32::from_le_bytes(fixed(bytes)?)),
            ValueType::I32 => ValueRef::I32(i32::from_le_bytes(fixed(bytes)?)),
            ValueType::F32 => ValueRef::F32(f32::from_le_bytes(fixed(bytes)?)),
            ValueType::Bool if bytes[0] < 2 => ValueRef::Bool(bytes[0] == 1),
            ValueType::U64 => ValueRef::U64(u64::from_le_bytes(fixed(bytes)?)),
            ValueType::I64 => ValueRef::I64(i64::from_le_bytes(fixed(bytes)?)),
            ValueType::F64 => ValueRef::F64(f64::from_le_bytes(fixed(bytes)?)),
            ValueType::Bool | ValueType::Text | ValueType::Array => return None,
        })
    }
}

fn fixed<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok()
}

impl<'a> ArrayRef<'a> {
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
}

/// Short, for messages: a text up to its first 64 bytes, an array as its type and length.
impl fmt::Display for ValueRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ValueRef::U8(n) => n.fmt(f),
            ValueRef::I8(n) => n.fmt(f),
            ValueRef::U16(n) => n.fmt(f),
            ValueRef::I16(n) => n.fmt(f),
            ValueRef::U32(n) => n.fmt(f),
            ValueRef::I32(n) => n.fmt(f),
            ValueRef::U64(n) => n.fmt(f),
            ValueRef::I64(n) => n.fmt(f),
            ValueRef::F32(x) => x.fmt(f),
            ValueRef::F64(x) => x.fmt(f),
            ValueRef::Bool(b) => b.fmt(f),
            ValueRef::Text(bytes) => {
                write!(f, "'{}'", String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_SHOWN)]))
            }
            ValueRef::Array(array) => write!(f, "{}[{}]", array.element_type, array.len),
        }
    }
}
