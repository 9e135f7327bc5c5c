//! Making a profile from rows.

use super::{Profile, Source};
use crate::{Error, Result};

/// One value of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// A number; NaN is missing.
    Number(f32),
    /// The name of a category.
    Category(&'a str),
    /// No value.
    Missing,
}

/// One row of the reference.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Row<'a> {
    /// A value per feature, in the order they were named.
    pub values: &'a [Value<'a>],
    /// The row's embedding; empty if it has none.
    pub embedding: &'a [f32],
    /// Whether the model's answer was right, where that is known.
    pub right: Option<bool>,
}

impl<'a> Row<'a> {
    /// A row of values.
    pub fn new(values: &'a [Value<'a>]) -> Self {
        Self { values, ..Self::default() }
    }

    /// Adds the row's embedding.
    #[must_use]
    pub fn embedding(self, embedding: &'a [f32]) -> Self {
        Self { embedding, ..self }
    }

    /// Adds whether the model's answer was right.
    #[must_use]
    pub fn right(self, right: bool) -> Self {
        Self { right: Some(right), ..self }
    }
}

/// How rows depend on those before them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Block {
    /// Not at all: the order of the reference means nothing.
    #[default]
    Independent,
    /// The reference is in time order; the block length is estimated from it.
    Estimate,
    /// The reference is in time order; blocks of so many rows carry its dependence.
    Rows(u32),
}

/// The making of a profile: name the features, then give the rows.
#[derive(Clone, Debug)]
pub struct Fit {
    model: [u8; 32],
    features: Vec<(String, Source, bool)>,
    bins: usize,
    categories: usize,
    block: Block,
    embedding: Option<u32>,
    seed: u64,
}

/// Takes the rows of one pass, in order.
pub type Sink<'s> = dyn FnMut(&Row<'_>) -> Result<()> + 's;

impl Fit {
    pub(super) fn new() -> Self {
        Self {
            model: [0; 32],
            features: Vec::new(),
            bins: 16,
            categories: 16,
            block: Block::Independent,
            embedding: None,
            seed: 0,
        }
    }

    /// The SHA-256 of the model's file.
    #[must_use]
    pub fn model(self, digest: [u8; 32]) -> Self {
        Self { model: digest, ..self }
    }

    /// Adds a numeric input column.
    #[must_use]
    pub fn number(self, name: impl Into<String>) -> Self {
        self.feature(name, Source::Input, false)
    }

    /// Adds a categorical input column.
    #[must_use]
    pub fn category(self, name: impl Into<String>) -> Self {
        self.feature(name, Source::Input, true)
    }

    /// Adds a feature of any source; a class is a category, the others are numbers.
    #[must_use]
    pub fn output(self, name: impl Into<String>, source: Source) -> Self {
        self.feature(name, source, source == Source::Class)
    }

    fn feature(mut self, name: impl Into<String>, source: Source, category: bool) -> Self {
        self.features.push((name.into(), source, category));
        self
    }

    /// Adds an embedding of `width` numbers per row.
    #[must_use]
    pub fn embedding(self, width: u32) -> Self {
        Self { embedding: Some(width), ..self }
    }

    /// The most quantile bins per numeric feature; 16 if not set, at most [`MAX_BINS`](super::MAX_BINS).
    #[must_use]
    pub fn bins(self, bins: usize) -> Self {
        Self { bins, ..self }
    }

    /// The most categories kept by name; 16 if not set, at most [`MAX_BINS`](super::MAX_BINS).
    #[must_use]
    pub fn categories(self, categories: usize) -> Self {
        Self { categories, ..self }
    }

    /// How rows depend on those before them; independent if not set.
    #[must_use]
    pub fn block(self, block: Block) -> Self {
        Self { block, ..self }
    }

    /// Fits rows of numbers that lie in memory.
    pub fn of_rows<R: AsRef<[f32]>>(self, rows: &[R]) -> Result<Profile> {
        self.stream(|sink| {
            rows.iter().try_for_each(|row| {
                let values: Vec<Value<'_>> = row.as_ref().iter().map(|v| Value::Number(*v)).collect();
                sink(&Row::new(&values))
            })
        })
    }

    /// Fits rows that `pass` gives to the sink; it is called twice and gives the same rows both times.
    pub fn stream(self, mut pass: impl FnMut(&mut Sink<'_>) -> Result<()>) -> Result<Profile> {
        pass(&mut |_| Ok(()))?;
        let _ = (self.model, self.bins, self.categories, self.block, self.embedding, self.seed);
        Err(Error::unsupported("fit"))
    }
}
