//! Whether the service keeps its promises.

/// What the app promises; `None` promises nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Slo {
    /// Half of the answers come within so many milliseconds.
    pub p50_ms: Option<f64>,
    /// 95 % do.
    pub p95_ms: Option<f64>,
    /// 99 % do.
    pub p99_ms: Option<f64>,
    /// Largest share of errors.
    pub errors: Option<f64>,
    /// Largest share of refusals.
    pub refusals: Option<f64>,
    /// Largest share of answers cut by their length limit.
    pub length_stops: Option<f64>,
    /// Smallest share of answers valid under their schema.
    pub schema_valid: Option<f64>,
}

/// Counters of one window of answers.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Health {
    /// Answers and errors.
    pub rows: u64,
}

/// An SLO that was broken, with enough cases to say so.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Breach {
    /// Which: `p99_ms`, `errors`, …
    pub slo: &'static str,
    /// What was promised.
    pub bound: f64,
    /// What was measured.
    pub value: f64,
    /// Cases it was measured on.
    pub of: u64,
}

impl Health {
    /// The promises that are broken.
    pub fn breaches(&self, _slo: &Slo) -> Vec<Breach> {
        Vec::new()
    }
}
