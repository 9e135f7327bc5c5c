//! safetensors: how the Python world keeps weights.
//!
//! ```text
//! │ n u64 │ JSON, n bytes, padded with blanks │ data │
//! {"__metadata__": {"format": "pt"}, "w": {"dtype": "F16", "shape": [2, 3], "data_offsets": [0, 12]}, …}
//! ```
//! Source of the format: the README of the safetensors project. Read more strictly than by its own reader, which takes
//! a name twice, fields that it does not know, and any rank.

mod header;
mod index;
mod listing;
#[cfg(test)]
mod tests;

pub(super) use header::Header;
pub(super) use index::Index;
