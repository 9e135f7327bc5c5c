//! Distances of two histograms. All take counts of the same bins, the reference first.

use super::tail::ln_chi2;

/// χ² of homogeneity of two samples.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Chi2 {
    /// The statistic, ≥ 0.
    pub statistic: f64,
    /// Degrees of freedom: bins that hold something, less one.
    pub df: u32,
    /// P(χ² ≥ statistic).
    pub p: f64,
    /// Natural logarithm of `p`, also where `p` is too small for an `f64`.
    pub ln_p: f64,
}

/// χ² of homogeneity (Pearson 1911; Cramér, *Mathematical methods of statistics*, 30.6): both samples are finite.
///
/// With counts rᵢ of R and wᵢ of W: χ² = Σ (wᵢ·√(R/W) − rᵢ·√(W/R))² / (rᵢ + wᵢ) over the bins that hold something, on
/// one degree of freedom less than there are such bins. No continuity correction. An empty sample gives 0 on 0
/// degrees and p = 1. As scipy's `chi2_contingency(…, correction=False)`.
pub fn chi2(reference: &[u64], window: &[u64]) -> Chi2 {
    let (r_all, w_all) = (total(reference), total(window));
    if r_all == 0.0 || w_all == 0.0 {
        return Chi2 { statistic: 0.0, df: 0, p: 1.0, ln_p: 0.0 };
    }
    let (scale_w, scale_r) = ((r_all / w_all).sqrt(), (w_all / r_all).sqrt());
    let (mut statistic, mut filled) = (0.0, 0u32);
    for (r, w) in pairs(reference, window).filter(|(r, w)| r + w > 0.0) {
        let apart = w * scale_w - r * scale_r;
        statistic += apart * apart / (r + w);
        filled += 1;
    }
    let df = filled.saturating_sub(1);
    let ln_p = ln_chi2(statistic, f64::from(df));
    Chi2 { statistic, df, p: ln_p.exp(), ln_p }
}

/// Population stability index: Σ (w − r)·ln(w/r) over shares that are smoothed by half a count per bin (Jeffreys'
/// prior), so that an empty bin does not make it infinite. 0 for equal shares, no upper bound.
///
/// Grows with the noise of small samples: without drift its mean is about (bins − 1)·(1/W + 1/R).
pub fn psi(reference: &[u64], window: &[u64]) -> f64 {
    let half = 0.5 * reference.len() as f64;
    let (r_all, w_all) = (total(reference) + half, total(window) + half);
    pairs(reference, window)
        .map(|(r, w)| ((r + 0.5) / r_all, (w + 0.5) / w_all))
        .map(|(r, w)| (w - r) * (w / r).ln())
        .sum()
}

/// Kolmogorov-Smirnov distance of binned samples: the largest difference of the cumulative shares, in 0..=1. The bins
/// are in order. At most the distance of the samples themselves. 0 if a sample is empty.
pub fn ks(reference: &[u64], window: &[u64]) -> f64 {
    let (r_all, w_all) = (total(reference), total(window));
    if r_all == 0.0 || w_all == 0.0 {
        return 0.0;
    }
    let (mut r_sum, mut w_sum, mut most) = (0.0, 0.0, 0f64);
    for (r, w) in pairs(reference, window) {
        (r_sum, w_sum) = (r_sum + r, w_sum + w);
        most = most.max((r_sum / r_all - w_sum / w_all).abs());
    }
    most
}

/// Jensen-Shannon distance, base 2: the square root of the divergence, in 0..=1. As scipy's
/// `jensenshannon(…, base=2)`. 0 if a sample is empty.
pub fn js(reference: &[u64], window: &[u64]) -> f64 {
    let divergence: f64 = shares(reference, window)
        .map(|(r, w)| {
            let middle = (r + w) / 2.0;
            let part = |p: f64| if p > 0.0 { p * (p / middle).log2() } else { 0.0 };
            (part(r) + part(w)) / 2.0
        })
        .sum();
    divergence.max(0.0).sqrt()
}

/// Hellinger distance: √(½·Σ (√r − √w)²) of the shares, in 0..=1. 0 if a sample is empty.
pub fn hellinger(reference: &[u64], window: &[u64]) -> f64 {
    let sum: f64 = shares(reference, window).map(|(r, w)| (r.sqrt() - w.sqrt()).powi(2)).sum();
    (sum / 2.0).sqrt()
}

/// First Wasserstein distance of samples that lie at the `centres` of their bins, in the centres' unit; the centres do
/// not fall. As scipy's `wasserstein_distance` of the centres, weighted by the counts. 0 if a sample is empty.
pub fn wasserstein(centres: &[f64], reference: &[u64], window: &[u64]) -> f64 {
    let (mut r_sum, mut w_sum) = (0.0, 0.0);
    let gaps = centres.windows(2).map(|c| c[1] - c[0]);
    gaps.zip(shares(reference, window))
        .map(|(gap, (r, w))| {
            (r_sum, w_sum) = (r_sum + r, w_sum + w);
            gap * (r_sum - w_sum).abs()
        })
        .sum()
}

/// Two-sided Kolmogorov-Smirnov test of two sorted samples of one length n: the distance and its exact probability
/// 2·Σ (−1)ᵏ⁺¹·C(2n, n − kh)/C(2n, n) with h = n·distance (Gnedenko and Korolyuk 1951).
pub(super) fn ks_exact(a: &[f64], b: &[f64]) -> (f64, f64) {
    let n = a.len();
    let (mut i, mut j, mut steps) = (0, 0, 0usize);
    while i < n && j < n {
        let value = a[i].min(b[j]);
        i += a[i..].iter().take_while(|x| **x <= value).count();
        j += b[j..].iter().take_while(|x| **x <= value).count();
        steps = steps.max(i.abs_diff(j));
    }
    if steps == 0 {
        return (0.0, 1.0);
    }
    let mut p = 0.0;
    for k in (0..=n / steps).rev() {
        let ratio = (0..steps)
            .fold(1.0, |product, i| (n as f64 - (k * steps + i) as f64) * product / (n + k * steps + i + 1) as f64);
        p = ratio * (1.0 - p);
    }
    (steps as f64 / n as f64, (2.0 * p).min(1.0))
}

fn total(counts: &[u64]) -> f64 {
    // Of floats: counts may come from a file, and add up to more than a u64.
    counts.iter().map(|n| *n as f64).sum()
}

fn pairs<'a>(reference: &'a [u64], window: &'a [u64]) -> impl Iterator<Item = (f64, f64)> + 'a {
    reference.iter().zip(window).map(|(r, w)| (*r as f64, *w as f64))
}

/// Shares of both; nothing if a sample is empty.
fn shares<'a>(reference: &'a [u64], window: &'a [u64]) -> impl Iterator<Item = (f64, f64)> + 'a {
    let (r_all, w_all) = (total(reference), total(window));
    let none = r_all == 0.0 || w_all == 0.0;
    pairs(reference, window).map(move |(r, w)| (r / r_all, w / w_all)).take(if none { 0 } else { usize::MAX })
}
