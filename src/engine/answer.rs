//! Answers: what comes back, what it cost, and where it came from.

use std::ops::AddAssign;
use std::sync::Arc;
use std::time::Duration;

use super::{AppliedAdapter, Event, MalformedCall, TokenInfo, ToolCall};
use crate::{Digest, Error, Result, Tensor};

/// The whole answer to a request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Answer {
    /// Named tensors, in the order asked for: of a tensor request, or the `embedding` of an embed request.
    pub outputs: Vec<(String, Tensor)>,
    /// The generated text; empty for other requests. Calls are no part of it where the request had tools, nor is what the
    /// model thought where that was asked for by itself.
    pub text: String,
    /// What the model thought, if [`Generate::separate_reasoning`](super::Generate::separate_reasoning) asked for it.
    pub reasoning: String,
    /// The calls of tools, in their order.
    pub tool_calls: Vec<ToolCall>,
    /// What began like a call and is none.
    pub malformed_calls: Vec<MalformedCall>,
    /// The generated tokens; empty for other requests. The token that ended the text is not among them.
    pub tokens: Vec<TokenInfo>,
    /// The reason why the answer ended.
    pub finish: Finish,
    /// The cost of it.
    pub usage: Usage,
    /// The model and the runtime that gave it.
    pub provenance: Arc<Provenance>,
    /// [`Call::id`](super::Call::id) of the call.
    pub id: u64,
    /// The adapters that a request asked for, each with what it has changed; others are not applied.
    pub adapters: Vec<AppliedAdapter>,
    /// The likeliest tokens at the place of each of `tokens`, the likeliest first, if
    /// [`Generate::top_logprobs`](super::Generate::top_logprobs) asked for them; else empty.
    pub top_logprobs: Vec<Vec<TokenInfo>>,
}

impl Answer {
    /// An answer without content yet.
    pub fn new(finish: Finish, usage: Usage, provenance: Arc<Provenance>) -> Self {
        Self {
            outputs: Vec::new(),
            text: String::new(),
            reasoning: String::new(),
            tool_calls: Vec::new(),
            malformed_calls: Vec::new(),
            tokens: Vec::new(),
            finish,
            usage,
            provenance,
            id: 0,
            adapters: Vec::new(),
            top_logprobs: Vec::new(),
        }
    }

    /// Takes in a part of the answer.
    pub(crate) fn add(&mut self, event: &Event) {
        self.tokens.extend_from_slice(event.tokens());
        match event {
            Event::Text(piece) => self.text.push_str(&piece.text),
            Event::Reasoning(piece) => self.reasoning.push_str(&piece.text),
            Event::CallPiece(_) => {}
            Event::ToolCall(call) => self.tool_calls.push(call.clone()),
            Event::Malformed(call) => self.malformed_calls.push(call.clone()),
        }
    }

    /// The output of this name.
    ///
    /// # Errors
    ///
    /// `NotFound`, naming those that exist.
    pub fn output(&self, name: &str) -> Result<&Tensor> {
        self.outputs.iter().find(|(n, _)| n == name).map(|(_, t)| t).ok_or_else(|| {
            let have: Vec<&str> = self.outputs.iter().map(|(n, _)| &**n).collect();
            Error::new(crate::Code::NotFound, format!("output '{name}': expected one of {have:?}"))
        })
    }
}

/// The reason why an answer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finish {
    /// All outputs were computed (tensor and embed requests).
    Complete,
    /// The model ended its text.
    EndOfText,
    /// This stop text came up.
    Stop(String),
    /// [`Generate::max_tokens`](super::Generate::max_tokens) was reached.
    Length,
    /// The context is full.
    ContextFull,
}

impl Finish {
    /// The reason's number, as C and telemetry have it; never changed and never reused. 0 is left to "none yet".
    ///
    /// ```
    /// use selvedge::Finish;
    /// assert_eq!((Finish::Length.number(), Finish::Length.name()), (4, "length"));
    /// ```
    pub const fn number(&self) -> u8 {
        match self {
            Finish::Complete => 1,
            Finish::EndOfText => 2,
            Finish::Stop(_) => 3,
            Finish::Length => 4,
            Finish::ContextFull => 5,
        }
    }

    /// The reason's name.
    pub const fn name(&self) -> &'static str {
        match self {
            Finish::Complete => "complete",
            Finish::EndOfText => "end_of_text",
            Finish::Stop(_) => "stop",
            Finish::Length => "length",
            Finish::ContextFull => "context_full",
        }
    }
}

/// The cost of an answer. Times are monotonic; a phase that did not occur is zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Prompt tokens, those taken from a cache included.
    pub input_tokens: u64,
    /// Prompt tokens that a cache saved from being computed.
    pub cached_tokens: u64,
    /// Generated tokens.
    pub output_tokens: u64,
    /// Waiting for other runs of the engine.
    pub queued: Duration,
    /// Preparing inputs: conversion, tokenizing, planning for a new shape.
    pub prepare: Duration,
    /// Computing the prompt, or the tensors of a tensor or embed request.
    pub compute: Duration,
    /// Generating tokens.
    pub generate: Duration,
    /// Peak bytes of memory of the engine during the run, where the runtime tells.
    pub peak_bytes: Option<u64>,
    /// Answers that a [`Cache`](crate::layer::cache::Cache) gave: 1 for a hit, more only in a sum.
    pub cache_hits: u64,
    /// What preparing, computing and generating those answers had taken, and now did not.
    pub saved: Duration,
}

/// The cost of several answers. Of two peaks the higher one stands.
///
/// ```
/// use selvedge::Usage;
/// let (mut sum, mut one) = (Usage::default(), Usage::default());
/// (one.output_tokens, one.peak_bytes) = (3, Some(10));
/// sum += one;
/// sum += one;
/// assert_eq!((sum.output_tokens, sum.peak_bytes), (6, Some(10)));
/// ```
impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        // Each field by name: a new one must not be forgotten.
        let Self {
            input_tokens,
            cached_tokens,
            output_tokens,
            queued,
            prepare,
            compute,
            generate,
            peak_bytes,
            cache_hits,
            saved,
        } = other;
        let counts = [
            (&mut self.input_tokens, input_tokens),
            (&mut self.cached_tokens, cached_tokens),
            (&mut self.output_tokens, output_tokens),
            (&mut self.cache_hits, cache_hits),
        ];
        counts.into_iter().for_each(|(sum, more)| *sum = sum.saturating_add(more));
        let times = [
            (&mut self.queued, queued),
            (&mut self.prepare, prepare),
            (&mut self.compute, compute),
            (&mut self.generate, generate),
            (&mut self.saved, saved),
        ];
        times.into_iter().for_each(|(sum, more)| *sum = sum.saturating_add(more));
        self.peak_bytes = self.peak_bytes.max(peak_bytes);
    }
}

/// The origin of an answer: enough to trace it to the bytes of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Provenance {
    /// The model's name: from its metadata, else the file's name.
    pub model: String,
    /// The model's version, if its metadata has one.
    pub version: Option<String>,
    /// SHA-256 of the model file. Of a split GGUF model, of all its parts one after the other, the first part first,
    /// whichever it was opened by; of several safetensors files, of their index and them, in the order of their names.
    /// With a tokenizer in a file beside it, of that as well, at the end; of a packed model, of its graph, which holds the
    /// weight file's. External data of an ONNX model is not covered. All zero where it was not given: of a session that
    /// the app opened itself.
    pub digest: Digest,
    /// `llama`, `ort`, `ort_interop`, `rten`, `tract`, `table` or `fake`.
    pub backend: &'static str,
    /// The runtime below, with its version.
    pub runtime: String,
    /// The layers that the call went through, outermost first; empty for a bare engine. One that has a choice of engines
    /// says which it has asked: `cascade(small, large)`.
    pub route: Vec<String>,
}

impl Provenance {
    /// A provenance without a version or route.
    pub fn new(model: impl Into<String>, digest: Digest, backend: &'static str, runtime: impl Into<String>) -> Self {
        Self { model: model.into(), version: None, digest, backend, runtime: runtime.into(), route: Vec::new() }
    }
}
