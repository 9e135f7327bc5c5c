//! Keys and values of the cells of one head, packed.

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::{Lanes, PANEL};
use crate::{Error, Result};

/// Keys and values as they lie in a KV cache: the key of a cell in one piece, and the values of all cells in one piece for
/// each channel.
#[derive(Clone, Copy)]
pub(crate) struct Cut<'a> {
    pub(crate) keys: &'a [f16],
    /// Elements from the key of a cell to that of the next.
    pub(crate) key_stride: usize,
    /// Elements of a key.
    pub(crate) key_size: usize,
    pub(crate) values: &'a [f16],
    /// Elements from a channel to the next.
    pub(crate) value_stride: usize,
    /// Channels.
    pub(crate) value_size: usize,
}

/// Keys and values of the first cells of one head, as `f32`: what is multiplied by one number lies together.
#[derive(Default)]
pub(crate) struct Cells {
    /// `[panel of cells][element of a key][cell]`
    pub(super) keys: Vec<Lanes>,
    /// `[panel of channels][cell][channel]`, the last panel filled up with zeros.
    pub(super) values: Vec<Lanes>,
    pub(super) key_size: usize,
    pub(super) value_size: usize,
    /// A multiple of a panel.
    pub(super) count: usize,
}

impl Cells {
    /// Packs so many cells in place of what was packed before.
    ///
    /// # Errors
    ///
    /// `Internal` where the cells are no whole panels, or not all there.
    pub(crate) fn pack(&mut self, cut: &Cut<'_>, count: usize) -> Result<()> {
        let reach =
            |stride: usize, size: usize, last: usize| last.checked_sub(1)?.checked_mul(stride)?.checked_add(size);
        let keys = reach(cut.key_stride, cut.key_size, count).filter(|end| *end <= cut.keys.len());
        let values = reach(cut.value_stride, count, cut.value_size).filter(|end| *end <= cut.values.len());
        if keys.is_none() || values.is_none() || !count.is_multiple_of(PANEL) || cut.key_size == 0 {
            return Err(Error::internal(format!("attention: expected {count} cells in panels of {PANEL}")));
        }
        (self.key_size, self.value_size, self.count) = (cut.key_size, cut.value_size, count);
        // Everything below is written over, but for channels that fill up.
        self.keys.resize(count / PANEL * cut.key_size, [0.0; PANEL]);
        self.values.resize(cut.value_size.div_ceil(PANEL) * count, [0.0; PANEL]);
        let mut row = vec![0.0; cut.key_size.max(count)];
        for cell in 0..count {
            let key = &mut row[..cut.key_size];
            cut.keys[cell * cut.key_stride..][..cut.key_size].convert_to_f32_slice(key);
            let panel = &mut self.keys[cell / PANEL * cut.key_size..][..cut.key_size];
            panel.iter_mut().zip(key).for_each(|(lanes, number)| lanes[cell % PANEL] = *number);
        }
        for channel in 0..cut.value_size.next_multiple_of(PANEL) {
            let of_cells = &mut row[..count];
            match channel < cut.value_size {
                true => cut.values[channel * cut.value_stride..][..count].convert_to_f32_slice(of_cells),
                false => of_cells.fill(0.0),
            }
            let panel = &mut self.values[channel / PANEL * count..][..count];
            panel.iter_mut().zip(of_cells).for_each(|(lanes, number)| lanes[channel % PANEL] = *number);
        }
        Ok(())
    }
}
