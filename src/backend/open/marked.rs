//! An engine with a mark of the crash record: each call of it says that its thread is inside.

use std::path::Path;
use std::sync::Arc;

use crate::Result;
use crate::crash::Mark;
use crate::engine::{Call, Engine, Message, PrefixCache, Prefixes, Prompt, Request, Run, Spec, Step, Tokenizer, Trim};

pub(super) struct Marked {
    /// Taken when it is dropped.
    inner: Option<Arc<dyn Engine>>,
    spec: Spec,
    mark: Arc<Mark>,
}

impl Marked {
    /// `why`: what the spec says of a rung of the ladder.
    pub(super) fn new(inner: Arc<dyn Engine>, mark: Arc<Mark>, why: Option<String>) -> Self {
        let mut spec = inner.spec().clone();
        spec.choice = match (spec.choice, why) {
            (Some(choice), Some(why)) => Some(format!("{choice}; {why}")),
            (choice, why) => choice.or(why),
        };
        Self { inner: Some(inner), spec, mark }
    }

    fn tokenizer_within(&self) -> Result<&dyn Tokenizer> {
        let tokenizer = self.inner.as_ref().and_then(|inner| inner.tokenizer());
        tokenizer.ok_or_else(|| crate::Error::unsupported("the engine has no tokenizer"))
    }

    fn prefixes_within(&self) -> Result<&dyn PrefixCache> {
        let prefixes = self.inner.as_ref().and_then(|inner| inner.prefix_cache());
        prefixes.ok_or_else(|| crate::Error::unsupported("the engine has no prefix cache"))
    }
}

impl Engine for Marked {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn start(&self, request: Request, call: Call) -> Result<Box<dyn Run>> {
        let Some(inner) = &self.inner else { return Err(crate::Error::internal("a marked engine that was dropped")) };
        let use_of = Use::begin(&self.mark);
        let _in_call = self.mark.call();
        let inner = inner.start(request, call)?;
        Ok(Box::new(MarkedRun { inner: Some(inner), use_of: Some(use_of), mark: self.mark.clone() }))
    }

    fn tokenizer(&self) -> Option<&dyn Tokenizer> {
        self.tokenizer_within().is_ok().then_some(self)
    }

    fn prefix_cache(&self) -> Option<&dyn PrefixCache> {
        self.prefixes_within().is_ok().then_some(self)
    }

    fn trim(&self, level: Trim) -> Result<u64> {
        let _in_call = self.mark.call();
        self.inner.as_ref().map_or(Ok(0), |inner| inner.trim(level))
    }
}

impl PrefixCache for Marked {
    fn save(&self, path: &Path) -> Result<Prefixes> {
        let _in_call = self.mark.call();
        self.prefixes_within()?.save(path)
    }

    fn restore(&self, path: &Path) -> Result<Prefixes> {
        let _in_call = self.mark.call();
        self.prefixes_within()?.restore(path)
    }
}

impl Tokenizer for Marked {
    fn tokenize(&self, prompt: &Prompt) -> Result<Vec<u32>> {
        let _in_call = self.mark.call();
        self.tokenizer_within()?.tokenize(prompt)
    }

    fn detokenize(&self, tokens: &[u32]) -> Result<String> {
        let _in_call = self.mark.call();
        self.tokenizer_within()?.detokenize(tokens)
    }

    fn render(&self, messages: &[Message]) -> Result<String> {
        let _in_call = self.mark.call();
        self.tokenizer_within()?.render(messages)
    }
}

impl Drop for Marked {
    fn drop(&mut self) {
        let _in_call = self.mark.call();
        drop(self.inner.take());
    }
}

struct MarkedRun {
    /// Taken when it is dropped.
    inner: Option<Box<dyn Run>>,
    /// Taken when the run has ended.
    use_of: Option<Use>,
    mark: Arc<Mark>,
}

impl Run for MarkedRun {
    fn step(&mut self) -> Result<Step> {
        let Some(inner) = &mut self.inner else { return Err(crate::Error::internal("a run that was dropped")) };
        let in_call = self.mark.call();
        let step = inner.step();
        drop(in_call);
        if let Ok(Step::Done(_)) = step {
            self.mark.answered();
        }
        if !matches!(step, Ok(Step::Working(_) | Step::Event(_))) {
            self.use_of = None;
        }
        step
    }
}

impl Drop for MarkedRun {
    fn drop(&mut self) {
        let _in_call = self.mark.call();
        drop(self.inner.take());
    }
}

/// A run under way.
struct Use(Arc<Mark>);

impl Use {
    fn begin(mark: &Arc<Mark>) -> Self {
        mark.begin_run();
        Self(mark.clone())
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        self.0.end_run();
    }
}
