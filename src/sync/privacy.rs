//! Privacy of a batch: what it does not tell.

use crate::{Error, Result};

/// What is held back, or blurred, of the counts that depend on what users did: feature bins, classes and confidence.
///
/// Requests by outcome, tokens, latency and losses are operational and always exact.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Privacy {
    /// The least growth of a bin that is given out. A bin that grew by less keeps its growth for a later batch, so that the
    /// totals of a bin are behind by less than this, and catch up: no count is lost. 1 gives everything at once.
    /// Default: 10.
    pub min_count: u64,
    /// If set, every bin of every closed window gets noise of the discrete Laplace distribution, P(x) ∝ e^(−ε·|x|),
    /// from the operating system's random numbers, before anything is stored or sent. It makes the presence of one
    /// inference in one feature's counts ε-differentially private; over *f* features the budgets add to *f*·ε.
    /// A count that falls below zero is given as zero, which makes small counts a little too large on average.
    /// The standard deviation per bin and window is about √2/ε: for ε = 1 it is 1.4 rows. Default: none.
    pub epsilon: Option<f64>,
}

impl Default for Privacy {
    fn default() -> Self {
        Self { min_count: 10, epsilon: None }
    }
}

impl Privacy {
    /// Everything at once, and exact.
    pub const NONE: Privacy = Privacy { min_count: 1, epsilon: None };

    /// Sets the least growth of a bin that is given out.
    #[must_use]
    pub fn min_count(mut self, rows: u64) -> Self {
        self.min_count = rows;
        self
    }

    /// Sets the noise of every bin; `None` for none.
    #[must_use]
    pub fn epsilon(mut self, epsilon: impl Into<Option<f64>>) -> Self {
        self.epsilon = epsilon.into();
        self
    }

    pub(super) fn check(&self) -> Result<()> {
        match self.epsilon {
            Some(e) if !(1e-3..=100.0).contains(&e) => {
                Err(Error::invalid(format!("privacy: epsilon: expected 0.001 to 100, got {e}")))
            }
            _ => Ok(()),
        }
    }

    /// Adds the counts of a window to what is given out and what is held back.
    pub(super) fn add(
        &self,
        window: &[u64],
        given: &mut Vec<u64>,
        held: &mut Vec<u64>,
        noise: &mut Noise,
    ) -> Result<()> {
        given.resize(window.len().max(given.len()), 0);
        held.resize(given.len(), 0);
        for (i, count) in window.iter().enumerate() {
            held[i] = held[i].saturating_add(match self.epsilon {
                Some(epsilon) => count.saturating_add_signed(noise.laplace(epsilon)?),
                None => *count,
            });
            if held[i] >= self.min_count {
                given[i] = given[i].saturating_add(std::mem::take(&mut held[i]));
            }
        }
        Ok(())
    }
}

/// Random bits of the operating system, drawn in blocks.
#[derive(Debug, Default)]
pub(super) struct Noise {
    block: Vec<u64>,
}

impl Noise {
    pub(super) fn bits(&mut self) -> Result<u64> {
        if self.block.is_empty() {
            let mut bytes = [0; 1024];
            fill(&mut bytes)?;
            self.block.extend(bytes.as_chunks().0.iter().map(|chunk| u64::from_le_bytes(*chunk)));
        }
        Ok(self.block.pop().unwrap_or_default())
    }

    /// The difference of two geometric numbers with ratio e^−ε, which has the discrete Laplace distribution
    /// (Inusah and Kozubowski, 2006).
    fn laplace(&mut self, epsilon: f64) -> Result<i64> {
        Ok(geometric(self.bits()?, epsilon) - geometric(self.bits()?, epsilon))
    }
}

/// By inversion, with 53 bits: U uniform in (0, 1], ⌊−ln U / ε⌋.
fn geometric(bits: u64, epsilon: f64) -> i64 {
    let uniform = ((bits >> 11) + 1) as f64 / (1u64 << 53) as f64;
    (-uniform.ln() / epsilon) as i64
}

/// Random bytes of the operating system.
pub(super) fn fill(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes).map_err(|e| Error::new(crate::Code::Io, format!("random numbers: {e}")))
}
