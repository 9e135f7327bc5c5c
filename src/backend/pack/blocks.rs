//! A tensor's weights to blocks, and how much they lost.

use half::f16;
use rayon::prelude::*;

use super::survey::{Layout, Plan};
use crate::kernel::{Format, dequantize_into, quantize_into};
use crate::{Error, Result};

/// Rows that a thread takes at a time.
const ROWS: usize = 32;
/// Weights over which an error is set in relation to the largest of them: a block.
const RELATED: usize = 32;
const Q4_0_BYTES: usize = 18;

/// How far blocks are from the weights that they stand for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Loss {
    /// Of every 32 weights along a row: the largest error over the largest weight. Here the worst.
    pub worst: f64,
    /// Sums of squares.
    error: f64,
    weight: f64,
}

impl Loss {
    /// The Euclidean norm of the errors over that of the weights.
    pub(super) fn relative(self) -> f64 {
        if self.weight == 0.0 { 0.0 } else { (self.error / self.weight).sqrt() }
    }

    fn and(self, other: Self) -> Self {
        Self { worst: self.worst.max(other.worst), error: self.error + other.error, weight: self.weight + other.weight }
    }

    fn of(weights: &[f32], read: &[f32]) -> Self {
        let mut loss = Self::default();
        for (weights, read) in weights.chunks(RELATED).zip(read.chunks(RELATED)) {
            let (mut error, mut largest) = (0.0f64, 0.0f64);
            for (w, r) in weights.iter().zip(read).map(|(w, r)| (f64::from(*w), f64::from(*r))) {
                error = error.max((w - r).abs());
                largest = largest.max(w.abs());
                loss.error += (w - r).powi(2);
                loss.weight += w.powi(2);
            }
            if largest > 0.0 {
                loss.worst = loss.worst.max(error / largest);
            }
        }
        loss
    }
}

/// The blocks of a tensor, whose `data` are its weights in the graph's order, little-endian.
///
/// Errors: `InvalidArgument` for weights that the format cannot hold.
pub(super) fn encode(plan: &Plan<'_>, data: &[u8]) -> Result<(Vec<u8>, Loss)> {
    let (rows, columns, padded) = plan.rows();
    let data = data.as_chunks::<4>().0;
    if data.len() != rows * columns {
        return Err(Error::corrupt(format!("expected {} weights, got {}", rows * columns, data.len())));
    }
    let row_bytes = plan.format.bytes(padded).unwrap_or(0);
    let mut blocks = Vec::new();
    blocks
        .try_reserve_exact(rows * row_bytes)
        .map_err(|_| Error::new(crate::Code::OutOfMemory, format!("{} bytes of blocks", rows * row_bytes)))?;
    blocks.resize(rows * row_bytes, 0);
    let piece = |(i, blocks): (usize, &mut [u8])| {
        let rows = blocks.len() / row_bytes.max(1);
        let mut weights = vec![0.0; rows * padded];
        gather(plan.layout, data, i * ROWS, columns, &mut weights, padded);
        quantize_into(plan.format, &weights, blocks)?;
        if plan.format == Format::Q4_0 {
            let blocks = blocks.as_chunks_mut::<Q4_0_BYTES>().0;
            weights.as_chunks().0.iter().zip(blocks).for_each(|(weights, block)| rescale(weights, block));
        }
        let mut read = vec![0.0; weights.len()];
        dequantize_into(plan.format, blocks, &mut read)?;
        Ok(Loss::of(&weights, &read))
    };
    let loss = blocks
        .par_chunks_mut((ROWS * row_bytes).max(1))
        .enumerate()
        .map(piece)
        .try_reduce(Loss::default, |a, b| Ok(a.and(b)))?;
    Ok((blocks, loss))
}

/// Copies rows from the `first` on, each padded with zeros.
fn gather(layout: Layout, data: &[[u8; 4]], first: usize, columns: usize, to: &mut [f32], padded: usize) {
    let rows = to.len() / padded.max(1);
    match layout {
        Layout::Rows => {
            for (to, from) in to.chunks_mut(padded).zip(data[first * columns..].chunks(columns)) {
                to.iter_mut().zip(from).for_each(|(to, from)| *to = f32::from_le_bytes(*from));
            }
        }
        Layout::Columns => {
            for (k, from) in data.chunks(data.len() / columns).enumerate() {
                for (row, from) in from[first..first + rows].iter().enumerate() {
                    to[row * padded + k] = f32::from_le_bytes(*from);
                }
            }
        }
    }
}

/// Gives a block of Q4_0 the scale, of some, that loses least. The kernels' own, as ggml's reference, maps the weight of
/// largest magnitude to -8; that wastes a step wherever none lies near the other end. Here it may come to lie elsewhere
/// between 6 and 9 on either side, and each time the scale is the one of least squares for these quants. About a tenth
/// less error over normally distributed weights.
fn rescale(weights: &[f32; RELATED], block: &mut [u8; Q4_0_BYTES]) {
    const ENDS: [f32; 12] = [-9.0, -8.5, -8.0, -7.5, -7.0, -6.5, -6.0, 6.5, 7.0, 7.5, 8.0, 8.5];
    let largest = weights.iter().copied().fold(0.0f32, |most, w| if w.abs() > most.abs() { w } else { most });
    if largest == 0.0 {
        return;
    }
    let loss =
        |d: f32, quants: &[f32; RELATED]| weights.iter().zip(quants).map(|(w, q)| (w - d * q).powi(2)).sum::<f32>();
    let d = f16::from_le_bytes([block[0], block[1]]).to_f32();
    let known: [f32; RELATED] = std::array::from_fn(|j| {
        let byte = block[2 + j % 16];
        f32::from(if j < 16 { byte & 15 } else { byte >> 4 }) - 8.0
    });
    let mut best = loss(d, &known);
    for end in ENDS {
        let inverse = end / largest;
        let quants = weights.map(|w| (w * inverse).round().clamp(-8.0, 7.0));
        let (product, square) =
            weights.iter().zip(quants).fold((0.0f32, 0.0f32), |(p, s), (w, q)| (p + w * q, s + q * q));
        let d = f16::from_f32(product / square);
        // Not a number where numbers are too small for their squares.
        let loss = loss(d.to_f32(), &quants);
        if d.is_finite() && loss < best {
            best = loss;
            block[..2].copy_from_slice(&d.to_le_bytes());
            for (j, byte) in block[2..].iter_mut().enumerate() {
                *byte = (quants[j] + 8.0) as u8 | ((quants[j + 16] + 8.0) as u8) << 4;
            }
        }
    }
}

/// Whether every format can hold these weights: all are finite in f16, and so is every scale.
pub(super) fn fits(data: &[u8]) -> bool {
    let weights = data.as_chunks::<4>().0;
    weights.par_chunks(1 << 16).all(|part| part.iter().all(|w| f16::from_f32(f32::from_le_bytes(*w)).is_finite()))
}
