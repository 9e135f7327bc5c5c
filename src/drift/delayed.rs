//! Accuracy without labels, where labels come late: what they say is used as soon as they begin to come.

use super::isotonic::Isotonic;
use crate::{Error, Result};

/// An estimate of accuracy for models whose labels come late, and come sooner for one class than for the other: a default is
/// known when it happens, and a loan that is paid back at its end.
///
/// [`Concept::estimated`](super::Concept::estimated) expects of each confidence the accuracy that it had in the reference
/// (confidence-based performance estimation, CBPE), and cannot see that the world has changed. The accuracy of those labels
/// that have come is no help: the class whose labels come early is over-represented. This estimate corrects CBPE by the
/// labels so far, and knows which had not to be expected yet.
///
/// # How it is found
///
/// Delay-adjusted CBPE, as the benchmark `lfmm` 0.1.0 defines it (Myakala, *Monitoring ML models before the labels
/// arrive*, 2026), after the chain-ladder method of loss reserving (Mack 1993).
///
/// 1. **Calibration.** Isotonic regression of the reference turns a score into c, the probability of class 1.
/// 2. **Arrival.** Of rows as old as the longest delay seen, and at most `curve` older: F(a) and G(a), the share of the
///    labels of class 1 and class 0 that had come by age a.
/// 3. **Offset.** The probability is taken to be p = σ(logit c + δ), with one δ for all: the most likely one in ±6 for the
///    last `window` of rows, of which a known label of class 1 has the likelihood p, one of class 0 has 1 − p, and one that
///    has not come 1 − p·F(a) − (1 − p)·G(a). Labels that should have come, and never will, are left out.
/// 4. **Estimate.** For new rows, the mean of p where class 1 was predicted and of 1 − p elsewhere. For rows whose labels are
///    coming: the label where it is known, else p·(1 − F) / (1 − p·F − (1 − p)·G) in the place of p.
///
/// With fewer than 10 labels of each class among the rows of 2, or fewer than 100 rows for 3, δ is 0: plain CBPE, and
/// [`Delayed::rows`] says 0. One δ is what it can see: a change that is the same for all scores, such as a class that has
/// become more frequent. It gives no interval.
///
/// # What it is worth
///
/// Two models on real data, the mean error of the accuracy of the next period, by `tests/drift/delayed`:
///
/// | model | periods | mean error of CBPE | adjusted | mean absolute error of CBPE | adjusted |
/// |---|---|---|---|---|---|
/// | rain in New York, by a model of Seattle; delays made up | 47 months | 0.095 | 0.073 | 0.115 | 0.104 |
/// | late flights; labels when they land | 67 times 2 hours | 0.052 | 0.015 | 0.162 | 0.136 |
///
/// All of them agree with lfmm's to 10⁻⁹ where lfmm's own search for δ, which ends at 10⁻⁵, is taken to its end; as it stands,
/// δ agrees to that. lfmm takes 50,000 rows by chance where there are more, and this takes all.
///
/// # More than two classes
///
/// Give the confidence as the score, whether the prediction was right as the label, and 0 as the threshold: class 1 is then
/// "right", and its share the accuracy.
///
/// ```
/// use selvedge::drift::{DelayAdjusted, ScoredRow};
/// // The reference: right as often as the score says.
/// let reference: Vec<(f64, bool)> = (0..1000).map(|i| (f64::from(i % 10) / 10.0 + 0.05, i / 10 % 10 < i % 10)).collect();
/// let model = DelayAdjusted::fit(&reference, 0.5)?;
/// // Since then class 1 is rare. Its labels come after a day, those of class 0 after 30.
/// let row = |day: i64| {
///     let (score, label) = ((day % 10) as f64 / 10.0 + 0.05, day % 10 > 7 && day % 3 > 0);
///     let arrives = day + if label { 1 } else { 30 };
///     ScoredRow::new(score, day, (arrives <= 300).then_some((label, arrives)))
/// };
/// let history: Vec<ScoredRow> = (0..300).map(row).collect();
/// let delayed = model.learn(&history, 300)?;
/// assert!(delayed.offset < -1.0 && delayed.rows > 200);
/// let next: Vec<f64> = (300..330).map(|day| row(day).score).collect();
/// assert!(delayed.estimate(&next).unwrap().ones < model.cbpe(&next).unwrap().ones - 0.1);
/// # Ok::<(), selvedge::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct DelayAdjusted {
    calibration: Isotonic,
    threshold: f64,
    window: i64,
    curve: i64,
}

/// A row that was scored, and its label if that has come. Times are whole numbers of any one unit, such as days since 1970.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct ScoredRow {
    /// The model's score, higher where class 1 is more likely.
    pub score: f64,
    /// When it was scored.
    pub at: i64,
    /// Whether it was class 1, and when that came to be known; `None` while it is not.
    pub label: Option<(bool, i64)>,
}

impl ScoredRow {
    /// A row of this score and time, and its label if it is known.
    pub fn new(score: f64, at: i64, label: Option<(bool, i64)>) -> Self {
        Self { score, at, label }
    }
}

/// An estimate over some rows.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct DelayedEstimate {
    /// Rows.
    pub of: u64,
    /// The accuracy to expect, in 0..=1.
    pub accuracy: f64,
    /// The share of class 1 to expect, in 0..=1.
    pub ones: f64,
}

/// What the labels so far have taught.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Delayed<'a> {
    /// What is added to the logit of every probability; 0 is plain CBPE.
    pub offset: f64,
    /// Rows that it was found from; 0 if there were too few labels.
    pub rows: u64,
    model: &'a DelayAdjusted,
    now: i64,
    arrival: Option<Arrival>,
}

/// The least probability that is told from none, and from that of its opposite.
const LEAST: f64 = 1e-4;
/// The least likelihood that is told from none.
const LEAST_LIKELIHOOD: f64 = 1e-12;
/// The largest offset, either way.
const MAX_OFFSET: f64 = 6.0;
/// Labels of each class that an arrival curve takes at least.
pub(super) const MIN_LABELS: usize = 10;
/// Rows that an offset takes at least.
pub(super) const MIN_ROWS: usize = 100;

impl DelayAdjusted {
    /// A model by its labelled reference, score and truth (class 1) of each row; it predicts class 1 from `threshold` on. The
    /// window is 360 units of time and the curve 1,080: a year and three of days.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for no rows, and for a score or threshold that is not finite.
    pub fn fit(reference: &[(f64, bool)], threshold: f64) -> Result<Self> {
        if reference.is_empty() || !threshold.is_finite() {
            let rows = reference.len();
            return Err(Error::invalid(format!(
                "reference: expected rows and a finite threshold, got {rows} rows and {threshold}"
            )));
        }
        finite("reference", reference.iter().map(|(score, _)| *score))?;
        Ok(Self { calibration: Isotonic::fit(reference.iter().copied()), threshold, window: 360, curve: 1080 })
    }

    /// Sets how far back from the newest row of use the offset is learned from, in units of time.
    #[must_use]
    pub fn window(self, window: i64) -> Self {
        Self { window, ..self }
    }

    /// Sets how much older than the longest delay a row may be to count for the arrival of labels, in units of time.
    #[must_use]
    pub fn curve(self, curve: i64) -> Self {
        Self { curve, ..self }
    }

    /// Plain CBPE: what to expect of rows of these scores if nothing has changed. `None` for no rows. A score that is no
    /// number makes the estimate one.
    pub fn cbpe(&self, scores: &[f64]) -> Option<DelayedEstimate> {
        self.over(scores.iter().map(|score| (*score, self.calibration.probability(*score))))
    }

    /// Learns from the labels that have come by `now`. A label of later than that counts as not known.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a score that is not finite, a row from after `now`, and a label from before its row.
    pub fn learn(&self, history: &[ScoredRow], now: i64) -> Result<Delayed<'_>> {
        finite("history", history.iter().map(|row| row.score))?;
        for (i, row) in history.iter().enumerate() {
            if row.at > now || row.label.is_some_and(|(_, came)| came < row.at) {
                let (at, label) = (row.at, row.label);
                return Err(Error::invalid(format!(
                    "history: row {i}: expected its time, its label's, and now ({now}) in that order, got {at} and {label:?}"
                )));
            }
        }
        let plain = Delayed { offset: 0.0, rows: 0, model: self, now, arrival: None };
        let Some(arrival) = Arrival::of(history, now, self.curve) else { return Ok(plain) };
        let terms = self.terms(history, now, &arrival);
        let arrival = Some(arrival);
        Ok(match terms {
            None => Delayed { arrival, ..plain },
            Some(terms) => Delayed { offset: most_likely(&terms), rows: terms.len() as u64, arrival, ..plain },
        })
    }

    /// The likelihood of each row that says something; `None` if they are too few.
    fn terms(&self, history: &[ScoredRow], now: i64, arrival: &Arrival) -> Option<Vec<Term>> {
        let says = |row: &ScoredRow| {
            let (f, g) = arrival.shares(now.saturating_sub(row.at));
            known(row, now).is_some() || f > 0.05 && !(f > 0.999 && g > 0.999)
        };
        let rows: Vec<&ScoredRow> = history.iter().filter(|row| says(row)).collect();
        if rows.len() < MIN_ROWS {
            return None;
        }
        let newest = rows.iter().map(|row| row.at).max()?;
        let recent = rows.into_iter().filter(|row| row.at > newest.saturating_sub(self.window));
        let term = |row: &ScoredRow| {
            let (f, g) = arrival.shares(now.saturating_sub(row.at));
            let logit = logit(self.calibration.probability(row.score));
            Term { weight: 1.0, logit, label: known(row, now), f, g }
        };
        Some(recent.map(term).collect())
    }

    /// Expects class 1 of each score with the probability beside it.
    fn over(&self, rows: impl Iterator<Item = (f64, f64)>) -> Option<DelayedEstimate> {
        let (mut of, mut right, mut ones) = (0u64, 0.0, 0.0);
        for (score, p) in rows {
            of += 1;
            right += if score >= self.threshold { p } else { 1.0 - p };
            ones += p;
        }
        (of > 0).then(|| DelayedEstimate { of, accuracy: right / of as f64, ones: ones / of as f64 })
    }
}

impl Delayed<'_> {
    /// What to expect of new rows of these scores, of which no label has come. `None` for no rows.
    #[must_use]
    pub fn estimate(&self, scores: &[f64]) -> Option<DelayedEstimate> {
        self.model.over(scores.iter().map(|score| (*score, self.probability(*score))))
    }

    /// What to expect of rows of the history once all of their labels have come: those that have, as they are, and the rest by
    /// what is likely given that they have not. `None` for no rows.
    #[must_use]
    pub fn in_flight(&self, rows: &[ScoredRow]) -> Option<DelayedEstimate> {
        self.model.over(rows.iter().map(|row| {
            let p = match known(row, self.now) {
                Some(label) => f64::from(u8::from(label)),
                None => self.pending(row),
            };
            (row.score, p)
        }))
    }

    /// The probability of class 1 of a row whose label has not come.
    fn pending(&self, row: &ScoredRow) -> f64 {
        let p = self.probability(row.score);
        let age = self.now.saturating_sub(row.at);
        let (f, g) = self.arrival.as_ref().map_or((0.0, 0.0), |arrival| arrival.shares(age));
        pending(p, f, g)
    }

    fn probability(&self, score: f64) -> f64 {
        sigmoid(logit(self.model.calibration.probability(score)) + self.offset)
    }
}

/// When labels come: the delays of rows old enough to have all of theirs, sorted.
#[derive(Clone, Debug)]
struct Arrival {
    ones: Vec<i64>,
    zeros: Vec<i64>,
}

impl Arrival {
    /// `None` if there are too few labels.
    fn of(history: &[ScoredRow], now: i64, curve: i64) -> Option<Self> {
        let delay = |row: &ScoredRow| {
            row.label.filter(|(_, came)| *came <= now).map(|(one, came)| (one, came.saturating_sub(row.at)))
        };
        let longest = history.iter().filter_map(delay).map(|(_, delay)| delay).max()?;
        let (mut ones, mut zeros) = (Vec::new(), Vec::new());
        let whole = longest..longest.saturating_add(curve);
        for row in history.iter().filter(|row| whole.contains(&now.saturating_sub(row.at))) {
            match delay(row) {
                Some((true, delay)) => ones.push(delay),
                Some((false, delay)) => zeros.push(delay),
                None => {}
            }
        }
        ones.sort_unstable();
        zeros.sort_unstable();
        (ones.len() >= MIN_LABELS && zeros.len() >= MIN_LABELS).then_some(Self { ones, zeros })
    }

    /// Of the labels of class 1 and of class 0, the shares that have come by this age.
    fn shares(&self, age: i64) -> (f64, f64) {
        let share = |delays: &[i64]| delays.partition_point(|delay| *delay <= age) as f64 / delays.len() as f64;
        (share(&self.ones), share(&self.zeros))
    }
}

/// The part of rows that are alike in the likelihood of an offset.
pub(super) struct Term {
    /// Rows.
    pub(super) weight: f64,
    pub(super) logit: f64,
    pub(super) label: Option<bool>,
    /// The shares of class 1 and of class 0 that have their label at the age of the row.
    pub(super) f: f64,
    pub(super) g: f64,
}

impl Term {
    /// The negative logarithm of the likelihood at this offset.
    fn cost(&self, offset: f64) -> f64 {
        let p = sigmoid(self.logit + offset);
        let likelihood = match self.label {
            Some(true) => p,
            Some(false) => 1.0 - p,
            None => 1.0 - p * self.f - (1.0 - p) * self.g,
        };
        -likelihood.max(LEAST_LIKELIHOOD).ln() * self.weight
    }

    /// Its derivative.
    fn slope(&self, offset: f64) -> f64 {
        let p = sigmoid(self.logit + offset);
        let slope = match self.label {
            Some(label) => p - f64::from(u8::from(label)),
            None => {
                let likelihood = 1.0 - p * self.f - (1.0 - p) * self.g;
                p * (1.0 - p) * (self.f - self.g) / likelihood.max(LEAST_LIKELIHOOD)
            }
        };
        slope * self.weight
    }
}

/// The probability of class 1 of a row whose label has not come, where shares f of class 1 and g of class 0 have theirs.
pub(super) fn pending(p: f64, f: f64, g: f64) -> f64 {
    (p * (1.0 - f) / (1.0 - p * f - (1.0 - p) * g).max(LEAST_LIKELIHOOD)).clamp(0.0, 1.0)
}

/// The offset of the least cost. Terms of labels that have not come may bend the sum, so that a slope can be 0 more than once:
/// the best point of a grid comes first, and between its neighbours the slope's zero is halved in.
pub(super) fn most_likely(terms: &[Term]) -> f64 {
    const STEPS: i32 = 24;
    let step = MAX_OFFSET / f64::from(STEPS);
    let cost = |offset: f64| terms.iter().map(|term| term.cost(offset)).sum::<f64>();
    let grid = (-STEPS..=STEPS).map(|i| f64::from(i) * step);
    let best =
        grid.map(|offset| (cost(offset), offset)).min_by(|a, b| a.0.total_cmp(&b.0)).map_or(0.0, |(_, best)| best);
    let slope = |offset: f64| terms.iter().map(|term| term.slope(offset)).sum::<f64>();
    let (mut low, mut high) = ((best - step).max(-MAX_OFFSET), (best + step).min(MAX_OFFSET));
    // At an end of the range there may be no zero, and halving goes to that end.
    loop {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            return middle;
        }
        if slope(middle) > 0.0 { high = middle } else { low = middle }
    }
}

/// The label, if it is known by then.
fn known(row: &ScoredRow, now: i64) -> Option<bool> {
    row.label.filter(|(_, came)| *came <= now).map(|(one, _)| one)
}

fn finite(what: &str, mut scores: impl Iterator<Item = f64>) -> Result<()> {
    match scores.position(|score| !score.is_finite()) {
        None => Ok(()),
        Some(i) => Err(Error::invalid(format!("{what}: row {i}: expected a finite score"))),
    }
}

pub(super) fn logit(p: f64) -> f64 {
    let p = p.clamp(LEAST, 1.0 - LEAST);
    (p / (1.0 - p)).ln()
}

pub(super) fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}
