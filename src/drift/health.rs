//! Service health: whether the service keeps its promises.

use super::tail::ln_binomial;

/// Service level objectives: what the app promises. `None` promises nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Slo {
    /// Half of the answers come within so many milliseconds.
    pub p50_ms: Option<f64>,
    /// 95 % do.
    pub p95_ms: Option<f64>,
    /// 99 % do.
    pub p99_ms: Option<f64>,
    /// Largest share of errors, in 0..=1.
    pub errors: Option<f64>,
    /// Largest share of refusals.
    pub refusals: Option<f64>,
    /// Largest share of answers cut by their length limit.
    pub length_stops: Option<f64>,
    /// Smallest share of answers valid under their schema, of those that had one.
    pub schema_valid: Option<f64>,
    /// Nothing is said of fewer cases than this; 0 leaves it to the test.
    pub min_cases: u64,
}

impl Slo {
    /// No promise at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the bound on the median time to the whole answer, in milliseconds.
    #[must_use]
    pub fn p50_ms(self, p50_ms: f64) -> Self {
        Self { p50_ms: Some(p50_ms), ..self }
    }

    /// Sets the bound that 95 % of the answers keep.
    #[must_use]
    pub fn p95_ms(self, p95_ms: f64) -> Self {
        Self { p95_ms: Some(p95_ms), ..self }
    }

    /// Sets the bound that 99 % of the answers keep.
    #[must_use]
    pub fn p99_ms(self, p99_ms: f64) -> Self {
        Self { p99_ms: Some(p99_ms), ..self }
    }

    /// Sets the largest share of errors, in 0..=1.
    #[must_use]
    pub fn errors(self, errors: f64) -> Self {
        Self { errors: Some(errors), ..self }
    }

    /// Sets the largest share of refusals.
    #[must_use]
    pub fn refusals(self, refusals: f64) -> Self {
        Self { refusals: Some(refusals), ..self }
    }

    /// Sets the largest share of answers cut by their length limit.
    #[must_use]
    pub fn length_stops(self, length_stops: f64) -> Self {
        Self { length_stops: Some(length_stops), ..self }
    }

    /// Sets the smallest share of answers valid under their schema.
    #[must_use]
    pub fn schema_valid(self, schema_valid: f64) -> Self {
        Self { schema_valid: Some(schema_valid), ..self }
    }

    /// Sets the number of cases below which nothing is said.
    #[must_use]
    pub fn min_cases(self, min_cases: u64) -> Self {
        Self { min_cases, ..self }
    }
}

/// The outcome of one request: an answer, or a failure.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct RequestOutcome {
    /// Time to the whole answer, in microseconds.
    pub latency_us: u64,
    /// The request failed.
    pub error: bool,
    /// The model refused.
    pub refusal: bool,
    /// The answer was cut by its length limit.
    pub length_stop: bool,
    /// Whether the answer was valid under its schema, where it had one.
    pub schema_valid: Option<bool>,
    /// Tokens read.
    pub tokens_in: u64,
    /// Tokens written.
    pub tokens_out: u64,
}

/// Counters of a window of answers; windows are merged by addition.
///
/// # Examples
///
/// ```
/// use selvedge::drift::{Health, RequestOutcome, Slo};
/// let mut health = Health::new();
/// for i in 0..1000 {
///     let mut outcome = RequestOutcome::default();
///     outcome.latency_us = 20_000;
///     outcome.error = i % 20 == 0;
///     health.add(&outcome);
/// }
/// let breaches = health.breaches(&Slo::new().p99_ms(30.0).errors(0.01));
/// assert_eq!(breaches.len(), 1);
/// assert_eq!((breaches[0].slo, breaches[0].value, breaches[0].of), ("errors", 0.05, 1000));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Health {
    /// Answers and failures.
    pub rows: u64,
    /// Failures.
    pub errors: u64,
    /// Refusals.
    pub refusals: u64,
    /// Answers cut by their length limit.
    pub length_stops: u64,
    /// Answers that had a schema.
    pub with_schema: u64,
    /// Answers valid under their schema.
    pub schema_valid: u64,
    /// Tokens read.
    pub tokens_in: u64,
    /// Tokens written.
    pub tokens_out: u64,
    /// Times to the whole answer, of those that did not fail.
    pub latency: LatencyHistogram,
}

/// A promise that was broken, beyond what chance explains.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Breach {
    /// The name of the field of [`Slo`].
    pub slo: &'static str,
    /// The bound that was promised.
    pub bound: f64,
    /// The value that was measured.
    pub value: f64,
    /// Cases it was measured on.
    pub of: u64,
}

/// A promise counts as broken when so many bad cases had at most this probability if it were kept.
const CHANCE: f64 = 0.01;

impl Health {
    /// An empty window.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts one answer or failure.
    pub fn add(&mut self, outcome: &RequestOutcome) {
        self.rows += 1;
        self.errors += u64::from(outcome.error);
        self.refusals += u64::from(outcome.refusal);
        self.length_stops += u64::from(outcome.length_stop);
        self.with_schema += u64::from(outcome.schema_valid.is_some());
        self.schema_valid += u64::from(outcome.schema_valid == Some(true));
        self.tokens_in = self.tokens_in.saturating_add(outcome.tokens_in);
        self.tokens_out = self.tokens_out.saturating_add(outcome.tokens_out);
        if !outcome.error {
            self.latency.add(outcome.latency_us, 1);
        }
    }

    /// Adds another window.
    pub fn merge(&mut self, other: &Health) {
        for (mine, theirs) in [
            (&mut self.rows, other.rows),
            (&mut self.errors, other.errors),
            (&mut self.refusals, other.refusals),
            (&mut self.length_stops, other.length_stops),
            (&mut self.with_schema, other.with_schema),
            (&mut self.schema_valid, other.schema_valid),
            (&mut self.tokens_in, other.tokens_in),
            (&mut self.tokens_out, other.tokens_out),
        ] {
            *mine = mine.saturating_add(theirs);
        }
        self.latency.merge(&other.latency);
    }

    /// The promises that are broken.
    ///
    /// A share breaks its bound when so many bad cases would have come with a probability of at most 1 % if it were
    /// kept (exact binomial test): one error in three requests is no evidence against 1 %. A latency quantile is the
    /// share of answers above its bound.
    pub fn breaches(&self, slo: &Slo) -> Vec<Breach> {
        let answers = self.rows.saturating_sub(self.errors);
        let mut found = Vec::new();
        let mut share = |slo_name, bound: Option<f64>, part: u64, of: u64| {
            if let Some(bound) = bound
                && breaks(part, of, bound, slo.min_cases)
            {
                found.push(Breach { slo: slo_name, bound, value: part as f64 / of as f64, of });
            }
        };
        share("errors", slo.errors, self.errors, self.rows);
        share("refusals", slo.refusals, self.refusals, answers);
        share("length_stops", slo.length_stops, self.length_stops, answers);
        if let Some(bound) = slo.schema_valid {
            let invalid = self.with_schema.saturating_sub(self.schema_valid);
            if breaks(invalid, self.with_schema, 1.0 - bound, slo.min_cases) {
                let value = self.schema_valid as f64 / self.with_schema as f64;
                found.push(Breach { slo: "schema_valid", bound, value, of: self.with_schema });
            }
        }
        for (name, bound, quantile) in
            [("p50_ms", slo.p50_ms, 0.5), ("p95_ms", slo.p95_ms, 0.95), ("p99_ms", slo.p99_ms, 0.99)]
        {
            let Some(bound) = bound else { continue };
            let slower = self.latency.above((bound * 1000.0) as u64);
            if breaks(slower, self.latency.count(), 1.0 - quantile, slo.min_cases) {
                let value = self.latency.quantile(quantile).unwrap_or(0.0) / 1000.0;
                found.push(Breach { slo: name, bound, value, of: self.latency.count() });
            }
        }
        found
    }
}

fn breaks(part: u64, of: u64, bound: f64, min_cases: u64) -> bool {
    of >= min_cases && ln_binomial(part, of, bound) <= CHANCE.ln()
}

/// Sub-buckets per power of two.
const STEPS: u64 = 32;
/// Values below are exact, one bucket each.
const EXACT: u64 = 2 * STEPS;
/// Buckets up to 2³⁹ µs, six days.
const BUCKETS: usize = (EXACT + (39 - 6) * STEPS) as usize;

/// A histogram of latencies, in buckets that grow by at most 1/32 of their value: quantiles are off by at most 1.6 %.
/// Merged by addition.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LatencyHistogram {
    /// Counts up to the last bucket in use.
    buckets: Vec<u64>,
    count: u64,
}

impl LatencyHistogram {
    /// Adds `count` times of `us` microseconds; what is above six days counts as six days.
    pub fn add(&mut self, us: u64, count: u64) {
        let at = bucket(us);
        if self.buckets.len() <= at {
            self.buckets.resize(at + 1, 0);
        }
        self.buckets[at] = self.buckets[at].saturating_add(count);
        self.count = self.count.saturating_add(count);
    }

    /// Times added.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The time in microseconds that a share `q` of the times does not exceed. `None` without times, or for a `q`
    /// outside 0..=1.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        if self.count == 0 || !(0.0..=1.0).contains(&q) {
            return None;
        }
        let rank = ((q * self.count as f64).ceil() as u64).max(1);
        let mut seen = 0u64;
        let at = self.buckets.iter().position(|n| {
            seen = n.saturating_add(seen);
            seen >= rank
        })?;
        let (low, high) = (floor(at), floor(at + 1));
        Some(if at < EXACT as usize { low as f64 } else { (low + high - 1) as f64 / 2.0 })
    }

    /// Times above the bucket of `us`.
    pub fn above(&self, us: u64) -> u64 {
        self.buckets.iter().skip(bucket(us) + 1).fold(0, |sum, n| sum.saturating_add(*n))
    }

    /// Adds the times of another.
    pub fn merge(&mut self, other: &LatencyHistogram) {
        if self.buckets.len() < other.buckets.len() {
            self.buckets.resize(other.buckets.len(), 0);
        }
        self.buckets.iter_mut().zip(&other.buckets).for_each(|(a, b)| *a = a.saturating_add(*b));
        self.count = self.count.saturating_add(other.count);
    }
}

fn bucket(us: u64) -> usize {
    if us < EXACT {
        return us as usize;
    }
    // The highest bit, and the five below it.
    let octave = u64::from(us.ilog2()) - 6;
    let step = (us >> (octave + 1)) - STEPS;
    ((EXACT + octave * STEPS + step) as usize).min(BUCKETS - 1)
}

/// The smallest time of a bucket.
fn floor(at: usize) -> u64 {
    let at = at as u64;
    if at < EXACT {
        return at;
    }
    let (octave, step) = ((at - EXACT) / STEPS, (at - EXACT) % STEPS);
    (STEPS + step) << (octave + 1)
}
