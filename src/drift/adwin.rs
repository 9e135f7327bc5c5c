//! ADWIN: a window that grows while the mean holds and shrinks when it moves.

use std::collections::VecDeque;

use super::magnitude::{OUT_OF_PROPORTION, bounded};

/// Buckets of one size that are kept before two of them are merged.
const MAX_BUCKETS: usize = 5;
/// Cuts that leave fewer values than this on one side are not looked at.
const MIN_SIDE: f64 = 5.0;
/// No cut before the window holds more values than this.
const GRACE: f64 = 10.0;
/// Values that tell how far the stream spreads now.
const LATEST: f64 = 32.0;

/// ADWIN2: adaptive windowing over exponential buckets (Bifet and Gavaldà, *Learning from time-changing data with
/// adaptive windowing*, SDM 2007; the variance of buckets after Babcock et al., PODS 2003).
///
/// For values of bounded or light-tailed spread: accuracies, confidences, latencies in log scale. Memory grows with
/// the logarithm of the window. Alarms come at the same index as those of river's `ADWIN`.
///
/// Values beyond ±1e100 are taken for that. A window whose spread is a million times that of its latest 32 values (or of
/// 1, or of their mean, whichever is most) holds outliers that would hide every change to come: what is as old as
/// they are is forgotten, at the next look and without an alarm.
///
/// # Examples
///
/// ```
/// use selvedge::drift::Adwin;
/// let mut adwin = Adwin::new();
/// let stream = (0..2000).map(|i| if i < 1000 { f64::from(i % 2) } else { 4.0 + f64::from(i % 4) });
/// let alarms: Vec<usize> = stream.enumerate().filter(|(_, x)| adwin.update(*x)).map(|(i, _)| i).collect();
/// assert_eq!(alarms, [1023]);
/// ```
#[derive(Clone, Debug)]
pub struct Adwin {
    delta: f64,
    clock: u64,
    alarmed: bool,
    tick: u64,
    width: f64,
    total: f64,
    /// Sum of squared deviations from the mean of the window.
    variance: f64,
    /// Row `i` holds buckets of 2ⁱ values, the oldest first.
    rows: Vec<VecDeque<Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    total: f64,
    variance: f64,
}

/// Some of the newest buckets, together.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    width: f64,
    total: f64,
    variance: f64,
}

impl Adwin {
    /// δ = 0.002, a look for change every 32 values.
    pub fn new() -> Self {
        Self {
            delta: 0.002,
            clock: 32,
            alarmed: false,
            tick: 0,
            width: 0.0,
            total: 0.0,
            variance: 0.0,
            rows: vec![VecDeque::new()],
        }
    }

    /// The confidence δ, in 0..1: smaller is more patient.
    #[must_use]
    pub fn delta(self, delta: f64) -> Self {
        Self { delta, ..self }
    }

    /// The number of values between two looks for change; at least 1.
    #[must_use]
    pub fn clock(self, clock: u64) -> Self {
        Self { clock: clock.max(1), ..self }
    }

    /// Adds a value; says whether the mean has changed. The window begins anew after an alarm. A value that is no
    /// finite number is left out.
    pub fn update(&mut self, value: f64) -> bool {
        let Some(value) = bounded(value) else { return false };
        if self.alarmed {
            *self = Self::new().delta(self.delta).clock(self.clock);
        }
        self.insert(value);
        self.tick += 1;
        if self.tick.is_multiple_of(self.clock) && self.width > GRACE {
            self.forget_outliers();
            while self.drop_one_if_changed() {
                self.alarmed = true;
            }
        }
        self.alarmed
    }

    /// Mean of the window; 0 while it is empty.
    pub fn mean(&self) -> f64 {
        if self.width == 0.0 { 0.0 } else { self.total / self.width }
    }

    /// Values in the window.
    pub fn width(&self) -> u64 {
        self.width as u64
    }

    fn insert(&mut self, value: f64) {
        self.rows[0].push_back(Bucket { total: value, variance: 0.0 });
        self.width += 1.0;
        if self.width > 1.0 {
            let before = self.width - 1.0;
            let distance = value - self.total / before;
            self.variance += before * distance * distance / self.width;
        }
        self.total += value;
        self.compress();
    }

    fn compress(&mut self) {
        let mut row = 0;
        while self.rows[row].len() == MAX_BUCKETS + 1 {
            if row + 1 == self.rows.len() {
                self.rows.push(VecDeque::new());
            }
            let (Some(a), Some(b)) = (self.rows[row].pop_front(), self.rows[row].pop_front()) else { return };
            let n = size(row);
            let apart = a.total / n - b.total / n;
            let between = n * n * apart * apart / (n + n);
            let merged = Bucket { total: a.total + b.total, variance: a.variance + b.variance + between };
            self.rows[row + 1].push_back(merged);
            row += 1;
        }
    }

    /// Walks the cuts from the oldest value on. Where the two sides differ, the oldest bucket goes.
    fn drop_one_if_changed(&mut self) -> bool {
        let (mut n0, mut n1) = (0.0, self.width);
        let (mut u0, mut u1) = (0.0, self.total);
        for row in (0..self.rows.len()).rev() {
            for bucket in &self.rows[row] {
                n0 += size(row);
                n1 -= size(row);
                u0 += bucket.total;
                u1 -= bucket.total;
                if n0 >= MIN_SIDE && n1 >= MIN_SIDE && self.differs(n0, n1, u0 / n0 - u1 / n1) {
                    self.drop_oldest();
                    return true;
                }
            }
        }
        false
    }

    /// The bound of the paper's theorem 3.2, with the shortest sides taken off.
    fn differs(&self, n0: f64, n1: f64, apart: f64) -> bool {
        let delta = (2.0 * self.width.ln() / self.delta).ln();
        let harmonic = 1.0 / (n0 - MIN_SIDE + 1.0) + 1.0 / (n1 - MIN_SIDE + 1.0);
        let variance = self.variance / self.width;
        apart.abs() > (2.0 * harmonic * variance * delta).sqrt() + 2.0 / 3.0 * delta * harmonic
    }

    /// Drops the oldest buckets while the window spreads out of all proportion to its latest values.
    fn forget_outliers(&mut self) {
        if self.deviation() <= OUT_OF_PROPORTION {
            return;
        }
        let latest = self.newest(LATEST);
        let (mean, variance) = (latest.total / latest.width, latest.variance / latest.width);
        let most = OUT_OF_PROPORTION * variance.sqrt().max(mean.abs()).max(1.0);
        while self.deviation() > most && self.width > latest.width {
            self.drop_oldest();
        }
    }

    fn deviation(&self) -> f64 {
        (self.variance / self.width).sqrt()
    }

    /// The newest buckets, until they hold so many values.
    fn newest(&self, width: f64) -> Sum {
        let newest_first = self
            .rows
            .iter()
            .enumerate()
            .flat_map(|(row, buckets)| buckets.iter().rev().map(move |bucket| (size(row), bucket)));
        let mut sum = Sum::default();
        for (n, bucket) in newest_first {
            if sum.width >= width {
                break;
            }
            sum.add(n, bucket);
        }
        sum
    }

    fn drop_oldest(&mut self) {
        let row = self.rows.len() - 1;
        let is_large = self.deviation() > OUT_OF_PROPORTION;
        let Some(oldest) = self.rows[row].pop_front() else { return };
        if self.rows[row].is_empty() {
            self.rows.pop();
        }
        if is_large {
            // A difference would keep nothing of what is small beside the oldest.
            Sum { width: self.width, total: self.total, variance: self.variance } = self.newest(f64::INFINITY);
            return;
        }
        let n = size(row);
        self.width -= n;
        self.total -= oldest.total;
        let apart = oldest.total / n - self.total / self.width;
        self.variance -= oldest.variance + n * self.width * apart * apart / (n + self.width);
    }
}

impl Sum {
    fn add(&mut self, n: f64, bucket: &Bucket) {
        if self.width > 0.0 {
            let apart = self.total / self.width - bucket.total / n;
            self.variance += self.width * n * apart * apart / (self.width + n);
        }
        self.width += n;
        self.total += bucket.total;
        self.variance += bucket.variance;
    }
}

impl Default for Adwin {
    fn default() -> Self {
        Self::new()
    }
}

fn size(row: usize) -> f64 {
    (1u64 << row) as f64
}
