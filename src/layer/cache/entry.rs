//! Entry of a cache: an answer as it is kept, and how it is given again.

use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use crate::engine::{Answer, Event, Finish, Provenance, Usage};
use crate::tensor::Bytes;
use crate::{DType, Result, Tensor};

/// An answer that is kept. Its text, tokens and calls are those of its events.
#[derive(Debug)]
pub(super) struct Entry {
    /// The outputs, and their names: those of the model's, of which all its answers share one list.
    outputs: SmallVec<[Tensor; 1]>,
    names: Arc<[String]>,
    pub(super) events: Vec<Event>,
    finish: Finish,
    usage: Usage,
    provenance: Arc<Provenance>,
}

/// Beside its bytes, what an allocation of a tensor takes: its handle, its owner's counts and its rounding up.
const TENSOR: usize = 160;

impl Entry {
    /// An answer and the events that it came in, of a model whose outputs have such names; `None` if the events do not make
    /// it, or there is no memory for a copy.
    pub(super) fn of(answer: &Answer, mut events: Vec<Event>, names: &Arc<[String]>) -> Option<Self> {
        let mut made = Answer::new(answer.finish.clone(), answer.usage, answer.provenance.clone());
        events.iter().for_each(|event| made.add(event));
        let sizes = |a: &Answer| {
            let calls = (a.tool_calls.len(), a.malformed_calls.len());
            (a.text.len(), a.reasoning.len(), a.tokens.len(), calls)
        };
        if sizes(&made) != sizes(answer) {
            return None;
        }
        // Events are large, and a list that grew has room for as many again.
        events.shrink_to_fit();
        let outputs: Result<_> = answer.outputs.iter().map(|(_, tensor)| own_copy(tensor)).collect();
        let given = || answer.outputs.iter().map(|(name, _)| name);
        let names = if given().eq(names.iter()) { names.clone() } else { given().cloned().collect() };
        let Answer { finish, usage, provenance, .. } = answer;
        let (finish, provenance) = (finish.clone(), provenance.clone());
        Some(Self { outputs: outputs.ok()?, names, events, finish, usage: *usage, provenance })
    }

    /// The answer to the call of this id, found in `prepare`.
    pub(super) fn answer(&self, id: u64, prepare: Duration) -> Answer {
        let Usage { input_tokens, output_tokens, .. } = self.usage;
        let cached_tokens = input_tokens;
        let (cache_hits, saved) = (1, self.saved());
        let usage =
            Usage { input_tokens, cached_tokens, output_tokens, prepare, cache_hits, saved, ..Usage::default() };
        let mut answer = Answer::new(self.finish.clone(), usage, self.provenance.clone());
        self.events.iter().for_each(|event| answer.add(event));
        answer.outputs = self.names.iter().cloned().zip(self.outputs.iter().cloned()).collect();
        answer.id = id;
        answer
    }

    /// What the answer had taken when it was computed. A kept answer may itself be that of a cache below.
    pub(super) fn saved(&self) -> Duration {
        let Usage { prepare, compute, generate, saved, .. } = self.usage;
        [compute, generate, saved].into_iter().fold(prepare, Duration::saturating_add)
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        // A list of names that it shares is counted as its own: a run may have asked for some of the outputs.
        let names = self.names.iter().map(|name| size_of::<String>() + name.len());
        let outputs = self.outputs.iter().map(|tensor| size_of::<Tensor>() + held(tensor));
        size_of::<Self>()
            + names.sum::<usize>()
            + outputs.sum::<usize>()
            + self.events.iter().map(event_bytes).sum::<usize>()
    }
}

/// Bytes of memory of an event.
pub(super) fn event_bytes(event: &Event) -> usize {
    let texts = match event {
        Event::Text(piece) | Event::Reasoning(piece) => piece.text.len(),
        Event::CallPiece(piece) => piece.name.len() + piece.arguments.len(),
        Event::ToolCall(call) => call.id.len() + call.name.len() + call.arguments.len(),
        Event::Malformed(call) => call.text.len() + call.reason.len(),
    };
    size_of::<Event>() + texts + size_of_val(event.tokens())
}

fn held(tensor: &Tensor) -> usize {
    let elements = match (tensor.as_strings(), tensor.bytes()) {
        (Ok(strings), _) => strings.iter().map(|string| size_of::<String>() + string.len()).sum(),
        (_, Ok(bytes)) => bytes.len(),
        _ => 0,
    };
    TENSOR + tensor.shape().rank() * size_of::<usize>() + elements
}

/// A copy in memory of its own: an output may lie in a runtime's memory, or be the request's own input.
fn own_copy(tensor: &Tensor) -> Result<Tensor> {
    match tensor.dtype() {
        DType::String => Tensor::strings(tensor.shape(), tensor.as_strings()?.to_vec()),
        dtype => Tensor::from_bytes(dtype, tensor.shape().clone(), Bytes::compact(tensor.bytes()?)?),
    }
}
