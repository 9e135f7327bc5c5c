//! Header of a GGUF file, read strictly; versions 2 and 3.
//!
//! It believes no number: each count is bounded by the bytes that are left, nothing is allocated by a claimed size, and
//! sizes are computed without overflow. What it refuses, llama.cpp would refuse, abort on, or read beyond the file for.

use super::super::metadata::{Entries, MAX_KEYS, Metadata, Stored, owned, push};
use super::super::tensor_type::TensorType;
use super::super::tensors::{Info, MAX_TENSORS, shape};
use super::super::value::ValueRef;
use super::reader::Reader;
use crate::tensor::Shape;
use crate::{Error, Result};

/// The longest key or tensor name the format, or llama.cpp, allows.
pub(super) const MAX_KEY: u64 = u16::MAX as u64;
pub(super) const MAX_TENSOR_NAME: u64 = 63;
/// Alignments beyond a page are of no use, and large ones overflow 32-bit arithmetic elsewhere.
pub(super) const MAX_ALIGNMENT: u64 = 4096;
pub(super) const DEFAULT_ALIGNMENT: u64 = 32;
pub(super) const MAX_RANK: u32 = 4;
/// The fewest bytes that a key with its value, and a tensor's entry, can take.
const MIN_KEY_BYTES: u64 = 8 + 1 + 4 + 1;
const MIN_TENSOR_BYTES: u64 = 8 + 1 + 4 + 4 + 8;

/// All of a GGUF file but the tensor data.
#[derive(Debug)]
pub(in crate::weights) struct Header {
    pub(in crate::weights) entries: Entries,
    /// In the file's order.
    pub(in crate::weights) tensors: Vec<Info>,
    pub(in crate::weights) alignment: u64,
    /// Where the tensor data begins.
    pub(in crate::weights) data_start: u64,
}

impl Header {
    /// Reads and checks the header of a whole file.
    ///
    /// # Errors
    ///
    /// `Corrupt` for what breaks the format's rules, `Unsupported` for a version that is not read and for more
    /// than the limits allow.
    pub(in crate::weights) fn read(file: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(file);
        version(&mut reader)?;
        let tensor_count = reader.u64("the number of tensors")?;
        let key_count = reader.u64("the number of keys")?;
        bound("keys", key_count, reader.left() / MIN_KEY_BYTES, MAX_KEYS)?;
        bound("tensors", tensor_count, reader.left() / MIN_TENSOR_BYTES, MAX_TENSORS)?;
        let entries = entries(&mut reader, key_count)?;
        let alignment = match Metadata::new(&entries, file).get("general.alignment") {
            None => DEFAULT_ALIGNMENT,
            Some(value) => alignment(value)?,
        };
        let mut listed = Vec::new();
        for i in 0..tensor_count {
            push(&mut listed, Listed::read(&mut reader, i)?)?;
        }
        let data_start = reader.at().next_multiple_of(alignment);
        let tensors = laid_out(listed, &reader, data_start, alignment)?;
        Ok(Self { entries, tensors, alignment, data_start: data_start.min(reader.len()) })
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

fn bound(what: &str, claimed: u64, fitting: u64, max: u64) -> Result<()> {
    if claimed > fitting {
        return Err(Error::corrupt(format!("it claims {claimed} {what}, of which {fitting} would fit: truncated")));
    }
    if claimed > max {
        return Err(Error::unsupported(format!("expected at most {max} {what}, got {claimed}")));
    }
    Ok(())
}

fn entries(reader: &mut Reader<'_>, count: u64) -> Result<Entries> {
    let mut entries = Entries::default();
    for i in 0..count {
        let key = name(reader, "key", i, MAX_KEY)?;
        let value_type = reader.value_type(key)?;
        let value = reader.value_of(value_type, key)?;
        // A text or an array ends where the reader stands now.
        let end = reader.at() as usize;
        let stored = match value {
            ValueRef::Text(text) => Stored::Text { at: end - text.len(), len: text.len() },
            ValueRef::Array(array) => Stored::Array {
                element_type: array.element_type(),
                len: array.len(),
                at: end - array.bytes().len(),
                bytes: array.bytes().len(),
            },
            scalar => match ValueRef::fixed(scalar) {
                Some(scalar) => Stored::Scalar(scalar),
                None => return Err(Error::corrupt(format!("key '{key}': its value cannot be kept"))),
            },
        };
        entries.push(key, stored)?;
    }
    entries.sort()?;
    Ok(entries)
}

fn alignment(value: ValueRef<'_>) -> Result<u64> {
    match value {
        // The type is fixed by the format, and llama.cpp reads it as that type only.
        ValueRef::U32(n) if n.is_power_of_two() && u64::from(n) <= MAX_ALIGNMENT => Ok(u64::from(n)),
        other => Err(Error::corrupt(format!(
            "general.alignment: expected a power of two up to {MAX_ALIGNMENT} as u32, got {other}"
        ))),
    }
}

/// A tensor as the header lists it.
struct Listed {
    name: Box<str>,
    shape: Shape,
    tensor_type: TensorType,
    /// From the beginning of the tensor data.
    offset: u64,
    /// `None` where the type is not known.
    bytes: Option<u64>,
}

impl Listed {
    fn read(reader: &mut Reader<'_>, i: u64) -> Result<Self> {
        let name = name(reader, "tensor", i, MAX_TENSOR_NAME)?;
        let broken = |what: String| Err(Error::corrupt(format!("tensor '{name}': {what}")));
        let rank = reader.u32("a tensor's number of dimensions")?;
        if rank > MAX_RANK {
            return broken(format!("expected at most {MAX_RANK} dimensions, got {rank}"));
        }
        let (mut dims, mut elements) = ([1u64; MAX_RANK as usize], 1u128);
        let dims = &mut dims[..rank as usize];
        for kept in dims.iter_mut() {
            let dim = reader.u64("a tensor's dimension")?;
            if dim == 0 || dim > i64::MAX as u64 {
                return broken(format!("expected dimensions from 1 to 2^63-1, got {dim}"));
            }
            // Below 2^63 before, so this cannot overflow 128 bits.
            elements *= u128::from(dim);
            if elements >= i64::MAX as u128 {
                return broken("it has more elements than can be counted".into());
            }
            *kept = dim;
        }
        let number = reader.u32("a tensor's type")?;
        if i32::try_from(number).is_err() {
            return broken(format!("expected a type from 0 to 2^31-1, got {number}"));
        }
        let tensor_type = TensorType::of_gguf(number);
        let bytes = match (tensor_type.block_elements(), tensor_type.block_bytes()) {
            (Some(block), Some(block_bytes)) => {
                // Without dimensions it is a scalar: a row of one element.
                let row = dims.first().copied().unwrap_or(1);
                if !row.is_multiple_of(block) {
                    return broken(format!("expected rows of a multiple of {block} elements, got {row}"));
                }
                let bytes = elements / u128::from(block) * u128::from(block_bytes);
                match u64::try_from(bytes) {
                    Ok(bytes) if bytes <= reader.len() => Some(bytes),
                    _ => return broken(format!("it takes {bytes} bytes, more than the file's {}", reader.len())),
                }
            }
            _ => None,
        };
        let offset = reader.u64("a tensor's offset")?;
        // The file has the fastest dimension first.
        dims.reverse();
        Ok(Self { name: owned(name)?, shape: shape(name, dims)?, tensor_type, offset, bytes })
    }
}

/// The places of the tensors: in order, each at the next multiple of the alignment, and nothing after the last but
/// the padding that makes it one more. There is no overlap to look for.
///
/// Padding is zeros, as the format has it: every byte of the file is one of the header, of a tensor, or 0. That is a
/// page to look at for each tensor that does not end at a multiple of the alignment, and few do not: rows are.
fn laid_out(listed: Vec<Listed>, reader: &Reader<'_>, data_start: u64, alignment: u64) -> Result<Vec<Info>> {
    let (mut tensors, len) = (Vec::new(), u128::from(reader.len()));
    let start = if listed.is_empty() { u128::from(reader.at()) } else { u128::from(data_start) };
    let padded = |end: u128| end.next_multiple_of(u128::from(alignment));
    // The bytes that are accounted for: of the file, and of the data.
    let (mut seen, mut end) = (reader.at(), 0u128);
    let mut listed = listed.into_iter().peekable();
    while let Some(tensor) = listed.next() {
        let (offset, name) = (u128::from(tensor.offset), &tensor.name);
        if offset != padded(end) {
            return Err(Error::corrupt(format!("tensor '{name}': expected offset {}, got {offset}", padded(end))));
        }
        // One of an unknown type ends where the next begins, or with the file.
        let rest = listed.peek().map_or(len.saturating_sub(start), |next| next.offset.into());
        end = tensor.bytes.map_or(rest, |bytes| offset + u128::from(bytes));
        if end <= offset {
            return Err(Error::corrupt(format!("tensor '{name}': expected bytes after offset {offset}, got none")));
        }
        if start + end > len {
            return Err(Error::corrupt(format!("expected {} bytes by its tensors, got {len}: truncated", start + end)));
        }
        // All are at most the length of the file, which is in memory.
        reader.expect_zeros(seen, (start + offset) as u64, &format_args!("before tensor '{name}'"))?;
        seen = (start + end) as u64;
        let (at, bytes) = ((start + offset) as usize, (end - offset) as usize);
        push(&mut tensors, Info::new(tensor.name, tensor.shape, tensor.tensor_type, at, bytes))?;
    }
    if len > padded(start + end) {
        return Err(Error::corrupt(format!("expected {} bytes by its tensors, got {len}: too many", start + end)));
    }
    reader.expect_zeros(seen, reader.len(), &"at the end")?;
    Ok(tensors)
}

fn name<'a>(reader: &mut Reader<'a>, what: &str, i: u64, max: u64) -> Result<&'a str> {
    let bytes = reader.string(what)?;
    let shown = || format!("{what} {i} ('{}')", String::from_utf8_lossy(&bytes[..bytes.len().min(64)]));
    if bytes.is_empty() || bytes.len() as u64 > max {
        return Err(Error::corrupt(format!("{}: expected a name of 1 to {max} bytes, got {}", shown(), bytes.len())));
    }
    match std::str::from_utf8(bytes) {
        Ok(name) if !name.contains('\0') => Ok(name),
        _ => Err(Error::corrupt(format!("{}: expected a name in UTF-8 without NUL", shown()))),
    }
}
