//! Packed weights, and their product with rows of activations.
#![expect(unsafe_code, reason = "threads write their columns into one matrix")]

use std::ops::Range;

use rayon::prelude::*;

use super::activations::Activations;
use super::dispatch::kernels;
use super::driver::Kernels;
use super::layout::{Layout, PANEL};
use super::pack;
use super::quantize::layout_of;
use super::unpack::Stretch;
use crate::kernel::dispatch::{active, active_table};
use crate::kernel::format::BlockFormat;
use crate::kernel::table::{Isa, Table};
use crate::{Code, Error, Result, threads};

/// Rows of activations in a tile: few enough that the tile stays in the first cache and its activations in the second, and so
/// many that unpacking the weights anew for each tile costs little.
const TILE: usize = 128;

/// A matrix of weights, packed for products with many rows of activations at once.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "experimental")] {
/// use selvedge::kernel::{BlockFormat, product::{Activations, Panels}, quantize_into};
/// // Three rows of weights: halves, ones, twos.
/// let weights: Vec<f32> = [0.5, 1.0, 2.0].iter().flat_map(|w| [*w; 32]).collect();
/// let mut blocks = vec![0; BlockFormat::Q8_0.bytes(96).unwrap()];
/// quantize_into(BlockFormat::Q8_0, &weights, &mut blocks)?;
/// let panels = Panels::pack(BlockFormat::Q8_0, &blocks, 3, 32)?;
/// let activations = Activations::quantize(BlockFormat::Q8_0, &[1.0; 64], 2, 32)?;
/// let mut out = [0.0; 6];
/// panels.multiply(&activations, &mut out, 3, 0..3)?;
/// assert!(out.iter().zip([16.0, 32.0, 64.0, 16.0, 32.0, 64.0]).all(|(x, y)| (x - y).abs() < 0.05));
/// # }
/// # Ok::<(), selvedge::Error>(())
/// ```
pub struct Panels {
    format: BlockFormat,
    layout: Layout,
    rows: usize,
    cols: usize,
    /// Records of each panel, one panel after the other.
    records: Vec<u8>,
}

impl Panels {
    /// Whether weights in this format can be packed: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K, IQ4_NL, MXFP4, F16
    /// and BF16.
    pub const fn supports(format: BlockFormat) -> bool {
        Layout::of(format).is_some()
    }

    /// Whether weights in this format are worth packing for products of many rows: quantized ones, with kernels in registers.
    #[cfg_attr(not(feature = "llama"), allow(dead_code, reason = "llama.cpp's graphs are what is measured"))]
    pub(crate) fn are_fast(format: BlockFormat) -> bool {
        let is_number = matches!(format, BlockFormat::F16 | BlockFormat::Bf16);
        Self::are_used() && Self::supports(format) && !is_number
    }

    /// Whether that is so for any format.
    #[cfg_attr(not(feature = "llama"), allow(dead_code, reason = "llama.cpp's graphs are what is measured"))]
    pub(crate) fn are_used() -> bool {
        matches!(active(), Isa::Avx2 | Isa::Avx512)
    }

    /// Bytes that packing `rows × cols` weights takes; `None` where that cannot be.
    pub fn packed_bytes(format: BlockFormat, rows: usize, cols: usize) -> Option<usize> {
        let layout = Layout::of(format)?;
        let records = cols.is_multiple_of(layout.elements()).then_some(cols / layout.elements())?;
        rows.div_ceil(PANEL).checked_mul(records)?.checked_mul(layout.record_bytes())
    }

    /// Packs a matrix: the blocks of its rows, one row after the other. On the current rayon thread pool.
    ///
    /// The packed bytes are as many as the blocks have, rows counted up to a multiple of 16; of Q4_K and Q5_K up to 3 %
    /// more.
    ///
    /// # Errors
    ///
    /// `Unsupported` for a format that is not packed. `InvalidArgument` unless `cols` is a multiple of its blocks, and of
    /// 32, and `blocks` is exactly `rows × cols` weights. `OutOfMemory` where there is no room.
    pub fn pack(format: BlockFormat, blocks: &[u8], rows: usize, cols: usize) -> Result<Self> {
        let layout = layout_of(format)?;
        let too_large = || Error::invalid(format!("panels of {format}: expected cols in blocks, got {rows} x {cols}"));
        let bytes = Self::packed_bytes(format, rows, cols).ok_or_else(too_large)?;
        format.check(blocks, rows.checked_mul(cols).ok_or_else(too_large)?)?;
        let mut records = Vec::new();
        records
            .try_reserve_exact(bytes)
            .map_err(|_| Error::new(Code::OutOfMemory, format!("panels: {bytes} bytes")))?;
        records.resize(bytes, 0);
        if bytes > 0 {
            threads::pool()?;
            let row_bytes = blocks.len() / rows;
            let panels = records.par_chunks_mut(cols / layout.elements() * layout.record_bytes());
            panels.zip(blocks.par_chunks(PANEL * row_bytes)).for_each(|(records, blocks)| {
                pack::panel(format, &layout, blocks.chunks_exact(row_bytes), records);
            });
        }
        Ok(Self { format, layout, rows, cols, records })
    }

    /// Format of the weights.
    pub const fn format(&self) -> BlockFormat {
        self.format
    }

    /// Rows of weights: columns of the product.
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// Weights in a row.
    pub const fn cols(&self) -> usize {
        self.cols
    }

    /// Bytes of memory.
    pub const fn size(&self) -> usize {
        self.records.len()
    }

    /// Writes the products of every row of activations and some rows of weights: that of row `m` and weights `n` to
    /// `out[m · stride + n - rows.start]`. On the thread of the caller.
    ///
    /// Ranges that begin and end at multiples of 16 waste nothing. The bits do not depend on the split.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` where the activations are of another format or width, the rows are not there, `stride` is below
    /// their number, or `out` is too short.
    pub fn multiply(
        &self,
        activations: &Activations,
        out: &mut [f32],
        stride: usize,
        rows: Range<usize>,
    ) -> Result<()> {
        self.multiply_by(active_table(), activations, out, stride, rows)
    }

    /// [`multiply`](Panels::multiply) with the kernels of a table.
    pub(in crate::kernel) fn multiply_by(
        &self,
        table: &Table,
        activations: &Activations,
        out: &mut [f32],
        stride: usize,
        rows: Range<usize>,
    ) -> Result<()> {
        let last = activations.rows().saturating_sub(1);
        let needed = last.checked_mul(stride).and_then(|at| at.checked_add(rows.len()));
        if activations.rows() > 0 && needed.is_none_or(|needed| needed > out.len()) {
            let (m, n) = (activations.rows(), rows.len());
            return Err(Error::invalid(format!(
                "product of {m} rows: expected room for {n} numbers at each multiple of {stride}, got {}",
                out.len()
            )));
        }
        // SAFETY: the last row ends within `out`, which is borrowed for this call alone.
        unsafe { self.multiply_with(kernels(table), activations, out.as_mut_ptr(), stride, rows) }
    }

    /// [`multiply`](Panels::multiply) into memory that other threads write other columns of.
    ///
    /// # Errors
    ///
    /// As [`multiply`](Panels::multiply), but for the length of `out`.
    ///
    /// # Safety
    ///
    /// Each of `out[m · stride ..][.. rows.len()]` may be written for every row `m` of the activations, and nobody else
    /// reads or writes those numbers meanwhile.
    pub unsafe fn multiply_at(
        &self,
        activations: &Activations,
        out: *mut f32,
        stride: usize,
        rows: Range<usize>,
    ) -> Result<()> {
        // SAFETY: the caller's.
        unsafe { self.multiply_with(kernels(active_table()), activations, out, stride, rows) }
    }

    /// # Safety
    ///
    /// As [`Panels::multiply_at`].
    unsafe fn multiply_with(
        &self,
        kernels: Kernels,
        activations: &Activations,
        out: *mut f32,
        stride: usize,
        rows: Range<usize>,
    ) -> Result<()> {
        self.check(activations, stride, &rows)?;
        if activations.words != (kernels.words)(&self.layout) {
            return Err(Error::internal("activations: quantized by kernels of another instruction set"));
        }
        let panel_bytes = self.cols / self.layout.elements() * self.layout.record_bytes();
        let mut stretch = Stretch::new();
        let mut tile = [[0.0; PANEL]; TILE];
        // Tiles first: the activations of one stay in the second cache while all panels pass by, which are unpacked for each
        // tile anyway.
        for first in (0..activations.rows()).step_by(TILE) {
            let tile = &mut tile[..TILE.min(activations.rows() - first)];
            for panel in rows.start / PANEL..rows.end.div_ceil(PANEL) {
                let records = &self.records[panel * panel_bytes..][..panel_bytes];
                let columns = rows.start.max(panel * PANEL)..rows.end.min((panel + 1) * PANEL);
                let lanes = columns.start - panel * PANEL..columns.end - panel * PANEL;
                tile.fill([0.0; PANEL]);
                (kernels.add_panel)(&mut stretch, &self.layout, records, activations, first, tile);
                for (i, sums) in tile.iter().enumerate() {
                    let sums = &sums[lanes.clone()];
                    // SAFETY: the caller's: these are columns of the range, in a row of the activations.
                    unsafe {
                        let to = out.add((first + i) * stride + columns.start - rows.start);
                        to.copy_from_nonoverlapping(sums.as_ptr(), sums.len());
                    }
                }
            }
        }
        Ok(())
    }

    fn check(&self, activations: &Activations, stride: usize, rows: &Range<usize>) -> Result<()> {
        if activations.format != self.format || activations.cols() != self.cols {
            let (format, cols) = (activations.format, activations.cols());
            return Err(Error::invalid(format!(
                "activations: expected {} wide for {}, got {cols} for {format}",
                self.cols, self.format
            )));
        }
        if rows.start > rows.end || rows.end > self.rows || stride < rows.len() {
            return Err(Error::invalid(format!(
                "rows {rows:?} at a stride of {stride}: expected some of {} at a stride of their number",
                self.rows
            )));
        }
        Ok(())
    }
}
