//! Attention of some tokens of a prompt in one head: `softmax(scale · Q·Kᵀ + mask) · V`.
//!
//! Enters: keys and values of the cells of a KV cache in binary16, packed once as [`Cells`] for all tokens that look at them;
//! queries and a mask in `f32`. Leaves: rows of `f32` in memory of the caller.
//!
//! Everything is computed in `f32`. A score, and each number of the result, is one chain of fused multiplications and additions
//! in the order of its index; what a mask of minus infinity hides adds zeros to these, which changes nothing. So a token's
//! bits depend neither on the tokens beside it nor on the instruction set.
//!
//! # Files
//!
//! `cells` are the packed keys and values, `driver` walks over them, and `softmax` is that of a row. `machine` is what an
//! instruction set does: `scalar` says it as its formula, `avx2` and `avx512` the same in registers, and `dispatch` chooses.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod cells;
mod dispatch;
mod driver;
mod machine;
mod scalar;
mod softmax;

pub(crate) use cells::{Cells, Cut};
pub(crate) use dispatch::attend;
#[cfg(test)]
pub(in crate::kernel) use dispatch::attend_with;
pub(crate) use driver::{Mask, Tokens};

/// Cells, or channels of a value, in a panel.
pub(crate) const PANEL: usize = 16;
/// Tokens that are best computed together: few enough that their scores stay in the second cache.
pub(crate) const TILE: usize = 24;

/// A column of a panel.
type Lanes = [f32; PANEL];
