//! Products of quantized matrices: `out[m][n] = Σ a[m][k] · w[n][k]`, with weights `w` in ggml's blocks and activations
//! `a` in `f32`.
//!
//! Enters: the bytes of a tensor's blocks, once, packed as [`Panels`]; rows of `f32`, quantized once as [`Activations`]
//! for all panels of a format. Leaves: rows of `f32` in memory of the caller.
//!
//! Activations are quantized as ggml quantizes them for each format of weights. Codes are multiplied and added as
//! whole numbers, exactly; one chain of fused multiplications and additions per product, in the order of its blocks,
//! applies the scales. So every instruction set gives the same bits, for any split into rows.
//!
//! # Files
//!
//! `layout` draws the bytes of a panel, `pack` writes them and `unpack` reads them. `activations` are those, quantized.
//! `driver` walks over a panel; `scalar` says every product as its formula, `avx2` and `avx512` the same in registers, and
//! `dispatch` chooses. Callers come by `panels` and `quantize`.

mod activations;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod dispatch;
mod driver;
mod layout;
mod pack;
mod panels;
mod quantize;
mod scalar;
mod unpack;

pub use activations::Activations;
pub use panels::Panels;
