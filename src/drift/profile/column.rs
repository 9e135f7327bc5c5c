//! Column summary: what the first pass learns of a column, and the bins that follow.

use std::collections::HashMap;

use super::super::python_random::PythonRandom;
use super::bins::Bins;
use super::edges;
use super::number::read_number;
use super::reference::Moments;
use crate::Result;

/// Values kept for quantiles. Up to so many rows quantiles are exact; beyond, they are those of a uniform sample
/// (Vitter's algorithm R), whose ranks are off by 0.2 % of the rows (one standard deviation, at the median).
pub(super) const SAMPLE: usize = 65_536;
/// Categories counted; those that first come after so many others are *other*.
const MAX_NAMES: usize = 65_536;
/// Longer names are *other*.
pub(super) const MAX_NAME_LENGTH: usize = 255;

#[derive(Clone, Debug)]
pub(super) enum Summary {
    Numbers(Box<Numbers>),
    Names(HashMap<String, (u64, usize)>),
}

#[derive(Clone, Debug)]
pub(super) struct Numbers {
    sample: Vec<f32>,
    random: PythonRandom,
    /// Distinct values, rising, while they are few.
    distinct: Vec<f32>,
    max_distinct: usize,
    n: u64,
    min: f32,
    max: f32,
    mean: f64,
    squares: f64,
}

impl Summary {
    pub(super) fn numbers(bins: usize, seed: u64) -> Self {
        Self::Numbers(Box::new(Numbers {
            sample: Vec::new(),
            random: PythonRandom::new(seed),
            distinct: Vec::new(),
            max_distinct: bins,
            n: 0,
            min: f32::INFINITY,
            max: f32::NEG_INFINITY,
            mean: 0.0,
            squares: 0.0,
        }))
    }

    pub(super) fn names() -> Self {
        Self::Names(HashMap::new())
    }

    /// Adds a name; gives its number by first appearance.
    pub(super) fn add_name(&mut self, name: &str) -> usize {
        let Self::Names(names) = self else { return 0 };
        let (next, fits) = (names.len(), names.len() < MAX_NAMES && name.len() <= MAX_NAME_LENGTH);
        match names.get_mut(name) {
            Some((count, index)) => {
                *count += 1;
                *index
            }
            None if fits => names.entry(name.into()).or_insert((1, next)).1,
            None => MAX_NAMES,
        }
    }

    pub(super) fn add_number(&mut self, value: f32) {
        if let Self::Numbers(numbers) = self
            && value.is_finite()
        {
            numbers.add(value);
        }
    }

    /// The bins, and the moments where there are any.
    pub(super) fn finish(self, bins: usize, categories: usize) -> Result<(Bins, Option<Moments>)> {
        match self {
            Self::Numbers(numbers) => numbers.finish(bins),
            Self::Names(names) => {
                let mut names = by_frequency(names);
                names.truncate(categories);
                Ok((Bins::categories(names.into_iter().map(|(name, _)| name).collect())?, None))
            }
        }
    }
}

impl Numbers {
    fn add(&mut self, value: f32) {
        self.n += 1;
        (self.min, self.max) = (self.min.min(value), self.max.max(value));
        // Welford 1962.
        let apart = f64::from(value) - self.mean;
        self.mean += apart / self.n as f64;
        self.squares += apart * (f64::from(value) - self.mean);
        if self.distinct.len() <= self.max_distinct
            && let Err(at) =
                self.distinct.binary_search_by(|d| d.partial_cmp(&value).unwrap_or(std::cmp::Ordering::Equal))
        {
            self.distinct.insert(at, value);
        }
        if self.sample.len() < SAMPLE {
            self.sample.push(value);
        } else {
            // Uniform over the rows so far; the modulo of 53 random bits favours none by more than 2⁻²⁰.
            let at = (self.random.unit() * self.n as f64) as usize;
            if let Some(kept) = self.sample.get_mut(at) {
                *kept = value;
            }
        }
    }

    fn finish(mut self, bins: usize) -> Result<(Bins, Option<Moments>)> {
        if self.n == 0 {
            // Nothing to learn from: zero is as good as any number, and every value will be out of range.
            return Ok((Bins::numeric(vec![0f32.next_down(), 0.0])?, None));
        }
        let (edges, values) = if self.distinct.len() <= self.max_distinct {
            edges::of_values(&self.distinct)
        } else {
            self.sample.sort_by(f32::total_cmp);
            (edges::of_quantiles(&self.sample, bins, [self.min, self.max]), Vec::new())
        };
        let deviation = if self.n > 1 { (self.squares / (self.n - 1) as f64).sqrt() } else { 0.0 };
        let moments = Moments { min: self.min, max: self.max, mean: self.mean, deviation };
        let bins = Bins::numeric(edges)?;
        Ok((bins.clone().with_values(values).unwrap_or(bins), Some(moments)))
    }
}

/// Names and their counts, most frequent first. Those that say one number, as `1` and `1.0` do, are one.
fn by_frequency(names: HashMap<String, (u64, usize)>) -> Vec<(String, u64)> {
    let mut names: Vec<(String, u64)> = names.into_iter().map(|(name, (count, _))| (name, count)).collect();
    names.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let mut places: HashMap<u32, usize> = HashMap::new();
    let mut merged: Vec<(String, u64)> = Vec::with_capacity(names.len());
    for (name, count) in names {
        // Two zeros are one.
        let number = read_number(&name).filter(|v| v.is_finite()).map(|v| (v + 0.0).to_bits());
        match number.map(|bits| *places.entry(bits).or_insert(merged.len())) {
            Some(at) if at < merged.len() => merged[at].1 += count,
            _ => merged.push((name, count)),
        }
    }
    merged.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    merged
}
