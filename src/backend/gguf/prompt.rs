//! From a prompt to tokens.

use super::native::{Model, Token};
use crate::engine::Prompt;
use crate::text::{Segment, Template};
use crate::{Code, Error, Result};

/// Turns prompts into tokens that fit a context.
pub(super) struct Prompts<'a> {
    pub(super) model: &'a Model,
    /// The chat template, or why there is none.
    pub(super) template: &'a Result<Template>,
    /// Tokens that prompt and answer may have together.
    pub(super) context: usize,
    /// Bytes of the longest token.
    pub(super) longest: usize,
}

impl Prompts<'_> {
    /// Errors: `ContextFull` if no token of an answer would fit, `InvalidArgument` for a token that does not exist,
    /// and what the chat template says.
    pub(super) fn tokens(&self, prompt: &Prompt) -> Result<Vec<u32>> {
        let tokens = match prompt {
            Prompt::Text(text) => self.text("prompt", text)?,
            Prompt::Chat(messages) => match self.template {
                Ok(template) => self.chat(&template.render(messages)?)?,
                Err(error) => return Err(error.clone()),
            },
            Prompt::Tokens(tokens) => {
                let count = self.model.tokens();
                if let Some(token) = tokens.iter().find(|&&t| t as usize >= count) {
                    return Err(Error::invalid(format!("prompt: expected tokens below {count}, got {token}")));
                }
                tokens.clone()
            }
        };
        if tokens.is_empty() {
            return Err(Error::invalid("prompt: expected at least one token, got none"));
        }
        if tokens.len() >= self.context {
            return Err(self.full("prompt", &tokens.len().to_string()));
        }
        Ok(tokens)
    }

    /// A whole text, with the model's own begin and end. Special tokens written in it are text.
    pub(super) fn text(&self, name: &str, text: &str) -> Result<Vec<u32>> {
        self.could_fit(name, text.len())?;
        ids(self.model.tokenize(text, true, false)?)
    }

    /// `ContextFull` for something named `name`.
    pub(super) fn full(&self, name: &str, got: &str) -> Error {
        let most = self.context;
        Error::new(
            Code::ContextFull,
            format!("{name}: expected fewer than the {most} tokens of the context, got {got}"),
        )
    }

    fn chat(&self, segments: &[Segment]) -> Result<Vec<u32>> {
        self.could_fit("prompt", segments.iter().map(|s| s.text.len()).sum())?;
        let mut tokens: Vec<Token> = Vec::new();
        for segment in segments {
            tokens.extend(self.model.tokenize(&segment.text, false, segment.special)?);
        }
        // Most templates write the first token themselves; it must be there once.
        if let Some(begin) = self.model.begin()
            && tokens.first() != Some(&begin)
        {
            tokens.insert(0, begin);
        }
        ids(tokens)
    }

    /// A text cannot have fewer tokens than its bytes over those of the longest token, so a hopeless one need not be
    /// tokenized. This also bounds what the tokenizer is given.
    fn could_fit(&self, name: &str, bytes: usize) -> Result<()> {
        let least = bytes / self.longest.max(1);
        if least > self.context {
            return Err(self.full(name, &format!("at least {least}")));
        }
        Ok(())
    }
}

fn ids(tokens: Vec<Token>) -> Result<Vec<u32>> {
    let negative = |_| Error::backend("llama.cpp gave a token that is not one");
    tokens.into_iter().map(|token| u32::try_from(token).map_err(negative)).collect()
}
