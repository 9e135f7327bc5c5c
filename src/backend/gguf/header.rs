//! A strict reader of GGUF headers, versions 2 and 3.
//!
//! Runs before any native code sees a byte, and believes no number: each count is bounded by the bytes that are left,
//! nothing is allocated by a claimed size, sizes are computed without overflow, and each byte is read once. What it
//! refuses, llama.cpp would refuse, abort on, or read beyond the file for.

use std::collections::{HashMap, HashSet};

use super::value::{Reader, Value, read_value};
use crate::{Error, Result};

/// The longest key or tensor name the format, or llama.cpp, allows.
const MAX_KEY: u64 = u16::MAX as u64;
const MAX_TENSOR_NAME: u64 = 63;
/// Alignments beyond a page are of no use, and large ones overflow 32-bit arithmetic elsewhere.
const MAX_ALIGNMENT: u64 = 4096;
const DEFAULT_ALIGNMENT: u64 = 32;
/// The fewest bytes that a key with its value, and a tensor's entry, can take.
const MIN_KEY_BYTES: u64 = 8 + 1 + 4 + 1;
const MIN_TENSOR_BYTES: u64 = 8 + 1 + 4 + 8 + 4 + 8;

/// All of a GGUF file but the tensor data; borrows from the file.
#[derive(Debug)]
pub(super) struct Header<'a> {
    /// Keys and values, in the file's order.
    pub(super) entries: Vec<(&'a str, Value<'a>)>,
    index: HashMap<&'a str, usize>,
    pub(super) tensors: Vec<Tensor<'a>>,
    pub(super) alignment: u64,
    /// Where the tensor data begins.
    pub(super) data_start: u64,
}

/// Where a tensor is.
#[derive(Debug)]
pub(super) struct Tensor<'a> {
    pub(super) name: &'a str,
    /// From the beginning of the tensor data.
    pub(super) offset: u64,
    pub(super) bytes: u64,
}

impl<'a> Header<'a> {
    /// Reads and checks the header of a whole file.
    ///
    /// Errors: `Corrupt` for what breaks the format's rules, `Unsupported` for a version or tensor type that is not
    /// read any more, or not yet.
    pub(super) fn read(file: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(file);
        version(&mut reader)?;
        let tensor_count = reader.u64("the number of tensors")?;
        let key_count = reader.u64("the number of keys")?;
        bound("keys", key_count, reader.left() / MIN_KEY_BYTES)?;
        bound("tensors", tensor_count, reader.left() / MIN_TENSOR_BYTES)?;
        let (entries, index) = entries(&mut reader, key_count)?;
        let alignment = match index.get("general.alignment").map(|&i| &entries[i].1) {
            None => DEFAULT_ALIGNMENT,
            Some(value) => alignment(value)?,
        };
        let mut header = Self { entries, index, tensors: Vec::new(), alignment, data_start: 0 };
        header.read_tensors(&mut reader, tensor_count)?;
        Ok(header)
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&Value<'a>> {
        self.index.get(key).map(|&i| &self.entries[i].1)
    }

    /// A number that is not negative; `Corrupt` if the key has something else.
    pub(super) fn number(&self, key: &str) -> Result<Option<u64>> {
        self.typed(key, "a number that is not negative", Value::number)
    }

    /// A number with a fraction.
    pub(super) fn real(&self, key: &str) -> Result<Option<f64>> {
        self.typed(key, "a real number", Value::real)
    }

    /// A text in UTF-8.
    pub(super) fn text(&self, key: &str) -> Result<Option<&'a str>> {
        self.typed(key, "a text in UTF-8", Value::text)
    }

    fn typed<T>(&self, key: &str, expected: &str, read: impl Fn(&Value<'a>) -> Option<T>) -> Result<Option<T>> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => match read(value) {
                Some(read) => Ok(Some(read)),
                None => Err(Error::corrupt(format!("key '{key}': expected {expected}, got {value}"))),
            },
        }
    }

    fn read_tensors(&mut self, reader: &mut Reader<'a>, count: u64) -> Result<()> {
        let mut names = HashSet::new();
        let mut end = 0u128;
        for i in 0..count {
            let tensor = tensor(reader, i)?;
            if !names.insert(tensor.name) {
                return Err(Error::corrupt(format!("tensor '{}' is there twice", tensor.name)));
            }
            // llama.cpp wants them in order and without gaps, so there is no overlap to look for.
            let expected = end.next_multiple_of(u128::from(self.alignment));
            if u128::from(tensor.offset) != expected {
                return Err(Error::corrupt(format!(
                    "tensor '{}': expected offset {expected}, got {}",
                    tensor.name, tensor.offset
                )));
            }
            end = expected + u128::from(tensor.bytes);
            self.tensors.push(tensor);
        }
        if count == 0 {
            self.data_start = reader.at();
            return Ok(());
        }
        let start = u128::from(reader.at()).next_multiple_of(u128::from(self.alignment));
        let len = u128::from(reader.len());
        if start + end > len {
            return Err(Error::corrupt(format!("expected {} bytes by its tensors, got {len}: truncated", start + end)));
        }
        if len > (start + end).next_multiple_of(u128::from(self.alignment)) {
            return Err(Error::corrupt(format!("expected {} bytes by its tensors, got {len}: too many", start + end)));
        }
        // `start <= len`, which is a `u64`.
        self.data_start = start as u64;
        Ok(())
    }
}

fn version(reader: &mut Reader<'_>) -> Result<()> {
    if reader.take(4, "the magic")? != b"GGUF" {
        return Err(Error::corrupt("expected the magic 'GGUF' at the beginning"));
    }
    match reader.u32("the version")? {
        2..=3 => Ok(()),
        0 => Err(Error::corrupt("GGUF version: expected 2 or 3, got 0")),
        swapped if swapped & 0xFFFF == 0 => {
            Err(Error::unsupported("expected a little-endian GGUF file, got a big-endian one"))
        }
        other => Err(Error::unsupported(format!("GGUF version: expected 2 or 3, got {other}"))),
    }
}

type Entries<'a> = (Vec<(&'a str, Value<'a>)>, HashMap<&'a str, usize>);

fn entries<'a>(reader: &mut Reader<'a>, count: u64) -> Result<Entries<'a>> {
    let mut entries = Vec::new();
    let mut index = HashMap::new();
    for i in 0..count {
        let key = name(reader, "key", i, MAX_KEY)?;
        let value = read_value(reader, key)?;
        if index.insert(key, entries.len()).is_some() {
            return Err(Error::corrupt(format!("key '{key}' is there twice")));
        }
        entries.push((key, value));
    }
    Ok((entries, index))
}

fn alignment(value: &Value<'_>) -> Result<u64> {
    match value {
        // The type is fixed by the format, and llama.cpp reads it as that type only.
        Value::U32(n) if n.is_power_of_two() && u64::from(*n) <= MAX_ALIGNMENT => Ok(u64::from(*n)),
        other => Err(Error::corrupt(format!(
            "general.alignment: expected a power of two up to {MAX_ALIGNMENT} as u32, got {other}"
        ))),
    }
}

fn tensor<'a>(reader: &mut Reader<'a>, i: u64) -> Result<Tensor<'a>> {
    let name = name(reader, "tensor", i, MAX_TENSOR_NAME)?;
    let broken = |what: String| Err(Error::corrupt(format!("tensor '{name}': {what}")));
    let rank = reader.u32("a tensor's number of dimensions")?;
    if !(1..=4).contains(&rank) {
        return broken(format!("expected 1 to 4 dimensions, got {rank}"));
    }
    let mut dims = Vec::with_capacity(rank as usize);
    let mut elements = 1u128;
    for _ in 0..rank {
        let dim = reader.u64("a tensor's dimension")?;
        if dim == 0 || dim > i64::MAX as u64 {
            return broken(format!("expected dimensions from 1 to 2^63-1, got {dim}"));
        }
        // Below 2^63 before, so this cannot overflow 128 bits.
        elements *= u128::from(dim);
        if elements >= i64::MAX as u128 {
            return broken("it has more elements than can be counted".into());
        }
        dims.push(dim);
    }
    let kind = reader.u32("a tensor's type")?;
    let Some((block, block_bytes)) = block(kind) else {
        return Err(Error::unsupported(format!("tensor '{name}': its type {kind} is not known")));
    };
    if !dims[0].is_multiple_of(block) {
        return broken(format!("expected rows of a multiple of {block} elements, got {}", dims[0]));
    }
    let bytes = elements / u128::from(block) * u128::from(block_bytes);
    let offset = reader.u64("a tensor's offset")?;
    match u64::try_from(bytes) {
        Ok(bytes) if bytes <= reader.len() => Ok(Tensor { name, offset, bytes }),
        _ => broken(format!("it takes {bytes} bytes, more than the file's {}", reader.len())),
    }
}

fn name<'a>(reader: &mut Reader<'a>, what: &str, i: u64, most: u64) -> Result<&'a str> {
    let bytes = reader.string(what)?;
    let shown = || format!("{what} {i} ('{}')", String::from_utf8_lossy(&bytes[..bytes.len().min(64)]));
    if bytes.is_empty() || bytes.len() as u64 > most {
        return Err(Error::corrupt(format!("{}: expected a name of 1 to {most} bytes, got {}", shown(), bytes.len())));
    }
    match std::str::from_utf8(bytes) {
        Ok(name) if !name.contains('\0') => Ok(name),
        _ => Err(Error::corrupt(format!("{}: expected a name in UTF-8 without NUL", shown()))),
    }
}

fn bound(what: &str, claimed: u64, most: u64) -> Result<()> {
    if claimed > most {
        return Err(Error::corrupt(format!("it claims {claimed} {what}, and {most} is the most that fits: truncated")));
    }
    Ok(())
}

/// Elements and bytes of a block of ggml's type, as `ggml-common.h` defines them.
fn block(kind: u32) -> Option<(u64, u64)> {
    Some(match kind {
        0 => (1, 4),       // F32
        1 => (1, 2),       // F16
        2 => (32, 18),     // Q4_0
        3 => (32, 20),     // Q4_1
        6 => (32, 22),     // Q5_0
        7 => (32, 24),     // Q5_1
        8 => (32, 34),     // Q8_0
        9 => (32, 36),     // Q8_1
        10 => (256, 84),   // Q2_K
        11 => (256, 110),  // Q3_K
        12 => (256, 144),  // Q4_K
        13 => (256, 176),  // Q5_K
        14 => (256, 210),  // Q6_K
        15 => (256, 292),  // Q8_K
        16 => (256, 66),   // IQ2_XXS
        17 => (256, 74),   // IQ2_XS
        18 => (256, 98),   // IQ3_XXS
        19 => (256, 50),   // IQ1_S
        20 => (32, 18),    // IQ4_NL
        21 => (256, 110),  // IQ3_S
        22 => (256, 82),   // IQ2_S
        23 => (256, 136),  // IQ4_XS
        24 => (1, 1),      // I8
        25 => (1, 2),      // I16
        26 => (1, 4),      // I32
        27 | 28 => (1, 8), // I64, F64
        29 => (256, 56),   // IQ1_M
        30 => (1, 2),      // BF16
        34 => (256, 54),   // TQ1_0
        35 => (256, 66),   // TQ2_0
        39 => (32, 17),    // MXFP4
        40 => (64, 36),    // NVFP4
        41 => (128, 18),   // Q1_0
        42 => (64, 18),    // Q2_0
        _ => return None,
    })
}
