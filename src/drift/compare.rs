//! Comparison of one feature's window with its reference.

use super::accumulated::Accumulated;
use super::finding::Finding;
use super::profile::{Bins, FeatureProfile};
use super::statistic::{Chi2, chi2, hellinger, js, ks, psi, wasserstein};
use super::tail::{ln_chi2, ln_f_adjusted, ln_hypergeometric, ln_weighted_chi2};
use crate::{Error, Result};

/// Bins are pooled until both samples may expect this many independent rows in each (Cochran, *Some methods for strengthening the
/// common χ² tests*, 1954). Whether they do follows from reference and window length alone, never from the window's
/// counts, so that pooling does not bend the level.
const EXPECTED: f64 = 5.0;

/// How much of a feature's level its χ² may spend; the rest is halved between missing and out-of-range values.
const CHI2_SHARE: f64 = 0.98;

/// The comparison of one feature's window with its reference.
///
/// `p` decides; the distances are there to be looked at. χ², PSI, Jensen-Shannon and Hellinger see all bins, *missing*
/// included; KS and Wasserstein the values that are there. For PSI, Jensen-Shannon and Hellinger the outermost bins are
/// open: *under* and *over* are counted into them.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FeatureDrift {
    /// The feature's name.
    pub name: String,
    /// χ² of homogeneity over the bins that both samples fill, sparse ones pooled with their neighbour.
    pub chi2: f64,
    /// Degrees of freedom of `chi2`.
    pub df: u32,
    /// Probability of evidence as strong as this without drift: the least of χ² (at 0.98 of the level), missing values
    /// and out-of-range values (Fisher's exact test, one-sided, at 0.01 each).
    pub p: f64,
    /// Natural logarithm of `p`, also where `p` is too small for an `f64`.
    pub ln_p: f64,
    /// Population stability index. Never decides.
    pub psi: f64,
    /// Kolmogorov-Smirnov distance of the cumulative shares, in 0..=1. For categories, of their order by frequency.
    pub ks: f64,
    /// Jensen-Shannon distance, base 2, in 0..=1.
    pub js: f64,
    /// Hellinger distance, in 0..=1.
    pub hellinger: f64,
    /// First Wasserstein distance in the feature's unit; `None` for categories.
    pub wasserstein: Option<f64>,
    /// Share of the window's values that are missing.
    pub missing: f64,
    /// All values of the window lie in one bin.
    pub constant: bool,
    /// Share of the window in categories that the reference does not name; 0 for numbers.
    pub new_category: f64,
    /// Share of the window outside the reference's range; 0 for categories.
    pub out_of_range: f64,
    /// The finding, if a [`Judge`](super::Judge) rejected this window, or all that it saw of the last ones.
    pub finding: Option<Finding>,
    /// Rejected in enough of the last windows, or by what they show together: an alert is due.
    pub drifted: bool,
    /// What this window shows together with the ones before it, where only that shows a drift.
    pub accumulated: Option<Accumulated>,
    /// ln p of χ², of more missing values, and of more values out of range or in other categories.
    evidence: [f64; 3],
}

/// Holds a feature's window against its reference.
///
/// `window` has the feature's bins, in order; see [`Bins`].
///
/// # Errors
///
/// `InvalidArgument` for another number of bins, and for counts that add up to more than 2^62 rows.
pub fn compare(feature: &FeatureProfile, window: &[u64]) -> Result<FeatureDrift> {
    compare_by(feature, window, f64::INFINITY)
}

/// The same, where the dependence of rows was estimated from so many independent blocks: it is an estimate, too, and
/// what is far out by it is so by less.
pub(super) fn compare_by(feature: &FeatureProfile, window: &[u64], blocks: f64) -> Result<FeatureDrift> {
    let Weighed { pooled, evidence } = weigh(feature, window, blocks)?;
    let (reference, last) = (&feature.counts, window.len() - 1);
    let (values_r, values_w) = (&reference[..last], &window[..last]);
    let (strange_w, w_all) = (strange(&feature.bins, values_w), total(window));
    let ln_p = least(&evidence);
    let (folded_r, folded_w) = (fold(&feature.bins, reference), fold(&feature.bins, window));
    let share = |n: u64| if w_all == 0 { 0.0 } else { n as f64 / w_all as f64 };
    let numeric = matches!(feature.bins, Bins::Numeric { .. });
    Ok(FeatureDrift {
        name: feature.name.clone(),
        chi2: pooled.statistic,
        df: pooled.df,
        p: ln_p.exp(),
        ln_p,
        psi: psi(&folded_r, &folded_w),
        ks: ks(values_r, values_w),
        js: js(&folded_r, &folded_w),
        hellinger: hellinger(&folded_r, &folded_w),
        wasserstein: feature.bins.centres().map(|centres| wasserstein(&centres, values_r, values_w)),
        missing: share(window[last]),
        constant: w_all > 0 && window.iter().filter(|n| **n > 0).count() == 1,
        new_category: if numeric { 0.0 } else { share(strange_w) },
        out_of_range: if numeric { share(strange_w) } else { 0.0 },
        finding: None,
        drifted: false,
        accumulated: None,
        evidence,
    })
}

/// The most rows on either side: sums of both stay far from the end of a u64.
pub(super) const MAX_ROWS: u64 = 1 << 62;

fn rows_of(counts: &[u64]) -> Option<u64> {
    counts.iter().try_fold(0u64, |sum, n| sum.checked_add(*n)).filter(|rows| *rows <= MAX_ROWS)
}

/// What a window's counts weigh beside those of the reference.
pub(super) struct Weighed {
    pooled: Chi2,
    /// ln p of χ², of more missing values, and of more values out of range or in other categories.
    evidence: [f64; 3],
}

impl Weighed {
    pub(super) fn ln_p(&self) -> f64 {
        least(&self.evidence)
    }
}

fn least(evidence: &[f64; 3]) -> f64 {
    evidence.iter().fold(0.0, |least: f64, ln_p| least.min(*ln_p))
}

/// The part of a comparison that decides, without the distances.
pub(super) fn weigh(feature: &FeatureProfile, window: &[u64], blocks: f64) -> Result<Weighed> {
    let (reference, got) = (&feature.counts, window.len());
    let Some(last) = reference.len().checked_sub(1).filter(|last| *last + 1 == got) else {
        let (name, expected) = (&feature.name, reference.len());
        return Err(Error::invalid(format!("window of '{name}': expected {expected} bins, got {got}")));
    };
    let (Some(r_all), Some(w_all)) = (rows_of(reference), rows_of(window)) else {
        let name = &feature.name;
        return Err(Error::invalid(format!(
            "window of '{name}': expected counts of at most {MAX_ROWS} rows, got more"
        )));
    };
    // Values that come in runs carry less evidence: as if each were counted once per run.
    let runs = feature.dependence.first().map_or(1.0, |w| f64::from(*w).max(1.0));
    let (groups_r, groups_w) = pool(reference, window, last, EXPECTED * runs);
    let pooled = chi2(&groups_r, &groups_w);
    // A cycle has weights below 1, as whole cycles are all alike; a sum of short windows is no whole cycle.
    let least = if blocks.is_finite() { 1.0 } else { 0.0 };
    // Pooling bins cannot raise the weights above the largest of the single bins' (Cauchy's interlacing).
    let weights = feature.dependence.iter().map(|w| f64::from(*w).max(least)).take(pooled.df as usize);
    let weights: Vec<f64> = weights.collect();
    let ln_chi2 = match weights.is_empty() {
        true => ln_chi2(pooled.statistic, f64::from(pooled.df)),
        false => ln_weighted_chi2(pooled.statistic, &weights).max(ln_f_adjusted(pooled.statistic, &weights, blocks)),
    };
    let rarer = |r: u64, w: u64, runs: f64| {
        let [r, w, r_all, w_all] = [r, w, r_all, w_all].map(|n| (n as f64 / runs).floor() as u64);
        ln_hypergeometric(w, w_all, r.saturating_add(w), r_all.saturating_add(w_all))
    };
    // Extremes come in shorter runs than the values do: a season is made of many spells.
    let numeric = matches!(feature.bins, Bins::Numeric { .. });
    let spell = feature.runs.filter(|_| numeric).map_or(runs, |r| f64::from(r.cluster).max(1.0));
    let missing = rarer(reference[last], window[last], runs);
    let strange = rarer(strange(&feature.bins, &reference[..last]), strange(&feature.bins, &window[..last]), spell);
    let few = f64::ln((1.0 - CHI2_SHARE) / 2.0);
    Ok(Weighed { pooled, evidence: [ln_chi2 - CHI2_SHARE.ln(), missing - few, strange - few] })
}

impl FeatureDrift {
    /// The finding on a rejected window, the most telling first. Few strange values beside a shift that explains them
    /// are no news of their own.
    pub(super) fn classify(&self, feature: &FeatureProfile, alpha: f64) -> Finding {
        let varies = feature.counts.iter().filter(|n| **n > 0).count() > 1;
        let [shift, missing, strange] = self.evidence;
        let many = self.out_of_range.max(self.new_category) >= 0.1;
        let is_strange = strange <= alpha.ln() && (many || strange <= shift);
        match feature.bins {
            _ if self.missing >= 1.0 || self.constant && varies => Finding::DeadFeature,
            _ if missing <= alpha.ln() => Finding::Missing,
            Bins::Numeric { .. } if is_strange => Finding::OutOfRange,
            Bins::Categories(_) if is_strange => Finding::NewCategory,
            _ => Finding::Shift,
        }
    }
}

/// All counts; those of a damaged record may be larger than any sum.
pub(super) fn total(counts: &[u64]) -> u64 {
    counts.iter().fold(0, |sum, n| sum.saturating_add(*n))
}

/// The outermost bins left open, as is usual for these distances: under and over are counted into their neighbours.
fn fold(bins: &Bins, counts: &[u64]) -> Vec<u64> {
    let mut folded = counts.to_vec();
    if let (Bins::Numeric { .. }, n @ 4..) = (bins, counts.len()) {
        folded[1] = folded[1].saturating_add(counts[0]);
        folded[n - 3] = folded[n - 3].saturating_add(counts[n - 2]);
        folded.remove(n - 2);
        folded.remove(0);
    }
    folded
}

/// Values that the reference hardly has: under and over, or other.
fn strange(bins: &Bins, values: &[u64]) -> u64 {
    let Some((last, rest)) = values.split_last() else { return 0 };
    match bins {
        Bins::Numeric { .. } => last.saturating_add(*rest.first().unwrap_or(&0)),
        Bins::Categories(_) => *last,
    }
}

/// Neighbouring value bins until each may expect enough rows; *missing* (at `last`) stands alone or is left out.
fn pool(reference: &[u64], window: &[u64], last: usize, expected: f64) -> (Vec<u64>, Vec<u64>) {
    let (r_all, w_all) = (total(reference), total(window));
    let scale = (w_all as f64 / r_all.max(1) as f64).min(1.0);
    let (mut groups_r, mut groups_w) = (Vec::with_capacity(last + 1), Vec::with_capacity(last + 1));
    let (mut r, mut w) = (0u64, 0u64);
    for i in 0..last {
        (r, w) = (r.saturating_add(reference[i]), w.saturating_add(window[i]));
        if r as f64 * scale >= expected {
            groups_r.push(r);
            groups_w.push(w);
            (r, w) = (0, 0);
        }
    }
    match (groups_r.last_mut(), groups_w.last_mut()) {
        (Some(last_r), Some(last_w)) => (*last_r, *last_w) = (last_r.saturating_add(r), last_w.saturating_add(w)),
        _ => (groups_r, groups_w) = (vec![r], vec![w]),
    }
    if reference[last] as f64 * scale >= expected {
        groups_r.push(reference[last]);
        groups_w.push(window[last]);
    }
    (groups_r, groups_w)
}
