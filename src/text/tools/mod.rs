//! Tools: how calls are written in an answer, and read out of it.
//!
//! Enters: what a chat template makes of two known calls, the text of an answer as it comes. Leaves: a [`Format`], and the
//! events of an answer with its calls and its reasoning in parts of their own.
//!
//! No list of models is kept: two calls are put through the model's own template, and the marks around them are read. Only
//! for templates that do not write calls is there a table of formats, found by marks that they mention.

mod derive;
mod dialect;
#[cfg(feature = "grammar")]
mod forced;
mod format;
mod literal;
mod reader;
mod scan;
mod tags;
#[cfg(test)]
mod tests;

pub(super) use dialect::{Dialect, Shown};
#[cfg(feature = "grammar")]
pub(super) use forced::forced;
#[cfg(feature = "grammar")]
pub(super) use format::Format;
pub(crate) use reader::Reader;
pub(super) use reader::{Parameters, Terms};
pub(super) use tags::TAGS;
