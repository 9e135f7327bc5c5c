//! Magnitudes that the arithmetic of detectors bears.

/// Values beyond are taken for this one: squares of it, times any count, are numbers still.
const LARGEST: f64 = 1e100;

/// A standard deviation that is so many times another one is of another thing: a storm of outliers, and not the stream.
pub(super) const OUT_OF_PROPORTION: f64 = 1e6;

/// The value as it is reckoned with: between ±1e100. `None` for what is no finite number.
pub(super) fn bounded(value: f64) -> Option<f64> {
    value.is_finite().then(|| value.clamp(-LARGEST, LARGEST))
}

/// Mean and sum of squared deviations of values as they come, by Welford's recurrence (1962).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Welford {
    pub(super) count: u64,
    pub(super) mean: f64,
    squares: f64,
}

impl Welford {
    pub(super) fn add(&mut self, value: f64) {
        self.count += 1;
        let apart = value - self.mean;
        self.mean += apart / self.count as f64;
        self.squares += apart * (value - self.mean);
    }

    /// The standard deviation, by the divisor n − 1; 0 for one value.
    pub(super) fn deviation(&self) -> f64 {
        if self.count < 2 { 0.0 } else { (self.squares / (self.count - 1) as f64).sqrt() }
    }
}
