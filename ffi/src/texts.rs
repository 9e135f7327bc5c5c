//! Texts that are given out as an array: the elements of a string tensor.

#![expect(unsafe_code, reason = "pointers into memory that it owns, to be read by any thread")]

use crate::abi::selvedge_text;

/// The array, and the bytes that it points to, each text with a NUL behind it.
pub(crate) struct Texts {
    array: Vec<selvedge_text>,
    _bytes: Vec<u8>,
}

// SAFETY: the pointers lead to bytes of its own, which never change.
unsafe impl Send for Texts {}
// SAFETY: as above.
unsafe impl Sync for Texts {}

impl Texts {
    pub(crate) fn new(texts: &[String]) -> Self {
        let mut bytes = Vec::with_capacity(texts.iter().map(|text| text.len() + 1).sum());
        for text in texts {
            bytes.extend_from_slice(text.as_bytes());
            bytes.push(0);
        }
        let mut rest = &*bytes;
        let array = texts.iter().map(|text| {
            let (own, others) = rest.split_at(text.len() + 1);
            rest = others;
            selvedge_text { data: own.as_ptr().cast(), len: text.len() }
        });
        Self { array: array.collect(), _bytes: bytes }
    }

    /// The array, as C reads it; valid until this is dropped.
    pub(crate) fn array(&self) -> &[selvedge_text] {
        &self.array
    }
}
