//! Chat templates, which come with a model.
//!
//! Templates are programs of a stranger, so they run on a budget: fuel for work and memory, a limit of nesting, of
//! source and of output. They see what Hugging Face's `apply_chat_template` shows them.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, ErrorKind, Value, context};

use super::json::tojson;
use super::special_tokens::{Segment, SpecialTokens};
use super::strftime::strftime_now;
use crate::engine::Message;
use crate::{Error, Result};

/// The longest template taken, in bytes; the longest known ones have some 30 KiB.
const MAX_SOURCE: usize = 256 << 10;
/// Instructions and 64-byte units of data that one rendering may use.
const FUEL: u64 = 1_000_000;
/// Nested calls; each takes stack of the caller's thread.
const MAX_NESTING: usize = 100;
const NAME: &str = "chat";

/// A compiled chat template.
pub(crate) struct Template {
    environment: Environment<'static>,
    bos: String,
    eos: String,
    special_tokens: SpecialTokens,
}

impl Template {
    /// Compiles `source`. `bos` and `eos` are the texts of those tokens, empty if there are none; `special` the texts
    /// of all tokens that must not come from a message.
    ///
    /// # Errors
    /// `Unsupported` for a template that is too long or uses what is not there.
    pub(crate) fn new(
        source: &str,
        bos: impl Into<String>,
        eos: impl Into<String>,
        special: impl IntoIterator<Item = String>,
    ) -> Result<Self> {
        if source.len() > MAX_SOURCE {
            return Err(Error::unsupported(format!(
                "chat template: expected at most {MAX_SOURCE} bytes, got {}",
                source.len()
            )));
        }
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().map_err(failed)?;
        environment.set_syntax(syntax);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(MAX_NESTING);
        environment.add_filter("tojson", tojson);
        environment.add_function("raise_exception", refuse);
        environment.add_function("strftime_now", |format: &str| strftime_now(format));
        environment.add_template_owned(NAME, without_generation_marks(source)).map_err(failed)?;
        Ok(Self { environment, bos: bos.into(), eos: eos.into(), special_tokens: SpecialTokens::new(special) })
    }

    /// The conversation as a prompt that the model's answer follows.
    ///
    /// # Errors
    /// `InvalidArgument` if the template refuses the conversation, `Unsupported` if it fails or exceeds its budget.
    pub(crate) fn render(&self, messages: &[Message]) -> Result<Vec<Segment>> {
        self.special_tokens.render(messages, |messages| self.text(messages))
    }

    fn text(&self, messages: &[Message]) -> Result<String> {
        let contents: usize = messages.iter().map(|m| m.content.len()).sum();
        let list: Vec<Value> =
            messages.iter().map(|m| context! { role => m.role.name(), content => m.content.as_str() }).collect();
        let values = context! {
            messages => list,
            add_generation_prompt => true,
            bos_token => self.bos.as_str(),
            eos_token => self.eos.as_str(),
        };
        let template = self.environment.get_template(NAME).map_err(failed)?;
        // A template may repeat a message, but not without end.
        let mut output = Bounded { bytes: Vec::new(), most: contents.saturating_mul(4).saturating_add(1 << 20) };
        template.render_captured_to(values, &mut output).map_err(failed)?;
        String::from_utf8(output.bytes).map_err(|e| Error::backend("chat template: its output is not UTF-8").because(e))
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template").finish_non_exhaustive()
    }
}

/// What `raise_exception` leaves in the error, to tell it from a failure.
#[derive(Debug)]
struct Refused(String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for Refused {}

fn refuse(message: String) -> Result<Value, minijinja::Error> {
    Err(minijinja::Error::new(ErrorKind::InvalidOperation, message.clone()).with_source(Refused(message)))
}

fn failed(error: minijinja::Error) -> Error {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(&error);
    while let Some(e) = cause {
        if let Some(Refused(message)) = e.downcast_ref() {
            return Error::invalid(format!("chat: the model's template refuses the conversation: {message}"));
        }
        cause = e.source();
    }
    let budget = match error.kind() {
        ErrorKind::OutOfFuel => " (it exceeds the work allowed)",
        ErrorKind::WriteFailure => " (its output exceeds the length allowed)",
        _ => "",
    };
    Error::unsupported(format!("chat: the model's template cannot be rendered{budget}")).because(error)
}

/// An output that refuses to grow past `most`.
struct Bounded {
    bytes: Vec<u8>,
    most: usize,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.most - self.bytes.len() {
            return Err(io::Error::other("the output is too long"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// `{% generation %}` marks what a model wrote, for training. It means nothing here, so it becomes a block that does
/// nothing and keeps its white space.
fn without_generation_marks(source: &str) -> String {
    let mut result = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find("{%") {
        let (before, tag) = rest.split_at(at);
        result.push_str(before);
        let Some(end) = tag.find("%}") else {
            rest = tag;
            break;
        };
        let inner = &tag[2..end];
        match inner.trim_matches(|c: char| c == '-' || c == '+' || c.is_whitespace()) {
            "generation" => result.push_str(&format!("{{%{}%}}", inner.replace("generation", "if true"))),
            "endgeneration" => result.push_str(&format!("{{%{}%}}", inner.replace("endgeneration", "endif"))),
            _ => result.push_str(&tag[..end + 2]),
        }
        rest = &tag[end + 2..];
    }
    result.push_str(rest);
    result
}
