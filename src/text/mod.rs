//! Text around a model, without any runtime: chat templates, special tokens, whole pieces of text from the bytes of
//! tokens, stop texts, the form of a text, tool calls and reasoning in an answer, and the choice of the next token.
//!
//! Enters: messages, bytes of tokens, logits, a form; plain data. Leaves: prompt text, pieces, token ids. May import:
//! engine, threads, digest.

mod chat;
#[cfg(feature = "grammar")]
mod grammar;
mod jinja;
mod pieces;
mod rank_template;
mod sampler;
mod special_tokens;
mod stop;
mod template;
#[cfg(test)]
mod tests;
mod time_zone;
mod tools;
mod utf8;

pub(crate) use chat::Chat;
#[cfg(feature = "grammar")]
pub(crate) use grammar::{Matcher, Vocabulary, Words};
pub(crate) use pieces::Pieces;
pub(crate) use rank_template::RankTemplate;
pub(crate) use sampler::{Sampler, logprob, top_logprobs};
pub(crate) use special_tokens::Segment;
pub(crate) use template::Template;
pub(crate) use tools::Reader;
