//! Tokenizer of whichever version is current: it is lent for as long as the deployment lives, and asks anew each time.

use std::sync::Arc;

use super::serving::Serving;
use super::view::Shared;
use crate::engine::{Message, Prompt, Tokenizer};
use crate::{Code, Error, Result};

pub(super) struct CurrentTokenizer {
    shared: Arc<Shared>,
}

impl CurrentTokenizer {
    /// `None` for versions without one; what a first one has, the others must have.
    pub(super) fn new(shared: &Arc<Shared>) -> Option<Self> {
        let this = Self { shared: shared.clone() };
        let has_one = this.with(|_| Ok(())).is_ok();
        has_one.then_some(this)
    }

    fn with<T>(&self, ask: impl FnOnce(&dyn Tokenizer) -> Result<T>) -> Result<T> {
        let current: Option<Arc<Serving>> = self.shared.view.load().current.clone();
        let busy = || Error::new(Code::Busy, "tokenizer: no version is loaded at the moment");
        let current = current.ok_or_else(busy)?;
        let none = || Error::unsupported(format!("tokenizer: version {} has none", current.version));
        ask(current.engine.tokenizer().ok_or_else(none)?)
    }
}

impl Tokenizer for CurrentTokenizer {
    fn tokenize(&self, prompt: &Prompt) -> Result<Vec<u32>> {
        self.with(|tokenizer| tokenizer.tokenize(prompt))
    }

    fn detokenize(&self, tokens: &[u32]) -> Result<String> {
        self.with(|tokenizer| tokenizer.detokenize(tokens))
    }

    fn render(&self, messages: &[Message]) -> Result<String> {
        self.with(|tokenizer| tokenizer.render(messages))
    }

    fn count(&self, prompt: &Prompt) -> Result<usize> {
        self.with(|tokenizer| tokenizer.count(prompt))
    }
}
