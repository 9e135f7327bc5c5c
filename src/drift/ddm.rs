//! DDM: an error rate that rises above its own best.

/// The drift detection method for a stream of errors (Gama et al., *Learning with drift detection*, SBIA 2004).
///
/// Warns at two and alarms at three standard deviations above the lowest error rate so far, after 30 values. Alarms
/// come at the same index as those of river's `DDM`.
///
/// The error rate of a model that does not change moves by chance, too: of long streams without drift DDM raises an
/// alarm now and then. Where that matters, use [`Adwin`](super::Adwin).
///
/// # Examples
///
/// ```
/// use selvedge::drift::Ddm;
/// let mut ddm = Ddm::new();
/// assert!((0..300).all(|i| !ddm.update(i % 10 == 0)));
/// assert!((0..300).any(|_| ddm.update(true)));
/// ```
#[derive(Clone, Debug)]
pub struct Ddm {
    min_failures: f64,
    alarmed: bool,
    warning: bool,
    n: f64,
    rate: f64,
    /// Rate and deviation where their sum was least.
    best: (f64, f64),
}

const WARM_UP: f64 = 30.0;

impl Ddm {
    /// Warning at 2, alarm at 3 standard deviations.
    pub fn new() -> Self {
        let best = (f64::INFINITY, f64::INFINITY);
        Self { min_failures: 0.0, alarmed: false, warning: false, n: 0.0, rate: 0.0, best }
    }

    /// No rate is taken for the lowest before so many wrong answers; 0 if not set, as the paper has it. Where wrong answers
    /// are rare, there may be none among the first 30, and then the first one would be a rise above all that was known.
    #[must_use]
    pub fn min_failures(self, failures: u32) -> Self {
        Self { min_failures: failures.into(), ..self }
    }

    /// Adds an answer, `true` if it was wrong; says whether the error rate has risen. Begins anew after an alarm.
    pub fn update(&mut self, wrong: bool) -> bool {
        if self.alarmed {
            *self = Self { min_failures: self.min_failures, ..Self::new() };
        }
        self.n += 1.0;
        self.rate += 1.0 / self.n * (f64::from(u8::from(wrong)) - self.rate);
        let deviation = (self.rate * (1.0 - self.rate) / self.n).sqrt();
        if self.n > WARM_UP && (self.rate * self.n).round() >= self.min_failures {
            if self.rate + deviation <= self.best.0 + self.best.1 {
                self.best = (self.rate, deviation);
            }
            let level = |k: f64| self.best.0 + k * self.best.1;
            self.alarmed = self.rate + deviation > level(3.0);
            self.warning = !self.alarmed && self.rate + deviation > level(2.0);
        }
        self.alarmed
    }

    /// The error rate is above the warning level.
    pub fn warns(&self) -> bool {
        self.warning
    }
}

impl Default for Ddm {
    fn default() -> Self {
        Self::new()
    }
}
