//! Backends: who can answer.
//!
//! Enters: a [`Source`](crate::Source) and [`Options`](crate::Options). Leaves: an [`Engine`](crate::Engine). May import:
//! engine, tensor, weights, onnx, pack, text, source, digest, kernel.
//!
//! `open` and `inspect` are the doors above the runtimes `llama`, `ort`, `tract`, `table` and `fake`, which never import
//! each other; `options`, `format`, `model` and `budget` are what all of them stand on.

#[cfg(any(feature = "gguf", feature = "onnx", feature = "tract", feature = "tokenizer"))]
mod budget;
pub mod fake;
mod format;
mod inspect;
#[cfg(feature = "gguf")]
mod llama;
mod metadata;
#[cfg_attr(
    not(all(feature = "gguf", feature = "onnx", feature = "tract")),
    allow(dead_code, reason = "each runtime reads another part of an opened model")
)]
mod model;
pub(crate) mod open;
pub(crate) mod options;
#[cfg(feature = "onnx")]
mod ort;
#[cfg(feature = "tokenizer")]
mod table;
#[cfg(feature = "tract")]
mod tract;

pub use format::Format;
pub use inspect::{Inspection, MetadataValue, TensorInfo, inspect};
