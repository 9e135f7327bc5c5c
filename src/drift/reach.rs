//! Reach of a judge: how soon it would see a feature break, or that it never would.

use super::accumulate::Terms;
use super::compare::{compare_by, total};
use super::profile::FeatureProfile;

/// How soon a feature that breaks raises an alert, by the arithmetic of the judge: rows from the break on, in windows
/// that are full. `None` stands for never, however long it lasts.
///
/// Where a window is shorter than rows depend on each other, no window shows anything by itself; windows together do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reach {
    /// The feature's name.
    pub feature: String,
    /// All values lie in one bin.
    pub dead: Option<u64>,
    /// Every second value is missing.
    pub missing: Option<u64>,
    /// Every second value is outside the reference's range, or in a category that it does not name.
    pub out_of_range: Option<u64>,
    /// The values are those of one half of the reference: the larger ones, or the less frequent categories.
    pub shift: Option<u64>,
}

impl Reach {
    /// Names what is never seen: of `dead`, `missing`, `out of range` and `shift`.
    pub fn blind(&self) -> Vec<&'static str> {
        let all = [
            ("dead", self.dead),
            ("missing", self.missing),
            ("out of range", self.out_of_range),
            ("shift", self.shift),
        ];
        all.into_iter().filter(|(_, rows)| rows.is_none()).map(|(what, _)| what).collect()
    }
}

/// The reach of a feature: `alone` is the level of one window, of which `windows` must show it.
pub(super) fn reach(feature: &FeatureProfile, alone: f64, windows: u64, terms: &Terms) -> Reach {
    let last = feature.counts.len() - 1;
    let seen = |shares: &[f64]| rows_until(feature, shares, alone, windows, terms);
    let half = |bin: usize| {
        let mut shares: Vec<f64> = shares(&feature.counts).into_iter().map(|share| share / 2.0).collect();
        shares[bin] += 0.5;
        shares
    };
    Reach {
        feature: feature.name.clone(),
        dead: terms.dead_after(feature, windows),
        missing: seen(&half(last)),
        out_of_range: seen(&half(last - 1)),
        shift: upper_half(feature).and_then(|half| seen(&half)),
    }
}

fn shares(counts: &[u64]) -> Vec<f64> {
    let all = total(counts).max(1) as f64;
    counts.iter().map(|n| *n as f64 / all).collect()
}

/// The shares of the later bins, which hold at most half of the reference's rows; none if all lie in one bin.
fn upper_half(feature: &FeatureProfile) -> Option<Vec<f64>> {
    let mut left = total(&feature.counts) / 2;
    let mut upper = vec![0; feature.counts.len()];
    for (bin, n) in feature.counts.iter().enumerate().rev() {
        let Some(rest) = left.checked_sub(*n) else { break };
        (upper[bin], left) = (*n, rest);
    }
    upper.iter().any(|n| *n > 0).then(|| shares(&upper))
}

fn rows_until(feature: &FeatureProfile, shares: &[f64], alone: f64, windows: u64, terms: &Terms) -> Option<u64> {
    let shows = |rows: u64, blocks: f64, level: f64| {
        let counts: Vec<u64> = shares.iter().map(|share| (share * rows as f64).round() as u64).collect();
        compare_by(feature, &counts, blocks).is_ok_and(|drift| drift.ln_p <= level.ln())
    };
    if shows(terms.unit(), f64::INFINITY, alone) {
        return Some(terms.unit().saturating_mul(windows));
    }
    let mut sums = terms.sums().filter(|(units, _)| *units >= windows);
    sums.find(|(units, level)| shows(units.saturating_mul(terms.unit()), terms.blocks(), *level))
        .map(|(units, _)| units.saturating_mul(terms.unit()))
}
