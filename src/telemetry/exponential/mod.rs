//! A histogram whose buckets grow by a constant factor.

/// The exponential histogram of OpenTelemetry's data model: bucket `i` of `buckets` counts the values in
/// `(base^(offset+i), base^(offset+i+1)]`, with `base = 2^(2^-scale)`. It holds at most 160 buckets: when a value lies
/// outside, the scale falls and pairs of buckets become one. Two of them merge exactly, by addition.
///
/// Source: the OpenTelemetry metrics data model, "ExponentialHistogram".
///
/// ```
/// use selvedge::telemetry::Exponential;
/// let mut latency = Exponential::default();
/// for micros in [800, 820, 790, 12_000] {
///     latency.record(micros);
/// }
/// assert_eq!((latency.count(), latency.sum, latency.max), (4, 14_410, 12_000));
/// assert!((latency.quantile(0.5).unwrap() / 800.0 - 1.0).abs() < 0.05);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exponential {
    /// Resolution: 2^scale buckets per factor of two.
    pub scale: i32,
    /// The number of values that were 0.
    pub zero_count: u64,
    /// The index of the first bucket.
    pub offset: i32,
    /// Counts, with no zero at either end.
    pub buckets: Vec<u64>,
    /// The sum of all values; saturates.
    pub sum: u64,
    /// The smallest value; 0 where there is none.
    pub min: u64,
    /// The largest value; 0 where there is none.
    pub max: u64,
}

impl Default for Exponential {
    fn default() -> Self {
        Self { scale: Self::MAX_SCALE, zero_count: 0, offset: 0, buckets: Vec::new(), sum: 0, min: 0, max: 0 }
    }
}

impl Exponential {
    /// The most buckets.
    pub const MAX_BUCKETS: usize = 160;
    /// The finest resolution: 16 buckets per factor of two, so that a value is known to ±2.2 %.
    pub const MAX_SCALE: i32 = 4;

    /// Counts one value.
    pub fn record(&mut self, value: u64) {
        self.min = if self.count() == 0 { value } else { self.min.min(value) };
        self.max = self.max.max(value);
        self.sum = self.sum.saturating_add(value);
        if value == 0 {
            self.zero_count = self.zero_count.saturating_add(1);
            return;
        }
        self.cover(index(value, self.scale), index(value, self.scale));
        let at = index(value, self.scale) - self.offset;
        let bucket = &mut self.buckets[at as usize];
        *bucket = bucket.saturating_add(1);
    }

    /// Adds all that the other one counted.
    pub fn merge(&mut self, other: &Exponential) {
        if other.count() == 0 {
            return;
        }
        self.min = if self.count() == 0 { other.min } else { self.min.min(other.min) };
        self.max = self.max.max(other.max);
        self.sum = self.sum.saturating_add(other.sum);
        self.zero_count = self.zero_count.saturating_add(other.zero_count);
        let mut other = other.clone();
        self.coarsen_to(other.scale);
        if other.buckets.is_empty() {
            return;
        }
        // The scale may have to fall more than once until both fit into one.
        other.coarsen_to(self.scale);
        self.cover(other.offset, other.offset + other.buckets.len() as i32 - 1);
        other.coarsen_to(self.scale);
        for (i, count) in other.buckets.iter().enumerate() {
            let bucket = &mut self.buckets[(other.offset - self.offset) as usize + i];
            *bucket = bucket.saturating_add(*count);
        }
    }

    /// The number of values counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().fold(self.zero_count, |sum, n| sum.saturating_add(*n))
    }

    /// The value below which the part `q` of `[0, 1]` of all values lies: the geometric middle of its bucket, held
    /// within the smallest and the largest value. `None` where nothing was counted.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let rank = ((q.clamp(0.0, 1.0) * count as f64).ceil() as u64).max(1);
        let mut seen = self.zero_count;
        if rank <= seen {
            return Some(0.0);
        }
        if rank >= count {
            return Some(self.max as f64);
        }
        for (i, n) in self.buckets.iter().enumerate() {
            seen = seen.saturating_add(*n);
            if rank <= seen {
                let middle = (f64::from(self.offset + i as i32) + 0.5) * 2f64.powi(-self.scale);
                return Some(middle.exp2().clamp(self.min as f64, self.max as f64));
            }
        }
        Some(self.max as f64)
    }

    /// Whether it is one that this type could have made, so that merging cannot overflow.
    pub(crate) fn is_valid(&self) -> bool {
        (0..=Self::MAX_SCALE).contains(&self.scale)
            && self.buckets.len() <= Self::MAX_BUCKETS
            && self.offset >= -1
            && i64::from(self.offset) + self.buckets.len() as i64 <= 64 << self.scale
    }

    /// Makes room for the buckets `low..=high` of the present scale, at a coarser scale if need be.
    fn cover(&mut self, mut low: i32, mut high: i32) {
        if !self.buckets.is_empty() {
            low = low.min(self.offset);
            high = high.max(self.offset + self.buckets.len() as i32 - 1);
        }
        let mut scale = self.scale;
        while high - low >= Self::MAX_BUCKETS as i32 {
            (low, high, scale) = (low >> 1, high >> 1, scale - 1);
        }
        self.coarsen_to(scale);
        if self.buckets.is_empty() {
            self.offset = low;
        }
        let before = (self.offset - low) as usize;
        self.buckets.splice(0..0, std::iter::repeat_n(0, before));
        self.offset = low;
        self.buckets.resize((high - low + 1) as usize, 0);
    }

    fn coarsen_to(&mut self, scale: i32) {
        let Ok(steps @ 1..) = u32::try_from(self.scale - scale) else { return };
        self.scale = scale;
        let (offset, fine) = (self.offset, std::mem::take(&mut self.buckets));
        if fine.is_empty() {
            return;
        }
        self.offset = offset >> steps;
        for (i, count) in fine.into_iter().enumerate() {
            let at = (((offset + i as i32) >> steps) - self.offset) as usize;
            self.buckets.resize(at + 1, 0);
            self.buckets[at] = self.buckets[at].saturating_add(count);
        }
    }
}

/// The bucket of a value above 0: the `i` with `base^i < value <= base^(i+1)`.
fn index(value: u64, scale: i32) -> i32 {
    let log = value.ilog2() as i32;
    // Powers of two are upper bounds.
    if value.is_power_of_two() {
        return if scale >= 0 { (log << scale) - 1 } else { (log - 1) >> -scale };
    }
    if scale <= 0 {
        return log >> -scale;
    }
    // A float cannot tell a large power of two from its neighbours.
    let index = ((value as f64).log2() * f64::from(1 << scale)).ceil() as i32 - 1;
    index.clamp(log << scale, ((log + 1) << scale) - 1)
}

#[cfg(test)]
mod tests;
