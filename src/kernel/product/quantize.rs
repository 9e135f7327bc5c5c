//! Quantization of activations.

use super::activations::Activations;
use super::dispatch::kernels;
use super::driver::Kernels;
use super::layout::{GROUP, Kind, Layout};
use crate::kernel::block::SMALL;
use crate::kernel::dispatch::active_table;
use crate::kernel::format::BlockFormat;
use crate::kernel::table::Table;
use crate::{Error, Result};

impl Activations {
    /// Quantizes `rows × cols` numbers, row by row, for weights in `format`. On the thread of the caller.
    ///
    /// # Errors
    ///
    /// `Unsupported` for a format that [`Panels`](super::Panels) does not take; `InvalidArgument` unless `cols` is a
    /// multiple of the format's block, and of 32, and there are `rows × cols` values.
    pub fn quantize(format: BlockFormat, values: &[f32], rows: usize, cols: usize) -> Result<Self> {
        Self::quantize_by(active_table(), format, values, rows, cols)
    }

    /// [`quantize`](Activations::quantize) with the kernels of a table.
    pub(in crate::kernel) fn quantize_by(
        table: &Table,
        format: BlockFormat,
        values: &[f32],
        rows: usize,
        cols: usize,
    ) -> Result<Self> {
        let layout = layout_of(format)?;
        check(format, values.len(), rows, cols)?;
        let Kernels { put_group, words, .. } = kernels(table);
        let mut activations = Self::zeros(format, &layout, words(&layout), rows, cols);
        let mut bytes = vec![0; cols];
        let mut rounded = vec![0.0; if layout.kind == Kind::Float { GROUP * cols } else { 0 }];
        for (group, mut values) in values.chunks((GROUP * cols).max(1)).enumerate() {
            if layout.kind == Kind::Float {
                round(table, format, values, &mut rounded[..values.len()]);
                values = &rounded[..values.len()];
            }
            put_group(&mut activations, &layout, group, values, &mut bytes);
        }
        Ok(activations)
    }
}

/// To the nearest of the format's numbers.
fn round(table: &Table, format: BlockFormat, values: &[f32], rounded: &mut [f32]) {
    let mut bits = vec![0u16; values.len()];
    match format {
        BlockFormat::Bf16 => (table.narrow_bf16)(values, bytemuck::cast_slice_mut(&mut bits)),
        _ => (table.narrow_f16)(values, bytemuck::cast_slice_mut(&mut bits)),
    }
    table.decode[format as usize](bytemuck::cast_slice(&bits), rounded);
}

/// The layout of a format that has products.
pub(super) fn layout_of(format: BlockFormat) -> Result<Layout> {
    Layout::of(format).ok_or_else(|| Error::unsupported(format!("products of weights in {format}")))
}

fn check(format: BlockFormat, values: usize, rows: usize, cols: usize) -> Result<()> {
    let block = format.block_elements().max(SMALL);
    if !cols.is_multiple_of(block) {
        return Err(Error::invalid(format!("activations for {format}: expected a multiple of {block}, got {cols}")));
    }
    if rows.checked_mul(cols) != Some(values) {
        return Err(Error::invalid(format!("activations: expected {rows} x {cols} numbers, got {values}")));
    }
    Ok(())
}
