//! Backends: who can answer.
//!
//! Enters: a [`Source`](crate::Source) and [`Options`](crate::Options). Leaves: an [`Engine`](crate::Engine). May import:
//! engine, tensor, kernel, weights, onnx, pack, text, source, digest, threads, crash, disk.
//!
//! `open` and `inspect` are the doors above the runtimes `llama`, `ort`, `ort_interop`, `rten`, `tract` and `table`, which never
//! import each other; `options`, `format`, `model`, `budget` and `interrupt` are what all of them stand on.

#[cfg(any(feature = "llama", feature = "ort", feature = "rten", feature = "tract", feature = "table"))]
mod budget;
mod format;
mod inspect;
#[cfg(feature = "ort")]
mod interrupt;
#[cfg(feature = "llama")]
mod llama;
mod metadata;
#[cfg_attr(
    not(all(feature = "llama", feature = "ort", feature = "tract")),
    allow(dead_code, reason = "each runtime reads another part of an opened model")
)]
mod model;
pub(crate) mod open;
pub(crate) mod options;
#[cfg(feature = "ort")]
mod ort;
#[cfg(feature = "ort-interop")]
mod ort_interop;
#[cfg(feature = "rten")]
mod rten;
#[cfg(feature = "table")]
mod table;
#[cfg(feature = "tract")]
mod tract;

pub use format::Format;
pub use inspect::{Inspection, MetadataValue, TensorInfo, inspect};
#[cfg(feature = "ort-interop")]
pub use ort_interop::OrtEngine;
