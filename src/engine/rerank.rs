//! Reranking: how well documents answer a query.

use crate::{Error, Result};

/// How relevant each of several documents is to a query, by a model that reads both together: the second stage of a search,
/// over the few that a cheaper one has found.
///
/// The outputs have one element for each document: [`Rerank::SCORE`], f32, in the order of the documents; and
/// [`Rerank::ORDER`], i64: the places of the documents from 0, the most relevant first, and of two with the same score the
/// earlier. What a score is is the model's: a number of any size, or a probability. More is more relevant, and scores of
/// two models do not compare. The same request has the same scores; what is computed beside a document may change the last
/// digits of its own.
///
/// ```
/// use selvedge::Rerank;
/// let request = Rerank::new("What do pandas eat?", ["Paris is in France.", "Pandas live on bamboo."]);
/// assert!(request.check().is_ok());
/// assert!(Rerank::new("", ["a"]).check().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rerank {
    /// What is looked for; not empty.
    pub query: String,
    /// What is judged, each by itself; at least one.
    pub documents: Vec<String>,
}

impl Rerank {
    /// The name of the output with the scores.
    pub const SCORE: &'static str = "score";
    /// The name of the output with the places, the most relevant first.
    pub const ORDER: &'static str = "order";

    /// Judges documents by a query.
    pub fn new<T: Into<String>>(query: impl Into<String>, documents: impl IntoIterator<Item = T>) -> Self {
        Self { query: query.into(), documents: documents.into_iter().map(Into::into).collect() }
    }

    /// Checks what can be checked without a model.
    ///
    /// # Errors
    ///
    /// `InvalidArgument`, naming what is wrong.
    pub fn check(&self) -> Result<()> {
        if self.query.is_empty() {
            return Err(Error::invalid("rerank: expected a query, got an empty text"));
        }
        if self.documents.is_empty() {
            return Err(Error::invalid("rerank: expected at least one document, got none"));
        }
        Ok(())
    }
}
