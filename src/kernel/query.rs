//! Query vectors in signed bytes, and the order in which every variant adds: what all kernels of rows share.

use super::block::SMALL;
use crate::{Error, Result};

/// Partial sums of a product. All variants keep eight, so that all round alike.
pub(super) const LANES: usize = 8;

/// A vector in signed bytes, one scale per 32 numbers, for scoring rows with [`dot_i8`](crate::kernel::dot_i8).
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    scales: Vec<f32>,
    codes: Vec<i8>,
}

impl Query {
    /// Quantizes a vector: each 32 numbers to -127 ..= 127 of their largest magnitude.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` unless the length is a multiple of 32 and every number is finite.
    pub fn new(vector: &[f32]) -> Result<Self> {
        if !vector.len().is_multiple_of(SMALL) {
            return Err(Error::invalid(format!("query: expected a multiple of {SMALL} numbers, got {}", vector.len())));
        }
        if let Some(i) = vector.iter().position(|x| !x.is_finite()) {
            return Err(Error::invalid(format!("query: expected finite numbers, got {} at {i}", vector[i])));
        }
        let (mut scales, mut codes) = (Vec::with_capacity(vector.len() / SMALL), Vec::with_capacity(vector.len()));
        for block in vector.chunks_exact(SMALL) {
            let scale = block.iter().fold(0.0f32, |most, x| most.max(x.abs())) / 127.0;
            scales.push(scale);
            // A scale of 0 leaves codes of 0; a subnormal one must not make them infinite.
            codes.extend(
                block.iter().map(|x| if scale > 0.0 { (x / scale).round().clamp(-127.0, 127.0) as i8 } else { 0 }),
            );
        }
        Ok(Self { scales, codes })
    }

    /// Numbers in the vector.
    pub fn len(&self) -> usize {
        self.codes.len()
    }

    /// Whether the vector has no numbers.
    pub fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }

    /// Scale and codes of each 32 numbers.
    pub(super) fn blocks(&self) -> impl Iterator<Item = (&f32, &[i8; SMALL])> {
        self.scales.iter().zip(self.codes.as_chunks().0)
    }
}

/// The order in which partial sums are added.
pub(super) fn sum_lanes(lanes: [f32; LANES]) -> f32 {
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}

/// Plain Rust, which the compiler turns into the instruction set of its caller; the sixteen sums side by side are added
/// in one order everywhere.
#[inline(always)]
pub(super) fn to_length_1(vector: &mut [f32]) {
    let (chunks, rest) = vector.as_chunks::<{ 2 * LANES }>();
    let mut squares = [0.0f64; 2 * LANES];
    for chunk in chunks {
        for (square, &x) in squares.iter_mut().zip(chunk) {
            *square += f64::from(x) * f64::from(x);
        }
    }
    let rest: f64 = rest.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    let length = (squares.iter().sum::<f64>() + rest).sqrt();
    if length > 0.0 {
        let scale = 1.0 / length;
        vector.iter_mut().for_each(|x| *x = (f64::from(*x) * scale) as f32);
    }
}
