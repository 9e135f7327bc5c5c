//! Tokenizer: what a text engine makes of a text, without computing anything.

use super::{Message, Prompt};
use crate::Result;

/// The tokenizer of a text engine, for apps that count, cut or show what a model gets.
///
/// ```no_run
/// use selvedge::{Engine, Message, Options, Prompt, open};
/// let engine = open("assistant.gguf", Options::new())?;
/// let tokenizer = engine.tokenizer().expect("a text engine");
/// let left = engine.spec().context_tokens.unwrap_or(0) as usize - tokenizer.count(&Prompt::Text("Hello".into()))?;
/// println!("{left} tokens left; the model reads: {}", tokenizer.render(&[Message::user("Hello")])?);
/// # Ok::<(), selvedge::Error>(())
/// ```
pub trait Tokenizer: Send + Sync {
    /// The tokens of a prompt: those that a request with it would compute, the model's own first token included. A prompt that
    /// is longer than the context is tokenized as well.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for tokens that do not exist; what the chat template says of a chat, `Unsupported` if there is none;
    /// `OutOfMemory`.
    fn tokenize(&self, prompt: &Prompt) -> Result<Vec<u32>>;

    /// The text of tokens, as an answer of them would have it: special tokens have none, and bytes that are no UTF-8 become
    /// U+FFFD.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a token that does not exist.
    fn detokenize(&self, tokens: &[u32]) -> Result<String>;

    /// A chat as the model reads it: its messages in the model's chat template, up to where the answer begins. Tools, documents and
    /// the like are of a request, and no part of it.
    ///
    /// # Errors
    ///
    /// What the chat template says; `Unsupported` if there is none.
    fn render(&self, messages: &[Message]) -> Result<String>;

    /// How many tokens a prompt has.
    ///
    /// # Errors
    ///
    /// As [`Tokenizer::tokenize`].
    fn count(&self, prompt: &Prompt) -> Result<usize> {
        Ok(self.tokenize(prompt)?.len())
    }
}
