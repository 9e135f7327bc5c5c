//! KSWIN: the latest values against a sample of those before.

use std::collections::VecDeque;

use super::python_random::PythonRandom;
use super::statistic::ks_exact;
use crate::{Error, Result};

/// Kolmogorov-Smirnov windowing (Raab, Heusinger and Schleif, *Reactive soft prototype computing for concept drift
/// streams*, Neurocomputing 2020): the newest `latest` of `window` values against as many drawn from the older ones.
///
/// Sees changes of shape, not only of the mean. Each value costs a sort: prefer [`Adwin`](super::Adwin) where the mean
/// says enough. Sampling follows Python's `random.Random(seed).sample`, so that alarms come at the same index as those
/// of river's `KSWIN`.
///
/// # Examples
///
/// ```
/// use selvedge::drift::Kswin;
/// let mut kswin = Kswin::new();
/// let alarm = (0..400).position(|i| kswin.update(if i < 200 { f64::from(i % 7) } else { 20.0 + f64::from(i % 7) }));
/// assert!(alarm.is_some_and(|i| i > 200 && i < 230));
/// ```
#[derive(Clone, Debug)]
pub struct Kswin {
    alpha: f64,
    window: usize,
    latest: usize,
    seed: u64,
    alarmed: bool,
    values: VecDeque<f64>,
    random: PythonRandom,
}

impl Kswin {
    /// α = 0.005, the latest 30 of 100 values, seed 0.
    pub fn new() -> Self {
        Self {
            alpha: 0.005,
            window: 100,
            latest: 30,
            seed: 0,
            alarmed: false,
            values: VecDeque::new(),
            random: PythonRandom::new(0),
        }
    }

    /// The level of each test; values come in fast, so keep it well below 0.01.
    #[must_use]
    pub fn alpha(self, alpha: f64) -> Self {
        Self { alpha, ..self }
    }

    /// The seed of the sampling.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, random: PythonRandom::new(seed), ..self }
    }

    /// Lengths of the window and of its latest part.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` unless 1 ≤ `latest` ≤ `window` / 2 and `window` ≤ 10,000.
    pub fn lengths(self, window: usize, latest: usize) -> Result<Self> {
        if latest == 0 || window / 2 < latest || window > 10_000 {
            let want = "1 ≤ latest ≤ window / 2, window ≤ 10000";
            return Err(Error::invalid(format!("lengths: expected {want}, got window {window}, latest {latest}")));
        }
        Ok(Self { window, latest, ..self })
    }

    /// Adds a value; says whether the distribution has changed. Begins anew after an alarm. A value that is no finite
    /// number is left out.
    pub fn update(&mut self, value: f64) -> bool {
        if !value.is_finite() {
            return false;
        }
        if self.alarmed {
            self.alarmed = false;
            self.values.clear();
            self.random = PythonRandom::new(self.seed);
        }
        self.values.push_back(value);
        if self.values.len() > self.window {
            self.values.pop_front();
        }
        if self.values.len() == self.window {
            let older = self.window - self.latest;
            let mut before: Vec<f64> = self.random.sample(older, self.latest).iter().map(|i| self.values[*i]).collect();
            let mut latest: Vec<f64> = self.values.range(older..).copied().collect();
            before.sort_by(f64::total_cmp);
            latest.sort_by(f64::total_cmp);
            let (distance, p) = ks_exact(&before, &latest);
            self.alarmed = p <= self.alpha && distance > 0.1;
        }
        self.alarmed
    }
}

impl Default for Kswin {
    fn default() -> Self {
        Self::new()
    }
}
