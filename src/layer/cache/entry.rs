//! Entry of a cache: an answer as it is kept, and how it is given again.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::{Answer, Finish, Piece, Provenance, TokenInfo, Usage};
use crate::{DType, Result, Tensor};

/// An answer that is kept. Its text and tokens are those of its pieces.
#[derive(Debug)]
pub(super) struct Entry {
    outputs: Vec<(String, Tensor)>,
    pub(super) pieces: Vec<Piece>,
    finish: Finish,
    usage: Usage,
    provenance: Arc<Provenance>,
}

/// Beside its bytes, what an allocation of a tensor takes: its handle, its owner's counts and its rounding up.
const TENSOR: usize = 160;

impl Entry {
    /// An answer and the pieces that it came in; `None` if they are not its text, or there is no memory for a copy.
    pub(super) fn of(answer: &Answer, pieces: Vec<Piece>) -> Option<Self> {
        let text: usize = pieces.iter().map(|piece| piece.text.len()).sum();
        let tokens: usize = pieces.iter().map(|piece| piece.tokens.len()).sum();
        if (text, tokens) != (answer.text.len(), answer.tokens.len()) {
            return None;
        }
        let copies: Result<_> =
            answer.outputs.iter().map(|(name, tensor)| Ok((name.clone(), own_copy(tensor)?))).collect();
        let Answer { finish, usage, provenance, .. } = answer;
        let (finish, provenance) = (finish.clone(), provenance.clone());
        Some(Self { outputs: copies.ok()?, pieces, finish, usage: *usage, provenance })
    }

    /// The answer to the call of this id, found in `prepare`.
    pub(super) fn answer(&self, id: u64, prepare: Duration) -> Answer {
        let Usage { input_tokens, output_tokens, .. } = self.usage;
        let cached_tokens = input_tokens;
        let (cache_hits, saved) = (1, self.saved());
        let usage =
            Usage { input_tokens, cached_tokens, output_tokens, prepare, cache_hits, saved, ..Usage::default() };
        let mut answer = Answer::new(self.finish.clone(), usage, self.provenance.clone());
        answer.text = self.pieces.iter().map(|piece| &*piece.text).collect();
        answer.tokens = self.pieces.iter().flat_map(|piece| &piece.tokens).copied().collect();
        (answer.outputs, answer.id) = (self.outputs.clone(), id);
        answer
    }

    /// What the answer had taken when it was computed. A kept answer may itself be that of a cache below.
    pub(super) fn saved(&self) -> Duration {
        let Usage { prepare, compute, generate, saved, .. } = self.usage;
        [compute, generate, saved].into_iter().fold(prepare, Duration::saturating_add)
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        let outputs =
            self.outputs.iter().map(|(name, tensor)| size_of::<(String, Tensor)>() + name.len() + held(tensor));
        size_of::<Self>() + outputs.sum::<usize>() + self.pieces.iter().map(piece_bytes).sum::<usize>()
    }
}

/// Bytes of memory of a piece.
pub(super) fn piece_bytes(piece: &Piece) -> usize {
    size_of::<Piece>() + piece.text.len() + piece.tokens.len() * size_of::<TokenInfo>()
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
        dtype => Tensor::copy_from(dtype, tensor.shape().clone(), tensor.bytes()?),
    }
}
