//! Kernels of quantized weights: dequantization at the speed of memory, fused kernels of rows, quantization.
//!
//! Enters: the bytes of blocks, in a [`BlockFormat`]. Leaves: `f32`, `f16` or `bf16` in slices that the caller owns.
//! May import: threads.
//!
//! Every kernel exists as a readable reference and as variants for the instruction sets of [`Isa`]. The best that the
//! CPU has is chosen once, at run time; all give the same bits, and those of ggml's own `dequantize_row_*`; only which
//! NaN a block with a NaN scale gives is left open. Bytes need no alignment. Any run of whole blocks is a tensor of its
//! own, so a range of rows is a sub-slice.
//!
//! ```
//! use selvedge::kernel::{BlockFormat, dequantize_into};
//! // One block of Q8_0: the scale 0.5 as binary16, then 32 signed bytes.
//! let mut block = vec![0x00, 0x38];
//! block.extend((0..32).map(|q: i8| q as u8));
//! let mut weights = [0.0; 32];
//! dequantize_into(BlockFormat::Q8_0, &block, &mut weights)?;
//! assert_eq!(weights[..4], [0.0, 0.5, 1.0, 1.5]);
//! # Ok::<(), selvedge::Error>(())
//! ```
//!
//! # Low-level kernels
//!
//! With the cargo feature `experimental` the low-level kernels are public as well: sums and products of rows, tiles,
//! the choice of stores, and the layouts of ONNX, GPTQ and AWQ. They may change in a minor version.
//!
//! # Files
//!
//! From below: `block` has the bytes of each format, `format` the formats and their sizes, `query` what the kernels of
//! rows share. `scalar` has every kernel as its formula says. `lanes` are the vector operations in which `decode` says
//! the same once more, `generic` the loops around it; `avx2`, `avx512` and `neon` spell the operations. Each of these
//! instruction sets is a `table`, and `dispatch` chooses one. Callers come by `dequantize`, `tiles`, `row` (sums and
//! products of rows), `product` (of matrices), `attention`, `quantize`, `int8` (of matrices of integers), and for other
//! layouts than ggml's by `ints` and `gptq`.
#![cfg_attr(
    not(feature = "experimental"),
    allow(
        dead_code,
        unreachable_pub,
        unused_imports,
        reason = "low-level kernels are public with the feature `experimental`"
    )
)]

#[cfg_attr(not(feature = "llama"), allow(dead_code, reason = "ONNX Runtime, rten and tract have kernels of their own"))]
pub(crate) mod attention;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod block;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod decode;
mod dequantize;
mod dispatch;
mod format;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod generic;
#[cfg(feature = "experimental")]
pub mod gptq;
#[cfg(not(feature = "experimental"))]
pub(crate) mod gptq;
#[cfg_attr(not(feature = "tract"), allow(dead_code, reason = "ONNX Runtime and rten have kernels of their own"))]
pub(crate) mod int8;
#[cfg(feature = "experimental")]
pub mod ints;
#[cfg(not(feature = "experimental"))]
pub(crate) mod ints;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod lanes;
#[cfg(target_arch = "aarch64")]
mod neon;
mod prefetch;
#[cfg(feature = "experimental")]
pub mod product;
#[cfg(not(feature = "experimental"))]
pub(crate) mod product;
mod quantize;
mod query;
mod resident;
mod row;
mod scalar;
mod table;
#[cfg(test)]
mod tests;
mod tiles;

pub use dequantize::{dequantize_bf16_into, dequantize_f16_into, dequantize_into};
pub use dispatch::active;
pub use format::BlockFormat;
pub use quantize::quantize_into;
pub(crate) use quantize::quantize_q4_0_closely;
pub use table::Isa;

#[cfg(feature = "experimental")]
pub use self::{
    dequantize::{Stores, dequantize_with},
    prefetch::prefetch,
    query::Query,
    row::{accumulate, accumulate_rows, dot_i8, dot_i8_rows, normalize},
    tiles::{Tile, Tiles, tiles},
};
#[cfg(not(feature = "experimental"))]
pub(crate) use self::{
    prefetch::prefetch,
    query::Query,
    row::{accumulate_rows, dot_i8_rows, normalize},
};
/// The tests read tensors in tiles whatever the features.
#[cfg(all(test, not(feature = "experimental")))]
pub(crate) use tiles::{Tiles, tiles};
