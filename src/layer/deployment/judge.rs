//! Judge of a rollout: counts of two arms, and what else is known, into a verdict with its evidence.

use std::fmt;
use std::time::Duration;

use super::sequential::{Rate, ln_no_worse, ln_worse};
use crate::drift::{Action, Alert, AlertKind};
use crate::{Error, Result};

/// The counts of one arm's answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArmCounts {
    /// Calls that were given to it.
    pub exposed: u64,
    /// Calls that ended, in an answer or a failure. A call that its caller ended is none.
    pub ended: u64,
    /// Those that failed, for whatever reason: callers ask both arms the same.
    pub failed: u64,
    /// Answers whose time was taken.
    pub timed: u64,
    /// Those that took longer than the objective.
    pub slow: u64,
    /// Answers whose truth became known.
    pub labelled: u64,
    /// Those that were wrong.
    pub wrong: u64,
}

/// What else is known about a candidate.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Signs {
    /// The alerts that stand for the candidate and not for the current version.
    pub alerts: Vec<Alert>,
    /// Deaths of the process in the candidate, as a crash record has them. A [`Deployment`](super::Deployment) gives none: it
    /// takes a version in which the process died off trial before anything is judged, as a miss.
    pub deaths: u64,
}

/// The verdict about a candidate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RolloutVerdict {
    /// It is no worse, within the margins.
    Promote,
    /// Not enough is known, or something stands against a promotion.
    #[default]
    Hold,
    /// It is worse.
    RollBack,
}

/// One piece of evidence: what was looked at, and its numbers.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RolloutEvidence {
    /// `errors`, `latency`, `accuracy`, `deaths`, or the feature of an alert.
    pub name: String,
    /// What it speaks for, by itself.
    pub verdict: RolloutVerdict,
    /// The share of failures of the current version; `None` where it is not a matter of shares.
    pub control: Option<f64>,
    /// The share of failures of the candidate.
    pub candidate: Option<f64>,
    /// The evidence that the candidate is worse: the chance to see as much of a candidate that is not is at most one in it.
    pub worse: f64,
    /// The evidence that it is worse by less than the margin, in the same measure.
    pub no_worse: f64,
    /// The numbers in words.
    pub words: String,
}

/// A verdict and its evidence.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Judged {
    /// The verdict.
    pub verdict: RolloutVerdict,
    /// What it rests on.
    pub evidence: Vec<RolloutEvidence>,
}

/// The judge of a candidate: by failures, answers that are slower than an objective, answers that labels showed to be wrong,
/// alerts, and deaths of the process.
///
/// It may be asked after every answer. Of candidates that are no worse than the current version, it rolls back at most a
/// share of `false_alarm`, 1 % if not set, however long the rollout lasts and however often it is asked; of candidates that
/// are worse by a margin or more, it promotes at most a share of `false_promotion`, 5 % if not set. The test and its sources
/// stand at the top of `sequential.rs`: two beta-binomial mixtures over the largest likelihood of what is to be refuted.
///
/// How soon it sees, at the default rate and with half of the calls on each arm: of simulated rollouts, at least 93 % end
/// within so many answers of a candidate that fails always, 12; with 20 % for 0 %, 130; with 10 % for 1 %, 500; with 5 % for
/// 1 %, 1400. False alarms are fewer than stated, since the test pays for holding at every rate and after every answer: a
/// twentieth where both versions fail in half of the calls, and fewer where failures are rare.
///
/// ```
/// use selvedge::layer::deployment::{ArmCounts, RolloutJudge, RolloutVerdict, Signs};
/// let judge = RolloutJudge::new();
/// let mut control = ArmCounts::default();
/// (control.ended, control.failed) = (1000, 2);
/// let mut candidate = control;
/// assert_eq!(judge.judge(&control, &candidate, &Signs::default()).verdict, RolloutVerdict::Promote);
/// candidate.failed = 40;
/// let judged = judge.judge(&control, &candidate, &Signs::default());
/// assert_eq!((judged.verdict, &*judged.evidence[0].name), (RolloutVerdict::RollBack, "errors"));
/// # Ok::<(), selvedge::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct RolloutJudge {
    false_alarm: f64,
    false_promotion: f64,
    min_answers: u64,
    slo: Option<Duration>,
    errors: f64,
    latency: f64,
    accuracy: Option<f64>,
}

/// The measures that share the false alarm rate.
const MEASURES: f64 = 3.0;

impl Default for RolloutJudge {
    fn default() -> Self {
        Self {
            false_alarm: 0.01,
            false_promotion: 0.05,
            min_answers: 100,
            slo: None,
            errors: 0.02,
            latency: 0.05,
            accuracy: None,
        }
    }
}

impl RolloutJudge {
    /// The default judge: by errors alone, until it is told of an objective or given labels.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the false alarm rate; above 0, at most 0.5.
    #[must_use]
    pub fn false_alarm(self, share: f64) -> Self {
        Self { false_alarm: share, ..self }
    }

    /// Sets the rate of false promotions; above 0, at most 0.5.
    #[must_use]
    pub fn false_promotion(self, share: f64) -> Self {
        Self { false_promotion: share, ..self }
    }

    /// Sets the answers of the candidate before which there is no promotion; 100 if not set.
    #[must_use]
    pub fn min_answers(self, answers: u64) -> Self {
        Self { min_answers: answers, ..self }
    }

    /// Sets the objective for the time that a caller waits for an answer. Judged is the share of answers that take longer.
    #[must_use]
    pub fn slo(self, latency: Duration) -> Self {
        Self { slo: Some(latency), ..self }
    }

    /// Sets the margins: by how much the share of failed answers, and of slow ones, may be larger than that of the current
    /// version; 0.02 and 0.05 if not set. Above 0, below 1. A promotion takes about 10 ÷ margin answers of each arm, more
    /// where failures are not rare.
    #[must_use]
    pub fn margins(self, errors: f64, latency: f64) -> Self {
        Self { errors, latency, ..self }
    }

    /// Asks for labels: there is no promotion before they show that the share of wrong answers is larger by less than this.
    /// Labels that show the candidate to be worse roll it back in any case.
    #[must_use]
    pub fn accuracy(self, margin: f64) -> Self {
        Self { accuracy: Some(margin), ..self }
    }

    /// Whether the settings are in their ranges.
    ///
    /// # Errors
    ///
    /// `InvalidArgument`, naming the one that is not.
    pub fn check(&self) -> Result<()> {
        let rates = [("false_alarm", self.false_alarm), ("false_promotion", self.false_promotion)];
        let margins = [("errors", self.errors), ("latency", self.latency), ("accuracy", self.accuracy.unwrap_or(0.5))];
        let rate = rates.into_iter().find(|(_, x)| !(*x > 0.0 && *x <= 0.5)).map(|r| (r, "above 0, at most 0.5"));
        let margin = margins.into_iter().find(|(_, x)| !(*x > 0.0 && *x < 1.0)).map(|m| (m, "above 0, below 1"));
        match rate.or(margin) {
            Some(((name, got), range)) => Err(Error::invalid(format!("{name}: expected a share {range}, got {got}"))),
            None => Ok(()),
        }
    }

    /// The objective, if there is one.
    pub(super) fn objective(&self) -> Option<Duration> {
        self.slo
    }

    /// Judges a candidate by all that is known.
    #[must_use]
    pub fn judge(&self, control: &ArmCounts, candidate: &ArmCounts, signs: &Signs) -> Judged {
        let mut evidence: Vec<RolloutEvidence> = self.measures(control, candidate).map(|m| self.weigh(&m)).collect();
        evidence.extend(of_deaths(signs.deaths));
        evidence.extend(signs.alerts.iter().map(of_alert));
        let says = |verdict| evidence.iter().any(|one| one.verdict == verdict);
        let verdict = if says(RolloutVerdict::RollBack) {
            RolloutVerdict::RollBack
        } else if says(RolloutVerdict::Hold) || candidate.ended < self.min_answers {
            RolloutVerdict::Hold
        } else {
            RolloutVerdict::Promote
        };
        Judged { verdict, evidence }
    }

    /// Whether a measure speaks for rolling back: the part of [`judge`](Self::judge) that is asked after every answer.
    pub(super) fn is_worse(&self, control: &ArmCounts, candidate: &ArmCounts) -> bool {
        let level = self.level();
        self.measures(control, candidate).any(|m| ln_worse(m.control, m.candidate) >= level)
    }

    fn level(&self) -> f64 {
        (MEASURES / self.false_alarm).ln()
    }

    fn measures(&self, control: &ArmCounts, candidate: &ArmCounts) -> impl Iterator<Item = Measure> {
        let rate = |failures: u64, of: u64| Rate { failures: failures.min(of), of };
        let of = |name, margin, of: fn(&ArmCounts) -> (u64, u64)| {
            let ((s, n), (sc, nc)) = (of(control), of(candidate));
            Measure { name, margin, control: rate(s, n), candidate: rate(sc, nc) }
        };
        let latency = self.slo.map(|_| of("latency", Some(self.latency), |c| (c.slow, c.timed)));
        let accuracy = of("accuracy", self.accuracy, |c| (c.wrong, c.labelled));
        let has_labels = self.accuracy.is_some() || accuracy.control.of.min(accuracy.candidate.of) > 0;
        let errors = of("errors", Some(self.errors), |c| (c.failed, c.ended));
        [Some(errors), latency, has_labels.then_some(accuracy)].into_iter().flatten()
    }

    fn weigh(&self, measure: &Measure) -> RolloutEvidence {
        let Measure { name, margin, control, candidate } = *measure;
        let worse = ln_worse(control, candidate);
        let no_worse = margin.map_or(f64::NEG_INFINITY, |margin| ln_no_worse(control, candidate, margin));
        let verdict = if worse >= self.level() {
            RolloutVerdict::RollBack
        } else if margin.is_none() || no_worse >= -self.false_promotion.ln() {
            RolloutVerdict::Promote
        } else {
            RolloutVerdict::Hold
        };
        let words = format!(
            "{} of {} beside {} of {}; evidence that it is worse {:.1}, enough is {:.0}; that it is not {:.1}, enough is {:.0}",
            candidate.failures,
            candidate.of,
            control.failures,
            control.of,
            worse.exp(),
            self.level().exp(),
            no_worse.exp(),
            self.false_promotion.recip(),
        );
        RolloutEvidence {
            name: name.into(),
            verdict,
            control: Some(control.share()),
            candidate: Some(candidate.share()),
            worse: worse.exp(),
            no_worse: no_worse.exp(),
            words,
        }
    }
}

/// One rate of both arms, and the margin within which it may be worse, if it is asked for.
#[derive(Clone, Copy)]
struct Measure {
    name: &'static str,
    margin: Option<f64>,
    control: Rate,
    candidate: Rate,
}

/// One death is enough.
fn of_deaths(deaths: u64) -> Option<RolloutEvidence> {
    let of = |words: String| RolloutEvidence::of_sign("deaths", RolloutVerdict::RollBack, words);
    match deaths {
        0 => None,
        1 => Some(of("the process died in it once".into())),
        _ => Some(of(format!("the process died in it {deaths} times"))),
    }
}

/// An alert that the current version does not have: a broken promise, or a model that is wrong more often, is the candidate's
/// doing. Drift of its inputs is the world's, and only holds the promotion up.
fn of_alert(alert: &Alert) -> RolloutEvidence {
    let is_its_own = alert.action == Action::RollBack || alert.kind == AlertKind::Concept;
    let verdict = if is_its_own { RolloutVerdict::RollBack } else { RolloutVerdict::Hold };
    RolloutEvidence::of_sign(&alert.feature, verdict, format!("{}: {}", alert.kind.name(), alert.evidence))
}

impl RolloutEvidence {
    fn of_sign(name: &str, verdict: RolloutVerdict, words: String) -> Self {
        Self { name: name.into(), verdict, control: None, candidate: None, worse: 0.0, no_worse: 0.0, words }
    }
}

impl RolloutVerdict {
    /// The name: `promote`, `hold`, `roll back`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Promote => "promote",
            Self::Hold => "hold",
            Self::RollBack => "roll back",
        }
    }
}

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.verdict.name())?;
        self.evidence.iter().try_for_each(|one| write!(f, "; {}: {}", one.name, one.words))
    }
}
