//! Random Fourier features of an embedding.

use super::python_random::PythonRandom;
use crate::{Error, Result};

/// A fixed map from an embedding to 128 numbers whose mean tells distributions apart.
///
/// zⱼ(x) = √(2/D)·cos(wⱼ·x/σ + bⱼ), w ~ N(0, I), b ~ U(0, 2π): the inner product of two maps estimates the Gaussian
/// kernel exp(−‖x − y‖²/2σ²) (Rahimi and Recht, *Random features for large-scale kernel machines*, 2007). The squared
/// distance of two means of maps then estimates the squared maximum mean discrepancy (Gretton et al., *A kernel
/// two-sample test*, 2012). w and b follow from the seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Fourier {
    seed: u32,
    width: u32,
    scale: f32,
    /// wⱼ/σ, one after the other.
    weights: Vec<f32>,
    shifts: Vec<f32>,
}

impl Fourier {
    /// Number of features.
    pub const FEATURES: usize = 128;

    /// The widest embedding.
    pub const MAX_WIDTH: usize = 65_536;

    /// A map of embeddings of `width` numbers, with σ = `scale`.
    ///
    /// Errors: `InvalidArgument` unless 1 ≤ width ≤ [`MAX_WIDTH`](Self::MAX_WIDTH) and the scale is positive and
    /// finite.
    pub fn new(seed: u32, width: usize, scale: f32) -> Result<Self> {
        if width == 0 || width > Self::MAX_WIDTH || !(f32::MIN_POSITIVE..=f32::MAX).contains(&scale) {
            let want = format!("width 1 to {} and a positive scale", Self::MAX_WIDTH);
            return Err(Error::invalid(format!("embedding: expected {want}, got width {width}, scale {scale}")));
        }
        let mut random = PythonRandom::new(u64::from(seed));
        // Box and Muller 1958; 1 − u is never 0.
        let mut normal = || {
            let (u, v) = (1.0 - random.unit(), random.unit());
            (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
        };
        let weights = (0..width * Self::FEATURES).map(|_| (normal() / f64::from(scale)) as f32).collect();
        let shifts = (0..Self::FEATURES).map(|_| (std::f64::consts::TAU * random.unit()) as f32).collect();
        Ok(Self { seed, width: width as u32, scale, weights, shifts })
    }

    /// The features of one embedding. `None` if it has another width or holds what is no finite number.
    pub fn features(&self, embedding: &[f32]) -> Option<[f32; Fourier::FEATURES]> {
        if embedding.len() != self.width() || !embedding.iter().all(|x| x.is_finite()) {
            return None;
        }
        let norm = (2.0 / Self::FEATURES as f32).sqrt();
        let mut features = [0.0; Self::FEATURES];
        for ((z, weights), shift) in features.iter_mut().zip(self.weights.chunks(self.width())).zip(&self.shifts) {
            let turn: f32 = weights.iter().zip(embedding).map(|(w, x)| w * x).sum();
            *z = norm * (turn + shift).cos();
        }
        features.iter().all(|z| z.is_finite()).then_some(features)
    }

    /// Numbers per embedding.
    pub fn width(&self) -> usize {
        self.width as usize
    }

    /// The seed of w and b.
    pub fn seed(&self) -> u32 {
        self.seed
    }

    /// σ, in the unit of distances between embeddings.
    pub fn scale(&self) -> f32 {
        self.scale
    }
}
