//! The contract: everything that answers is an [`Engine`].
//!
//! Enters: a [`Request`] and a [`Call`]. Leaves: a [`Run`] that is stepped to an [`Answer`].
//! May import: digest, tensor, threads.

mod adapter;
mod answer;
mod ask;
mod call;
mod check;
mod generate;
mod grammar;
mod once;
mod prefix_cache;
mod request;
mod rerank;
mod score;
mod spec;
#[cfg(feature = "async")]
mod stream;
mod terms;
#[cfg(test)]
mod tests;
mod tokenizer;
mod tools;
#[cfg(feature = "schemars")]
mod typed;

pub use adapter::{Adapter, AppliedAdapter};
pub use answer::{Answer, Finish, Provenance, Usage};
pub use ask::{Ask, Events};
pub(crate) use call::Exposure;
pub use call::{Call, Cancel, OnCancel, Priority};
pub use check::Admitted;
pub use generate::{Generate, Message, Prompt, Role, Sampling};
pub use grammar::Grammar;
#[cfg_attr(
    not(any(feature = "ort-interop", feature = "rten", feature = "tract")),
    allow(unused_imports, reason = "the runtimes of ONNX run in one step, and not all name what that gives")
)]
pub(crate) use once::{Computed, once};
pub use prefix_cache::{PrefixCache, Prefixes};
pub use request::{Embed, Request, Tensors};
pub use rerank::Rerank;
pub use score::Score;
pub use spec::{Abilities, Dim, Kind, MemoryEstimate, Port, Spec};
#[cfg(feature = "async")]
pub use stream::StepStream;
pub use tokenizer::Tokenizer;
pub use tools::{Document, MalformedCall, Tool, ToolCall, ToolChoice};

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

    /// What this engine has computed of earlier prompts, for those that reuse it and can save it; `None` for others.
    fn prefix_cache(&self) -> Option<&dyn PrefixCache> {
        None
    }

    /// Gives memory back that can be built up again; returns the bytes freed, 0 where nothing
    /// could be. Runs in flight go on undisturbed. What the allocator keeps of what was freed goes back to the system as well
    /// (glibc), and is not counted.
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
#[allow(clippy::large_enum_variant, reason = "a run gives one answer, and a box would stand in every app's match")]
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
    /// A piece of what the model thinks, where that was asked for by itself.
    Reasoning(Piece),
    /// A piece of a call that is being written. It may still turn out to be none.
    CallPiece(CallPiece),
    /// A call that is whole.
    ToolCall(ToolCall),
    /// What began like a call and is none.
    Malformed(MalformedCall),
}

impl Event {
    /// The tokens that it brings.
    pub fn tokens(&self) -> &[TokenInfo] {
        match self {
            Event::Text(piece) | Event::Reasoning(piece) => &piece.tokens,
            Event::CallPiece(piece) => &piece.tokens,
            Event::ToolCall(_) | Event::Malformed(_) => &[],
        }
    }

    /// The event's number, as C has it; never changed and never reused. 1 and 3 are those of steps that are no events.
    ///
    /// ```
    /// use selvedge::{Event, Piece};
    /// assert_eq!(Event::Text(Piece::default()).number(), 2);
    /// ```
    pub const fn number(&self) -> u8 {
        match self {
            Event::Text(_) => 2,
            Event::Reasoning(_) => 4,
            Event::CallPiece(_) => 5,
            Event::ToolCall(_) => 6,
            Event::Malformed(_) => 7,
        }
    }
}

/// A piece of a call, as it is written.
///
/// The arguments of all pieces of one index, in order, are those of the call that follows them.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct CallPiece {
    /// The place among the calls of the answer, malformed ones included, from 0.
    pub index: u32,
    /// The tool.
    pub name: String,
    /// The next part of the arguments; may be empty.
    pub arguments: String,
    /// The tokens that made it, and the marks around it.
    pub tokens: Vec<TokenInfo>,
}

impl CallPiece {
    /// A piece of the arguments of a call.
    pub fn new(index: u32, name: impl Into<String>, arguments: impl Into<String>) -> Self {
        Self { index, name: name.into(), arguments: arguments.into(), tokens: Vec::new() }
    }
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
