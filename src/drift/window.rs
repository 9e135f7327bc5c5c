//! Window counts: what a window holds while it is open.

use super::fourier::Fourier;
use super::profile::{MISSING, Profile};

/// Counts of a window: one number per bin and feature, and per Fourier feature of the embeddings.
///
/// Windows of one profile are merged by addition, on the device or in any SQL engine.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct WindowCounts {
    /// Rows added.
    pub rows: u64,
    /// Counts per feature, in the order of [`Bins`](super::Bins).
    pub features: Vec<Vec<u64>>,
    /// Per Fourier feature of the embeddings, the rows whose sign is positive; empty without an embedding in the profile.
    pub embedding: Vec<u64>,
    /// Rows that brought an embedding.
    pub embedded: u64,
}

impl WindowCounts {
    /// An empty window.
    pub fn new(profile: &Profile) -> Self {
        Self {
            rows: 0,
            features: profile.features.iter().map(|f| vec![0; f.bins.len()]).collect(),
            embedding: vec![0; profile.embedding.as_ref().map_or(0, |e| e.positive.len())],
            embedded: 0,
        }
    }

    /// Counts one row: a bin per feature, in the profile's order. A bin that a feature does not have, and a bin
    /// that the row does not bring, count as missing; more bins than features are ignored.
    pub fn add_row(&mut self, bins: &[u8]) {
        self.rows += 1;
        for feature in 0..self.features.len() {
            self.add(feature, bins.get(feature).copied().unwrap_or(MISSING));
        }
    }

    /// Counts one value of one feature, without counting a row.
    pub fn add(&mut self, feature: usize, bin: u8) {
        let Some(counts) = self.features.get_mut(feature) else { return };
        let last = counts.len() - 1;
        counts[usize::from(bin).min(last)] += 1;
    }

    /// Counts the signs of one row's embedding, without counting a row; see [`Fourier::signs`].
    pub fn add_embedding(&mut self, signs: &[u8]) {
        if 8 * signs.len() == self.embedding.len() && !signs.is_empty() {
            self.embedding.iter_mut().zip(Fourier::each(signs)).for_each(|(n, positive)| *n += u64::from(positive));
            self.embedded += 1;
        }
    }

    /// Adds another window of the same profile; a count that would be beyond all `u64` stays at the largest.
    pub fn merge(&mut self, other: &WindowCounts) {
        let add = |mine: &mut u64, theirs: &u64| *mine = mine.saturating_add(*theirs);
        add(&mut self.rows, &other.rows);
        for (mine, theirs) in self.features.iter_mut().zip(&other.features) {
            mine.iter_mut().zip(theirs).for_each(|(a, b)| add(a, b));
        }
        self.embedding.iter_mut().zip(&other.embedding).for_each(|(a, b)| add(a, b));
        add(&mut self.embedded, &other.embedded);
    }

    /// Takes the window's counts and leaves an empty window.
    pub fn close(&mut self) -> WindowCounts {
        let empty = Self {
            rows: 0,
            features: self.features.iter().map(|f| vec![0; f.len()]).collect(),
            embedding: vec![0; self.embedding.len()],
            embedded: 0,
        };
        std::mem::replace(self, empty)
    }
}
