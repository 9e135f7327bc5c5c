//! Detectors of change in a stream of numbers: which one, how it is set, and its state at work.

use std::collections::VecDeque;

use super::adwin::Adwin;
use super::ddm::Ddm;
use super::kswin::Kswin;
use super::magnitude::{OUT_OF_PROPORTION, Welford, bounded};
use super::page_hinkley::PageHinkley;
use crate::{Error, Result};

/// A detector of change in a stream of numbers, and how it is set.
///
/// | | sees | memory | before it can alarm |
/// |---|---|---|---|
/// | [`Adwin`](Self::Adwin), the default | a mean that moved, by a bound that holds for any spread | grows with the logarithm of the stream | 11 values |
/// | [`PageHinkley`](Self::PageHinkley) | a mean that moved, soonest where it moved by a known amount | 128 values | 128 values |
/// | [`Kswin`](Self::Kswin) | another distribution, be it of the same mean | `window` values, and a sort per value | `window` values |
/// | [`Ddm`](Self::Ddm) | a share of failures that rose | a few numbers | 31 values and 10 failures |
///
/// The defaults are patient enough for streams that never end, where those of the detectors themselves are for streams of
/// some thousand values: the [table](super#what-it-is-worth) says how patient, and what it costs.
///
/// # Examples
///
/// ```
/// use selvedge::drift::Detector;
/// assert_eq!(Detector::default(), Detector::Adwin { delta: 0.002, clock: 32 });
/// let mut watcher = Detector::page_hinkley().watch(0.01)?;
/// let latency = |i: u32| if i < 1000 { 20.0 } else { 24.0 } + f64::from(i * 7 % 11);
/// let alarms: Vec<u32> = (0..2000).filter(|i| watcher.update(latency(*i))).collect();
/// assert!(matches!(alarms[..], [1000..1100]), "{alarms:?}");
/// assert!((watcher.mean() - 29.0).abs() < 0.1);
/// let error = Detector::Adwin { delta: 2.0, clock: 32 }.watch(0.01).unwrap_err();
/// assert_eq!(error.message(), "ADWIN: delta: expected more than 0 and less than 1, got 2");
/// # Ok::<(), selvedge::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Detector {
    /// An [`Adwin`].
    Adwin {
        /// The confidence δ, above 0 and below 1; 0.002 by default. Smaller is more patient.
        delta: f64,
        /// Values between two looks for change, from 1; 32 by default.
        clock: u64,
    },
    /// A [`PageHinkley`] on values that are divided by the standard deviation of the first 128, which are measured anew
    /// after an alarm: what is set here is in standard deviations.
    PageHinkley {
        /// The deviation of a single value that is borne, 0 to 10; 0.25 by default, half the shift that is to be seen.
        delta: f64,
        /// The cumulated deviation that raises the alarm, above 0, up to 1e6; 35 by default.
        threshold: f64,
        /// The forgetting factor, above 0 and up to 1, which forgets nothing; 1 by default, as a stream of
        /// months would otherwise wander.
        forgetting: f64,
    },
    /// A [`Kswin`].
    Kswin {
        /// The level of the test that each value brings, above 0 and below 1; 0.000001 by default.
        alpha: f64,
        /// Values in the window, up to 10,000; 300 by default.
        window: usize,
        /// The latest among them, which are held against as many older ones: from 1 to half the window; 100 by default.
        latest: usize,
    },
    /// A [`Ddm`] that is silent before ten failures. A value above 0 is a failure, another one is none: for a stream of
    /// zeros and ones.
    Ddm,
}

impl Default for Detector {
    /// [`Detector::adwin`].
    fn default() -> Self {
        Self::adwin()
    }
}

impl Detector {
    /// δ = 0.002, a look for change every 32 values.
    #[must_use]
    pub const fn adwin() -> Self {
        Self::Adwin { delta: 0.002, clock: 32 }
    }

    /// δ = 0.25 and a threshold of 35 deviations, nothing forgotten.
    #[must_use]
    pub const fn page_hinkley() -> Self {
        Self::PageHinkley { delta: 0.25, threshold: 35.0, forgetting: 1.0 }
    }

    /// α = 0.000001, the latest 100 of 300 values.
    #[must_use]
    pub const fn kswin() -> Self {
        Self::Kswin { alpha: 1e-6, window: 300, latest: 100 }
    }

    /// The detector at work. `min_deviation` is the smallest standard deviation that a stream is believed to have, in its
    /// own unit: without it, a change of a stream that was constant so far would be beyond all measure. Page-Hinkley alone
    /// asks for it.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for a setting out of its range, and for a `min_deviation` that is not above 0 and finite.
    pub fn watch(self, min_deviation: f64) -> Result<DetectorState> {
        self.check()?;
        within(
            "detector",
            "the least deviation",
            min_deviation,
            min_deviation > 0.0 && min_deviation.is_finite(),
            "more than 0 and finite",
        )?;
        Ok(DetectorState {
            detector: self,
            min_deviation,
            kind: self.kind()?,
            alarmed: false,
            since_alarm: Welford::default(),
            latest: VecDeque::new(),
        })
    }

    fn check(self) -> Result<()> {
        match self {
            Self::Adwin { delta, clock } => {
                within("ADWIN", "delta", delta, delta > 0.0 && delta < 1.0, "more than 0 and less than 1")?;
                within("ADWIN", "clock", clock as f64, clock > 0, "at least 1")
            }
            Self::PageHinkley { delta, threshold, forgetting } => {
                let name = "Page-Hinkley";
                within(name, "delta", delta, (0.0..=10.0).contains(&delta), "0 to 10")?;
                within(name, "threshold", threshold, threshold > 0.0 && threshold <= 1e6, "more than 0, up to 1e6")?;
                within(name, "forgetting", forgetting, forgetting > 0.0 && forgetting <= 1.0, "more than 0, up to 1")
            }
            Self::Kswin { alpha, .. } => {
                within("KSWIN", "alpha", alpha, alpha > 0.0 && alpha < 1.0, "more than 0 and less than 1")
            }
            Self::Ddm => Ok(()),
        }
    }

    fn kind(self) -> Result<Kind> {
        Ok(match self {
            Self::Adwin { delta, clock } => Kind::Adwin(Adwin::new().delta(delta).clock(clock)),
            Self::PageHinkley { delta, threshold, forgetting } => {
                let test = PageHinkley::new().delta(delta).threshold(threshold).forgetting(forgetting);
                Kind::PageHinkley { test, spread: Spread::default() }
            }
            Self::Kswin { alpha, window, latest } => {
                let kswin = Kswin::new().alpha(alpha).lengths(window, latest);
                Kind::Kswin(Box::new(kswin.map_err(|e| Error::invalid(format!("KSWIN: {}", e.message())))?))
            }
            Self::Ddm => Kind::Ddm(Ddm::new().min_failures(MIN_FAILURES)),
        })
    }
}

fn within(detector: &str, setting: &str, got: f64, is_within: bool, want: &str) -> Result<()> {
    if is_within { Ok(()) } else { Err(Error::invalid(format!("{detector}: {setting}: expected {want}, got {got}"))) }
}

/// The state of a [`Detector`] at work on one stream.
#[derive(Clone, Debug)]
pub struct DetectorState {
    detector: Detector,
    min_deviation: f64,
    kind: Kind,
    alarmed: bool,
    /// Of the values since the last alarm. ADWIN knows better: it drops what came before a change.
    since_alarm: Welford,
    latest: VecDeque<f64>,
}

#[derive(Clone, Debug)]
enum Kind {
    Adwin(Adwin),
    PageHinkley {
        test: PageHinkley,
        spread: Spread,
    },
    /// Its random numbers take kilobytes.
    Kswin(Box<Kswin>),
    Ddm(Ddm),
}

/// DDM's, before it is believed.
const MIN_FAILURES: u32 = 10;

/// Values that tell where a stream stands when an alarm comes.
const LATEST: usize = 32;

impl DetectorState {
    /// The detector, and its settings.
    #[must_use]
    pub fn detector(&self) -> Detector {
        self.detector
    }

    /// Adds a value; says whether the stream has changed. Begins anew after an alarm. A value that is no finite number is
    /// left out, and one beyond ±1e100 is taken for that. Outliers, however large, hide no later change for good: what
    /// was measured among them is measured again.
    pub fn update(&mut self, value: f64) -> bool {
        let Some(value) = bounded(value) else { return false };
        if self.alarmed {
            self.since_alarm = Welford::default();
            self.latest.clear();
        }
        self.since_alarm.add(value);
        if self.latest.len() == LATEST {
            self.latest.pop_front();
        }
        self.latest.push_back(value);
        self.alarmed = match &mut self.kind {
            Kind::Adwin(adwin) => adwin.update(value),
            Kind::PageHinkley { test, spread } => {
                let alarm = match spread.scale(value, self.min_deviation) {
                    Scaled::Known(scaled) => test.update(scaled),
                    Scaled::Unknown => false,
                    Scaled::Remeasured => {
                        test.restart();
                        false
                    }
                };
                if alarm {
                    *spread = Spread::default();
                }
                alarm
            }
            Kind::Kswin(kswin) => kswin.update(value),
            Kind::Ddm(ddm) => ddm.update(value > 0.0),
        };
        self.alarmed
    }

    /// The level of the stream: the mean of the values since the last alarm, and at an alarm that of those which are
    /// likely to come after the change, the latest 32. For ADWIN the mean of its window. 0 before the first value.
    #[must_use]
    pub fn mean(&self) -> f64 {
        match &self.kind {
            Kind::Adwin(adwin) => adwin.mean(),
            _ if self.alarmed => self.latest.iter().sum::<f64>() / self.latest.len() as f64,
            _ => self.since_alarm.mean,
        }
    }

    /// The number of values that [`mean`](Self::mean) is of.
    #[must_use]
    pub fn width(&self) -> u64 {
        match &self.kind {
            Kind::Adwin(adwin) => adwin.width(),
            _ if self.alarmed => self.latest.len() as u64,
            _ => self.since_alarm.count,
        }
    }
}

/// The standard deviation of the first values, and of as many again wherever it is out of all proportion to theirs.
#[derive(Clone, Debug, Default)]
struct Spread {
    /// Of the block that is measured.
    values: Vec<f64>,
    deviation: Option<f64>,
}

/// A value in deviations, as far as they are known.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Scaled {
    Unknown,
    Known(f64),
    /// The stream was measured among outliers, and anew.
    Remeasured,
}

impl Spread {
    /// Values that are measured.
    const MEASURED: usize = 128;

    fn scale(&mut self, value: f64, min_deviation: f64) -> Scaled {
        let known = self.deviation;
        self.values.push(value);
        if self.values.len() == Self::MEASURED {
            let now = robust_deviation(&self.values, min_deviation);
            self.values.clear();
            if known.is_none_or(|known| known > OUT_OF_PROPORTION * now) {
                self.deviation = Some(now);
                return if known.is_none() { Scaled::Unknown } else { Scaled::Remeasured };
            }
        }
        known.map_or(Scaled::Unknown, |deviation| Scaled::Known(value / deviation))
    }
}

/// The standard deviation, at least `least`, of the values that are not out of all proportion to the median of deviations.
fn robust_deviation(values: &[f64], least: f64) -> f64 {
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let middle = median(values.to_vec());
    let usual = median(values.iter().map(|v| (v - middle).abs()).collect()).max(least);
    let mut measured = Welford::default();
    values.iter().filter(|v| (**v - middle).abs() <= OUT_OF_PROPORTION * usual).for_each(|v| measured.add(*v));
    measured.deviation().max(least)
}
