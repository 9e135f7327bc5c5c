//! Random Fourier features of an embedding.

use super::python_random::PythonRandom;
use crate::{Error, Result};

/// A fixed map from an embedding to 128 signs, whose shares tell distributions apart.
///
/// zⱼ(x) = ±1/√D, the sign being that of cos(wⱼ·x/σ + bⱼ), with w ~ N(0, I) and b ~ U(0, 2π): random Fourier features
/// (Rahimi and Recht, *Random features for large-scale kernel machines*, 2007), one bit each (Raginsky and Lazebnik,
/// *Locality-sensitive binary codes from shift-invariant kernels*, 2009). The inner product of two maps estimates the
/// kernel 8/π²·Σ exp(−k²‖x − y‖²/2σ²)/k² over the odd k: a Gaussian one, sharpened a little. The squared distance of two
/// means of maps then estimates the squared maximum mean discrepancy under it (Gretton et al., *A kernel two-sample
/// test*, 2012). w and b follow from the seed.
///
/// One bit each makes a row's features 16 bytes, and a window's the exact counts of its rows whose sign is positive:
/// like those of bins they are added up, over windows and devices, without an error. What the cosines themselves would
/// say beyond their signs is lost: wide embeddings must move by about a tenth more to be seen as often (384 numbers, 256
/// rows, a level of 0.001: of shifts by 0.07 σ in each, 76 % are seen, and 97 % with the cosines; of 6 numbers, the same
/// share).
///
/// # Examples
///
/// ```
/// use selvedge::drift::Fourier;
/// let fourier = Fourier::new(7, 3, 1.0)?;
/// let signs = fourier.signs(&[0.1, 0.2, 0.3]).unwrap();
/// let near = fourier.signs(&[0.1, 0.2, 0.31]).unwrap();
/// let apart: u32 = signs.iter().zip(near).map(|(a, b)| (a ^ b).count_ones()).sum();
/// assert!(apart < 8);
/// # Ok::<(), selvedge::Error>(())
/// ```
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

    /// Bytes of the signs of one embedding.
    pub const BYTES: usize = Self::FEATURES / 8;

    /// The widest embedding.
    pub const MAX_WIDTH: usize = 65_536;

    /// A map of embeddings of `width` numbers, with σ = `scale`.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` unless 1 ≤ width ≤ [`MAX_WIDTH`](Self::MAX_WIDTH) and the scale is positive and finite.
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

    /// The signs of one embedding: bit `j % 8` of byte `j / 8` is 1 where that of feature `j` is positive. `None` if it
    /// has another width or holds what is no finite number.
    pub fn signs(&self, embedding: &[f32]) -> Option<[u8; Fourier::BYTES]> {
        if embedding.len() != self.width() || !embedding.iter().all(|x| x.is_finite()) {
            return None;
        }
        let mut signs = [0; Self::BYTES];
        for (j, (weights, shift)) in self.weights.chunks(self.width()).zip(&self.shifts).enumerate() {
            let turn: f32 = weights.iter().zip(embedding).map(|(w, x)| w * x).sum();
            let cosine = f64::from(turn + shift).cos();
            // A product may be beyond all numbers.
            if cosine.is_nan() {
                return None;
            }
            signs[j / 8] |= u8::from(cosine > 0.0) << (j % 8);
        }
        Some(signs)
    }

    /// The signs as they are packed, one by one.
    pub(super) fn each(signs: &[u8]) -> impl Iterator<Item = bool> + '_ {
        signs.iter().flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1))
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
