//! The weight formats and their sizes.

use std::fmt;

use super::block;

/// How the weights of a tensor are stored: what ggml calls a type.
///
/// A tensor is a run of blocks, each [`block_elements`](Format::block_elements) weights in
/// [`block_bytes`](Format::block_bytes) bytes. Numbers are little-endian. Names and layouts are those of ggml
/// (`ggml-common.h`); every layout is drawn, with its formula, at the constants of `src/kernel/block.rs`.
///
/// ```
/// use selvedge::kernel::Format;
/// assert_eq!(Format::Q4K.block_elements(), 256);
/// assert_eq!(Format::Q4K.bytes(4096), Some(16 * 144));
/// assert_eq!(Format::Q4K.bytes(100), None);
/// assert_eq!("q4_K".parse::<Format>().unwrap(), Format::Q4K);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum Format {
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
    /// The levels of [`Format::Iq4Nl`], 6-bit scales per 32, in blocks of 256.
    Iq4Xs,
    /// 4-bit floats (E2M1) with one power of two per 32: the OCP microscaling format MXFP4.
    Mxfp4,
}

impl Format {
    /// Every format.
    pub const ALL: [Format; 16] = [
        Format::F32,
        Format::F16,
        Format::Bf16,
        Format::Q4_0,
        Format::Q4_1,
        Format::Q5_0,
        Format::Q5_1,
        Format::Q8_0,
        Format::Q2K,
        Format::Q3K,
        Format::Q4K,
        Format::Q5K,
        Format::Q6K,
        Format::Iq4Nl,
        Format::Iq4Xs,
        Format::Mxfp4,
    ];

    /// The name that ggml gives it: `f16`, `q8_0`, `q4_K`, …
    pub const fn name(self) -> &'static str {
        match self {
            Format::F32 => "f32",
            Format::F16 => "f16",
            Format::Bf16 => "bf16",
            Format::Q4_0 => "q4_0",
            Format::Q4_1 => "q4_1",
            Format::Q5_0 => "q5_0",
            Format::Q5_1 => "q5_1",
            Format::Q8_0 => "q8_0",
            Format::Q2K => "q2_K",
            Format::Q3K => "q3_K",
            Format::Q4K => "q4_K",
            Format::Q5K => "q5_K",
            Format::Q6K => "q6_K",
            Format::Iq4Nl => "iq4_nl",
            Format::Iq4Xs => "iq4_xs",
            Format::Mxfp4 => "mxfp4",
        }
    }

    /// Weights per block: 1, 32 or 256.
    pub const fn block_elements(self) -> usize {
        match self {
            Format::F32 | Format::F16 | Format::Bf16 => 1,
            Format::Q4_0
            | Format::Q4_1
            | Format::Q5_0
            | Format::Q5_1
            | Format::Q8_0
            | Format::Iq4Nl
            | Format::Mxfp4 => block::SMALL,
            Format::Q2K | Format::Q3K | Format::Q4K | Format::Q5K | Format::Q6K | Format::Iq4Xs => block::LARGE,
        }
    }

    /// Bytes per block.
    pub const fn block_bytes(self) -> usize {
        match self {
            Format::F32 => 4,
            Format::F16 | Format::Bf16 => 2,
            Format::Q4_0 => block::q4_0::BYTES,
            Format::Q4_1 => block::q4_1::BYTES,
            Format::Q5_0 => block::q5_0::BYTES,
            Format::Q5_1 => block::q5_1::BYTES,
            Format::Q8_0 => block::q8_0::BYTES,
            Format::Q2K => block::q2_k::BYTES,
            Format::Q3K => block::q3_k::BYTES,
            Format::Q4K => block::q4_k::BYTES,
            Format::Q5K => block::q5_k::BYTES,
            Format::Q6K => block::q6_k::BYTES,
            Format::Iq4Nl => block::iq4_nl::BYTES,
            Format::Iq4Xs => block::iq4_xs::BYTES,
            Format::Mxfp4 => block::mxfp4::BYTES,
        }
    }

    /// Bytes of `elements` weights; `None` where they are no whole number of blocks, or too many for a `usize`.
    pub const fn bytes(self, elements: usize) -> Option<usize> {
        if !elements.is_multiple_of(self.block_elements()) {
            return None;
        }
        (elements / self.block_elements()).checked_mul(self.block_bytes())
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Format {
    type Err = crate::Error;

    fn from_str(name: &str) -> crate::Result<Self> {
        Format::ALL
            .into_iter()
            .find(|format| format.name().eq_ignore_ascii_case(name))
            .ok_or_else(|| crate::Error::invalid(format!("unknown weight format '{name}'")))
    }
}
