//! A `TensorProto`: what it declares, and where its data is.

use std::borrow::Cow;

use super::wire::{Value, fields};
use super::{External, Initializer, entry};
use crate::{DType, Error, Result, Shape};

/// Names, type and dimensions of a tensor in the file, and where its data is.
#[derive(Clone, Default)]
pub(crate) struct TensorHead<'a> {
    pub name: &'a str,
    pub dims: Vec<i64>,
    /// `TensorProto.DataType`.
    pub element: i64,
    message: &'a [u8],
    raw: Option<&'a [u8]>,
    /// The pieces of `float_data`.
    floats: Vec<&'a [u8]>,
    /// Keys and values of `external_data`.
    pub entries: Vec<(&'a str, &'a str)>,
    pub is_external: bool,
}

/// `TensorProto.DataType` of f32, of bytes, and of f16.
pub(crate) const FLOAT: i64 = 1;
pub(crate) const UINT8: i64 = 2;
pub(super) const INT8: i64 = 3;
pub(crate) const FLOAT16: i64 = 10;

impl<'a> TensorHead<'a> {
    pub(super) fn read(message: &'a [u8]) -> Result<Self> {
        let mut head = TensorHead { message, ..TensorHead::default() };
        for field in fields(message, "tensor") {
            match field? {
                (1, v) => v.ints("tensor dims", |d| {
                    head.dims.push(d);
                    match head.dims.len() > Shape::MAX_RANK {
                        true => Err(Error::corrupt(format!("tensor: expected rank <= {}", Shape::MAX_RANK))),
                        false => Ok(()),
                    }
                })?,
                // Both are 32 bits wide to every parser, whatever the varint holds.
                (2, v) => head.element = i64::from(v.int("tensor data_type")? as i32),
                (4, Value::Fixed(bytes) | Value::Bytes(bytes)) => head.floats.push(bytes),
                (8, v) => head.name = v.text("tensor name")?,
                (9, v) => head.raw = Some(v.bytes("tensor raw_data")?),
                (13, v) => head.entries.push(entry(v.bytes("external_data")?, "external_data")?),
                (14, v) => head.is_external = v.int("data_location")? as i32 == 1,
                _ => {}
            }
        }
        Ok(head)
    }

    pub(super) fn dtype(&self) -> Option<DType> {
        dtype(self.element)
    }

    /// The bytes that the dimensions call for; fails if they overflow or the raw data has another length.
    pub(crate) fn check(&self) -> Result<u64> {
        let Self { name, dims, .. } = self;
        let mut elements = 1u128;
        for &d in dims {
            let d =
                u64::try_from(d).map_err(|_| Error::corrupt(format!("tensor '{name}': dimension {d} in {dims:?}")))?;
            // Zero is skipped so that a huge product is refused in whatever order it comes.
            elements = elements
                .checked_mul(u128::from(d.max(1)))
                .filter(|n| *n <= isize::MAX as u128)
                .ok_or_else(|| Error::corrupt(format!("tensor '{name}': {dims:?} exceeds the address space")))?;
        }
        if dims.contains(&0) {
            elements = 0;
        }
        let Some(bits) = element_bits(self.element) else { return Ok(0) };
        let expected = u64::try_from((elements * u128::from(bits)).div_ceil(8))
            .map_err(|_| Error::corrupt(format!("tensor '{name}': {dims:?} exceeds the address space")))?;
        match self.raw.map(<[u8]>::len) {
            // An empty raw_data beside typed data is how some writers spell "not here".
            Some(got) if got as u64 != expected && got != 0 => Err(Error::corrupt(format!(
                "tensor '{name}' {dims:?} of {}: expected {expected} bytes of data, got {got}",
                element_name(self.element)
            ))),
            _ => Ok(expected),
        }
    }

    /// As [`list`](super::list) tells it; [`Self::check`] has been passed.
    pub(super) fn listed(&self) -> Result<Initializer> {
        let location = self.is_external.then(|| self.entries.iter().find(|(key, _)| *key == "location")).flatten();
        Ok(Initializer {
            name: self.name.into(),
            element: element_name(self.element),
            dims: self.dims.iter().map(|d| d.unsigned_abs()).collect(),
            bytes: self.check()?,
            location: location.map(|(_, file)| (*file).into()),
        })
    }

    /// The value of an entry of `external_data`.
    pub(crate) fn entry(&self, key: &str) -> Option<&'a str> {
        self.entries.iter().find(|(k, _)| *k == key).map(|(_, value)| *value)
    }

    /// The data of up to so many bytes, or integers of 32 or 64 bits, in the file itself.
    pub(crate) fn integers(&self, most: usize) -> Option<Vec<i64>> {
        let bytes = match self.element {
            UINT8 | INT8 => 1,
            6 => 4,
            7 => 8,
            _ => return None,
        };
        let count = self.check().ok()?.checked_div(bytes)?;
        if self.is_external || count > most as u64 {
            return None;
        }
        let mut numbers: Vec<i64> = match (self.raw, self.element) {
            (Some(raw), 7) => raw.as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect(),
            (Some(raw), UINT8) => raw.iter().map(|byte| i64::from(*byte)).collect(),
            (Some(raw), INT8) => raw.iter().map(|byte| i64::from(*byte as i8)).collect(),
            (Some(raw), _) => raw.as_chunks().0.iter().map(|bytes| i32::from_le_bytes(*bytes).into()).collect(),
            (None, _) => Vec::new(),
        };
        for field in fields(self.message, "tensor") {
            if let (5 | 7, v) = field.ok()? {
                let put = |n: i64| {
                    numbers.push(n);
                    if numbers.len() > most { Err(Error::corrupt("tensor data: too many")) } else { Ok(()) }
                };
                v.ints("tensor data", put).ok()?;
            }
        }
        (numbers.len() as u64 == count).then_some(numbers)
    }

    /// The raw data of 8-bit elements in the file itself; `None` if it lies elsewhere or is written as numbers.
    #[cfg_attr(not(feature = "rten"), allow(dead_code, reason = "of the runtimes, rten alone asks for it"))]
    pub(crate) fn bytes(&self) -> Option<&'a [u8]> {
        let expected = self.check().ok()?;
        let is_here = !self.is_external && matches!(self.element, UINT8 | INT8);
        self.raw.filter(|raw| is_here && raw.len() as u64 == expected)
    }

    /// The data of f32 or f16 elements in the file itself, little-endian; `None` if it lies elsewhere or falls short.
    pub(crate) fn float_bytes(&self) -> Option<Cow<'a, [u8]>> {
        let expected = usize::try_from(self.check().ok()?).ok()?;
        let bytes = match (self.raw, &*self.floats) {
            _ if self.is_external || !matches!(self.element, FLOAT | FLOAT16) => return None,
            (Some(raw), _) if !raw.is_empty() => Cow::Borrowed(raw),
            _ if self.element == FLOAT16 => Cow::Owned(self.halves(expected)?),
            (_, [one]) => Cow::Borrowed(*one),
            (_, pieces) => Cow::Owned(pieces.concat()),
        };
        (bytes.len() == expected).then_some(bytes)
    }

    /// The bits of f16 elements, each of which `int32_data` has as a number; `None` for more than so many bytes.
    fn halves(&self, expected: usize) -> Option<Vec<u8>> {
        let mut halves = Vec::new();
        for field in fields(self.message, "tensor") {
            if let (5, v) = field.ok()? {
                let put = |bits: i64| {
                    halves.extend((bits as u16).to_le_bytes());
                    if halves.len() > expected { Err(Error::corrupt("tensor int32_data: too many")) } else { Ok(()) }
                };
                v.ints("tensor int32_data", put).ok()?;
            }
        }
        Some(halves)
    }

    pub(crate) fn external(&self, bytes: u64) -> Result<Option<External>> {
        if !self.is_external {
            return Ok(None);
        }
        External::new(self.name, &self.entries, bytes).map(Some)
    }
}

/// `TensorProto.DataType` as a [`DType`].
pub(super) fn dtype(element: i64) -> Option<DType> {
    Some(match element {
        1 => DType::F32,
        2 => DType::U8,
        3 => DType::I8,
        4 => DType::U16,
        5 => DType::I16,
        6 => DType::I32,
        7 => DType::I64,
        8 => DType::String,
        9 => DType::Bool,
        10 => DType::F16,
        11 => DType::F64,
        12 => DType::U32,
        13 => DType::U64,
        16 => DType::BF16,
        _ => return None,
    })
}

pub(crate) fn element_name(element: i64) -> String {
    match element {
        14 => "complex64".into(),
        15 => "complex128".into(),
        17..=20 | 24 => "float8".into(),
        21 => "uint4".into(),
        22 => "int4".into(),
        23 => "float4".into(),
        25 => "uint2".into(),
        26 => "int2".into(),
        other => dtype(other).map_or_else(|| format!("element type {other}"), |d| d.name().into()),
    }
}

/// Bits per element in `raw_data`; `None` for strings and types not known.
pub(super) fn element_bits(element: i64) -> Option<u32> {
    Some(match element {
        14 => 64,
        15 => 128,
        17..=20 | 24 => 8,
        21..=23 => 4,
        25 | 26 => 2,
        other => dtype(other)?.size()? as u32 * 8,
    })
}
