//! Edges of numeric bins: between the values that the reference has, where no rounding takes one across.
//!
//! A value comes rounded in other ways than the reference's did: to `f32`, to `f16`, to text of six digits, and to one
//! after the other. Rounding keeps the order of values, so an edge is safe where the values on either side of it, rounded
//! in whatever way, stay there: between the most that the lower one may become and the least that the upper one may.

use half::f16;

/// The roundings that the values of a column may go through.
#[derive(Clone, Copy, Debug)]
pub(super) struct Roundings {
    /// Whether an `f16` holds the column at all: its values are neither beyond its range nor all below it.
    half: bool,
    /// Whether `f16` tells at least 64 values of the column apart: what it makes equal is then no matter.
    resolved: bool,
    spread: f64,
}

/// Half the distance of neighbouring `f16`s, as a share of their value: 2⁻¹¹.
const HALF_STEP: f64 = 1.0 / 2048.0;
/// Half the distance of the smallest `f16`s.
const HALF_LEAST: f64 = 1.0 / 33_554_432.0;
/// Six decimals of a column of unit spread, and what sums of floats are off by.
const SPREAD_STEP: f64 = 1.0 / 1_048_576.0;

impl Roundings {
    /// Of a column whose values lie between these.
    pub(super) fn of(min: f32, max: f32) -> Self {
        let most = min.abs().max(max.abs());
        let half = most >= f16::MIN_POSITIVE.to_f32() && most <= f16::MAX.to_f32();
        let spread = f64::from(max) - f64::from(min);
        Self { half, resolved: half && spread >= f64::from(most) / 32.0, spread }
    }

    /// The lowest and the highest edge: beyond the smallest and the largest value by what rounding may add, and by no
    /// more than `gaps`, where the next value could be. The lowest is below all values but −[`f32::MAX`].
    pub(super) fn ends(self, min: f32, max: f32, gaps: [f64; 2]) -> [f32; 2] {
        let low = (f64::from(min) - self.slack(min).min(gaps[0])) as f32;
        let high = (f64::from(max) + self.slack(max).min(gaps[1])) as f32;
        [low.min(self.least(min)).next_down().max(f32::MIN), high.max(self.most(max)).min(f32::MAX)]
    }

    fn slack(self, value: f32) -> f64 {
        let least = if self.half { HALF_LEAST } else { f64::from(f32::MIN_POSITIVE) };
        (f64::from(value.abs()) * HALF_STEP).max(self.spread * SPREAD_STEP).max(least)
    }

    /// The edge between two neighbouring values that no rounding takes across; `None` where one makes them equal.
    pub(super) fn between(self, below: f32, above: f32) -> Option<f32> {
        if self.half && f16::from_f32(below) >= f16::from_f32(above) {
            return None;
        }
        let (most, least) = (self.most(below), self.least(above));
        let middle = ((f64::from(most) + f64::from(least)) / 2.0) as f32;
        // Of two floats without one between them the middle is one of them.
        (most < least).then_some(if middle < least { middle } else { most })
    }

    /// The same, with no thought of `f16`.
    pub(super) fn without_half(self) -> Self {
        Self { half: false, resolved: false, ..self }
    }

    /// The most that a value may become.
    fn most(self, value: f32) -> f32 {
        self.rounded(value).fold(value, f32::max)
    }

    /// The least that a value may become.
    fn least(self, value: f32) -> f32 {
        self.rounded(value).fold(value, f32::min)
    }

    fn rounded(self, value: f32) -> impl Iterator<Item = f32> {
        let half = if self.half { f16::from_f32(value).to_f32() } else { value };
        [half, six_digits(half), six_digits(value)].into_iter()
    }
}

/// The value as text of six significant digits says it.
fn six_digits(value: f32) -> f32 {
    format!("{value:.5e}").parse::<f32>().map_or(value, |rounded| rounded.clamp(f32::MIN, f32::MAX))
}

/// The edges of a column of few values, which rise, and of each bin the first value in it. Values that six digits do not
/// tell apart share a bin.
pub(super) fn of_values(values: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let (Some(min), Some(max)) = (values.first(), values.last()) else { return (Vec::new(), Vec::new()) };
    let roundings = Roundings::of(*min, *max);
    let cut = |pair: &[f32]| roundings.between(pair[0], pair[1]).or(roundings.without_half().between(pair[0], pair[1]));
    let cuts: Vec<(f32, f32)> = values.windows(2).filter_map(|pair| Some((cut(pair)?, pair[1]))).collect();
    let gap = |i: usize| values.get(i..i + 2).map_or(f64::INFINITY, |w| (f64::from(w[1]) - f64::from(w[0])) / 2.0);
    let gaps = match cuts.is_empty() {
        true => [f64::INFINITY; 2],
        false => [gap(0), gap(values.len() - 2)],
    };
    let [low, high] = roundings.ends(*min, *max, gaps);
    let mut edges = vec![low];
    let mut firsts = vec![*min];
    for (cut, value) in cuts {
        // Of a smallest value that no float is below, the bin is *under*.
        if *min <= low && edges.len() == 1 && firsts == [*min] {
            firsts.clear();
        } else {
            edges.push(cut);
        }
        firsts.push(value);
    }
    edges.push(high);
    (edges, firsts)
}

/// The edges of at most `bins` bins of about equal counts, for a sorted sample of a column between `min` and `max`.
///
/// Each is the safe one nearest to its quantile, at most half a bin away: first of those that are safe from all
/// roundings, then, in a column that `f16` is too coarse for, of the others. Values that six digits do not tell apart
/// share a bin.
pub(super) fn of_quantiles(sample: &[f32], bins: usize, [min, max]: [f32; 2]) -> Vec<f32> {
    let (n, roundings) = (sample.len(), Roundings::of(min, max));
    let [low, high] = roundings.ends(min, max, [f64::INFINITY; 2]);
    let mut edges = vec![low, high];
    for i in 1..bins {
        let quantile = (i * n).div_ceil(bins).max(1) - 1;
        edges.extend(near(sample, quantile, n / (2 * bins), roundings));
    }
    edges.sort_by(f32::total_cmp);
    edges.dedup_by(|a, b| *a <= *b);
    edges
}

fn near(sample: &[f32], at: usize, reach: usize, roundings: Roundings) -> Option<f32> {
    let pair = |i: usize, roundings: Roundings| {
        let (below, above) = (*sample.get(i)?, *sample.get(i + 1)?);
        (below < above).then(|| roundings.between(below, above)).flatten()
    };
    let search = |roundings: Roundings| {
        let outwards = (0..=reach).flat_map(|step| [Some(at + step), at.checked_sub(step)]);
        outwards.flatten().find_map(|i| pair(i, roundings))
    };
    // A value that is all of a bin and more ends where the next one begins, or what rounding makes equal to it.
    let run_end = sample.partition_point(|v| *v <= sample[at]).saturating_sub(1);
    let behind = |roundings: Roundings| (run_end..=run_end + reach).find_map(|i| pair(i, roundings));
    let safe = search(roundings).or_else(|| behind(roundings));
    if safe.is_some() || roundings.resolved {
        return safe;
    }
    let coarse = roundings.without_half();
    search(coarse).or_else(|| behind(coarse))
}
