//! Texts that are given out: UTF-8 with a NUL after it, which its length does not count.

use std::ffi::c_char;

/// The default one is empty, and takes no memory.
#[derive(Default)]
pub(crate) struct Text(Vec<u8>);

impl Text {
    /// Pointer and length, as C takes them; valid until the text is dropped or set.
    pub(crate) fn raw(&self) -> (*const c_char, usize) {
        match self.0.split_last() {
            Some((_, text)) => (text.as_ptr().cast(), text.len()),
            None => (c"".as_ptr(), 0),
        }
    }

    /// Becomes another text, in the same memory if it fits.
    pub(crate) fn set(&mut self, text: &str) {
        self.0.clear();
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(0);
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        let mut own = Self(Vec::with_capacity(text.len() + 1));
        own.set(text);
        own
    }
}
