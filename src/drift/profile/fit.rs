//! Fit of a profile: which features there are, and how they are binned.

use super::bins::MAX_BINS;
use super::column::MAX_NAME_LENGTH;
use super::reference::{FeatureSource, Profile};
use super::rows::{Named, Row, RowDependence};
use crate::{Error, Result};

/// A fit, which makes a profile: name the features, then give the rows.
///
/// Numeric features get up to 16 bins of about equal counts, or one bin per value where the values are few. Two passes
/// over the rows: the first finds the bins, the second counts exactly. Memory is bounded, however many the rows.
///
/// # Examples
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
    pub(super) block: RowDependence,
    pub(super) embedding: Option<usize>,
    pub(super) seed: u32,
    pub(super) learned: bool,
    /// Of a CSV.
    #[cfg(feature = "csv")]
    pub(super) separator: Option<char>,
}

impl Profile {
    /// Begins the making of a profile.
    pub fn fit() -> Fit {
        Fit::new()
    }
}

impl Fit {
    fn new() -> Self {
        Self {
            model: [0; 32],
            features: Vec::new(),
            bins: 16,
            categories: 16,
            block: RowDependence::Independent,
            embedding: None,
            seed: 0,
            learned: false,
            #[cfg(feature = "csv")]
            separator: None,
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
        self.feature(name, FeatureSource::Input, false)
    }

    /// Adds a categorical input column.
    #[must_use]
    pub fn category(self, name: impl Into<String>) -> Self {
        self.feature(name, FeatureSource::Input, true)
    }

    /// Adds a feature of any source; a class is a category, the others are numbers.
    #[must_use]
    pub fn output(self, name: impl Into<String>, source: FeatureSource) -> Self {
        self.feature(name, source, source == FeatureSource::Class)
    }

    fn feature(mut self, name: impl Into<String>, source: FeatureSource, category: bool) -> Self {
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

    /// The dependence of rows on those before them; independent if not set.
    #[must_use]
    pub fn block(self, block: RowDependence) -> Self {
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

    pub(super) fn check(&self) -> Result<()> {
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
        if matches!(self.block, RowDependence::Rows(0)) {
            return Err(Error::invalid("block: expected at least 1 row, got 0"));
        }
        let mut names: Vec<&str> = self.features.iter().map(|f| &*f.name).collect();
        if let Some(name) = names.iter().find(|n| n.len() > MAX_NAME_LENGTH) {
            return Err(Error::invalid(format!(
                "feature '{name}': expected a name of at most {MAX_NAME_LENGTH} bytes"
            )));
        }
        names.sort_unstable();
        match names.windows(2).find(|w| w[0] == w[1]) {
            Some(twice) => Err(Error::invalid(format!("feature '{}' is named twice", twice[0]))),
            None => Ok(()),
        }
    }
}
