//! The weights of ONNX Runtime's `MatMulNBits` and `GatherBlockQuantized`.

use std::ops::Range;

use half::f16;
use rayon::prelude::*;

use super::linear::{Ints, expect, uniform};
use crate::kernel::block;
use crate::kernel::dispatch::active_table;
use crate::kernel::format::BlockFormat;
use crate::{Error, Result, threads};

/// The shape of a matrix of weights for `com.microsoft.MatMulNBits`: `N` rows (outputs) of `K` weights (inputs), in
/// blocks of 4 or 8 bits that share a scale.
///
/// - values: `[N, ⌈K / block⌉, block · bits / 8]` bytes, unsigned, nibbles with the lower first
/// - scales: `[N, ⌈K / block⌉]`
/// - zero points, where there are any: `[N, ⌈⌈K / block⌉ · bits / 8⌉]` bytes; without, all are `2^(bits - 1)`
///
/// `weight = (value - zero point) · scale`. `GatherBlockQuantized` has the same bytes where `block` divides `K`.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "experimental")] {
/// use selvedge::kernel::ints::{NBits, Order};
/// let shape = NBits::new(4, 32, 2, 64)?;
/// let weights: Vec<f32> = (0..128).map(|i| (i as f32).sin()).collect();
/// let (mut values, mut scales) = (vec![0; shape.value_bytes()], vec![0.0; shape.scales()]);
/// shape.quantize_into(&weights, Order::Rows, &mut values, &mut scales, None)?;
/// let mut back = vec![0.0; 128];
/// shape.dequantize_into(&values, &scales, None, &mut back)?;
/// assert!(weights.iter().zip(&back).all(|(w, b)| (w - b).abs() < 0.13));
/// # }
/// # Ok::<(), selvedge::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NBits {
    bits: usize,
    block: usize,
    rows: usize,
    columns: usize,
    blocks: usize,
}

/// The order in which an unquantized matrix lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// `[N, K]`: as it is quantized.
    Rows,
    /// `[K, N]`: as the second input of an ONNX `MatMul`.
    Columns,
}

impl NBits {
    /// A shape; `rows` is `N`, `columns` is `K`.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` unless `bits` is 4 or 8, `block` a power of two from 16 on, and the sizes fit a `usize`.
    pub fn new(bits: usize, block: usize, rows: usize, columns: usize) -> Result<Self> {
        if !matches!(bits, 4 | 8) {
            return Err(Error::invalid(format!("MatMulNBits: expected 4 or 8 bits, got {bits}")));
        }
        if block < 16 || !block.is_power_of_two() {
            return Err(Error::invalid(format!("MatMulNBits: expected a block of 16, 32, 64, …, got {block}")));
        }
        let blocks = columns.div_ceil(block);
        let elements = blocks.checked_mul(block).and_then(|padded| padded.checked_mul(rows));
        if elements.is_none_or(|elements| elements > isize::MAX as usize / 8) {
            return Err(Error::invalid(format!("MatMulNBits: {rows} rows of {columns} weights do not fit memory")));
        }
        Ok(Self { bits, block, rows, columns, blocks })
    }

    /// Bytes of all values.
    pub const fn value_bytes(&self) -> usize {
        self.rows * self.row_bytes()
    }

    /// The number of scales.
    pub const fn scales(&self) -> usize {
        self.rows * self.blocks
    }

    /// Bytes of all zero points.
    pub const fn zero_point_bytes(&self) -> usize {
        self.rows * self.row_zero_points()
    }

    const fn row_bytes(&self) -> usize {
        self.blocks * self.block_bytes()
    }

    const fn block_bytes(&self) -> usize {
        self.block * self.bits / 8
    }

    const fn row_zero_points(&self) -> usize {
        (self.blocks * self.bits).div_ceil(8)
    }

    const fn ints(&self) -> Ints {
        if self.bits == 4 { Ints::U4 } else { Ints::U8 }
    }

    /// `2^(bits - 1)`
    const fn middle(&self) -> u8 {
        1 << (self.bits - 1)
    }

    fn check(&self, weights: usize, values: usize, scales: usize, zero_points: Option<usize>) -> Result<()> {
        expect("weights", self.rows * self.columns, weights)?;
        expect("bytes of values", self.value_bytes(), values)?;
        expect("scales", self.scales(), scales)?;
        zero_points.map_or(Ok(()), |got| expect("bytes of zero points", self.zero_point_bytes(), got))
    }

    /// Dequantizes to `[N, K]`. Rows are split over the current rayon thread pool where they are many.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` where a length is not that of the shape.
    pub fn dequantize_into(
        &self,
        values: &[u8],
        scales: &[f32],
        zero_points: Option<&[u8]>,
        out: &mut [f32],
    ) -> Result<()> {
        self.dequantize_rows_into(0..self.rows, values, scales, zero_points, out)
    }

    /// Dequantizes some of the `N` rows: `[rows, K]`.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` where a length is not that of the shape, and for rows that are not there.
    pub fn dequantize_rows_into(
        &self,
        rows: Range<usize>,
        values: &[u8],
        scales: &[f32],
        zero_points: Option<&[u8]>,
        out: &mut [f32],
    ) -> Result<()> {
        if rows.start > rows.end || rows.end > self.rows {
            return Err(Error::invalid(format!("rows {rows:?}: expected within the matrix's {}", self.rows)));
        }
        expect("weights", rows.len() * self.columns, out.len())?;
        self.check(self.rows * self.columns, values.len(), scales.len(), zero_points.map(<[u8]>::len))?;
        if out.is_empty() {
            return Ok(());
        }
        threads::pool()?;
        out.par_chunks_mut(self.columns)
            .with_min_len(self.min_rows())
            .enumerate()
            .for_each(|(i, out)| self.row(rows.start + i, values, scales, zero_points, out));
        Ok(())
    }

    /// [`NBits::dequantize_into`], rounded to the nearest `f16`, ties to even; beyond ±65504 it is infinite.
    ///
    /// # Errors
    ///
    /// As [`NBits::dequantize_into`].
    pub fn dequantize_f16_into(
        &self,
        values: &[u8],
        scales: &[f32],
        zero_points: Option<&[u8]>,
        out: &mut [f16],
    ) -> Result<()> {
        self.check(out.len(), values.len(), scales.len(), zero_points.map(<[u8]>::len))?;
        if out.is_empty() {
            return Ok(());
        }
        threads::pool()?;
        let rows = out.par_chunks_mut(self.columns).with_min_len(self.min_rows()).enumerate();
        rows.for_each_init(
            || vec![0.0; self.columns],
            |wide, (row, out)| {
                self.row(row, values, scales, zero_points, wide);
                (active_table().narrow_f16)(wide, out);
            },
        );
        Ok(())
    }

    fn row(&self, row: usize, values: &[u8], scales: &[f32], zero_points: Option<&[u8]>, out: &mut [f32]) {
        for (i, out) in out.chunks_mut(self.block).enumerate() {
            let at = row * self.blocks + i;
            let zero_point = zero_points.map_or(self.middle(), |z| self.zero_point(z, row, i));
            let values = &values[at * self.block_bytes()..][..self.block_bytes()];
            uniform(self.ints(), values, 0, zero_point.into(), scales[at], out);
        }
    }

    fn zero_point(&self, zero_points: &[u8], row: usize, i: usize) -> u8 {
        let zero_points = &zero_points[row * self.row_zero_points()..];
        if self.bits == 8 { zero_points[i] } else { zero_points[i / 2] >> (4 * (i % 2)) & 15 }
    }

    /// Rows that are worth a thread.
    fn min_rows(&self) -> usize {
        (1 << 18) / self.columns.max(1) + 1
    }

    /// Quantizes to the nearest value. With room for zero points a block spans from its least to its largest weight, and
    /// 0; without, from minus to plus its largest magnitude, which is exact. Padding dequantizes to 0.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` where a length is not that of the shape, or a weight is not finite; what was written until then
    /// is of no use.
    pub fn quantize_into(
        &self,
        weights: &[f32],
        order: Order,
        values: &mut [u8],
        scales: &mut [f32],
        zero_points: Option<&mut [u8]>,
    ) -> Result<()> {
        self.check(weights.len(), values.len(), scales.len(), zero_points.as_ref().map(|z| z.len()))?;
        if let Some(i) = weights.iter().position(|w| !w.is_finite()) {
            return Err(Error::invalid(format!("weight {i}: expected a finite number, got {}", weights[i])));
        }
        if weights.is_empty() {
            return Ok(());
        }
        threads::pool()?;
        // One row of zero points per row of values, of which some may be none.
        let (mut none, zero_bytes) = (Vec::new(), if zero_points.is_some() { self.row_zero_points() } else { 0 });
        let zero_points = zero_points.unwrap_or(&mut none);
        let rows = values
            .par_chunks_mut(self.row_bytes())
            .zip(scales.par_chunks_mut(self.blocks))
            .with_min_len(self.min_rows());
        let one = |row: usize, values: &mut [u8], scales: &mut [f32], zero_points: &mut [u8]| {
            let mut weights_of_block = vec![0.0; self.block];
            for (i, (values, scale)) in values.chunks_exact_mut(self.block_bytes()).zip(scales).enumerate() {
                let columns = i * self.block..((i + 1) * self.block).min(self.columns);
                let block = &mut weights_of_block[..columns.len()];
                match order {
                    Order::Rows => block.copy_from_slice(&weights[row * self.columns..][columns]),
                    Order::Columns => {
                        block.iter_mut().zip(columns).for_each(|(b, k)| *b = weights[k * self.rows + row])
                    }
                }
                let zero_point = self.quantize_block(block, values, scale, !zero_points.is_empty());
                match &mut *zero_points {
                    [] => {}
                    all if self.bits == 8 => all[i] = zero_point,
                    all if i % 2 == 0 => all[i / 2] = zero_point,
                    all => all[i / 2] |= zero_point << 4,
                }
            }
        };
        if zero_bytes == 0 {
            rows.enumerate().for_each(|(row, (values, scales))| one(row, values, scales, &mut []));
        } else {
            let rows = rows.zip(zero_points.par_chunks_mut(zero_bytes));
            rows.enumerate().for_each(|(row, ((values, scales), zero_points))| one(row, values, scales, zero_points));
        }
        Ok(())
    }

    /// Quantizes one block, shorter at the end of a row; returns its zero point.
    fn quantize_block(&self, weights: &[f32], values: &mut [u8], scale: &mut f32, asymmetric: bool) -> u8 {
        let (steps, middle) = (((1 << self.bits) - 1) as f32, f32::from(self.middle()));
        let (min, max) = weights.iter().fold((0.0f32, 0.0f32), |(min, max), w| (min.min(*w), max.max(*w)));
        let zero_point = if asymmetric {
            // In this order no difference of finite numbers becomes infinite.
            *scale = max / steps - min / steps;
            if *scale > 0.0 { (-min / *scale).round().min(steps) } else { middle }
        } else {
            // The end that reaches further gets the value 0, which has one step more.
            *scale = if max > -min { max } else { min } / -middle;
            middle
        };
        let code = |i: usize| match weights.get(i) {
            Some(w) if *scale != 0.0 => ((w / *scale).round() + zero_point).clamp(0.0, steps) as u8,
            _ => zero_point as u8,
        };
        for (i, byte) in values.iter_mut().enumerate() {
            *byte = if self.bits == 8 { code(i) } else { code(2 * i) | code(2 * i + 1) << 4 };
        }
        zero_point as u8
    }

    /// Repacks the blocks of a matrix in [`BlockFormat::Q4_0`] into 4-bit ones of 32, or in [`BlockFormat::Q8_0`] into
    /// 8-bit ones of 32, without zero points. Exact: each weight is the same number.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` where a length, or the shape (`bits`, `block`, `K` a multiple of 32), is not that of the format;
    /// `Unsupported` for other formats.
    pub fn repack_into(&self, format: BlockFormat, blocks: &[u8], values: &mut [u8], scales: &mut [f32]) -> Result<()> {
        self.check(self.rows * self.columns, values.len(), scales.len(), None)?;
        self.repack_values_into(format, blocks, values)?;
        self.repack_scales_into(format, blocks, scales)
    }

    /// The values of [`NBits::repack_into`] alone.
    pub(crate) fn repack_values_into(&self, format: BlockFormat, blocks: &[u8], values: &mut [u8]) -> Result<()> {
        self.check_blocks(format, blocks)?;
        expect("bytes of values", self.value_bytes(), values.len())?;
        let min_blocks = 1 << 12;
        threads::pool()?;
        if self.bits == 4 {
            let all = blocks.as_chunks().0.par_iter().zip(values.as_chunks_mut().0).with_min_len(min_blocks);
            all.for_each(|(block, values)| from_q4_0(block, values));
        } else {
            let all = blocks.as_chunks().0.par_iter().zip(values.as_chunks_mut().0).with_min_len(min_blocks);
            all.for_each(|(block, values)| from_q8_0(block, values));
        }
        Ok(())
    }

    /// The scales of [`NBits::repack_into`] alone.
    pub(crate) fn repack_scales_into(&self, format: BlockFormat, blocks: &[u8], scales: &mut [f32]) -> Result<()> {
        self.check_blocks(format, blocks)?;
        expect("scales", self.scales(), scales.len())?;
        let all = blocks.chunks_exact(format.block_bytes()).zip(scales);
        all.for_each(|(block, scale)| *scale = scale_of(block));
        Ok(())
    }

    fn check_blocks(&self, format: BlockFormat, blocks: &[u8]) -> Result<()> {
        let bits = match format {
            BlockFormat::Q4_0 => 4,
            BlockFormat::Q8_0 => 8,
            _ => return Err(Error::unsupported(format!("MatMulNBits from {format}: expected q4_0 or q8_0"))),
        };
        expect("bits", bits, self.bits)?;
        expect("block", block::SMALL, self.block)?;
        expect("columns beyond a block", 0, self.columns % self.block)?;
        expect("bytes of blocks", self.scales() * format.block_bytes(), blocks.len())
    }
}

/// Blocks of both formats begin with it.
fn scale_of(block: &[u8]) -> f32 {
    const { assert!(block::q4_0::D == 0 && block::q8_0::D == 0) };
    f16::from_le_bytes([block[0], block[1]]).to_f32()
}

fn from_q4_0(block: &[u8; block::q4_0::BYTES], values: &mut [u8; 16]) {
    // From pairs 16 apart to pairs of neighbours.
    let qs = &block[block::q4_0::QS..];
    for i in 0..8 {
        values[i] = qs[2 * i] & 15 | (qs[2 * i + 1] & 15) << 4;
        values[i + 8] = qs[2 * i] >> 4 | qs[2 * i + 1] & 0xf0;
    }
}

fn from_q8_0(block: &[u8; block::q8_0::BYTES], values: &mut [u8; 32]) {
    for (value, q) in values.iter_mut().zip(&block[block::q8_0::QS..]) {
        *value = q ^ 0x80;
    }
}
