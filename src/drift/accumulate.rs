//! Evidence of a feature that adds up over windows: what no single window can show.
//!
//! A window of fewer rows than depend on each other shows nothing, however broken its sensor; a hundred of them do. So
//! windows are put together, two and two, up to some times the rows of the reference, and each such sum is compared as
//! a window is. Beside it stands the rule of the dead: windows in a row whose values all lie in one bin.

use super::accumulated::Accumulated;
use super::compare::{FeatureDrift, MAX_ROWS, compare_by, total, weigh};
use super::finding::Finding;
use super::profile::{FeatureProfile, Profile};
use crate::Result;

/// The terms on which evidence is put together: the same for all features.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Terms {
    /// Rows of the shortest sum; windows of fewer are put together first.
    unit: u64,
    /// The longest sum is of 2^scales units.
    scales: usize,
    /// The fewest windows that an alert may rest on.
    windows: u64,
    /// False alarms per window and feature that the sums may raise, and the rule of the dead.
    sums: f64,
    dead: f64,
    /// Independent blocks that the dependence of rows was estimated from.
    blocks: f64,
}

/// Sums are no longer than so many doublings of a window.
const MAX_SCALES: usize = 10;
/// More rows than so many references show no more than they do: the reference is a sample, too.
const REFERENCES: u64 = 4;
/// The largest level of any sum.
const MAX_LEVEL: f64 = 0.01;
/// A drift that a sum has found is over with the next one of twice its length whose p is above this: what was just seen
/// may well be a little less plain the next time.
const CALM_P: f64 = 0.05;

impl Terms {
    /// The terms for windows of `unit` rows, where alerts rest on at least `windows` windows and each feature may raise
    /// `rate` false alarms per window.
    pub(super) fn new(unit: u64, profile: &Profile, windows: u64, rate: f64) -> Self {
        let enough = profile.rows.saturating_mul(REFERENCES).div_ceil(unit.max(1));
        let scales = (0..MAX_SCALES).find(|s| 1 << s >= enough).unwrap_or(MAX_SCALES).max(3);
        // Of blocks that overlap, as many as 1.5 times those that do not (Künsch 1989).
        let blocks = 1.5 * profile.rows as f64 / f64::from(profile.block.max(1));
        Self { unit: unit.max(1), scales, windows, sums: 0.75 * rate, dead: 0.25 * rate, blocks }
    }

    pub(super) fn unit(&self) -> u64 {
        self.unit
    }

    pub(super) fn blocks(&self) -> f64 {
        self.blocks
    }

    /// The sums of more than one unit: how many units, and the level of each.
    pub(super) fn sums(&self) -> impl Iterator<Item = (u64, f64)> {
        (1..=self.scales).map(|scale| (1 << scale, self.level(scale)))
    }

    /// Rows after which the rule of the dead applies; `None` for a feature whose values never varied.
    pub(super) fn dead_after(&self, feature: &FeatureProfile, windows: u64) -> Option<u64> {
        let rows = (-self.dead.ln() * endurance(feature)?).ceil() as u64;
        Some(rows.div_ceil(self.unit).max(windows).saturating_mul(self.unit))
    }

    /// The level of a sum of 2^scale units, of which there is one every 2^(scale − 1) units.
    fn level(&self, scale: usize) -> f64 {
        let every = (1u64 << scale.saturating_sub(1)) as f64;
        (self.sums / (self.scales + 1) as f64 * every).min(MAX_LEVEL)
    }
}

/// The windows of one feature that were put together.
#[derive(Clone, Debug, Default, PartialEq)]
struct Sum {
    counts: Vec<u64>,
    windows: u64,
}

impl Sum {
    fn rows(&self) -> u64 {
        total(&self.counts)
    }

    fn add(&mut self, counts: &[u64], windows: u64) {
        self.counts.resize(counts.len(), 0);
        self.counts.iter_mut().zip(counts).for_each(|(sum, n)| *sum = sum.saturating_add(*n));
        self.windows += windows;
    }

    fn with(&self, other: &Sum) -> Self {
        let mut both = self.clone();
        both.add(&other.counts, other.windows);
        both
    }
}

/// Windows in a row whose values all lie in one bin.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Stay {
    bin: usize,
    rows: u64,
    windows: u64,
}

/// A sum that was tested.
struct Tested {
    scale: usize,
    /// At or below the level of its scale.
    is_rejected: bool,
    /// What it shows; nothing where it is calm.
    shown: Option<Accumulated>,
}

/// By what a drift was found that no single window shows, and so what ends it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum FoundBy {
    /// A sum; the next one of this scale that shows nothing ends it.
    Sum(usize),
    /// The rule of the dead; a window with another value ends it.
    Stay,
}

/// What the windows of one feature show together.
#[derive(Clone, Debug, Default)]
pub(super) struct Accumulator {
    /// Windows on their way to a unit.
    pending: Sum,
    /// Per scale the last sum of 2^scale units.
    last: Vec<Option<Sum>>,
    units: u64,
    stay: Stay,
    found: Option<(FoundBy, Accumulated)>,
}

impl Accumulator {
    /// Forgets what was put together. How long the values have stayed where they are is not a matter of windows.
    fn restart(&mut self) {
        *self = Self { stay: self.stay, ..Self::default() };
    }

    /// Adds a window. `alone` says that the window was rejected by itself, `persistent` that enough of them were: what
    /// they show needs nothing beside it, and would hide what the others show. Gives what windows show together.
    pub(super) fn add(
        &mut self,
        feature: &FeatureProfile,
        counts: &[u64],
        alone: bool,
        persistent: bool,
        terms: &Terms,
    ) -> Result<Option<Accumulated>> {
        self.follow(counts);
        if persistent {
            self.restart();
        } else if let Some(dead) = self.dead(feature, counts, terms) {
            self.restart();
            self.found = Some((FoundBy::Stay, dead));
        } else {
            self.found = self.found.filter(|(by, _)| *by != FoundBy::Stay);
            if !alone {
                self.sum_up(feature, counts, terms)?;
            }
        }
        Ok(self.found.map(|(_, found)| found))
    }

    fn follow(&mut self, counts: &[u64]) {
        let mut filled = counts.iter().enumerate().filter(|(_, n)| **n > 0);
        match (filled.next(), filled.next()) {
            (None, _) => {}
            (Some((bin, rows)), None) => {
                if self.stay.bin != bin {
                    self.stay = Stay { bin, ..Stay::default() };
                }
                self.stay.rows = self.stay.rows.saturating_add(*rows);
                self.stay.windows += 1;
            }
            _ => self.stay = Stay::default(),
        }
    }

    /// The rule of the dead: P(all of n rows in one bin) = e^(−n/endurance).
    fn dead(&self, feature: &FeatureProfile, counts: &[u64], terms: &Terms) -> Option<Accumulated> {
        let Stay { rows, windows, .. } = self.stay;
        let ln_p = -(rows as f64) / endurance(feature)?;
        if windows < terms.windows || ln_p > terms.dead.ln() {
            return None;
        }
        let drift = compare_by(feature, counts, terms.blocks).ok()?;
        Some(Accumulated { ln_p, ..accumulated(&drift, windows, rows, Finding::DeadFeature) })
    }

    fn sum_up(&mut self, feature: &FeatureProfile, counts: &[u64], terms: &Terms) -> Result<()> {
        self.pending.add(counts, 1);
        if self.pending.rows() < terms.unit {
            return Ok(());
        }
        let mut block = std::mem::take(&mut self.pending);
        let mut tested = Vec::new();
        // Once a sum has found a drift, the one that may end it is tested in any case.
        let awaited = match self.found {
            Some((FoundBy::Sum(scale), _)) => Some(scale),
            _ => None,
        };
        if block.windows > 1 && block.windows >= terms.windows {
            tested.push(test(feature, &block, 0, terms)?);
        }
        self.units += 1;
        self.last.resize(terms.scales, None);
        for scale in 0..terms.scales {
            let before = self.last[scale].replace(block.clone());
            let Some(both) = before.map(|before| before.with(&block)) else { break };
            if awaited == Some(scale + 1) || both.windows >= terms.windows {
                tested.push(test(feature, &both, scale + 1, terms)?);
            }
            // Every second one is a whole sum of the next scale.
            if !(self.units >> scale).is_multiple_of(2) {
                break;
            }
            block = both;
        }
        self.conclude(tested, terms);
        Ok(())
    }

    /// The shortest sum that shows a drift has found it; then the next one of twice its length says whether it lasts.
    fn conclude(&mut self, tested: Vec<Tested>, terms: &Terms) {
        let found = match self.found {
            Some((FoundBy::Sum(scale), _)) => match tested.into_iter().find(|t| t.scale == scale) {
                Some(again) => again.shown.map(|shown| (FoundBy::Sum(scale), shown)),
                None => return,
            },
            _ => {
                let shown = tested.into_iter().find(|t| t.is_rejected);
                let Some(Tested { scale, shown: Some(shown), .. }) = shown else { return };
                Some((FoundBy::Sum((scale + 1).min(terms.scales)), shown))
            }
        };
        self.restart();
        self.found = found;
    }
}

fn test(feature: &FeatureProfile, sum: &Sum, scale: usize, terms: &Terms) -> Result<Tested> {
    // Each window was counted, but all of them cannot be.
    if sum.rows() > MAX_ROWS {
        return Ok(Tested { scale, is_rejected: false, shown: None });
    }
    let level = terms.level(scale);
    let ln_p = weigh(feature, &sum.counts, terms.blocks)?.ln_p();
    let is_rejected = ln_p <= level.ln();
    if ln_p > CALM_P.ln() {
        return Ok(Tested { scale, is_rejected, shown: None });
    }
    let drift = compare_by(feature, &sum.counts, terms.blocks)?;
    let finding = drift.classify(feature, level.max(ln_p.exp()));
    Ok(Tested { scale, is_rejected, shown: Some(accumulated(&drift, sum.windows, sum.rows(), finding)) })
}

fn accumulated(drift: &FeatureDrift, windows: u64, rows: u64, finding: Finding) -> Accumulated {
    let strange = drift.out_of_range.max(drift.new_category);
    let (ln_p, psi, missing) = (drift.ln_p, drift.psi, drift.missing);
    Accumulated { windows, rows, ln_p, psi, missing, strange, finding }
}

/// Rows in which it becomes e times less likely that all values lie in one bin; `None` if they always did.
fn endurance(feature: &FeatureProfile) -> Option<f64> {
    let (rows, most) = (total(&feature.counts), *feature.counts.iter().max()?);
    if most == rows {
        return None;
    }
    // Whoever stays must at least not leave by chance; one row more, in another bin, is as likely as not.
    let by_chance = -1.0 / ((most as f64 + 1.0) / (rows as f64 + 2.0)).ln();
    let runs = feature.dependence.first().map_or(1.0, |w| f64::from(*w).max(1.0));
    Some(feature.runs.map_or(runs * by_chance, |r| f64::from(r.endurance).max(by_chance)))
}
