//! Formats of blocks, and their sizes.

use std::fmt;

use super::block;
use crate::{Error, Result};

/// Format of the blocks that a tensor's weights are stored in: what ggml calls a type.
///
/// A tensor is a run of blocks, each [`block_elements`](BlockFormat::block_elements) weights in
/// [`block_bytes`](BlockFormat::block_bytes) bytes. Numbers are little-endian. Names and layouts are those of ggml
/// (`ggml-common.h`); every layout is drawn, with its formula, at the constants of `src/kernel/block.rs`.
///
/// # Examples
///
/// ```
/// use selvedge::kernel::BlockFormat;
/// assert_eq!(BlockFormat::Q4K.block_elements(), 256);
/// assert_eq!(BlockFormat::Q4K.bytes(4096), Some(16 * 144));
/// assert_eq!(BlockFormat::Q4K.bytes(100), None);
/// assert_eq!("q4_K".parse::<BlockFormat>().unwrap(), BlockFormat::Q4K);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum BlockFormat {
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary16.
    F16,
    /// The upper half of a binary32.
    Bf16,
    /// 4 bits, one scale per 32.
    Q4_0,
    /// 4 bits, one scale and minimum per 32.
    Q4_1,
    /// 5 bits, one scale per 32.
    Q5_0,
    /// 5 bits, one scale and minimum per 32.
    Q5_1,
    /// 8 bits, one scale per 32.
    Q8_0,
    /// 2 bits, 4-bit scales and minima per 16, in blocks of 256.
    Q2K,
    /// 3 bits, 6-bit scales per 16, in blocks of 256.
    Q3K,
    /// 4 bits, 6-bit scales and minima per 32, in blocks of 256.
    Q4K,
    /// 5 bits, 6-bit scales and minima per 32, in blocks of 256.
    Q5K,
    /// 6 bits, 8-bit scales per 16, in blocks of 256.
    Q6K,
    /// 4 bits into a table of 16 uneven levels, one scale per 32.
    Iq4Nl,
    /// The levels of [`BlockFormat::Iq4Nl`], 6-bit scales per 32, in blocks of 256.
    Iq4Xs,
    /// 4-bit floats (E2M1) with one power of two per 32: the OCP microscaling format MXFP4.
    Mxfp4,
}

impl BlockFormat {
    /// All formats.
    pub const ALL: [BlockFormat; 16] = [
        BlockFormat::F32,
        BlockFormat::F16,
        BlockFormat::Bf16,
        BlockFormat::Q4_0,
        BlockFormat::Q4_1,
        BlockFormat::Q5_0,
        BlockFormat::Q5_1,
        BlockFormat::Q8_0,
        BlockFormat::Q2K,
        BlockFormat::Q3K,
        BlockFormat::Q4K,
        BlockFormat::Q5K,
        BlockFormat::Q6K,
        BlockFormat::Iq4Nl,
        BlockFormat::Iq4Xs,
        BlockFormat::Mxfp4,
    ];

    /// Name, as ggml gives it: `f16`, `q8_0`, `q4_K`, …
    pub const fn name(self) -> &'static str {
        match self {
            BlockFormat::F32 => "f32",
            BlockFormat::F16 => "f16",
            BlockFormat::Bf16 => "bf16",
            BlockFormat::Q4_0 => "q4_0",
            BlockFormat::Q4_1 => "q4_1",
            BlockFormat::Q5_0 => "q5_0",
            BlockFormat::Q5_1 => "q5_1",
            BlockFormat::Q8_0 => "q8_0",
            BlockFormat::Q2K => "q2_K",
            BlockFormat::Q3K => "q3_K",
            BlockFormat::Q4K => "q4_K",
            BlockFormat::Q5K => "q5_K",
            BlockFormat::Q6K => "q6_K",
            BlockFormat::Iq4Nl => "iq4_nl",
            BlockFormat::Iq4Xs => "iq4_xs",
            BlockFormat::Mxfp4 => "mxfp4",
        }
    }

    /// Weights per block: 1, 32 or 256.
    pub const fn block_elements(self) -> usize {
        match self {
            BlockFormat::F32 | BlockFormat::F16 | BlockFormat::Bf16 => 1,
            BlockFormat::Q4_0
            | BlockFormat::Q4_1
            | BlockFormat::Q5_0
            | BlockFormat::Q5_1
            | BlockFormat::Q8_0
            | BlockFormat::Iq4Nl
            | BlockFormat::Mxfp4 => block::SMALL,
            BlockFormat::Q2K
            | BlockFormat::Q3K
            | BlockFormat::Q4K
            | BlockFormat::Q5K
            | BlockFormat::Q6K
            | BlockFormat::Iq4Xs => block::LARGE,
        }
    }

    /// Bytes per block.
    pub const fn block_bytes(self) -> usize {
        match self {
            BlockFormat::F32 => 4,
            BlockFormat::F16 | BlockFormat::Bf16 => 2,
            BlockFormat::Q4_0 => block::q4_0::BYTES,
            BlockFormat::Q4_1 => block::q4_1::BYTES,
            BlockFormat::Q5_0 => block::q5_0::BYTES,
            BlockFormat::Q5_1 => block::q5_1::BYTES,
            BlockFormat::Q8_0 => block::q8_0::BYTES,
            BlockFormat::Q2K => block::q2_k::BYTES,
            BlockFormat::Q3K => block::q3_k::BYTES,
            BlockFormat::Q4K => block::q4_k::BYTES,
            BlockFormat::Q5K => block::q5_k::BYTES,
            BlockFormat::Q6K => block::q6_k::BYTES,
            BlockFormat::Iq4Nl => block::iq4_nl::BYTES,
            BlockFormat::Iq4Xs => block::iq4_xs::BYTES,
            BlockFormat::Mxfp4 => block::mxfp4::BYTES,
        }
    }

    /// Bytes of `elements` weights; `None` where they are no whole number of blocks, or too many for a `usize`.
    pub const fn bytes(self, elements: usize) -> Option<usize> {
        if !elements.is_multiple_of(self.block_elements()) {
            return None;
        }
        (elements / self.block_elements()).checked_mul(self.block_bytes())
    }

    /// Refuses bytes that are not exactly the blocks of so many weights.
    pub(super) fn check(self, blocks: &[u8], elements: usize) -> Result<()> {
        match self.bytes(elements) {
            Some(bytes) if bytes == blocks.len() => Ok(()),
            Some(bytes) => Err(Error::invalid(format!(
                "{elements} weights in {self}: expected {bytes} bytes of blocks, got {}",
                blocks.len()
            ))),
            None => Err(Error::invalid(format!(
                "weights in {self}: expected a multiple of {}, got {elements}",
                self.block_elements()
            ))),
        }
    }
}

impl fmt::Display for BlockFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for BlockFormat {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        BlockFormat::ALL
            .into_iter()
            .find(|format| format.name().eq_ignore_ascii_case(name))
            .ok_or_else(|| Error::invalid(format!("unknown weight format '{name}'")))
    }
}
