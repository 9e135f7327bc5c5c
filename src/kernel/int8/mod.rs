//! Products of matrices with weights of 8-bit integers: `out[m][n] = Σ (a[m][k] - zero) · (b[k][n] - zero[n])`.
//!
//! Enters: weights `b`, once, packed as [`Weights`]; rows of activations `a`. Leaves: rows in memory of the caller.
//!
//! By activations of 8 bits, sums are exact in 32 bits; one beyond them wraps around, as ONNX's `MatMulInteger` leaves it open.
//! By activations in `f32`, a chain of fused multiplications and additions goes along `k`, and its end is multiplied with the
//! scale of the column: every instruction set gives the same bits. Weights become `f32` a panel at a time, in the cache.
//!
//! The instruction that multiplies bytes saturates at 16 bits (`pmaddubsw`), so products are made of 16-bit numbers: activations
//! are widened, with their zero point taken off, once for all weights, and weights where they are multiplied. Two products
//! of 16 bits fit 32 bits whatever they are. So every instruction set gives the same numbers.
//!
//! ```text
//! panel   16 columns of weights, for each pair of rows of b:
//!         byte   0     1     2     3         30    31
//!              b[k]  b[k+1] b[k] b[k+1]     b[k] b[k+1]
//!              └ column 0 ┘ └ column 1 ┘ … └ column 15 ┘
//! ```
//!
//! Weights are signed bytes: unsigned ones are stored less 128, and so are their zero points. What is beyond the last row or column
//! is 0, as is its zero point.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod scalar;

use super::dispatch::active_table;
use super::table::Table;
use crate::{Code, Error, Result};

/// Columns of a panel.
const PANEL: usize = 16;
/// Rows of weights that lie beside each other.
const PAIR: usize = 2;
/// The most rows of activations that a kernel takes at once.
const MAX_ROWS: usize = 8;

/// Bytes of a panel for two rows of weights.
type Codes = [i8; PAIR * PANEL];
/// Two activations of one row.
type Two = [i16; PAIR];
/// Sums of a panel with some rows of activations, without the zero points of the weights.
type Tile = [[i32; PANEL]];

/// A row of weights in a panel, as numbers.
type Numbers = [f32; PANEL];

/// The kernel of one instruction set. Having it proves that the CPU can run it.
#[derive(Clone, Copy)]
struct Kernel {
    /// Rows that it takes at once.
    rows: usize,
    /// A panel, and rows as long as it, as many as the tile has: 1 to `rows`.
    tile: fn(&[Codes], &[&[Two]], &mut Tile),
    /// The same of numbers.
    numbers: fn(&[Numbers], &[&[f32]], &mut [Numbers]),
    /// A panel as numbers, less the zero points of its columns: two rows of each pair.
    widen: fn(&[Codes], &[i16; PANEL], &mut [[Numbers; PAIR]]),
}

fn kernel(table: &Table) -> Kernel {
    #[cfg(target_arch = "x86_64")]
    return avx512::kernel(table).or_else(|| avx2::kernel(table)).unwrap_or(scalar::KERNEL);
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = table;
        scalar::KERNEL
    }
}

/// A matrix of weights, packed for products.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Weights {
    depth: usize,
    columns: usize,
    /// Pairs of each panel, one panel after the other.
    panels: Vec<Codes>,
    /// Of each column, as its weights are stored.
    zeros: Vec<i16>,
}

/// Bytes of integers with or without a sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bytes<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) signed: bool,
}

impl Bytes<'_> {
    /// A number as it is.
    fn number(self, byte: u8) -> i16 {
        if self.signed { i16::from(byte.cast_signed()) } else { i16::from(byte) }
    }
}

impl Weights {
    /// Packs `depth` rows of `columns` weights each, row by row. `zeros` are the zero points, of the same type: none, one, or one
    /// for each column.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if the lengths do not fit each other; `OutOfMemory`.
    pub(crate) fn pack(weights: Bytes<'_>, depth: usize, columns: usize, zeros: &[u8]) -> Result<Self> {
        let len = depth.checked_mul(columns).filter(|len| *len == weights.bytes.len());
        let zeros_fit = zeros.len() <= 1 || zeros.len() == columns;
        if len.is_none() || !zeros_fit {
            let (bytes, zeros) = (weights.bytes.len(), zeros.len());
            return Err(Error::invalid(format!(
                "weights of 8 bits: expected {depth} rows of {columns} and 0, 1 or {columns} zero points, got {bytes} bytes and {zeros}"
            )));
        }
        let shift = if weights.signed { 0 } else { 128 };
        let stored = |byte: u8| weights.number(byte) - shift;
        let pairs = depth.div_ceil(PAIR);
        let mut panels = reserved::<Codes>(pairs.saturating_mul(columns.div_ceil(PANEL)))?;
        for first in (0..columns).step_by(PANEL) {
            let width = PANEL.min(columns - first);
            panels.extend((0..pairs).map(|pair| {
                let mut codes = [0; PAIR * PANEL];
                for half in (0..PAIR).filter(|half| pair * PAIR + half < depth) {
                    let row = &weights.bytes[(pair * PAIR + half) * columns + first..][..width];
                    for (column, byte) in row.iter().enumerate() {
                        // Within a signed byte, whichever type it was.
                        codes[column * PAIR + half] = stored(*byte) as i8;
                    }
                }
                codes
            }));
        }
        let zeros = (0..columns).map(|column| match zeros {
            [] => -shift,
            [zero] => stored(*zero),
            zeros => stored(zeros[column]),
        });
        Ok(Self { depth, columns, panels, zeros: zeros.collect() })
    }

    /// Rows of the weights.
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// Columns of the weights.
    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// Bytes in memory.
    pub(crate) fn bytes(&self) -> u64 {
        (size_of_val(&*self.panels) + size_of_val(&*self.zeros)) as u64
    }

    /// Multiplies rows of activations, each as long as the weights are deep, into rows of `out`.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if the lengths do not fit each other; `OutOfMemory`.
    pub(crate) fn multiply(&self, activations: Bytes<'_>, zero: u8, out: &mut [i32]) -> Result<()> {
        self.multiply_with(active_table(), activations, zero, out)
    }

    pub(in crate::kernel) fn multiply_with(
        &self,
        table: &Table,
        activations: Bytes<'_>,
        zero: u8,
        out: &mut [i32],
    ) -> Result<()> {
        if self.columns == 0 && out.is_empty() {
            return Ok(());
        }
        let rows = out.len() / self.columns.max(1);
        if rows * self.columns != out.len() || rows * self.depth != activations.bytes.len() {
            let (bytes, len, depth, columns) = (activations.bytes.len(), out.len(), self.depth, self.columns);
            return Err(Error::invalid(format!(
                "activations of 8 bits: expected as many rows of {depth} as of {columns} sums, got {bytes} bytes and {len} sums"
            )));
        }
        if self.depth == 0 || out.is_empty() {
            out.fill(0);
            return Ok(());
        }
        let (widened, sums) = self.widened(activations, zero)?;
        let pairs = self.depth.div_ceil(PAIR);
        let kernel = kernel(table);
        let rows: Vec<&[Two]> = widened.chunks_exact(pairs).collect();
        for (panel, codes) in self.panels.chunks_exact(pairs).enumerate() {
            let first = panel * PANEL;
            let zeros = &self.zeros[first..][..PANEL.min(self.columns - first)];
            for (row, rows) in (0..).step_by(kernel.rows).zip(rows.chunks(kernel.rows)) {
                let mut tile = [[0; PANEL]; MAX_ROWS];
                let tile = &mut tile[..rows.len()];
                (kernel.tile)(codes, rows, tile);
                for (row, tile) in (row..).zip(tile) {
                    let out = &mut out[row * self.columns + first..][..zeros.len()];
                    for ((out, sum), zero) in out.iter_mut().zip(&*tile).zip(zeros) {
                        *out = sum.wrapping_sub(i32::from(*zero).wrapping_mul(sums[row]));
                    }
                }
            }
        }
        Ok(())
    }

    /// Multiplies rows of numbers, each as long as the weights are deep, into rows of `out`. `scales` are of the weights: one, or
    /// one for each column.
    ///
    /// # Errors
    ///
    /// As [`Weights::multiply`].
    pub(crate) fn multiply_numbers(&self, activations: &[f32], scales: &[f32], out: &mut [f32]) -> Result<()> {
        self.multiply_numbers_with(active_table(), activations, scales, out)
    }

    pub(in crate::kernel) fn multiply_numbers_with(
        &self,
        table: &Table,
        activations: &[f32],
        scales: &[f32],
        out: &mut [f32],
    ) -> Result<()> {
        if self.columns == 0 && out.is_empty() {
            return Ok(());
        }
        let rows = out.len() / self.columns.max(1);
        let scales_fit = scales.len() == 1 || scales.len() == self.columns;
        if rows * self.columns != out.len() || rows * self.depth != activations.len() || !scales_fit {
            let (len, sums, depth, columns) = (activations.len(), out.len(), self.depth, self.columns);
            return Err(Error::invalid(format!(
                "activations: expected as many rows of {depth} as of {columns} sums, and 1 or {columns} scales, got {len}, {sums} \
                 and {}",
                scales.len()
            )));
        }
        if self.depth == 0 || out.is_empty() {
            out.fill(0.0);
            return Ok(());
        }
        let kernel = kernel(table);
        let rows: Vec<&[f32]> = activations.chunks_exact(self.depth).collect();
        let pairs = self.depth.div_ceil(PAIR);
        let mut numbers = reserved::<[Numbers; PAIR]>(pairs)?;
        numbers.resize(pairs, [[0.0; PANEL]; PAIR]);
        for (panel, codes) in self.panels.chunks_exact(pairs).enumerate() {
            let first = panel * PANEL;
            let zeros = &self.zeros[first..][..PANEL.min(self.columns - first)];
            let mut all = [0; PANEL];
            all[..zeros.len()].copy_from_slice(zeros);
            (kernel.widen)(codes, &all, &mut numbers);
            let numbers = &numbers.as_flattened()[..self.depth];
            for (row, rows) in (0..).step_by(kernel.rows).zip(rows.chunks(kernel.rows)) {
                let mut tile = [[0.0; PANEL]; MAX_ROWS];
                let tile = &mut tile[..rows.len()];
                (kernel.numbers)(numbers, rows, tile);
                for (row, tile) in (row..).zip(tile) {
                    let out = &mut out[row * self.columns + first..][..zeros.len()];
                    for (column, (out, sum)) in out.iter_mut().zip(&*tile).enumerate() {
                        *out = sum * if let [scale] = scales { *scale } else { scales[first + column] };
                    }
                }
            }
        }
        Ok(())
    }

    /// Activations of all rows in 16 bits, less the zero point, and the sum of each row.
    fn widened(&self, activations: Bytes<'_>, zero: u8) -> Result<(Vec<Two>, Vec<i32>)> {
        let zero = activations.number(zero);
        let rows = activations.bytes.len() / self.depth;
        let mut widened = reserved::<Two>(rows.saturating_mul(self.depth.div_ceil(PAIR)))?;
        let mut sums = reserved::<i32>(rows)?;
        for row in activations.bytes.chunks_exact(self.depth) {
            let of = |byte: u8| activations.number(byte) - zero;
            let (pairs, last) = row.as_chunks::<PAIR>();
            widened.extend(pairs.iter().map(|pair| pair.map(of)));
            widened.extend(last.iter().map(|byte| [of(*byte), 0]));
            sums.push(row.iter().fold(0_i32, |sum, byte| sum.wrapping_add(of(*byte).into())));
        }
        Ok((widened, sums))
    }
}

/// An empty list with room for so many.
fn reserved<T>(len: usize) -> Result<Vec<T>> {
    let mut list = Vec::new();
    list.try_reserve_exact(len).map_err(|e| {
        let bytes = len.saturating_mul(size_of::<T>());
        Error::new(Code::OutOfMemory, format!("{bytes} bytes for a product of integers")).because(e)
    })?;
    Ok(list)
}
