//! The sum of the embeddings' Fourier features, added to by all threads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Sums in as many places as there may be threads that add at once: none waits for another.
#[derive(Debug)]
pub(super) struct Sums {
    places: [Mutex<Sum>; 8],
    next: AtomicUsize,
}

#[derive(Debug, Default)]
struct Sum {
    features: Vec<f64>,
    rows: u64,
}

impl Sums {
    pub(super) fn new() -> Self {
        Self { places: Default::default(), next: AtomicUsize::new(0) }
    }

    /// Adds the features of one row; `false` if every place was taken at that moment.
    pub(super) fn add(&self, features: &[f32]) -> bool {
        let begin = self.next.fetch_add(1, Ordering::Relaxed);
        let places = self.places.len();
        let free = (0..places).find_map(|i| self.places[(begin + i) % places].try_lock().ok());
        let Some(mut sum) = free else { return false };
        sum.features.resize(features.len(), 0.0);
        sum.features.iter_mut().zip(features).for_each(|(sum, feature)| *sum += f64::from(*feature));
        sum.rows += 1;
        true
    }

    /// The sum and its rows since it was last taken.
    pub(super) fn take(&self) -> (Vec<f64>, u64) {
        let (mut all, mut rows) = (Vec::new(), 0);
        for place in &self.places {
            let sum = std::mem::take(&mut *place.lock().unwrap_or_else(PoisonError::into_inner));
            all.resize(sum.features.len().max(all.len()), 0.0);
            all.iter_mut().zip(&sum.features).for_each(|(all, feature)| *all += feature);
            rows += sum.rows;
        }
        (all, rows)
    }
}
