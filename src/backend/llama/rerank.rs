//! Reranking: a query and documents as texts that the rank head judges.

use std::time::Instant;

use super::Llama;
use super::check::{Header, Ranking};
use super::native::model::Model;
use super::serve::embedder::Wanted;
use super::serve::prompt::Prompts;
use crate::engine::{Call, Rerank, Run};
use crate::text::RankTemplate;
use crate::{Error, Result};

/// What makes one text of a query and a document.
pub(super) enum Ranker {
    /// Each as a text by itself, but for so many tokens that the second begins with; and what stands between them.
    Pair {
        begins: usize,
        separator: Option<u32>,
    },
    Template(RankTemplate),
}

impl Ranker {
    /// The ranker of a model.
    ///
    /// # Errors
    ///
    /// `Unsupported`, naming what it lacks.
    pub(super) fn new(header: &Header, model: &Model) -> Result<Self> {
        let lacks = |what: &str| Error::unsupported(format!("rerank: {what}"));
        match header.ranking.as_ref().map_err(|what| lacks(what))? {
            Ranking::Template(source) => Ok(Ranker::Template(RankTemplate::new(source, model.special_texts()))),
            Ranking::Pair => {
                let frame = model.tokenize("", true, false)?.len();
                let begins = usize::from(frame > 1 || frame == 1 && model.begin().is_some());
                let separator = model.separator().and_then(|token| u32::try_from(token).ok());
                if frame == begins && separator.is_none() {
                    return Err(lacks("expected a tokenizer with a token between two texts, got none"));
                }
                Ok(Ranker::Pair { begins, separator })
            }
        }
    }

    /// What the tokens of every pair begin with.
    fn begin(&self, prompts: &Prompts<'_>, query: &str) -> Result<Vec<u32>> {
        match self {
            Ranker::Pair { separator, .. } => {
                let mut tokens = prompts.text("query", query)?;
                tokens.extend(separator);
                Ok(tokens)
            }
            Ranker::Template(_) => Ok(Vec::new()),
        }
    }

    fn tokens(&self, prompts: &Prompts<'_>, begin: &[u32], name: &str, request: (&str, &str)) -> Result<Vec<u32>> {
        let (query, document) = request;
        match self {
            Ranker::Pair { begins, .. } => {
                Ok([begin, prompts.text(name, document)?.get(*begins..).unwrap_or_default()].concat())
            }
            Ranker::Template(template) => prompts.segments(name, &template.segments(query, document)),
        }
    }
}

impl Llama {
    pub(super) fn rerank(&self, request: &Rerank, call: Call) -> Result<Box<dyn Run>> {
        let ranker = self.ranker.as_ref().map_err(Error::clone)?;
        request.check()?;
        let (begin, prompts, most) = (Instant::now(), self.prompts(), self.plan.text as usize);
        let first = ranker.begin(&prompts, &request.query)?;
        let mut texts = Vec::with_capacity(request.documents.len());
        for (i, document) in request.documents.iter().enumerate() {
            let name = format!("query and document {i}");
            let tokens = ranker.tokens(&prompts, &first, &name, (&request.query, document))?;
            if tokens.len() > most {
                return Err(prompts.full(&name, most, &tokens.len().to_string()));
            }
            texts.push(tokens);
        }
        Ok(self.texts(texts, Wanted::Score, begin, call))
    }
}
