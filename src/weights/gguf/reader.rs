//! Reader of a GGUF header's bytes, from the front.

use std::fmt;

use super::super::value::{ArrayRef, ValueRef, ValueType};
use crate::{Error, Result};

/// Deeper arrays than this occur nowhere, and reading them costs stack.
const MAX_NESTING: u32 = 4;

/// Bytes with a place. Each read is bounded by what is left; nothing is allocated.
#[derive(Clone, Debug)]
pub(in crate::weights) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(in crate::weights) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn at(&self) -> u64 {
        self.at as u64
    }

    pub(super) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    pub(super) fn left(&self) -> u64 {
        (self.bytes.len() - self.at) as u64
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
        let bytes = self.take(4, what)?;
        Ok(bytes.iter().rev().fold(0, |n, &b| n << 8 | u32::from(b)))
    }

    pub(super) fn u64(&mut self, what: &str) -> Result<u64> {
        let bytes = self.take(8, what)?;
        Ok(bytes.iter().rev().fold(0, |n, &b| n << 8 | u64::from(b)))
    }

    pub(super) fn string(&mut self, what: &str) -> Result<&'a [u8]> {
        let len = self.u64(what)?;
        self.take(len, what)
    }

    /// `Corrupt` unless these bytes, which the file has, are padding.
    pub(super) fn expect_zeros(&self, from: u64, to: u64, place: &dyn fmt::Display) -> Result<()> {
        let padding = &self.bytes[from as usize..to as usize];
        match padding.iter().position(|&b| b != 0) {
            None => Ok(()),
            Some(i) => Err(Error::corrupt(format!(
                "padding {place}: expected zeros, got {:#04x} at byte {}",
                padding[i],
                from as usize + i
            ))),
        }
    }

    /// The number of a type, and the type.
    pub(super) fn value_type(&mut self, key: &str) -> Result<ValueType> {
        let number = self.u32("a value's type")?;
        ValueType::of_gguf(number).ok_or_else(|| Error::corrupt(format!("key '{key}': its type {number} is not known")))
    }

    /// A value of a type that has been read.
    pub(in crate::weights) fn value_of(&mut self, value_type: ValueType, key: &str) -> Result<ValueRef<'a>> {
        match value_type {
            ValueType::Text => Ok(ValueRef::Text(self.string(key)?)),
            ValueType::Array => {
                let (element_type, len) = (self.value_type(key)?, self.u64("an array's length")?);
                let mut after = self.clone();
                after.skip(element_type, len, key, 1)?;
                let bytes = self.take((after.at - self.at) as u64, key)?;
                Ok(ValueRef::Array(ArrayRef::new(element_type, len, bytes)))
            }
            _ => {
                let bytes = self.take(value_type.width().unwrap_or(0), key)?;
                ValueRef::scalar(value_type, bytes)
                    .ok_or_else(|| Error::corrupt(format!("key '{key}': expected 0 or 1 as boolean, got {bytes:?}")))
            }
        }
    }

    /// Passes the elements of an array, checking that each is whole.
    fn skip(&mut self, element_type: ValueType, len: u64, key: &str, depth: u32) -> Result<()> {
        let min_bytes = element_type.width().unwrap_or(if element_type == ValueType::Text { 8 } else { 12 });
        if len > self.left() / min_bytes {
            return Err(Error::corrupt(format!("key '{key}': it claims {len} elements, which do not fit: truncated")));
        }
        match element_type {
            ValueType::Text => (0..len).try_for_each(|_| self.string(key).map(|_| ())),
            ValueType::Array if depth >= MAX_NESTING => {
                Err(Error::corrupt(format!("key '{key}': arrays nested deeper than {MAX_NESTING}")))
            }
            ValueType::Array => (0..len).try_for_each(|_| {
                let (element_type, len) = (self.value_type(key)?, self.u64("an array's length")?);
                self.skip(element_type, len, key, depth + 1)
            }),
            _ => {
                // At most what is left, so it does not overflow.
                let bytes = self.take(len * min_bytes, key)?;
                if element_type == ValueType::Bool && bytes.iter().any(|&b| b > 1) {
                    return Err(Error::corrupt(format!("key '{key}': expected 0 or 1 as booleans")));
                }
                Ok(())
            }
        }
    }
}

/// The elements of an array, read again from its bytes.
impl<'a> ArrayRef<'a> {
    /// The elements, one after the other.
    pub fn iter(&self) -> impl Iterator<Item = ValueRef<'a>> + use<'a> {
        let mut reader = Reader::new(self.bytes());
        let (element_type, mut left) = (self.element_type(), self.len());
        std::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            reader.value_of(element_type, "").ok()
        })
    }

    /// The elements of an array of texts; nothing for other arrays.
    pub fn texts(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let texts = self.element_type() == ValueType::Text;
        self.iter().take_while(move |_| texts).filter_map(|value| value.as_bytes())
    }

    /// The elements of an array of integers, `None` for negative ones; nothing for other arrays.
    pub fn numbers(&self) -> impl Iterator<Item = Option<u64>> + use<'a> {
        use ValueType::*;
        let integers = matches!(self.element_type(), U8 | I8 | U16 | I16 | U32 | I32 | U64 | I64);
        self.iter().take_while(move |_| integers).map(|value| value.as_u64())
    }
}
