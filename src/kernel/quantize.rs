//! Quantization of numbers into blocks, byte for byte as ggml's reference quantizers.

use half::{bf16, f16};
use rayon::prelude::*;

use super::block::{self, SMALL};
use super::format::BlockFormat;
use crate::{Error, Result};

/// Weights per piece of work for a thread; a multiple of every block.
const PIECE: usize = 1 << 16;

/// Quantizes weights into blocks: [`BlockFormat::F32`], `F16`, `Bf16`, `Q8_0`, `Q4_0` and `Q4_1`.
///
/// The bytes are those of ggml's reference quantizers (`quantize_row_*_ref`, without an importance matrix). Many
/// weights are split over the current rayon thread pool.
///
/// # Errors
///
/// `Unsupported` for other formats. `InvalidArgument` if `blocks` is not exactly the blocks of
/// `weights.len()` weights, and, in the Q formats, for a weight that is not finite or so large that the block's
/// scale is beyond binary16; `blocks` then holds nothing of use. F16 makes what is beyond ±65504 infinite, as IEEE 754 does.
///
/// # Examples
///
/// ```
/// use selvedge::kernel::{BlockFormat, dequantize_into, quantize_into};
/// let weights: Vec<f32> = (0..64).map(|i| i as f32 / 64.0 - 0.5).collect();
/// let mut blocks = vec![0; BlockFormat::Q4_0.bytes(64).unwrap()];
/// quantize_into(BlockFormat::Q4_0, &weights, &mut blocks)?;
/// let mut back = [0.0; 64];
/// dequantize_into(BlockFormat::Q4_0, &blocks, &mut back)?;
/// assert!(weights.iter().zip(back).all(|(w, b)| (w - b).abs() <= 0.5 / 8.0));
/// # Ok::<(), selvedge::Error>(())
/// ```
pub fn quantize_into(format: BlockFormat, weights: &[f32], blocks: &mut [u8]) -> Result<()> {
    format.check(blocks, weights.len())?;
    match format {
        BlockFormat::F32 => each(weights, blocks, |[x], b: &mut [u8; 4]| {
            *b = x.to_le_bytes();
            true
        }),
        BlockFormat::F16 => each(weights, blocks, |[x], b: &mut [u8; 2]| {
            *b = to_f16(*x);
            true
        }),
        BlockFormat::Bf16 => each(weights, blocks, |[x], b: &mut [u8; 2]| {
            *b = bf16::from_f32(*x).to_le_bytes();
            true
        }),
        BlockFormat::Q8_0 => each(weights, blocks, q8_0),
        BlockFormat::Q4_0 => each(weights, blocks, q4_0),
        BlockFormat::Q4_1 => each(weights, blocks, q4_1),
        _ => Err(Error::unsupported(format!("quantizing to {format}: expected f32, f16, bf16, q8_0, q4_0 or q4_1"))),
    }
}

/// Runs `one` over every block; it says whether the block could hold its weights.
fn each<const E: usize, const B: usize>(
    weights: &[f32],
    blocks: &mut [u8],
    one: impl Fn(&[f32; E], &mut [u8; B]) -> bool + Sync,
) -> Result<()> {
    let (weights, blocks) = (weights.as_chunks().0, blocks.as_chunks_mut().0);
    let piece = PIECE / E;
    crate::threads::pool()?;
    let misfit = weights
        .par_chunks(piece)
        .zip(blocks.par_chunks_mut(piece))
        .enumerate()
        .filter_map(|(i, (weights, blocks))| {
            let misfit = weights.iter().zip(blocks).position(|(w, b)| !one(w, b));
            misfit.map(|at| (i * piece + at, largest(&weights[at])))
        })
        .min_by_key(|(at, _)| *at);
    match misfit {
        None => Ok(()),
        Some((at, weight)) => Err(Error::invalid(format!(
            "quantizing weights {} to {}: expected finite numbers whose scale fits binary16, got {weight}",
            at * E,
            at * E + E
        ))),
    }
}

fn largest(weights: &[f32]) -> f32 {
    weights
        .iter()
        .copied()
        .find(|w| !w.is_finite())
        .unwrap_or_else(|| weights.iter().copied().fold(0.0, of_larger_magnitude))
}

/// The first of the two unless the second is larger.
fn of_larger_magnitude(a: f32, b: f32) -> f32 {
    if a.abs() < b.abs() { b } else { a }
}

/// As ggml converts: every NaN becomes the same quiet one, with its sign.
fn to_f16(x: f32) -> [u8; 2] {
    let nan = 0x7e00 | (x.to_bits() >> 16) as u16 & 0x8000;
    if x.is_nan() { nan.to_le_bytes() } else { f16::from_f32(x).to_le_bytes() }
}

fn reciprocal(d: f32) -> f32 {
    if d == 0.0 { 0.0 } else { 1.0 / d }
}

/// Writes a scale; whether all is finite.
fn put_scale(block: &mut [u8], at: usize, d: f32) -> bool {
    let d = f16::from_f32(d);
    block[at..at + 2].copy_from_slice(&d.to_le_bytes());
    d.is_finite()
}

fn q8_0(x: &[f32; SMALL], b: &mut [u8; block::q8_0::BYTES]) -> bool {
    let d = x.iter().fold(0.0f32, |max, x| max.max(x.abs())) / 127.0;
    let inverse = reciprocal(d);
    for (q, x) in b[block::q8_0::QS..].iter_mut().zip(x) {
        *q = (x * inverse).round() as i8 as u8;
    }
    put_scale(b, block::q8_0::D, d) && all_finite(x)
}

fn q4_0(x: &[f32; SMALL], b: &mut [u8; block::q4_0::BYTES]) -> bool {
    let d = x.iter().copied().fold(0.0, of_larger_magnitude) / -8.0;
    let inverse = reciprocal(d);
    let q = |x: f32| ((x * inverse + 8.5) as u8).min(15);
    for (j, byte) in b[block::q4_0::QS..].iter_mut().enumerate() {
        *byte = q(x[j]) | q(x[j + 16]) << 4;
    }
    put_scale(b, block::q4_0::D, d) && all_finite(x)
}

/// Quantizes to [`BlockFormat::Q4_0`] with less error than [`quantize_into`], in about ten times the time. The reference maps
/// the weight of largest magnitude to -8, which wastes a step wherever none lies near the other end. Here it may come to
/// lie elsewhere between 6 and 9 on either side, and each time the scale is the one of least squares for these quants. A
/// tenth less error over normally distributed weights, and no block errs more than the reference's.
///
/// # Errors
///
/// As [`quantize_into`].
pub(crate) fn quantize_q4_0_closely(weights: &[f32], blocks: &mut [u8]) -> Result<()> {
    BlockFormat::Q4_0.check(blocks, weights.len())?;
    each(weights, blocks, |x, b| q4_0(x, b) && rescale_q4_0(x, b))
}

/// Gives a block the scale, of some, that loses least; there is always one.
fn rescale_q4_0(x: &[f32; SMALL], b: &mut [u8; block::q4_0::BYTES]) -> bool {
    const ENDS: [f32; 12] = [-9.0, -8.5, -8.0, -7.5, -7.0, -6.5, -6.0, 6.5, 7.0, 7.5, 8.0, 8.5];
    let largest = x.iter().copied().fold(0.0, of_larger_magnitude);
    if largest == 0.0 {
        return true;
    }
    let loss = |d: f32, quants: &[f32; SMALL]| x.iter().zip(quants).map(|(x, q)| (x - d * q).powi(2)).sum::<f32>();
    let d = f16::from_le_bytes([b[block::q4_0::D], b[block::q4_0::D + 1]]).to_f32();
    let qs = &b[block::q4_0::QS..];
    let known = std::array::from_fn(|j| f32::from(if j < 16 { qs[j] & 15 } else { qs[j - 16] >> 4 }) - 8.0);
    let mut best = loss(d, &known);
    for end in ENDS {
        let inverse = end / largest;
        let quants = x.map(|x| (x * inverse).round().clamp(-8.0, 7.0));
        let (product, square) = x.iter().zip(quants).fold((0.0f32, 0.0f32), |(p, s), (x, q)| (p + x * q, s + q * q));
        let d = product / square;
        // Not a number where numbers are too small for their squares.
        let loss = loss(f16::from_f32(d).to_f32(), &quants);
        if f16::from_f32(d).is_finite() && loss < best {
            best = loss;
            put_scale(b, block::q4_0::D, d);
            for (j, byte) in b[block::q4_0::QS..].iter_mut().enumerate() {
                *byte = (quants[j] + 8.0) as u8 | ((quants[j + 16] + 8.0) as u8) << 4;
            }
        }
    }
    true
}

fn q4_1(x: &[f32; SMALL], b: &mut [u8; block::q4_1::BYTES]) -> bool {
    let min = x.iter().copied().fold(f32::MAX, f32::min);
    let max = x.iter().copied().fold(-f32::MAX, f32::max);
    let d = (max - min) / 15.0;
    let inverse = reciprocal(d);
    let q = |x: f32| (((x - min) * inverse + 0.5) as u8).min(15);
    for (j, byte) in b[block::q4_1::QS..].iter_mut().enumerate() {
        *byte = q(x[j]) | q(x[j + 16]) << 4;
    }
    let fits = put_scale(b, block::q4_1::D, d);
    put_scale(b, block::q4_1::M, min) && fits && all_finite(x)
}

fn all_finite(x: &[f32]) -> bool {
    x.iter().all(|x| x.is_finite())
}
