//! Dependence between rows: how much it inflates the variance of a window's shares.

use super::super::eigen::eigenvalues;

/// Collects the covariance of sums over blocks of consecutive rows.
///
/// This is the moving-block bootstrap (Künsch, *The jackknife and the bootstrap for general stationary observations*,
/// 1989) in closed form: the covariance that resampling blocks would give, without the resampling. A thousand drawn
/// windows could not tell a threshold of one in a million; the limiting distribution below can.
#[derive(Clone, Debug)]
pub(super) struct Blocks {
    width: usize,
    length: usize,
    stride: usize,
    /// The rows of the current block, as they came: `width` numbers each.
    ring: Vec<f32>,
    /// Sum over the ring.
    sum: Vec<f64>,
    /// Sum over the blocks of their sums.
    total: Vec<f64>,
    /// Sum over the blocks of the outer products of their sums.
    outer: Vec<f64>,
    rows: usize,
    blocks: usize,
}

impl Blocks {
    /// Blocks of `length` rows of `width` numbers.
    pub(super) fn new(width: usize, length: usize) -> Self {
        Self {
            width,
            length,
            // Blocks that overlap by more than seven eighths say nothing new.
            stride: (length / 8).max(1),
            ring: vec![0.0; width * length],
            sum: vec![0.0; width],
            total: vec![0.0; width],
            outer: vec![0.0; width * width],
            rows: 0,
            blocks: 0,
        }
    }

    pub(super) fn push(&mut self, row: &[f32]) {
        let at = self.rows % self.length * self.width;
        let oldest = &mut self.ring[at..at + self.width];
        for i in 0..self.width {
            self.sum[i] += f64::from(row[i]) - f64::from(oldest[i]);
        }
        oldest.copy_from_slice(row);
        self.rows += 1;
        if self.rows >= self.length && (self.rows - self.length).is_multiple_of(self.stride) {
            self.blocks += 1;
            for i in 0..self.width {
                let scaled = self.sum[i];
                self.total[i] += scaled;
                if scaled != 0.0 {
                    let line = &mut self.outer[i * self.width..(i + 1) * self.width];
                    line.iter_mut().zip(&self.sum).for_each(|(o, s)| *o += scaled * s);
                }
            }
        }
    }

    /// Eigenvalues of the long-run covariance of the rows, each number divided by `norms`; largest first. Numbers with
    /// a norm of 0 are left out.
    pub(super) fn spectrum(&self, norms: &[f64]) -> Vec<f64> {
        let kept: Vec<usize> = (0..self.width).filter(|i| norms[*i] > 0.0).collect();
        let (rows, blocks, length) = (self.rows as f64, self.blocks as f64, self.length as f64);
        if kept.is_empty() || self.blocks < 2 || self.rows <= self.length {
            return Vec::new();
        }
        // The blocks are centred on a mean they are part of, which shrinks them by 1 − length/rows.
        let grown = 1.0 / (length * (1.0 - length / rows));
        let mean = |i: usize| self.total[i] / blocks;
        let mut matrix = Vec::with_capacity(kept.len() * kept.len());
        for &i in &kept {
            for &j in &kept {
                let covariance = self.outer[i * self.width + j] / blocks - mean(i) * mean(j);
                matrix.push(covariance * grown / (norms[i] * norms[j]));
            }
        }
        let spectrum = eigenvalues(matrix, kept.len());
        let independent = if self.length == 1 { rows } else { (1.5 * rows / length).min(blocks) };
        shrink(spectrum, independent)
    }
}

/// Estimated eigenvalues spread more than the true ones; this draws them to their mean so that the sum of their squares
/// is unbiased for `samples` independent blocks (Ledoit and Wolf, *A well-conditioned estimator for large-dimensional
/// covariance matrices*, 2004). Negative ones are noise.
fn shrink(mut spectrum: Vec<f64>, samples: f64) -> Vec<f64> {
    spectrum.iter_mut().for_each(|w| *w = w.max(0.0));
    // The numbers of a row add up to a constant, or nearly so: that direction is none.
    let filled = spectrum.iter().filter(|w| **w > 1e-9 * spectrum[0]).count().max(1);
    let sum: f64 = spectrum.iter().sum();
    let squares: f64 = spectrum.iter().map(|w| w * w).sum();
    let mean = sum / filled as f64;
    let unbiased = (squares - sum * sum / samples) / (1.0 + 1.0 / samples);
    let (spread, seen) = (unbiased - sum * mean, squares - sum * mean);
    let keep = if seen > 0.0 { (spread / seen).clamp(0.0, 1.0).sqrt() } else { 0.0 };
    spectrum.truncate(filled);
    spectrum.iter_mut().for_each(|w| *w = mean + keep * (*w - mean));
    spectrum
}

/// Deviations of the median size beyond which a value is an outlier.
const OUTLIER: f64 = 100.0;

/// Outliers drawn in to where they begin: beside a single one as it is, all other autocorrelation would be nothing.
fn without_outliers(series: &[f32]) -> Vec<f64> {
    let mut sorted: Vec<f64> = series.iter().map(|x| f64::from(*x)).collect();
    sorted.sort_by(f64::total_cmp);
    let Some(middle) = sorted.get(sorted.len() / 2).copied() else { return sorted };
    sorted.iter_mut().for_each(|x| *x = (*x - middle).abs());
    sorted.sort_by(f64::total_cmp);
    // Where most values are one and the same, nothing tells what is far.
    let usual = sorted[sorted.len() / 2];
    let reach = if usual > 0.0 { OUTLIER * usual } else { f64::INFINITY };
    series.iter().map(|x| f64::from(*x).clamp(middle - reach, middle + reach)).collect()
}

/// Autocorrelations are not followed beyond this lag.
const MAX_LAGS: usize = 1000;

/// The block length that estimates the variance of a mean best, after Politis and White (*Automatic block-length
/// selection for the dependent bootstrap*, 2004), twice over: here a bias to small variances is worse than noise.
/// 1 for a series without autocorrelation.
pub(super) fn block_length(series: &[f32]) -> usize {
    let n = series.len();
    let series = without_outliers(series);
    let mean = series.iter().sum::<f64>() / n.max(1) as f64;
    let centred: Vec<f64> = series.iter().map(|x| x - mean).collect();
    let covariance = |lag: usize| {
        let products = centred[lag..].iter().zip(&centred).map(|(a, b)| a * b);
        products.sum::<f64>() / n as f64
    };
    let variance = if n > 0 { covariance(0) } else { 0.0 };
    if n < 50 || variance <= 0.0 {
        return 1;
    }
    // Autocorrelations are nil from the first lag on that is followed by so many insignificant ones.
    let quiet = 5.max((n as f64).log10().sqrt().ceil() as usize);
    let significant = 2.0 * ((n as f64).log10() / n as f64).sqrt();
    let most = (n / 10).min(MAX_LAGS);
    let (mut covariances, mut silent) = (vec![variance], 0);
    while covariances.len() <= most && silent < quiet {
        let next = covariance(covariances.len());
        silent = if (next / variance).abs() < significant { silent + 1 } else { 0 };
        covariances.push(next);
    }
    let last = covariances.len() - 1 - silent;
    if last == 0 {
        return 1;
    }
    // A flat-top window: whole up to `last`, then falling to 0 at twice as far.
    let (mut density, mut slope) = (variance, 0.0);
    for lag in 1..=2 * last {
        let height = (2.0 - lag as f64 / last as f64).min(1.0);
        let c = height * covariances.get(lag).copied().unwrap_or_else(|| if lag < n { covariance(lag) } else { 0.0 });
        density += 2.0 * c;
        slope += 2.0 * lag as f64 * c;
    }
    let best = (1.5 * (slope / density).powi(2) * n as f64).cbrt();
    ((2.0 * best).ceil() as usize).clamp(1, (n / 10).max(1))
}
