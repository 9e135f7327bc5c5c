//! Embeddings.

use super::numbers::{Numbers, output};
use super::{Probe, ProbeFeature, Rows};
use crate::engine::{Answer, Embed, Request};

/// The vectors of an output of shape `[rows, numbers]`, for the comparison of embeddings as a whole (MMD²).
///
/// It has no features. Each vector becomes the signs of 128 random Fourier features (see
/// [`Fourier`](crate::drift::Fourier)): 128 bits, which lie in the telemetry's lanes as the bins of a feature do, until
/// they are overwritten. A window keeps how many rows each sign was positive in, and nothing else leaves the device.
///
/// ```
/// use selvedge::layer::probe::{Embeddings, Probe};
/// assert!(Embeddings::default().features().is_empty());
/// ```
#[derive(Clone, Debug)]
pub struct Embeddings {
    output: String,
}

impl Embeddings {
    /// The vectors of this output.
    pub fn of(output: impl Into<String>) -> Self {
        Self { output: output.into() }
    }
}

impl Default for Embeddings {
    /// The vectors that a request for embeddings gives.
    fn default() -> Self {
        Self::of(Embed::OUTPUT)
    }
}

impl Probe for Embeddings {
    fn features(&self) -> Vec<ProbeFeature> {
        Vec::new()
    }

    fn request(&self, _: &Request, _: &mut Rows<'_>) {}

    fn answer(&self, answer: &Answer, rows: &mut Rows<'_>) {
        let Some(tensor) = output(answer, &self.output) else { return };
        let shape = tensor.shape();
        let width = shape.last().copied().unwrap_or(0);
        let Some(numbers) = Numbers::of(tensor).filter(|_| width > 0) else { return };
        for row in 0..(shape.elements() / width).min(Rows::MAX) {
            rows.embedding(row, (0..width).map(|i| numbers.get(row * width + i)));
        }
    }
}
