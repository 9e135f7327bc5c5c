//! Learned profile: made from a running model's first rows.

use super::fit::Fit;
use super::reference::Profile;
use super::rows::{CellValue, Row, RowSink};
use crate::Result;

/// A collector, in memory, of the first rows of a model that came without a profile. It makes a profile of them, marked
/// as learned.
///
/// It holds 24 bytes per value, and the names and embeddings; nothing is written anywhere.
///
/// # Examples
///
/// ```
/// use selvedge::drift::{Learner, Profile, Row, CellValue};
/// let mut learner = Learner::new(Profile::fit().number("wind"), 512);
/// let profile = (0..).find_map(|i| learner.push(&Row::new(&[CellValue::Number((i % 50) as f32)])).ok().flatten());
/// assert!(profile.is_some_and(|p| p.learned && p.rows == 512));
/// ```
#[derive(Clone, Debug)]
pub struct Learner {
    fit: Fit,
    rows: u64,
    kept: Vec<OwnedRow>,
}

#[derive(Clone, Debug)]
struct OwnedRow {
    values: Vec<Cell>,
    embedding: Vec<f32>,
    right: Option<bool>,
}

#[derive(Clone, Debug)]
enum Cell {
    Number(f32),
    Name(Box<str>),
    Missing,
}

impl Learner {
    /// A learner of `rows` rows, at least 1.
    pub fn new(fit: Fit, rows: u64) -> Self {
        Self { fit, rows: rows.max(1), kept: Vec::new() }
    }

    /// Adds a row; gives the profile with the last one, and then begins anew.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a row that has another number of values or another embedding than was said, which is left
    /// out; and with the last row as for [`Fit::stream`].
    pub fn push(&mut self, row: &Row<'_>) -> Result<Option<Profile>> {
        self.fit.check_row(row, self.kept.len() as u64)?;
        let cell = |value: &CellValue<'_>| match value {
            CellValue::Number(v) => Cell::Number(*v),
            CellValue::Category(name) => Cell::Name((*name).into()),
            CellValue::Missing => Cell::Missing,
        };
        self.kept.push(OwnedRow {
            values: row.values.iter().map(cell).collect(),
            embedding: row.embedding.to_vec(),
            right: row.right,
        });
        if (self.kept.len() as u64) < self.rows {
            return Ok(None);
        }
        let kept = std::mem::take(&mut self.kept);
        self.fit.clone().learned().stream(|sink| kept.iter().try_for_each(|row| row.replay(sink))).map(Some)
    }

    /// Rows still to come.
    pub fn left(&self) -> u64 {
        self.rows.saturating_sub(self.kept.len() as u64)
    }

    /// Rows so far.
    pub(crate) fn kept(&self) -> u64 {
        self.kept.len() as u64
    }

    /// Changes the number of rows that it takes, at least 1. Where there are as many already, the next one is the last.
    pub(crate) fn set_rows(&mut self, rows: u64) {
        self.rows = rows.max(1);
    }
}

impl OwnedRow {
    fn replay(&self, sink: &mut RowSink<'_>) -> Result<()> {
        let value = |cell| match cell {
            &Cell::Number(v) => CellValue::Number(v),
            Cell::Name(name) => CellValue::Category(name),
            Cell::Missing => CellValue::Missing,
        };
        let values: Vec<CellValue<'_>> = self.values.iter().map(value).collect();
        sink(&Row { values: &values, embedding: &self.embedding, right: self.right })
    }
}
