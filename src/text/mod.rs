//! What stands between words and tokens, without any runtime: chat templates, whole pieces of text from the bytes
//! of tokens, stop texts, and the choice of the next token.
//!
//! Enters: messages, bytes of tokens, logits; plain data. Leaves: prompt text, pieces, token ids. May import: engine.

mod clock;
mod json;
mod pieces;
mod sample;
mod shield;
mod stop;
mod template;
#[cfg(test)]
mod tests;
mod utf8;

pub(crate) use pieces::Pieces;
pub(crate) use sample::{Sampler, logprob};
pub(crate) use shield::Segment;
pub(crate) use template::Template;
