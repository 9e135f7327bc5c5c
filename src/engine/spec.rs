//! The spec of an engine: what it takes, gives, can do and costs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::{Adapter, Provenance};
use crate::DType;

/// The spec of an engine: inputs, outputs, abilities and cost.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Spec {
    /// Name, version, digest and backend; every answer carries it.
    pub provenance: Arc<Provenance>,
    /// The tensors it takes, in the model's order. Empty for text engines.
    pub inputs: Vec<Port>,
    /// The tensors it gives, in the model's order.
    pub outputs: Vec<Port>,
    /// The kinds of requests that it serves.
    pub abilities: Abilities,
    /// Tokens that prompt and answer may have together, for text engines.
    pub context_tokens: Option<u32>,
    /// Runs that it computes side by side; more take turns inside of it. `None` where every run computes on the thread that
    /// steps it, as many as there are.
    pub parallel: Option<u32>,
    /// Dimensions of an embedding, if it embeds.
    pub embedding_size: Option<u32>,
    /// The adapters that it was opened with, for requests to choose from.
    pub adapters: Vec<Adapter>,
    /// The memory that it was estimated to need before it was loaded.
    pub memory: MemoryEstimate,
    /// Why this runtime serves the model, where [`open`](crate::open) had a choice; and why in another way than the app asked,
    /// where [`Options::crash_record`](crate::Options::crash_record) says so.
    pub choice: Option<String>,
    /// The scalar metadata of the file, as text.
    pub metadata: BTreeMap<String, String>,
}

impl Spec {
    /// A spec that serves nothing yet.
    pub fn new(provenance: Provenance) -> Self {
        Self {
            provenance: Arc::new(provenance),
            inputs: Vec::new(),
            outputs: Vec::new(),
            abilities: Abilities::default(),
            context_tokens: None,
            parallel: None,
            embedding_size: None,
            adapters: Vec::new(),
            memory: MemoryEstimate::default(),
            choice: None,
            metadata: BTreeMap::new(),
        }
    }
}

/// A named input or output.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Port {
    /// The name.
    pub name: String,
    /// The kind of value that crosses it.
    pub kind: Kind,
    /// An input that may be left out, because the model has a default for it.
    pub optional: bool,
}

impl Port {
    /// A tensor port.
    pub fn tensor(name: impl Into<String>, dtype: DType, shape: Vec<Dim>) -> Self {
        Self { name: name.into(), kind: Kind::Tensor { dtype, shape: Some(shape) }, optional: false }
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.kind)
    }
}

/// The kind of value that crosses a port.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A tensor.
    Tensor {
        /// The type of its elements.
        dtype: DType,
        /// Its dimensions; `None` if not even their number is known.
        shape: Option<Vec<Dim>>,
    },
    /// Something else (a sequence, a map, a sparse tensor, a dtype Selvedge has not), in words.
    /// Asking for it, or giving it, is `Unsupported`.
    Other(String),
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Tensor { dtype, shape: None } => write!(f, "{dtype}[..]"),
            Kind::Tensor { dtype, shape: Some(shape) } => {
                write!(f, "{dtype}[")?;
                for (i, dim) in shape.iter().enumerate() {
                    write!(f, "{}{dim}", if i > 0 { ", " } else { "" })?;
                }
                f.write_str("]")
            }
            Kind::Other(words) => f.write_str(words),
        }
    }
}

/// One dimension of a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dim {
    /// Exactly this.
    Fixed(usize),
    /// Anything, but the same wherever this name stands within one call.
    Symbol(String),
    /// Anything.
    Any,
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dim::Fixed(n) => write!(f, "{n}"),
            Dim::Symbol(name) => f.write_str(name),
            Dim::Any => f.write_str("?"),
        }
    }
}

/// The kinds of requests that an engine serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Abilities {
    /// [`Request::Tensors`](super::Request::Tensors).
    pub tensors: bool,
    /// [`Request::Generate`](super::Request::Generate).
    pub generate: bool,
    /// [`Prompt::Chat`](super::Prompt::Chat): the model has a chat template.
    pub chat: bool,
    /// [`Request::Embed`](super::Request::Embed).
    pub embed: bool,
    /// [`Request::Score`](super::Request::Score).
    pub score: bool,
    /// [`Request::Rerank`](super::Request::Rerank).
    pub rerank: bool,
    /// Cancel and deadline also end a step that is under way.
    pub interrupt: bool,
}

/// Bytes that an engine was estimated to need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryEstimate {
    /// Weights, mapped or read.
    pub weights: u64,
    /// State that lives as long as the engine: a key-value cache.
    pub context: u64,
    /// Buffers of a computation.
    pub scratch: u64,
}

impl MemoryEstimate {
    /// Bytes of weights, state and buffers.
    pub fn new(weights: u64, context: u64, scratch: u64) -> Self {
        Self { weights, context, scratch }
    }

    /// All of it.
    pub fn total(&self) -> u64 {
        self.weights.saturating_add(self.context).saturating_add(self.scratch)
    }
}
