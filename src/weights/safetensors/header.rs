//! Header of a safetensors file, read strictly.

use super::super::metadata::{Entries, MAX_KEYS, Stored, owned, push};
use super::super::tensor_type::TensorType;
use super::super::tensors::{Info, MAX_TENSORS, shape};
use super::listing::{Listed, Listing, MAX_RANK, Text};
use crate::{Error, Result};

/// The format allows more; no model comes near this.
pub(super) const MAX_HEADER: u64 = 16 << 20;
const FORMAT_MAX_HEADER: u64 = 100_000_000;
/// In characters: a name may be in any script.
const MAX_NAME: usize = 256;

/// All of a safetensors file but the tensor data.
#[derive(Debug)]
pub(in crate::weights) struct Header {
    pub(in crate::weights) entries: Entries,
    /// In the header's order.
    pub(in crate::weights) tensors: Vec<Info>,
    /// Where the tensor data begins.
    pub(in crate::weights) data_start: u64,
}

impl Header {
    /// Reads and checks the header of a whole file.
    ///
    /// # Errors
    ///
    /// `Corrupt` for what breaks the format's rules, `Unsupported` for a dtype that is not known, a name that is not
    /// taken, and more than the limits allow.
    pub(in crate::weights) fn read(file: &[u8]) -> Result<Self> {
        let (json, data) = divided(file)?;
        let listing = Listing::read(json)?;
        let tensors = listing.tensors.all("tensors", MAX_TENSORS)?;
        let mut entries = Entries::default();
        for (Text(key), Text(value)) in listing.metadata.all("keys", MAX_KEYS)? {
            entries.push(&key, Stored::Own(owned(&value)?))?;
        }
        entries.sort()?;
        let data_start = file.len() - data.len();
        let tensors = laid_out(&tensors, data_start, data.len() as u64)?;
        Ok(Self { entries, tensors, data_start: data_start as u64 })
    }
}

/// The JSON, without its padding, and the data.
fn divided(file: &[u8]) -> Result<(&[u8], &[u8])> {
    let Some((len, rest)) = file.split_first_chunk() else {
        let got = file.len();
        return Err(Error::corrupt(format!("safetensors: expected a header length of 8 bytes, got {got}: truncated")));
    };
    let (len, left) = (u64::from_le_bytes(*len), rest.len() as u64);
    if len > left || len > FORMAT_MAX_HEADER {
        let max = left.min(FORMAT_MAX_HEADER);
        return Err(Error::corrupt(format!("safetensors: it claims a header of {len} bytes, {max} is the most")));
    }
    if len > MAX_HEADER {
        return Err(Error::unsupported(format!(
            "safetensors: expected a header of at most {MAX_HEADER} bytes, got {len}"
        )));
    }
    let (json, data) = rest.split_at(len as usize);
    let blanks = json.iter().rev().take_while(|&&b| b == b' ').count();
    let json = &json[..json.len() - blanks];
    if json.first() != Some(&b'{') || json.last() != Some(&b'}') {
        return Err(Error::corrupt("safetensors: expected a header from '{' to '}', with blanks after it at most"));
    }
    Ok((json, data))
}

/// The places of the tensors, in the header's order. Taken by their offsets they fill the data: no gap, no overlap,
/// nothing after the last.
fn laid_out(listed: &[Listed<'_>], data_start: usize, data: u64) -> Result<Vec<Info>> {
    let mut tensors = Vec::new();
    for tensor in listed {
        push(&mut tensors, tensor.checked(data_start, data)?)?;
    }
    let mut order = Vec::new();
    for tensor in listed {
        push(&mut order, tensor)?;
    }
    order.sort_unstable_by_key(|t| t.data_offsets);
    let mut end = 0;
    for tensor in order {
        let [from, to] = tensor.data_offsets;
        if from != end {
            return Err(Error::corrupt(format!("tensor '{}': expected offset {end}, got {from}", tensor.name.0)));
        }
        end = to;
    }
    if end != data {
        return Err(Error::corrupt(format!("safetensors: expected {end} bytes of data by its tensors, got {data}")));
    }
    Ok(tensors)
}

impl Listed<'_> {
    fn checked(&self, data_start: usize, data: u64) -> Result<Info> {
        let (name, dtype) = (&*self.name.0, &*self.dtype.0);
        check_name(&self.name)?;
        let broken = |what: String| Err(Error::corrupt(format!("tensor '{name}': {what}")));
        let refused = |what: String| Err(Error::unsupported(format!("tensor '{name}': {what}")));
        let Some(tensor_type) = TensorType::of_safetensors(dtype) else {
            return refused(format!("its dtype '{}' is not known", self.dtype.shown()));
        };
        if self.rank > MAX_RANK {
            return refused(format!("expected at most {MAX_RANK} dimensions, got {}", self.rank));
        }
        let dims = &self.dims[..self.rank];
        // Zero is skipped so that a huge product is refused in whatever order it comes.
        let product = dims.iter().try_fold(1u64, |n, &dim| n.checked_mul(dim.max(1)));
        let is_empty = dims.contains(&0);
        let elements = match product {
            Some(product) if is_empty && isize::try_from(product).is_ok() => 0,
            // It has no bytes that could be counted wrongly, so it breaks no rule.
            _ if is_empty => return refused(format!("shape {dims:?} has more elements than can be addressed")),
            Some(elements) => elements,
            None => return broken(format!("shape {dims:?} has more elements than can be counted")),
        };
        let (block, bytes) = (tensor_type.block_elements().unwrap_or(1), tensor_type.block_bytes().unwrap_or(1));
        if !elements.is_multiple_of(block) {
            return broken(format!("{elements} elements of {tensor_type} do not fill whole bytes"));
        }
        let [from, to] = self.data_offsets;
        let expected = u128::from(elements / block) * u128::from(bytes);
        if to < from || to > data || u128::from(to - from) != expected {
            return broken(format!("expected {expected} bytes within the {data} of the data, got {from}..{to}"));
        }
        let shape = shape(name, dims)?;
        // Within the data, which is in memory.
        Ok(Info::new(owned(name)?, shape, tensor_type, data_start + from as usize, (to - from) as usize))
    }
}

/// Names go into messages, paths and other files. The format takes any text.
fn check_name(text: &Text<'_>) -> Result<()> {
    let name = &*text.0;
    let long = name.chars().nth(MAX_NAME).is_some();
    let blank = name.trim() != name;
    if name.is_empty() || long || blank || name.contains("..") || name.contains(hides) {
        return Err(Error::unsupported(format!(
            "tensor '{}': expected a name of 1 to {MAX_NAME} characters that can be seen, without '..', '\\' and \
             blanks at its ends",
            text.shown()
        )));
    }
    Ok(())
}

/// Whether a character makes a name look like another, or like a path.
fn hides(c: char) -> bool {
    // Controls, what turns the direction of a text, ends of lines, and marks of no width.
    let unseen = matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || c == '\\' || unseen || matches!(c, '\u{61c}' | '\u{200b}' | '\u{feff}')
}
