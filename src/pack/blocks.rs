//! A tensor of a packed graph, whose weights are blocks of the weight file.

use super::form::BLOCK;
use super::keys::{EXPONENT, LAYOUT, Layout, MAX_EXPONENT};
use crate::kernel::BlockFormat;
use crate::onnx::{BLOCKS_ENTRY, FLOAT, FLOAT16, TensorHead};
use crate::weights::WeightFile;
use crate::{Error, Result};

/// A block tensor: what the graph takes it for, checked against what the weight file has.
#[derive(Debug)]
pub(super) struct Blocks<'a> {
    /// Its name in the graph.
    pub name: &'a str,
    /// Its name in the weight file.
    pub stored: &'a str,
    /// Its dimensions in the graph.
    pub dims: Vec<u64>,
    /// Whether the graph has it in f16.
    pub is_half: bool,
    pub format: BlockFormat,
    /// Of the power of two that they were divided by.
    pub exponent: i32,
    layout: Layout,
    /// Rows of blocks.
    pub rows: u64,
    /// Weights per row, without the padding of the last block.
    pub columns: u64,
}

impl<'a> Blocks<'a> {
    /// Reads the initializer of a packed graph; `None` for one that is no block tensor.
    pub(super) fn read(tensor: &TensorHead<'a>, file: &WeightFile) -> Result<Option<Self>> {
        let Some(stored) = tensor.entry(BLOCKS_ENTRY) else { return Ok(None) };
        let name = tensor.name;
        let broken = |what: String| Error::corrupt(format!("packed tensor '{name}': {what}"));
        tensor.check()?;
        let dims: Vec<u64> = tensor.dims.iter().map(|d| u64::try_from(*d).unwrap_or(0)).collect();
        let layout = tensor.entry(LAYOUT).unwrap_or_default();
        let layout = Layout::by_name(layout)
            .ok_or_else(|| broken(format!("expected layout rows, inner or columns, got '{layout}'")))?;
        if !tensor.is_external || !matches!(tensor.element, FLOAT | FLOAT16) {
            return Err(broken("expected f32 or f16 in another file".into()));
        }
        let exponent = tensor.entry(EXPONENT).unwrap_or("0");
        let within = |n: &i32| (-MAX_EXPONENT..=MAX_EXPONENT).contains(n);
        let exponent = exponent.parse().ok().filter(within).ok_or_else(|| {
            broken(format!("expected an exponent from -{MAX_EXPONENT} to {MAX_EXPONENT}, got '{exponent}'"))
        })?;
        let entry = file.get(stored).ok_or_else(|| broken(format!("the weight file has no tensor '{stored}'")))?;
        let format = entry
            .format()
            .filter(|f| matches!(f, BlockFormat::Q4_0 | BlockFormat::Q8_0))
            .ok_or_else(|| broken(format!("expected blocks of Q4_0 or Q8_0, got {}", entry.tensor_type())))?;
        let split = layout.split(&dims).filter(|(rows, columns)| *rows > 0 && *columns > 0);
        let (rows, columns) = split.ok_or_else(|| broken(format!("{dims:?} does not lie in {}", layout.name())))?;
        let expected = [rows, columns.next_multiple_of(BLOCK)];
        let got: Vec<u64> = entry.shape().iter().map(|d| *d as u64).collect();
        if got != expected {
            return Err(broken(format!("expected {expected:?} in the weight file, got {got:?}")));
        }
        let is_half = tensor.element == FLOAT16;
        Ok(Some(Self { name, stored, dims, is_half, format, exponent, layout, rows, columns }))
    }

    /// Whether rows of blocks are columns of the graph's matrix.
    pub(super) fn is_transposed(&self) -> bool {
        self.layout == Layout::Columns
    }

    pub(super) fn bits(&self) -> u64 {
        if self.format == BlockFormat::Q4_0 { 4 } else { 8 }
    }

    /// Bytes of a block without its scale.
    pub(super) fn quant_bytes(&self) -> u64 {
        BLOCK * self.bits() / 8
    }

    /// Blocks of a row.
    pub(super) fn row_blocks(&self) -> u64 {
        self.columns.div_ceil(BLOCK)
    }

    /// Whether a row without padding ends with a whole byte, and rows can be counted in i32.
    pub(super) fn is_table(&self) -> bool {
        (self.columns * self.bits()).is_multiple_of(8) && i32::try_from(self.rows).is_ok()
    }
}
