//! Quantized weights to numbers, at the speed of memory: dequantization, fused row kernels, quantization.
//!
//! Enters: the bytes of blocks, in a [`Format`]. Leaves: `f32`, `f16` or `bf16` in slices that the caller owns.
//! May import: nothing of the crate.
//!
//! In `format` stands what a format is, in `block` its bytes. `scalar` has every kernel as its formula says; `lanes` are
//! the vector operations in which `decode` says the same once more, `generic` the loops around it, and `avx2`, `avx512`
//! and `neon` spell the operations. `table` chooses between them. Callers come by `dequantize`, `tiles`, `row` (sums and
//! products of rows), `quantize`, and for other layouts than ggml's by `ints` and `groups`.
//!
//! Every kernel exists as a readable reference and as variants for the instruction sets of [`Isa`]. The best that the
//! CPU has is chosen once, at run time; all give the same bits, and those of ggml's own `dequantize_row_*`; only which
//! NaN a block with a NaN scale gives is not told. Bytes need no alignment. Any run of whole blocks is a tensor of its own, so a range of rows is a sub-slice.
//!
//! ```
//! use selvedge::kernel::{Format, dequantize_into};
//! // One block of Q8_0: the scale 0.5 as binary16, then 32 signed bytes.
//! let mut block = vec![0x00, 0x38];
//! block.extend((0..32).map(|q: i8| q as u8));
//! let mut weights = [0.0; 32];
//! dequantize_into(Format::Q8_0, &block, &mut weights)?;
//! assert_eq!(weights[..4], [0.0, 0.5, 1.0, 1.5]);
//! # Ok::<(), selvedge::Error>(())
//! ```

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod backed;
mod block;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod decode;
mod dequantize;
mod format;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod generic;
pub mod groups;
pub mod ints;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod lanes;
#[cfg(target_arch = "aarch64")]
mod neon;
mod quantize;
mod row;
mod scalar;
mod table;
#[cfg(test)]
mod tests;
mod tiles;

pub use dequantize::{Stores, dequantize_bf16_into, dequantize_f16_into, dequantize_into, dequantize_with};
pub use format::Format;
pub use quantize::quantize_into;
pub(crate) use quantize::quantize_q4_0_closely;
pub use row::{Query, accumulate, accumulate_rows, dot_i8, dot_i8_rows, normalize, prefetch};
pub use table::{Isa, active};
pub use tiles::{Tile, Tiles, tiles};

use crate::{Error, Result};

/// Refuses bytes that are not exactly the blocks of so many weights.
fn check(format: Format, blocks: &[u8], elements: usize) -> Result<()> {
    match format.bytes(elements) {
        Some(bytes) if bytes == blocks.len() => Ok(()),
        Some(bytes) => Err(Error::invalid(format!(
            "{elements} weights in {format}: expected {bytes} bytes of blocks, got {}",
            blocks.len()
        ))),
        None => Err(Error::invalid(format!(
            "weights in {format}: expected a multiple of {}, got {elements}",
            format.block_elements()
        ))),
    }
}

/// The tables beside the reference that this CPU can run, the slowest first.
fn vectorised() -> impl Iterator<Item = table::Table> {
    #[cfg(target_arch = "x86_64")]
    let tables = [avx2::table(), avx512::table()];
    #[cfg(target_arch = "aarch64")]
    let tables = [neon::table()];
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let tables = [];
    tables.into_iter().flatten()
}
