//! Dispatch: from the table of an instruction set to its kernels of products.

use super::driver::Kernels;
use super::scalar;
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};
use crate::kernel::table::Table;

/// The kernels of a table's instruction set.
#[cfg(target_arch = "x86_64")]
pub(super) fn kernels(table: &Table) -> Kernels {
    avx512::kernels(table).or_else(|| avx2::kernels(table)).unwrap_or(scalar::KERNELS)
}

/// No instruction set has more than the reference here.
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn kernels(_: &Table) -> Kernels {
    scalar::KERNELS
}
