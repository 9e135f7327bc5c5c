//! Threshold of confidence, from answers whose truth is known.

use crate::drift::Proportion;
use crate::{Error, Result};

/// A threshold of confidence: an answer above it is accepted.
///
/// [`Threshold::fit`] takes it from held-out answers of the cheap engine, each with its confidence and whether it was right,
/// so that **of all requests at most the stated rate get a wrong answer from the cheap engine**. It is the lowest threshold
/// of which that is true, and so the one that escalates least.
///
/// # How it is found
///
/// By conformal risk control (Angelopoulos, Bates, Fisch, Lei and Schuster, *Conformal Risk Control*, ICLR 2024, theorem 1).
/// The loss of an answer at threshold t is 1 if it is wrong and its confidence is above t, else 0, which only falls as t
/// rises. With R(t) the mean loss of the *n* held-out answers, the threshold is the least t of which
///
/// ```text
///   (n·R(t) + 1) / (n + 1) ≤ error rate
/// ```
///
/// Then the mean loss of the next request is at most that, over held-out answers and request together. It holds for any
/// model, any distribution and any confidence, good or bad: a confidence that says nothing escalates nearly all.
///
/// What it asks for: answers that were not used to train or choose the model, or to choose the probe; and requests to come
/// that are like them, in any order (exchangeable). Drift ends that, which a [`Monitor`](crate::layer::monitor::Monitor) sees.
/// Of the *accepted* answers the share of wrong ones is higher: [`Threshold::wrong_of_accepted`] is what it was, and no
/// promise. In a cascade of several calibrated stages, each fitted on what reaches it, the rates add up.
///
/// ```
/// use selvedge::layer::cascade::Threshold;
/// // The confidence is right about itself, more or less: of 1,000 held-out answers, the unsure ones are wrong more often.
/// let held_out: Vec<(f32, bool)> = (0..1000).map(|i| (0.5 + i as f32 / 2000.0, i % 50 < 25 + i / 40)).collect();
/// let threshold = Threshold::fit(&held_out, 0.05)?;
/// assert!(threshold.bound <= 0.05 && threshold.accepts(0.99) && !threshold.accepts(0.6));
/// println!("{:.0} % will be escalated", 100.0 * threshold.escalated.value);
/// # Ok::<(), selvedge::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Threshold {
    /// The confidence that an answer must exceed; −∞ accepts every one that has a confidence.
    pub above: f32,
    /// The bound itself: (wrong and accepted + 1) / (answers + 1), at most the rate that was asked for. 1 where the
    /// threshold was not fitted.
    pub bound: f64,
    /// Held-out answers that are escalated at this threshold, of all: so many will be. No cases where it was not fitted.
    pub escalated: Proportion,
    /// Held-out answers that are accepted and wrong, of those accepted. No cases if none is.
    pub wrong_of_accepted: Proportion,
}

impl Threshold {
    /// A threshold that promises nothing.
    pub fn fixed(above: f32) -> Self {
        Self { above, bound: 1.0, escalated: NONE, wrong_of_accepted: NONE }
    }

    /// The threshold at which at most `error_rate` of all requests get a wrong answer from the cheap engine, from held-out
    /// answers: the confidence of each, and whether it was right. A NaN is no confidence: such an answer is never accepted.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for an error rate that is not between 0 and 1, and for fewer than 1 / `error_rate` − 1 answers:
    /// from so few nothing follows.
    pub fn fit(held_out: &[(f32, bool)], error_rate: f64) -> Result<Self> {
        if !(error_rate > 0.0 && error_rate < 1.0) {
            return Err(Error::invalid(format!("error rate: expected a number between 0 and 1, got {error_rate}")));
        }
        let n = held_out.len();
        // How many may be wrong: the largest k of which (k + 1) / (n + 1) is at most the rate, as that is computed.
        let bound = |wrong: usize| (wrong as f64 + 1.0) / (n as f64 + 1.0);
        let may_be = (0..=n).take_while(|wrong| bound(*wrong) <= error_rate).last();
        let Some(may_be) = may_be else {
            let least = (1.0 / error_rate).ceil() - 1.0;
            return Err(Error::invalid(format!(
                "held-out answers: expected at least {least} for an error rate of {error_rate}, got {n}"
            )));
        };
        let mut wrong: Vec<f32> =
            held_out.iter().filter(|(confidence, right)| !right && !confidence.is_nan()).map(|(c, _)| *c).collect();
        wrong.sort_by(|a, b| b.total_cmp(a));
        // Those above the confidence of the first that is one too many are few enough.
        let above = wrong.get(may_be).copied().unwrap_or(f32::NEG_INFINITY);
        let accepted = held_out.iter().filter(|(confidence, _)| *confidence > above).count();
        let accepted_wrong = wrong.iter().filter(|confidence| **confidence > above).count();
        let share = |part: usize, of: usize| Proportion::wilson(part as u64, of as u64).unwrap_or(NONE);
        Ok(Self {
            above,
            bound: bound(accepted_wrong),
            escalated: share(n - accepted, n),
            wrong_of_accepted: share(accepted_wrong, accepted),
        })
    }

    /// Whether an answer of this confidence is accepted.
    pub fn accepts(&self, confidence: f32) -> bool {
        confidence > self.above
    }
}

/// Of no cases.
const NONE: Proportion = Proportion { of: 0, value: 0.0, low: 0.0, high: 1.0 };
