//! Strings of raw bytes.

use super::Shape;
use crate::{Code, Error, Result};

/// The strings of a shape: each its length in bytes, u32 little-endian, then its UTF-8.
pub(super) fn read(shape: &Shape, bytes: &[u8]) -> Result<Vec<String>> {
    let broken = |what: String| Error::invalid(format!("string tensor {shape}: {what}"));
    let count = shape.elements();
    if count > bytes.len() / 4 {
        let got = bytes.len();
        return Err(broken(format!("expected at least {} bytes, got {got}", count.saturating_mul(4))));
    }
    let (mut strings, mut rest) = (Vec::new(), bytes);
    strings.try_reserve_exact(count).map_err(|e| Error::new(Code::OutOfMemory, "no memory for strings").because(e))?;
    for i in 0..count {
        let Some((len, after)) = rest.split_first_chunk() else {
            return Err(broken(format!("element {i}: expected 4 bytes of length, got {}", rest.len())));
        };
        let len = u32::from_le_bytes(*len) as usize;
        let Some((text, after)) = after.split_at_checked(len) else {
            return Err(broken(format!("element {i}: expected {len} bytes, got {}", after.len())));
        };
        let text = std::str::from_utf8(text).map_err(|e| broken(format!("element {i}: expected UTF-8")).because(e))?;
        strings.push(text.to_owned());
        rest = after;
    }
    match rest.len() {
        0 => Ok(strings),
        more => Err(broken(format!("expected {count} elements, got {more} bytes after them"))),
    }
}
