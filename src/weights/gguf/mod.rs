//! GGUF: how llama.cpp and its kin keep models.
//!
//! ```text
//! │ "GGUF" │ version u32 │ tensors u64 │ keys u64 │            all numbers little-endian
//! │ key │ type u32 │ value │ …                                a text: length u64, bytes
//! │ name │ rank u32 │ dims u64… │ type u32 │ offset u64 │ …   the fastest dimension first
//! │ padding │ tensor │ padding │ tensor │ …                   zeros to `general.alignment`, 32 if the file does not say
//! ```
//! Source of the format: `docs/gguf.md` of ggml.

mod header;
mod reader;
mod split;
mod writer;

pub(super) use header::Header;
pub(super) use split::{check_part, check_same_model, is_part, siblings};
pub use writer::{GgufData, GgufWriter, ToGguf};
