//! Runs of a feature: how long its values stay in one bin, and how its extremes come together.

/// Collects, bin by bin, how often values enter it and the longest they stay.
#[derive(Clone, Debug)]
pub(super) struct Stays {
    bin: Option<usize>,
    length: u64,
    /// Per bin: runs, and the rows of the longest.
    of_bins: Vec<(u64, u64)>,
}

impl Stays {
    pub(super) fn new(bins: usize) -> Self {
        Self { bin: None, length: 0, of_bins: vec![(0, 0); bins] }
    }

    pub(super) fn push(&mut self, bin: usize) {
        if self.bin == Some(bin) {
            self.length += 1;
        } else {
            self.length = 1;
            self.of_bins[bin].0 += 1;
        }
        self.bin = Some(bin);
        let longest = &mut self.of_bins[bin].1;
        *longest = (*longest).max(self.length);
    }

    /// Rows in which it becomes e times less likely that a run of the most enduring bin goes on.
    ///
    /// The longest of n runs whose lengths have an exponential tail is about ln(n) times that number. One longest run is
    /// a poor estimate of it (its deviation is 1.3 times the number), so it is doubled.
    pub(super) fn endurance(&self) -> f32 {
        let of_bin = |(runs, longest): &(u64, u64)| 2.0 * *longest as f64 / (1.0 + *runs as f64).ln();
        self.of_bins.iter().filter(|(runs, _)| *runs > 0).map(of_bin).fold(0.0, f64::max) as f32
    }
}

/// The share of the values at either end that stands for the extremes.
const EXTREME: f64 = 0.02;

/// How many extreme values come together, on average, at that end of the series where they are more: the inverse of the
/// extremal index by the intervals estimator (Ferro and Segers, *Inference for clusters of extreme values*, 2003). At
/// least 1; 1 for a series that is too short to tell, or without extremes, as half its values are the smallest.
pub(super) fn cluster(series: &[f32]) -> f32 {
    let mut sorted = series.to_vec();
    sorted.sort_unstable_by(f32::total_cmp);
    let extreme = ((EXTREME * series.len() as f64) as usize).max(20);
    if series.len() < 4 * extreme {
        return 1.0;
    }
    let (low, high) = (sorted[extreme], sorted[series.len() - 1 - extreme]);
    let together = |is_extreme: &dyn Fn(f32) -> bool| {
        let at: Vec<usize> = (0..series.len()).filter(|i| is_extreme(series[*i])).collect();
        let apart: Vec<f64> = at.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect();
        1.0 / extremal_index(&apart)
    };
    together(&|x| x < low).max(together(&|x| x > high)) as f32
}

/// The extremal index, in (0, 1], from the rows between extremes; 1 where there are too few of them.
fn extremal_index(apart: &[f64]) -> f64 {
    let n = apart.len() as f64;
    if apart.len() < 4 {
        return 1.0;
    }
    let distant = apart.iter().any(|t| *t > 2.0);
    let (mut sum, mut squares) = (0.0, 0.0);
    for t in apart {
        sum += if distant { t - 1.0 } else { *t };
        squares += if distant { (t - 1.0) * (t - 2.0) } else { t * t };
    }
    (2.0 * sum * sum / (n * squares)).clamp(1.0 / n, 1.0)
}
