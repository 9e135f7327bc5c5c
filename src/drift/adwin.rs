//! ADWIN.

/// Adaptive windowing (Bifet and Gavaldà, *Learning from time-changing data with adaptive windowing*, 2007).
#[derive(Clone, Debug)]
pub struct Adwin;

impl Adwin {
    /// With river's defaults: δ 0.002, a check every 32 values, 5 buckets per row, windows of 5, a grace of 10.
    pub fn new() -> Self {
        Self
    }

    /// Adds a value; says whether the mean has changed.
    pub fn update(&mut self, _value: f64) -> bool {
        false
    }

    /// Mean of the current window.
    pub fn mean(&self) -> f64 {
        0.0
    }

    /// Length of the current window.
    pub fn width(&self) -> u64 {
        0
    }
}

impl Default for Adwin {
    fn default() -> Self {
        Self::new()
    }
}
