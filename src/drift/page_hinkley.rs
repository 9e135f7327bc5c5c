//! Page-Hinkley test: a cumulated deviation from the running mean.

use super::magnitude::bounded;

/// The Page-Hinkley test (Page, *Continuous inspection schemes*, Biometrika 1954), two-sided, with forgetting.
///
/// Its threshold is in the unit of the values: give it z-scores, or it cries wolf. Alarms come at the same index as
/// those of river's `PageHinkley`. Values beyond ±1e100 are taken for that.
///
/// # Examples
///
/// ```
/// use selvedge::drift::PageHinkley;
/// let mut test = PageHinkley::new().threshold(20.0);
/// let alarm = (0..200).position(|i| test.update(if i < 100 { 0.0 } else { 2.0 }));
/// assert_eq!(alarm, Some(110));
/// ```
#[derive(Clone, Debug)]
pub struct PageHinkley {
    delta: f64,
    threshold: f64,
    alpha: f64,
    warm_up: f64,
    alarmed: bool,
    n: f64,
    mean: f64,
    rise: f64,
    fall: f64,
    lowest_rise: f64,
    highest_fall: f64,
}

impl PageHinkley {
    /// δ = 0.005, threshold 50, forgetting factor 0.9999, no alarm before 30 values.
    pub fn new() -> Self {
        Self {
            delta: 0.005,
            threshold: 50.0,
            alpha: 1.0 - 0.0001,
            warm_up: 30.0,
            alarmed: false,
            n: 0.0,
            mean: 0.0,
            rise: 0.0,
            fall: 0.0,
            lowest_rise: f64::INFINITY,
            highest_fall: -1.0,
        }
    }

    /// The deviation of a single value that is borne.
    #[must_use]
    pub fn delta(self, delta: f64) -> Self {
        Self { delta, ..self }
    }

    /// The cumulated deviation that raises the alarm.
    #[must_use]
    pub fn threshold(self, threshold: f64) -> Self {
        Self { threshold, ..self }
    }

    /// The forgetting factor, in 0..=1; 1 forgets nothing.
    #[must_use]
    pub fn forgetting(self, alpha: f64) -> Self {
        Self { alpha, ..self }
    }

    /// Adds a value; says whether the mean has risen or fallen. Begins anew after an alarm. A value that is no finite
    /// number is left out.
    pub fn update(&mut self, value: f64) -> bool {
        let Some(value) = bounded(value) else { return false };
        if self.alarmed {
            self.restart();
        }
        self.n += 1.0;
        self.mean += 1.0 / self.n * (value - self.mean);
        let deviation = value - self.mean;
        self.rise = self.alpha * self.rise + deviation - self.delta;
        self.fall = self.alpha * self.fall + deviation + self.delta;
        self.lowest_rise = self.lowest_rise.min(self.rise);
        self.highest_fall = self.highest_fall.max(self.fall);
        let most = (self.rise - self.lowest_rise).max(self.highest_fall - self.fall);
        self.alarmed = self.n >= self.warm_up && most > self.threshold;
        self.alarmed
    }

    /// Forgets all values.
    pub(super) fn restart(&mut self) {
        *self = Self { delta: self.delta, threshold: self.threshold, alpha: self.alpha, ..Self::new() };
    }
}

impl Default for PageHinkley {
    fn default() -> Self {
        Self::new()
    }
}
