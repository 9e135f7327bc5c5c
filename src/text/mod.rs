//! Text around a model, without any runtime: chat templates, special tokens, whole pieces of text from the bytes of
//! tokens, stop texts, and the choice of the next token.
//!
//! Enters: messages, bytes of tokens, logits; plain data. Leaves: prompt text, pieces, token ids. May import: engine, threads.

mod jinja;
mod pieces;
mod sampler;
mod special_tokens;
mod stop;
mod template;
#[cfg(test)]
mod tests;
mod time_zone;
mod utf8;

pub(crate) use pieces::Pieces;
pub(crate) use sampler::{Sampler, logprob};
pub(crate) use special_tokens::Segment;
pub(crate) use template::Template;
