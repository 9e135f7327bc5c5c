//! k of the last n.

use crate::{Error, Result};

/// Whether something happened in at least `k` of the last `n` windows.
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
    /// Errors: `InvalidArgument` unless 1 ≤ k ≤ n ≤ 8.
    pub fn new(k: u8, n: u8) -> Result<Self> {
        if k == 0 || k > n || n > 8 {
            return Err(Error::invalid(format!("persistence: expected 1 ≤ k ≤ n ≤ 8, got {k} of {n}")));
        }
        Ok(Self { k, n })
    }

    /// The k.
    pub fn k(&self) -> u8 {
        self.k
    }

    /// The n.
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
