//! Rows and columns of a reference: what a profile is made from.

use super::reference::FeatureSource;
use crate::Result;

/// One value of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum CellValue<'a> {
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
    pub values: &'a [CellValue<'a>],
    /// The row's embedding; empty if it has none.
    pub embedding: &'a [f32],
    /// Whether the model's answer was right, where that is known.
    pub right: Option<bool>,
}

impl<'a> Row<'a> {
    /// A row of values.
    pub fn new(values: &'a [CellValue<'a>]) -> Self {
        Self { values, ..Self::default() }
    }

    /// Adds the row's embedding.
    #[must_use]
    pub fn embedding(self, embedding: &'a [f32]) -> Self {
        Self { embedding, ..self }
    }

    /// Adds whether the model's answer was right: with a feature of [`FeatureSource::Confidence`] it teaches the profile
    /// how often the model is right at each confidence.
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
    pub(super) fn len(&self) -> usize {
        match self {
            Column::F32(values) => values.len(),
            Column::F64(values) => values.len(),
            Column::Names(values) => values.len(),
        }
    }

    pub(super) fn value(&self, row: usize) -> CellValue<'_> {
        match self {
            Column::F32(values) => CellValue::Number(values[row]),
            Column::F64(values) => CellValue::Number(values[row] as f32),
            Column::Names(values) => CellValue::Category(values[row]),
        }
    }
}

/// The dependence of rows on those before them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum RowDependence {
    /// Not at all: the order of the reference means nothing. A window's χ² then follows the χ² distribution.
    #[default]
    Independent,
    /// The reference is in time order; the block length is estimated from it (Politis and White 2004).
    Estimate,
    /// The reference is in time order; blocks of so many rows carry its dependence.
    Rows(u32),
}

/// The receiver of the rows of one pass, in order.
pub type RowSink<'s> = dyn FnMut(&Row<'_>) -> Result<()> + 's;

/// A feature that was named, before its values are known.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) source: FeatureSource,
    pub(super) category: bool,
}
