//! Chat templates, which come with a model.
//!
//! Templates are programs of a stranger, so they run on a budget and on a thread whose stack is known. They see what
//! Hugging Face's `apply_chat_template` shows them.

use std::fmt;
use std::sync::OnceLock;

use super::jinja::{Char, Clock, Fault, Limits, Program, Value};
use super::special_tokens::SpecialTokens;
use super::tools::Dialect;
use crate::{Error, Result, threads};

/// The longest template taken, in bytes; the longest known ones have some 30 KiB.
const MAX_SOURCE: usize = 256 << 10;
/// Steps that one rendering may take, and units of 32 characters that it may make or walk; a conversation adds to it.
const FUEL: u64 = 1_000_000;
/// Characters that a template may write beside four times the conversation.
const OUTPUT: usize = 1 << 20;
/// Far more than the deepest template takes, which the language bounds.
const STACK: usize = 4 << 20;

/// A compiled chat template.
pub(crate) struct Template {
    program: Program,
    pub(super) source: String,
    /// Texts of tokens under the names that templates use.
    tokens: Vec<(&'static str, String)>,
    pub(super) special_tokens: SpecialTokens,
    /// What it makes of tools: found out with the first of them.
    pub(super) dialect: OnceLock<Dialect>,
}

impl Template {
    /// Compiles `source`. `tokens` are texts of tokens under the names that templates use, such as `bos_token`;
    /// `special` the texts of all tokens that must not come from a message.
    ///
    /// # Errors
    ///
    /// `Unsupported` for a template that is too long, nests too deeply or uses what is not there; `OutOfMemory` if the system
    /// refuses the thread that compiles.
    pub(crate) fn new(
        source: &str,
        tokens: impl IntoIterator<Item = (&'static str, String)>,
        special: impl IntoIterator<Item = String>,
    ) -> Result<Self> {
        if source.len() > MAX_SOURCE {
            return Err(Error::unsupported(format!(
                "chat template: expected at most {MAX_SOURCE} bytes, got {}",
                source.len()
            )));
        }
        let program = on_own_stack(|| Program::compile(source).map_err(failed))?;
        Ok(Self {
            program,
            source: source.to_owned(),
            tokens: tokens.into_iter().collect(),
            special_tokens: SpecialTokens::new(special),
            dialect: OnceLock::new(),
        })
    }

    /// Renders with the variables that `more` makes beside those that are always there, or in place of them.
    /// `contents` is the size of what they hold, in bytes.
    pub(super) fn text<N: AsRef<str>>(
        &self,
        contents: usize,
        more: impl FnOnce() -> std::result::Result<Vec<(N, Value)>, Fault> + Send,
        clock: &(dyn Fn() -> Clock + Sync),
    ) -> Result<Vec<Char>> {
        let limits = Limits {
            fuel: FUEL.saturating_add(contents as u64),
            output: contents.saturating_mul(4).saturating_add(OUTPUT),
        };
        on_own_stack(|| {
            let rendered = more().and_then(|more| {
                let mut variables = vec![
                    ("tools", Value::None),
                    ("documents", Value::None),
                    ("add_generation_prompt", Value::Bool(true)),
                ];
                variables.extend(self.tokens.iter().map(|(name, text)| (*name, Value::text(text))));
                variables.extend(more.iter().map(|(name, value)| (name.as_ref(), value.clone())));
                self.program.render(variables, &limits, &|| clock())
            });
            rendered.map_err(failed)
        })
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template").finish_non_exhaustive()
    }
}

/// The caller's stack may be small, and is not for a stranger's program to use up.
fn on_own_stack<T: Send>(f: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    threads::on_stack("selvedge-template", STACK, f)
}

fn failed(fault: Fault) -> Error {
    let why = match fault {
        Fault::Refused(message) => {
            return Error::invalid(format!("chat: the model's template refuses the conversation: {message}"));
        }
        Fault::Failed(message) => message,
        Fault::OutOfFuel => "it exceeds the work allowed".to_owned(),
        Fault::OutputTooLong => "its output exceeds the length allowed".to_owned(),
    };
    Error::unsupported(format!("chat: the model's template cannot be rendered: {why}"))
}
