//! Random numbers of CPython's `random.Random`.
//!
//! Two things hang on these very draws: [`Kswin`](super::Kswin) alarms at the same index as river's `KSWIN`, whose sample
//! is Python's, and a stored profile holds the seed of its [`Fourier`](super::Fourier) features and not their weights.

use std::collections::HashSet;

use rand_mt::Mt;

/// MT19937, seeded and read as CPython does it (`init_by_array` of the seed's 32-bit words, low word first).
#[derive(Clone, Debug)]
pub(super) struct PythonRandom(Mt);

impl PythonRandom {
    pub(super) fn new(seed: u64) -> Self {
        let (low, high) = (seed as u32, (seed >> 32) as u32);
        Self(if high == 0 { Mt::new_with_key([low]) } else { Mt::new_with_key([low, high]) })
    }

    /// `Random.random()`: uniform in [0, 1) with 53 bits.
    pub(super) fn unit(&mut self) -> f64 {
        let (a, b) = (self.0.next_u32() >> 5, self.0.next_u32() >> 6);
        (f64::from(a) * 67_108_864.0 + f64::from(b)) / 9_007_199_254_740_992.0
    }

    /// `Random.randrange(n)` for 0 < n < 2³².
    pub(super) fn below(&mut self, n: usize) -> usize {
        let bits = usize::BITS - n.leading_zeros();
        loop {
            let drawn = (self.0.next_u32() >> (32 - bits.clamp(1, 32))) as usize;
            if drawn < n {
                return drawn;
            }
        }
    }

    /// `Random.sample(range(n), k)` for k ≤ n. Small populations are drawn from a shrinking pool, large ones by
    /// rejection, at the border CPython chose.
    pub(super) fn sample(&mut self, n: usize, k: usize) -> Vec<usize> {
        let mut border = 21;
        if k > 5 {
            border += 4usize.pow((3.0 * k as f64).log(4.0).ceil() as u32);
        }
        if n <= border {
            let mut pool: Vec<usize> = (0..n).collect();
            return (0..k)
                .map(|i| {
                    let (j, last) = (self.below(n - i), pool[n - i - 1]);
                    std::mem::replace(&mut pool[j], last)
                })
                .collect();
        }
        let mut seen = HashSet::new();
        (0..k)
            .map(|_| {
                loop {
                    let j = self.below(n);
                    if seen.insert(j) {
                        return j;
                    }
                }
            })
            .collect()
    }
}
