//! Dispatch: from the table of an instruction set to its kernel of attention.

use std::ops::Range;

use super::cells::Cells;
use super::driver::{Kernel, Tokens};
use super::{PANEL, scalar};
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};
use crate::kernel::dispatch::active_table;
use crate::kernel::table::Table;
use crate::{Error, Result};

/// Writes what the tokens make of the values of these panels of cells, a row for each.
///
/// # Errors
///
/// `Internal` where something has another size than the cells say.
pub(crate) fn attend(cells: &Cells, panels: Range<usize>, tokens: &Tokens<'_>, out: &mut [f32]) -> Result<()> {
    attend_with(active_table(), cells, panels, tokens, out)
}

/// [`attend`] with the kernels of a table.
pub(in crate::kernel) fn attend_with(
    table: &Table,
    cells: &Cells,
    panels: Range<usize>,
    tokens: &Tokens<'_>,
    out: &mut [f32],
) -> Result<()> {
    let count = tokens.queries.len() / cells.key_size.max(1);
    let is_whole = count * cells.key_size == tokens.queries.len() && count * cells.value_size == out.len();
    let last = count.checked_sub(1).map_or(0, |last| last * tokens.mask.stride + panels.end * PANEL);
    if !is_whole || panels.start > panels.end || panels.end * PANEL > cells.count || last > tokens.mask.numbers.len() {
        let (keys, values) = (cells.key_size, cells.value_size);
        return Err(Error::internal(format!(
            "attention: expected rows of {keys} and {values} numbers, and masks of {} cells",
            panels.end * PANEL
        )));
    }
    kernel(table)(cells, panels, tokens, out);
    Ok(())
}

#[cfg(target_arch = "x86_64")]
fn kernel(table: &Table) -> Kernel {
    avx512::kernel(table).or_else(|| avx2::kernel(table)).unwrap_or(scalar::KERNEL)
}

/// No instruction set has more than the reference here.
#[cfg(not(target_arch = "x86_64"))]
fn kernel(_: &Table) -> Kernel {
    scalar::KERNEL
}
