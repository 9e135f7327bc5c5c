//! The data of `make.py`, made anew: the same draws, the same additions, the same numbers.

use rand_mt::Mt;

/// `random.Random(seed).random()`.
struct Random(Mt);

impl Random {
    fn new(seed: u64) -> Self {
        Self(Mt::new_with_key([seed as u32]))
    }

    fn unit(&mut self) -> f64 {
        let (a, b) = (self.0.next_u32() >> 5, self.0.next_u32() >> 6);
        (f64::from(a) * 67_108_864.0 + f64::from(b)) / 9_007_199_254_740_992.0
    }

    fn bell(&mut self) -> f64 {
        (0..12).fold(0.0, |sum, _| sum + self.unit()) - 6.0
    }
}

pub(crate) fn scalars(seed: u64, length: usize) -> Vec<f64> {
    let mut random = Random::new(seed);
    let (first, second, third) = (length / 4, length / 2, 3 * length / 4);
    let step = 0.25 + 0.05 * (seed % 20) as f64;
    let shaped = |i: usize, x: f64| match i {
        _ if (first..second).contains(&i) => x + step,
        _ if (second..third).contains(&i) => x * 2.0,
        _ if i >= third => x - step,
        _ => x,
    };
    (0..length).map(|i| shaped(i, random.bell())).collect()
}

pub(crate) fn errors(seed: u64, length: usize) -> Vec<bool> {
    let mut random = Random::new(1000 + seed);
    let rate = 0.05 + 0.01 * (seed % 10) as f64;
    (0..length).map(|i| random.unit() < if i < length / 2 { rate } else { rate + 0.15 }).collect()
}

pub(crate) fn whole_numbers(seed: u64) -> (Vec<f32>, Vec<f32>) {
    let mut random = Random::new(2000 + seed);
    let reference = (0..2000).map(|_| (random.unit() * 10.0).floor() as f32).collect();
    let lean = 0.02 * (seed % 10) as f64;
    let current = (0..700)
        .map(|_| {
            // Python evaluates the left factor first.
            let x = random.unit();
            (x * (1.0 - lean * random.unit()) * 10.0).floor() as f32
        })
        .collect();
    (reference, current)
}
