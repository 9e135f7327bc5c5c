//! The contract: everything that answers is an [`Engine`].
//!
//! Enters: a [`Request`] and a [`Call`]. Leaves: a [`Run`] that is stepped to an [`Answer`].
//! May import: digest, tensor, threads.

mod answer;
mod ask;
mod call;
mod check;
mod generate;
mod once;
mod request;
mod spec;
#[cfg(feature = "async")]
mod stream;
#[cfg(test)]
mod tests;
mod tokenizer;

pub use answer::{Answer, Finish, Provenance, Usage};
pub use ask::{Ask, Events};
pub(crate) use call::Exposure;
pub use call::{Call, Cancel, OnCancel, Priority};
pub use check::Admitted;
pub use generate::{Generate, Message, Prompt, Role, Sampling};
#[cfg_attr(
    not(any(feature = "ort", feature = "tract")),
    allow(unused_imports, reason = "the runtimes of ONNX run in one step")
)]
pub(crate) use once::{Computed, once};
pub use request::{Embed, Request, Tensors};
pub use spec::{Abilities, Dim, Kind, MemoryEstimate, Port, Spec};
#[cfg(feature = "async")]
pub use stream::StepStream;
pub use tokenizer::Tokenizer;

use crate::Result;

/// A loaded model, or something that serves like one. Shared and immutable; put it in an `Arc`.
///
/// Every method may be called from any thread, at the same time.
pub trait Engine: Send + Sync {
    /// Inputs, outputs, abilities and cost of this engine. Cheap: no I/O.
    fn spec(&self) -> &Spec;

    /// Admits a request. No heavy work yet: that happens in the steps of the returned run.
    ///
    /// A request that does not fit the [`Spec`] fails here; nothing is ignored in silence.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a wrong name, dtype, rank or shape; `Unsupported` for a kind of request, or a parameter of it,
    /// that this engine does not serve; `Cancelled` or `DeadlineExceeded` for a call that is over already; what the backend
    /// says besides, such as `Busy` or `ContextFull`.
    fn start(&self, request: Request, call: Call) -> Result<Box<dyn Run>>;

    /// The tokenizer of an engine that takes text; `None` for others, and where a text has no tokens.
    fn tokenizer(&self) -> Option<&dyn Tokenizer> {
        None
    }

    /// Gives memory back that can be built up again; returns the bytes freed, 0 where nothing
    /// could be. Runs in flight go on undisturbed.
    ///
    /// # Errors
    ///
    /// `Backend` if the thread that computes for the model has stopped. Most engines never fail here.
    fn trim(&self, _level: Trim) -> Result<u64> {
        Ok(0)
    }
}

/// One request in flight. Dropping it cancels it.
///
/// Once the run and its answer are dropped, the engine holds none of the request's tensors: what it wants to keep it
/// copies, for their memory may be lent by a caller who waits for it.
pub trait Run: Send {
    /// One bounded unit of work: a slice of the prompt, a token, a tensor run.
    ///
    /// Cancel and deadline of the [`Call`] are honoured before each step, and inside one where the
    /// runtime can. After `Done` or an error the run has ended.
    ///
    /// # Errors
    ///
    /// `Cancelled` or `DeadlineExceeded` for a call that is over; `InvalidArgument` for a step after the end; otherwise what
    /// the runtime reports, such as `Backend` or `OutOfMemory`.
    fn step(&mut self) -> Result<Step>;
}

/// The result of one step.
#[derive(Debug)]
#[non_exhaustive]
pub enum Step {
    /// Work was done and nothing is to be seen yet.
    Working(Progress),
    /// A part of the answer.
    Event(Event),
    /// The whole answer; the run has ended.
    Done(Answer),
}

/// The progress of a run, in the units of its phase: prompt tokens, or texts to embed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Units done.
    pub done: u64,
    /// Units in all, where known.
    pub total: Option<u64>,
}

impl Progress {
    /// `done` of `total` units.
    pub fn new(done: u64, total: Option<u64>) -> Self {
        Self { done, total }
    }
}

/// A part of an answer, as it comes.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A piece of generated text.
    Text(Piece),
}

/// A piece of generated text: whole UTF-8, never a part of a stop string.
///
/// One piece may come from several tokens (a character split over tokens, text held back because
/// it could have become a stop string), and a token may bring no text of its own. The texts of
/// all pieces, in order, are the answer's text; their tokens are the answer's tokens.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Piece {
    /// The text; may be empty only in a last piece that brings outstanding tokens.
    pub text: String,
    /// The tokens that made it.
    pub tokens: Vec<TokenInfo>,
}

impl Piece {
    /// A piece of text and the tokens that made it.
    pub fn new(text: impl Into<String>, tokens: Vec<TokenInfo>) -> Self {
        Self { text: text.into(), tokens }
    }
}

/// A sampled token.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct TokenInfo {
    /// The id in the model's vocabulary.
    pub id: u32,
    /// The natural logarithm of the token's probability under the model before any sampling
    /// parameter, if [`Generate::logprobs`] asked for it. Range: ≤ 0.
    pub logprob: Option<f32>,
}

impl TokenInfo {
    /// A token and, where asked for, its log-probability.
    pub fn new(id: u32, logprob: Option<f32>) -> Self {
        Self { id, logprob }
    }
}

/// The amount of memory to give back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Trim {
    /// Caches, which only make the next call faster: prompt caches, plans of rare shapes.
    Caches,
    /// Everything that can be built up again without opening the file anew.
    All,
}
