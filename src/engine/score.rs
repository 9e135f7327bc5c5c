//! Scores: how likely a model finds given continuations of a prompt.

use super::Prompt;
use crate::{Error, Result};

/// How likely each of several continuations of a prompt is: multiple choice, classification by words, perplexity.
///
/// The outputs have one element for each continuation, in their order: [`Score::LOGPROB`], f32: the natural logarithm of the
/// continuation's probability, the sum over its tokens; [`Score::TOKENS`], i64: how many those are; [`Score::GREEDY`], bool:
/// whether each of them is the likeliest, so that a greedy answer would begin with it. A longer continuation is less likely
/// by its length alone: dividing by the tokens makes them comparable.
///
/// Of a prompt that is text, the continuation's tokens are those that the whole text has after the prompt's.
///
/// ```
/// use selvedge::{Prompt, Score};
/// let request = Score::new(Prompt::Text("The capital of France is".into()), [" Paris", " London"]);
/// assert!(request.check().is_ok());
/// assert!(Score::new(Prompt::Text("a".into()), [""]).check().is_err());
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Score {
    /// What comes before each of the continuations.
    pub prompt: Prompt,
    /// The continuations; at least one, and none of them empty.
    pub continuations: Vec<String>,
    /// Adapters, as in [`Generate::adapters`](super::Generate::adapters).
    pub adapters: Vec<(String, f32)>,
}

impl Score {
    /// The name of the output with the log-probabilities.
    pub const LOGPROB: &'static str = "logprob";
    /// The name of the output with the numbers of tokens.
    pub const TOKENS: &'static str = "tokens";
    /// The name of the output that says whether a continuation is the greedy one.
    pub const GREEDY: &'static str = "greedy";

    /// Scores continuations of a prompt.
    pub fn new<T: Into<String>>(prompt: Prompt, continuations: impl IntoIterator<Item = T>) -> Self {
        Self { prompt, continuations: continuations.into_iter().map(Into::into).collect(), adapters: Vec::new() }
    }

    /// Adds the changes of an adapter, times `scale`. Range: a finite number but 0.
    #[must_use]
    pub fn adapter(mut self, name: impl Into<String>, scale: f32) -> Self {
        self.adapters.push((name.into(), scale));
        self
    }

    /// Checks what can be checked without a model.
    ///
    /// # Errors
    ///
    /// `InvalidArgument`, naming what is wrong.
    pub fn check(&self) -> Result<()> {
        super::terms::check_adapters(&self.adapters)?;
        if self.continuations.is_empty() {
            return Err(Error::invalid("score: expected at least one continuation, got none"));
        }
        if let Some(i) = self.continuations.iter().position(String::is_empty) {
            return Err(Error::invalid(format!("continuation {i}: expected a text, got an empty one")));
        }
        self.prompt.check()
    }
}
