//! Scores of continuations: what is asked, as tokens.

use std::sync::Arc;
use std::time::Instant;

use super::Llama;
use super::serve::mailbox::Mailbox;
use super::serve::prefix::Prefix;
use super::serve::prompt::Prompts;
use super::serve::queue::Command;
use super::serve::run::TextRun;
use super::serve::sequence::{Origin, Sequence};
use crate::engine::{Call, Generate, Progress, Prompt, Run, Score};
use crate::text::Reader;
use crate::{Error, Result};

impl Llama {
    pub(super) fn score(&self, request: Score, call: Call) -> Result<Box<dyn Run>> {
        if !self.spec.abilities.score {
            return Err(self.unsupported("scores"));
        }
        request.check()?;
        let begin = Instant::now();
        let prompts = self.prompts();
        let Score { prompt, continuations: texts, adapters } = request;
        let asked = Generate::new(prompt);
        let (tokens, _) = prompts.tokens(&asked)?;
        let mut continuations = Vec::with_capacity(texts.len());
        for (i, text) in texts.iter().enumerate() {
            let name = format!("continuation {i}");
            let continuation = after(&prompts, &asked.prompt, &tokens, &name, text)?;
            if continuation.is_empty() {
                return Err(Error::invalid(format!("{name}: expected at least one token, got none")));
            }
            let most = (self.plan.context as usize).saturating_sub(tokens.len());
            if continuation.len() > most {
                return Err(prompts.full(&name, most, &continuation.len().to_string()));
            }
            continuations.push(continuation);
        }
        let (adapters, applied) = self.adapters(&adapters)?;
        let progress = Progress::new(0, Some(tokens.len() as u64));
        let (mailbox, context) = (Arc::<Mailbox>::default(), self.plan.context as usize);
        let provenance = self.spec.provenance.clone();
        let origin = Origin { provenance, prepare: begin.elapsed(), adapters: applied };
        let begun = (Prefix::new(adapters, tokens), None, Reader::plain());
        let sampled = Generate::new(Prompt::Tokens(Vec::new()));
        let sequence = Sequence::new(sampled, begun, context, &self.model, call.clone(), mailbox.clone(), origin);
        let work = Command::Generate(Box::new(sequence.scoring(continuations)));
        Ok(Box::new(TextRun::new(self.queue.clone(), mailbox, call, work, progress)))
    }
}

/// The tokens of a continuation: what the whole text has after the prompt's, where the prompt is text.
fn after(prompts: &Prompts<'_>, prompt: &Prompt, tokens: &[u32], name: &str, text: &str) -> Result<Vec<u32>> {
    if let Prompt::Text(before) = prompt {
        let whole = prompts.text(name, &format!("{before}{text}"))?;
        if let Some(rest) = whole.strip_prefix(tokens) {
            return Ok(rest.to_vec());
        }
    }
    prompts.part(name, text)
}
