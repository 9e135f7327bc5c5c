//! Fields of a protocol-buffers message, read in place: nothing is copied and nothing is
//! allocated, whatever lengths the bytes claim.

use prost::encoding::{WireType, decode_key, decode_varint};

use crate::{Error, Result};

/// The value of one field, as the wire has it.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Varint(u64),
    /// Four or eight bytes.
    Fixed(&'a [u8]),
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    pub(super) fn bytes(self, what: &str) -> Result<&'a [u8]> {
        match self {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(Error::corrupt(format!("{what}: expected a length-delimited field"))),
        }
    }

    pub(super) fn text(self, what: &str) -> Result<&'a str> {
        std::str::from_utf8(self.bytes(what)?).map_err(|e| Error::corrupt(format!("{what}: not UTF-8: {e}")))
    }

    pub(super) fn int(self, what: &str) -> Result<i64> {
        match self {
            Value::Varint(v) => Ok(v as i64),
            _ => Err(Error::corrupt(format!("{what}: expected a varint field"))),
        }
    }

    /// A repeated integer, packed or not: calls `each` for every element in this field.
    pub(super) fn ints(self, what: &str, mut each: impl FnMut(i64) -> Result<()>) -> Result<()> {
        match self {
            Value::Varint(v) => each(v as i64),
            Value::Bytes(mut bytes) => {
                while !bytes.is_empty() {
                    let v = decode_varint(&mut bytes).map_err(|e| Error::corrupt(format!("{what}: {e}")))?;
                    each(v as i64)?;
                }
                Ok(())
            }
            Value::Fixed(_) => Err(Error::corrupt(format!("{what}: expected varints"))),
        }
    }

    pub(super) fn float(self, what: &str) -> Result<f32> {
        match self {
            Value::Fixed(&[a, b, c, d]) => Ok(f32::from_le_bytes([a, b, c, d])),
            _ => Err(Error::corrupt(format!("{what}: expected a field of four bytes"))),
        }
    }
}

/// Iterates over the fields of a message; ends after the first error.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
    what: &'static str,
}

/// The fields of `message`; `what` names it in errors.
pub(super) fn fields<'a>(message: &'a [u8], what: &'static str) -> Fields<'a> {
    Fields { rest: message, what }
}

impl<'a> Fields<'a> {
    /// Each field with the bytes that it takes in the message, key included.
    pub(super) fn with_bytes(mut self) -> impl Iterator<Item = Result<(u32, Value<'a>, &'a [u8])>> {
        std::iter::from_fn(move || {
            let before = self.rest;
            // After an error nothing is left, and nothing is taken.
            let field = self.next()?;
            Some(field.map(|(tag, value)| (tag, value, &before[..before.len() - self.rest.len()])))
        })
    }

    fn field(&mut self) -> Result<(u32, Value<'a>)> {
        let what = self.what;
        let broken = |e| Error::corrupt(format!("{what}: {e}"));
        let (tag, wire) = decode_key(&mut self.rest).map_err(broken)?;
        let value = match wire {
            WireType::Varint => Value::Varint(decode_varint(&mut self.rest).map_err(broken)?),
            WireType::ThirtyTwoBit => Value::Fixed(self.take(4)?),
            WireType::SixtyFourBit => Value::Fixed(self.take(8)?),
            WireType::LengthDelimited => {
                let len = decode_varint(&mut self.rest).map_err(broken)?;
                Value::Bytes(self.take(len)?)
            }
            WireType::StartGroup | WireType::EndGroup => {
                return Err(Error::corrupt(format!("{what}: field {tag} is a group, which ONNX does not use")));
            }
        };
        Ok((tag, value))
    }

    fn take(&mut self, len: u64) -> Result<&'a [u8]> {
        let (bytes, rest) = usize::try_from(len).ok().and_then(|n| self.rest.split_at_checked(n)).ok_or_else(|| {
            let left = self.rest.len();
            Error::corrupt(format!("{}: a field of {len} bytes, but {left} are left", self.what))
        })?;
        self.rest = rest;
        Ok(bytes)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Value<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}
