#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]
// The host app must survive whatever it feeds us: no panic by choice, no output past its own.
#![cfg_attr(
    not(test),
    warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)
)]

pub mod backend;
pub mod crash;
mod digest;
mod disk;
pub mod drift;
mod engine;
mod error;
pub mod fake;
pub mod kernel;
pub mod layer;
#[cfg_attr(
    not(any(feature = "ort", feature = "rten", feature = "tract")),
    allow(dead_code, unused_imports, reason = "a runtime reads more of a graph than what is listed of it")
)]
mod onnx;
pub mod pack;
pub mod report;
mod source;
pub mod store;
pub mod sync;
pub mod telemetry;
mod tensor;
#[cfg(feature = "text")]
#[cfg_attr(not(feature = "llama"), allow(dead_code, unused_imports, reason = "only a runtime of text uses it"))]
mod text;
#[cfg_attr(
    not(all(feature = "llama", feature = "tract")),
    allow(dead_code, reason = "each runtime needs another part of it")
)]
mod threads;
pub mod weights;

pub use backend::open::open;
pub use backend::options::{Accelerator, Backend, OpenProgress, Options};
pub use digest::Digest;
#[cfg(feature = "async")]
pub use engine::StepStream;
pub use engine::{
    Abilities, Adapter, Admitted, Answer, AppliedAdapter, Ask, Call, CallPiece, Cancel, Dim, Document, Embed, Engine,
    Event, Events, Finish, Generate, Grammar, Kind, MalformedCall, MemoryEstimate, Message, OnCancel, Piece, Port,
    PrefixCache, Prefixes, Priority, Progress, Prompt, Provenance, Request, Rerank, Role, Run, Sampling, Score, Spec,
    Step, Tensors, TokenInfo, Tokenizer, Tool, ToolCall, ToolChoice, Trim, Usage,
};
pub use error::{Code, Error, Result};
pub use source::{Access, Loading, Source};
pub use tensor::{Bytes, DType, Element, Shape, Tensor, TensorView};
