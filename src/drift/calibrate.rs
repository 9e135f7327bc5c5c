//! Calibration: the level of each test, from the false alarms one will bear.

use std::time::Duration;

use crate::{Error, Result};

/// The rate of false alarms that is borne: the mean time to one, over all features together.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum FalseAlarm {
    /// One in so many windows, on average.
    Windows(f64),
    /// One in such a time, on average.
    Every {
        /// The mean time.
        time: Duration,
        /// Rows per second, averaged over day and night.
        rate: f64,
    },
}

impl FalseAlarm {
    /// One in `windows` windows.
    pub fn windows(windows: f64) -> Self {
        Self::Windows(windows)
    }

    /// One in `time`, at `rate` rows per second.
    pub fn every(time: Duration, rate: f64) -> Self {
        Self::Every { time, rate }
    }

    /// The mean number of windows of `rows` rows to a false alarm.
    pub fn in_windows(&self, rows: u64) -> f64 {
        match self {
            Self::Windows(windows) => *windows,
            Self::Every { time, rate } => time.as_secs_f64() * rate / rows.max(1) as f64,
        }
    }
}

/// The persistence that makes a drift: at least `k` rejections in the last `n` windows.
///
/// A real drift stays; a chance rejection of the same feature hardly comes twice. That buys a looser level per window
/// for the same time to a false alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Persistence {
    k: u8,
    n: u8,
}

impl Persistence {
    /// Two of the last three.
    pub const TWO_OF_THREE: Self = Self { k: 2, n: 3 };

    /// `k` of `n`.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` unless 1 ≤ k ≤ n ≤ 8.
    pub fn new(k: u8, n: u8) -> Result<Self> {
        if k == 0 || k > n || n > 8 {
            return Err(Error::invalid(format!("persistence: expected 1 ≤ k ≤ n ≤ 8, got {k} of {n}")));
        }
        Ok(Self { k, n })
    }

    /// The least number of rejections, k.
    pub fn k(&self) -> u8 {
        self.k
    }

    /// The number of windows looked at, n.
    pub fn n(&self) -> u8 {
        self.n
    }

    /// Puts `happened` into the history (newest in the lowest bit); says whether k of the last n happened.
    pub(super) fn push(&self, history: &mut u8, happened: bool) -> bool {
        *history = *history << 1 | u8::from(happened);
        *history &= (0xFFu16 >> (8 - self.n)) as u8;
        history.count_ones() >= u32::from(self.k)
    }
}

/// The level of a single test, for `tests` tests per window and a mean of `windows` windows to the first false alarm.
///
/// A test that rejects with probability α per window, independently, alarms in the first window in which k of the last
/// n rejected. With s(t) the probability of no alarm up to window t (a Markov chain over the last n − 1 outcomes),
/// `tests` of them are all silent with s(t)ᵗᵉˢᵗˢ, and the mean time to the first alarm is Σₜ s(t)ᵗᵉˢᵗˢ, t = 0, 1, …,
/// which falls as α rises. α is found by halving, and is at most 0.5. For k = n = 1 it is 1 − (1 − 1/windows)^(1/tests).
///
/// Tests that depend on each other alarm together, and so less often than asked.
///
/// # Errors
///
/// `InvalidArgument` unless `windows` is at least 10 and finite.
pub(super) fn level(windows: f64, tests: usize, persistence: Persistence) -> Result<f64> {
    if !(10.0..=1e12).contains(&windows) {
        let means = "a mean time to false alarm";
        return Err(Error::invalid(format!("{means}: expected 10 to 1e12 windows, got {windows}")));
    }
    let (mut low, mut high) = (f64::ln(1e-30), f64::ln(0.5));
    while high - low > 1e-9 {
        let middle = (low + high) / 2.0;
        if mean_time(middle.exp(), tests, persistence) > windows { low = middle } else { high = middle }
    }
    Ok(((low + high) / 2.0).exp())
}

/// Mean number of windows to the first alarm of `tests` independent tests.
pub(super) fn mean_time(alpha: f64, tests: usize, persistence: Persistence) -> f64 {
    let remembered = 1usize << (persistence.n() - 1);
    let mut chain = vec![0.0; remembered];
    chain[0] = 1.0;
    let (mut mean, mut silent, mut ratio) = (0.0, 1.0f64, 1.0f64);
    loop {
        let mut next = vec![0.0; remembered];
        // What is lost is summed apart: 1 − s would drown in rounding where α is tiny.
        let mut lost = 0.0;
        for (history, p) in chain.iter().enumerate() {
            let rejected = history << 1 | 1;
            if rejected.count_ones() >= u32::from(persistence.k()) {
                lost += alpha * p;
            } else {
                next[rejected & (remembered - 1)] += alpha * p;
            }
            next[history << 1 & (remembered - 1)] += (1.0 - alpha) * p;
        }
        let whole: f64 = chain.iter().sum();
        let now = (-lost / whole).ln_1p();
        mean += silent;
        silent *= (tests as f64 * now).exp();
        // After n steps the chain settles, and the rest is a geometric series.
        if (now / ratio - 1.0).abs() < 1e-12 || silent < 1e-12 {
            return mean + silent / -(tests as f64 * now).exp_m1();
        }
        ratio = now;
        // Only the shape of the chain matters from here on.
        chain = next.iter().map(|p| p / (whole - lost)).collect();
    }
}

/// The level of one window's test that is even over `tests` tests: 1 − (1 − α)^tests.
pub(super) fn family(alpha: f64, tests: usize) -> f64 {
    -(tests as f64 * (-alpha).ln_1p()).exp_m1()
}
