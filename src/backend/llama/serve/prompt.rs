//! Prompts: texts and chats to tokens.

use super::super::native::model::{Model, Token};
use crate::engine::{Generate, Message, Prompt};
use crate::text::{Chat, Segment, Template};
use crate::{Code, Error, Result};

/// Turns prompts into tokens that fit a context.
pub(in crate::backend::llama) struct Prompts<'a> {
    pub(in crate::backend::llama) model: &'a Model,
    /// The chat template, or why there is none.
    pub(in crate::backend::llama) template: &'a Result<Template>,
    /// Tokens that prompt and answer may have together.
    pub(in crate::backend::llama) context: usize,
    /// Bytes of the longest token.
    pub(in crate::backend::llama) longest: usize,
}

impl Prompts<'_> {
    /// The tokens of a request's prompt, and what else comes of a chat.
    ///
    /// # Errors
    ///
    /// `ContextFull` if no token of an answer would fit, `InvalidArgument` for a token that does not exist,
    /// and what the chat template says.
    pub(in crate::backend::llama) fn tokens(&self, request: &Generate) -> Result<(Vec<u32>, Option<Chat>)> {
        let mut chat = None;
        let tokens = match &request.prompt {
            Prompt::Text(text) => self.text("prompt", text)?,
            Prompt::Chat(messages) => {
                let ready = self.template.as_ref().map_err(Error::clone)?.chat(messages, request)?;
                let tokens = self.segments("prompt", &ready.segments)?;
                chat = Some(ready);
                tokens
            }
            Prompt::Tokens(tokens) => {
                self.check(tokens)?;
                tokens.clone()
            }
        };
        if tokens.is_empty() {
            return Err(Error::invalid("prompt: expected at least one token, got none"));
        }
        if tokens.len() >= self.context {
            // One more is the answer's.
            return Err(self.full("prompt", self.context.saturating_sub(1), &tokens.len().to_string()));
        }
        Ok((tokens, chat))
    }

    /// The tokens of a prompt, however many.
    pub(in crate::backend::llama) fn tokenize(&self, prompt: &Prompt) -> Result<Vec<u32>> {
        match prompt {
            Prompt::Text(text) => ids(self.model.tokenize(text, true, false)?),
            Prompt::Chat(messages) => self.chat(&self.rendered(messages)?),
            Prompt::Tokens(tokens) => {
                self.check(tokens)?;
                Ok(tokens.clone())
            }
        }
    }

    /// `InvalidArgument` for a token that does not exist.
    pub(in crate::backend::llama) fn check(&self, tokens: &[u32]) -> Result<()> {
        let count = self.model.tokens();
        match tokens.iter().find(|&&t| t as usize >= count) {
            Some(token) => Err(Error::invalid(format!("prompt: expected tokens below {count}, got {token}"))),
            None => Ok(()),
        }
    }

    /// Parts of a text, which may have a token of the model's own at its begin.
    pub(in crate::backend::llama) fn segments(&self, name: &str, segments: &[Segment]) -> Result<Vec<u32>> {
        self.could_fit(name, segments.iter().map(|s| s.text.len()).sum())?;
        self.chat(segments)
    }

    fn rendered(&self, messages: &[Message]) -> Result<Vec<Segment>> {
        self.template.as_ref().map_err(Error::clone)?.render(messages)
    }

    /// A whole text, with the model's own begin and end. Special tokens written in it are text.
    pub(in crate::backend::llama) fn text(&self, name: &str, text: &str) -> Result<Vec<u32>> {
        self.could_fit(name, text.len())?;
        ids(self.model.tokenize(text, true, false)?)
    }

    /// A text that goes on from tokens, without begin and end.
    pub(in crate::backend::llama) fn part(&self, name: &str, text: &str) -> Result<Vec<u32>> {
        self.could_fit(name, text.len())?;
        ids(self.model.tokenize(text, false, false)?)
    }

    /// `ContextFull` for something named `name`, of which there may be `most` tokens.
    pub(in crate::backend::llama) fn full(&self, name: &str, most: usize, got: &str) -> Error {
        let context = self.context;
        Error::new(
            Code::ContextFull,
            format!("{name}: expected at most {most} tokens, in a context of {context}, got {got}"),
        )
    }

    fn chat(&self, segments: &[Segment]) -> Result<Vec<u32>> {
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
            return Err(self.full(name, self.context, &format!("at least {least}")));
        }
        Ok(())
    }
}

fn ids(tokens: Vec<Token>) -> Result<Vec<u32>> {
    let negative = |_| Error::backend("llama.cpp gave a token that is not one");
    tokens.into_iter().map(|token| u32::try_from(token).map_err(negative)).collect()
}
