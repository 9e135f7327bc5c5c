//! The table of one instruction set's kernels.

use std::fmt;

use half::{bf16, f16};

use super::format::BlockFormat;
use super::query::Query;

/// Writes the weights of some blocks; the output is exactly as long as the blocks say.
pub(super) type Decode = fn(&[u8], &mut [f32]);
/// Adds the weights of some rows, each row times its number, in their order; each row is as long as the sum says.
pub(super) type Accumulate = fn(&[(&[u8], f32)], &mut [f32]);
/// The product of a row and a query.
pub(super) type Dot = fn(&[u8], &Query) -> f32;

/// `((code ^ flip) - zero) · scale` of each code.
pub(super) type AffineCodes = fn(&[u8], u8, f32, f32, &mut [f32]);

/// Instruction set whose kernels are in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Isa {
    /// The reference, in plain Rust.
    Scalar,
    /// x86-64 with AVX2, F16C and FMA.
    Avx2,
    /// x86-64 with AVX-512 F, BW, DQ, VL and VNNI, beside AVX2, F16C and FMA.
    Avx512,
    /// 64-bit Arm.
    Neon,
}

impl Isa {
    /// Name: `scalar`, `avx2`, `avx512` or `neon`.
    pub const fn name(self) -> &'static str {
        match self {
            Isa::Scalar => "scalar",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
            Isa::Neon => "neon",
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The kernels of one instruction set. Having one proves that the CPU can run it: the only ways to get it look first.
#[derive(Clone, Copy)]
pub(super) struct Table {
    pub(super) isa: Isa,
    /// By [`BlockFormat`].
    pub(super) decode: [Decode; BlockFormat::ALL.len()],
    /// By [`BlockFormat`], with stores that bypass the caches.
    pub(super) stream: [Decode; BlockFormat::ALL.len()],
    /// By [`BlockFormat`].
    pub(super) accumulate: [Accumulate; BlockFormat::ALL.len()],
    /// Scales to length 1.
    pub(super) normalize: fn(&mut [f32]),
    pub(super) narrow_f16: fn(&[f32], &mut [f16]),
    pub(super) narrow_bf16: fn(&[f32], &mut [bf16]),
    pub(super) dot_q8_0: Dot,
    pub(super) dot_q4_0: Dot,
    /// Of signed bytes.
    pub(super) affine_bytes: AffineCodes,
    /// Of unsigned nibbles, the lower of each byte first.
    pub(super) affine_nibbles: AffineCodes,
}
