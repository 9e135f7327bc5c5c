//! Making a profile from rows.

use super::column::LONGEST_NAME;
use super::passes::{First, Second};
use super::{MAX_BINS, Profile, Source};
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

    /// Adds whether the model's answer was right: with a feature of [`Source::Confidence`] it teaches the profile how
    /// often the model is right at each confidence.
    #[must_use]
    pub fn right(self, right: bool) -> Self {
        Self { right: Some(right), ..self }
    }
}

/// A column of the reference that lies in memory.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Column<'a> {
    /// Numbers; NaN is missing.
    F32(&'a [f32]),
    /// Numbers, rounded to `f32` as they will be when the model runs; NaN is missing.
    F64(&'a [f64]),
    /// Names of categories.
    Names(&'a [&'a str]),
}

impl Column<'_> {
    fn len(&self) -> usize {
        match self {
            Column::F32(values) => values.len(),
            Column::F64(values) => values.len(),
            Column::Names(values) => values.len(),
        }
    }

    fn value(&self, row: usize) -> Value<'_> {
        match self {
            Column::F32(values) => Value::Number(values[row]),
            Column::F64(values) => Value::Number(values[row] as f32),
            Column::Names(values) => Value::Category(values[row]),
        }
    }
}

/// How rows depend on those before them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Block {
    /// Not at all: the order of the reference means nothing. A window's χ² then follows the χ² distribution.
    #[default]
    Independent,
    /// The reference is in time order; the block length is estimated from it (Politis and White 2004).
    Estimate,
    /// The reference is in time order; blocks of so many rows carry its dependence.
    Rows(u32),
}

/// Takes the rows of one pass, in order.
pub type Sink<'s> = dyn FnMut(&Row<'_>) -> Result<()> + 's;

/// The making of a profile: name the features, then give the rows.
///
/// Numeric features get up to 16 bins of about equal counts, or one bin per value where the values are few. Two passes
/// over the rows: the first finds the bins, the second counts exactly. Memory is bounded, however many the rows.
///
/// ```
/// use selvedge::drift::{Bins, Column, Profile};
/// let profile = Profile::fit()
///     .number("temperature")
///     .category("sky")
///     .of_columns(&[Column::F64(&[3.5, 4.0, f64::NAN, 2.0]), Column::Names(&["sun", "rain", "rain", "fog"])])?;
/// assert_eq!(profile.features[0].counts, [0, 1, 1, 1, 0, 1]); // under, 2.0, 3.5, 4.0, over, missing
/// assert_eq!(profile.features[1].counts, [2, 1, 1, 0, 0]); // rain, fog, sun, other, missing
/// # Ok::<(), selvedge::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Fit {
    pub(super) model: [u8; 32],
    pub(super) features: Vec<Named>,
    pub(super) bins: usize,
    pub(super) categories: usize,
    pub(super) block: Block,
    pub(super) embedding: Option<usize>,
    pub(super) seed: u32,
    pub(super) learned: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) source: Source,
    pub(super) category: bool,
}

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
            learned: false,
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
        self.features.push(Named { name: name.into(), source, category });
        self
    }

    /// Adds an embedding of `width` numbers per row.
    #[must_use]
    pub fn embedding(self, width: usize) -> Self {
        Self { embedding: Some(width), ..self }
    }

    /// The most quantile bins per numeric feature; 16 if not set, 2 to [`MAX_BINS`].
    #[must_use]
    pub fn bins(self, bins: usize) -> Self {
        Self { bins, ..self }
    }

    /// The most categories kept by name; 16 if not set, 1 to [`MAX_BINS`].
    #[must_use]
    pub fn categories(self, categories: usize) -> Self {
        Self { categories, ..self }
    }

    /// How rows depend on those before them; independent if not set.
    #[must_use]
    pub fn block(self, block: Block) -> Self {
        Self { block, ..self }
    }

    /// The seed of the quantiles' sample and of the embedding's Fourier features; 0 if not set.
    #[must_use]
    pub fn seed(self, seed: u32) -> Self {
        Self { seed, ..self }
    }

    pub(super) fn learned(self) -> Self {
        Self { learned: true, ..self }
    }

    /// Fits rows of numbers that lie in memory. Errors as for [`stream`](Self::stream).
    pub fn of_rows<R: AsRef<[f32]>>(self, rows: &[R]) -> Result<Profile> {
        self.stream(|sink| {
            rows.iter().try_for_each(|row| {
                let values: Vec<Value<'_>> = row.as_ref().iter().map(|v| Value::Number(*v)).collect();
                sink(&Row::new(&values))
            })
        })
    }

    /// Fits columns that lie in memory, one per feature, all of one length. Errors as for [`stream`](Self::stream).
    pub fn of_columns(self, columns: &[Column<'_>]) -> Result<Profile> {
        let rows = columns.first().map_or(0, Column::len);
        if let Some((i, odd)) = columns.iter().enumerate().find(|(_, c)| c.len() != rows) {
            return Err(Error::invalid(format!("column {i}: expected {rows} rows, got {}", odd.len())));
        }
        self.stream(|sink| {
            let mut values = Vec::with_capacity(columns.len());
            (0..rows).try_for_each(|row| {
                values.clear();
                values.extend(columns.iter().map(|c| c.value(row)));
                sink(&Row::new(&values))
            })
        })
    }

    /// Fits rows that `pass` gives to the sink, one after the other. It is called twice and gives the same rows both
    /// times: from a file, read it anew.
    ///
    /// Errors: `InvalidArgument` for no rows, no features, two features of one name, a name of more than 255 bytes,
    /// bins out of range, or a row that has another number of values or another embedding than was said; and the
    /// errors of `pass`.
    ///
    /// ```
    /// use selvedge::drift::{Profile, Row, Value};
    /// let csv = "0.0,sun\n4.2,rain\n,rain\n";
    /// let profile = Profile::fit().number("rain_mm").category("sky").stream(|sink| {
    ///     csv.lines().try_for_each(|line| {
    ///         let values: Vec<_> = line.split(',').map(Value::Category).collect();
    ///         sink(&Row::new(&values))
    ///     })
    /// })?;
    /// assert_eq!(profile.features[0].counts, [0, 1, 1, 0, 1]);
    /// # Ok::<(), selvedge::Error>(())
    /// ```
    pub fn stream(self, mut pass: impl FnMut(&mut Sink<'_>) -> Result<()>) -> Result<Profile> {
        self.check()?;
        let mut first = First::new(&self);
        pass(&mut |row| first.add(row)).map_err(|e| e.during("fitting a profile, first pass"))?;
        let mut second = Second::new(first)?;
        pass(&mut |row| second.add(row)).map_err(|e| e.during("fitting a profile, second pass"))?;
        second.finish()
    }

    pub(super) fn check_row(&self, row: &Row<'_>, at: u64) -> Result<()> {
        let (want, got) = (self.features.len(), row.values.len());
        if want != got {
            return Err(Error::invalid(format!("row {at}: expected {want} values, got {got}")));
        }
        let (want, got) = (self.embedding.unwrap_or(0), row.embedding.len());
        if got != 0 && want != got {
            return Err(Error::invalid(format!("row {at}: expected an embedding of {want} numbers, got {got}")));
        }
        Ok(())
    }

    fn check(&self) -> Result<()> {
        if self.features.is_empty() && self.embedding.is_none() {
            return Err(Error::invalid("profile: expected at least one feature, got none"));
        }
        if self.features.len() > usize::from(u16::MAX) {
            let got = self.features.len();
            return Err(Error::invalid(format!("profile: expected at most {} features, got {got}", u16::MAX)));
        }
        if !(2..=MAX_BINS).contains(&self.bins) {
            return Err(Error::invalid(format!("bins: expected 2 to {MAX_BINS}, got {}", self.bins)));
        }
        if !(1..=MAX_BINS).contains(&self.categories) {
            return Err(Error::invalid(format!("categories: expected 1 to {MAX_BINS}, got {}", self.categories)));
        }
        if matches!(self.block, Block::Rows(0)) {
            return Err(Error::invalid("block: expected at least 1 row, got 0"));
        }
        let mut names: Vec<&str> = self.features.iter().map(|f| &*f.name).collect();
        if let Some(name) = names.iter().find(|n| n.len() > LONGEST_NAME) {
            return Err(Error::invalid(format!("feature '{name}': expected a name of at most {LONGEST_NAME} bytes")));
        }
        names.sort_unstable();
        match names.windows(2).find(|w| w[0] == w[1]) {
            Some(twice) => Err(Error::invalid(format!("feature '{}' is named twice", twice[0]))),
            None => Ok(()),
        }
    }
}
