//! safetensors: how the Python world keeps weights.
//!
//! ```text
//! │ n u64 │ JSON, n bytes, padded with blanks │ data │
//! {"__metadata__": {"format": "pt"}, "w": {"dtype": "F16", "shape": [2, 3], "data_offsets": [0, 12]}, …}
//! ```
//! Source of the format: the README of the safetensors project. Read more strictly than by its own reader, which takes
//! a name twice, fields that it does not know, and any rank.
//!
//! A header, like an index, has at most 16 MiB, and no text in it more than 2 MiB. Names and texts are parts of it while
//! it is read, so what reading keeps are lists of at most 65,536 tensors and keys, and what stays is a copy of their names and of the metadata's texts.
//! Where there is no memory for those, the error is `OutOfMemory`. serde_json reports no such failure: without
//! memory for what it allocates itself the process ends. That is a text that has escapes, without them; a byte for each
//! level of nesting in an index's `metadata`; and what it says of a header that is none, with the text that is wrong.

mod header;
mod index;
mod listing;
#[cfg(test)]
mod tests;

pub(super) use header::Header;
pub(super) use index::Index;
