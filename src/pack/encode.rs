//! A tensor's weights to blocks, and how much they lost.

use rayon::prelude::*;

use super::keys::{Layout, power};
use super::select::Plan;
use crate::kernel::{BlockFormat, dequantize_into, quantize_into, quantize_q4_0_closely};
use crate::{Error, Result};

/// Rows that a thread takes at a time.
pub(super) const ROWS: usize = 32;
/// Weights over which an error is set in relation to the largest of them: a block.
const RELATED: usize = 32;

/// How far blocks are from the weights that they stand for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Loss {
    /// Of every 32 weights along a row: the largest error over the largest weight. Here the worst.
    pub worst: f64,
    /// The worst row's [`Loss::relative`].
    pub row: f64,
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
        Self {
            worst: self.worst.max(other.worst),
            row: self.row.max(other.row),
            error: self.error + other.error,
            weight: self.weight + other.weight,
        }
    }

    /// Of rows of that length.
    fn of(weights: &[f32], read: &[f32], row: usize) -> Self {
        let rows = weights.chunks(row.max(1)).zip(read.chunks(row.max(1)));
        rows.map(|(weights, read)| Self::of_row(weights, read)).fold(Self::default(), Self::and)
    }

    fn of_row(weights: &[f32], read: &[f32]) -> Self {
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
        loss.row = loss.relative();
        loss
    }
}

/// The blocks of a tensor, whose `data` are its weights in the graph's order, f32 little-endian.
///
/// # Errors
///
/// `InvalidArgument` for weights that the format cannot hold, which those that have an exponent are not.
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
        if plan.exponent != 0 {
            let factor = power(-plan.exponent);
            weights.iter_mut().for_each(|w| *w *= factor);
        }
        match plan.format {
            BlockFormat::Q4_0 => quantize_q4_0_closely(&weights, blocks)?,
            format => quantize_into(format, &weights, blocks)?,
        }
        let mut read = vec![0.0; weights.len()];
        dequantize_into(plan.format, blocks, &mut read)?;
        Ok(Loss::of(&weights, &read, padded))
    };
    let loss = blocks
        .par_chunks_mut((ROWS * row_bytes).max(1))
        .enumerate()
        .map(piece)
        .try_reduce(Loss::default, |a, b| Ok(a.and(b)))?;
    Ok((blocks, loss))
}

/// Copies rows from the `first` on, each padded with zeros.
pub(super) fn gather(layout: Layout, data: &[[u8; 4]], first: usize, columns: usize, to: &mut [f32], padded: usize) {
    let rows = to.len() / padded.max(1);
    match layout {
        Layout::Rows | Layout::Inner => {
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
