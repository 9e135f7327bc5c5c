//! Types of stored tensors: how their elements are encoded.

use std::fmt;

use crate::DType;
use crate::kernel::BlockFormat;

macro_rules! tensor_types {
    ($($(#[$doc:meta])* $variant:ident $name:literal $id:expr, $block:literal / $bytes:literal;)*) => {
        /// Type of a stored tensor: how its elements are encoded.
        ///
        /// Names and block sizes are those of ggml (`ggml-common.h`) and of safetensors (its `Dtype`). The list grows
        /// with the formats: a GGUF type that is not known here is [`TensorType::Unknown`], whose tensors can be
        /// listed and copied, not read.
        ///
        /// # Examples
        ///
        /// ```
        /// use selvedge::weights::TensorType;
        /// let q = TensorType::Q4K;
        /// assert_eq!((q.name(), q.block_elements(), q.block_bytes()), ("Q4_K", Some(256), Some(144)));
        /// assert_eq!(TensorType::Unknown(99).to_string(), "type 99");
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum TensorType {
            $($(#[$doc])* $variant,)*
            /// A GGUF type of this number, which this version does not know.
            Unknown(u32),
        }

        impl TensorType {
            /// Every type that is known.
            pub const ALL: &'static [TensorType] = &[$(TensorType::$variant),*];

            /// Name, number in GGUF, elements and bytes of a block.
            const fn facts(self) -> Option<(&'static str, Option<u32>, u32, u32)> {
                match self {
                    $(TensorType::$variant => Some(($name, $id, $block, $bytes)),)*
                    TensorType::Unknown(_) => None,
                }
            }
        }
    };
}

tensor_types! {
    /// IEEE 754 binary32.
    F32 "F32" Some(0), 1 / 4;
    /// IEEE 754 binary16.
    F16 "F16" Some(1), 1 / 2;
    /// The upper half of a binary32.
    Bf16 "BF16" Some(30), 1 / 2;
    /// IEEE 754 binary64.
    F64 "F64" Some(28), 1 / 8;
    /// Signed 8-bit integer.
    I8 "I8" Some(24), 1 / 1;
    /// Signed 16-bit integer.
    I16 "I16" Some(25), 1 / 2;
    /// Signed 32-bit integer.
    I32 "I32" Some(26), 1 / 4;
    /// Signed 64-bit integer.
    I64 "I64" Some(27), 1 / 8;
    /// 4 bits and a scale per 32 elements.
    Q4_0 "Q4_0" Some(2), 32 / 18;
    /// 4 bits, a scale and a minimum per 32 elements.
    Q4_1 "Q4_1" Some(3), 32 / 20;
    /// 5 bits and a scale per 32 elements.
    Q5_0 "Q5_0" Some(6), 32 / 22;
    /// 5 bits, a scale and a minimum per 32 elements.
    Q5_1 "Q5_1" Some(7), 32 / 24;
    /// 8 bits and a scale per 32 elements.
    Q8_0 "Q8_0" Some(8), 32 / 34;
    /// 8 bits, a scale and a sum per 32 elements.
    Q8_1 "Q8_1" Some(9), 32 / 36;
    /// 2-bit k-quant.
    Q2K "Q2_K" Some(10), 256 / 84;
    /// 3-bit k-quant.
    Q3K "Q3_K" Some(11), 256 / 110;
    /// 4-bit k-quant.
    Q4K "Q4_K" Some(12), 256 / 144;
    /// 5-bit k-quant.
    Q5K "Q5_K" Some(13), 256 / 176;
    /// 6-bit k-quant.
    Q6K "Q6_K" Some(14), 256 / 210;
    /// 8-bit k-quant, of activations.
    Q8K "Q8_K" Some(15), 256 / 292;
    /// Codebook quant, 2.06 bits per element.
    Iq2Xxs "IQ2_XXS" Some(16), 256 / 66;
    /// Codebook quant, 2.31 bits per element.
    Iq2Xs "IQ2_XS" Some(17), 256 / 74;
    /// Codebook quant, 3.06 bits per element.
    Iq3Xxs "IQ3_XXS" Some(18), 256 / 98;
    /// Codebook quant, 1.56 bits per element.
    Iq1S "IQ1_S" Some(19), 256 / 50;
    /// 4 bits into a table of 16 values, a scale per 32 elements.
    Iq4Nl "IQ4_NL" Some(20), 32 / 18;
    /// Codebook quant, 3.44 bits per element.
    Iq3S "IQ3_S" Some(21), 256 / 110;
    /// Codebook quant, 2.56 bits per element.
    Iq2S "IQ2_S" Some(22), 256 / 82;
    /// 4 bits into a table of 16 values, scales of 6 bits per 32 elements.
    Iq4Xs "IQ4_XS" Some(23), 256 / 136;
    /// Codebook quant, 1.75 bits per element.
    Iq1M "IQ1_M" Some(29), 256 / 56;
    /// Ternary, 1.69 bits per element.
    Tq1_0 "TQ1_0" Some(34), 256 / 54;
    /// Ternary, 2.06 bits per element.
    Tq2_0 "TQ2_0" Some(35), 256 / 66;
    /// OCP microscaling, E2M1 with an E8M0 scale per 32 elements.
    Mxfp4 "MXFP4" Some(39), 32 / 17;
    /// E2M1 with a UE4M3 scale per 16 elements.
    Nvfp4 "NVFP4" Some(40), 64 / 36;
    /// Sign bits and a scale per 128 elements.
    Q1_0 "Q1_0" Some(41), 128 / 18;
    /// 2 bits and a scale per 64 elements.
    Q2_0 "Q2_0" Some(42), 64 / 18;
    /// One byte, 0 or 1.
    Bool "BOOL" None, 1 / 1;
    /// Unsigned 8-bit integer.
    U8 "U8" None, 1 / 1;
    /// Unsigned 16-bit integer.
    U16 "U16" None, 1 / 2;
    /// Unsigned 32-bit integer.
    U32 "U32" None, 1 / 4;
    /// Unsigned 64-bit integer.
    U64 "U64" None, 1 / 8;
    /// Complex of two binary32.
    C64 "C64" None, 1 / 8;
    /// OCP microscaling E2M1, two per byte.
    F4 "F4" None, 2 / 1;
    /// OCP microscaling E2M3, four in three bytes.
    F6E2m3 "F6_E2M3" None, 4 / 3;
    /// OCP microscaling E3M2, four in three bytes.
    F6E3m2 "F6_E3M2" None, 4 / 3;
    /// 8-bit float with 5 bits of exponent.
    F8E5m2 "F8_E5M2" None, 1 / 1;
    /// 8-bit float with 4 bits of exponent.
    F8E4m3 "F8_E4M3" None, 1 / 1;
    /// 8-bit power of two.
    F8E8m0 "F8_E8M0" None, 1 / 1;
    /// 8-bit float with 4 bits of exponent, without infinities and negative zero.
    F8E4m3Fnuz "F8_E4M3FNUZ" None, 1 / 1;
    /// 8-bit float with 5 bits of exponent, without infinities and negative zero.
    F8E5m2Fnuz "F8_E5M2FNUZ" None, 1 / 1;
}

impl TensorType {
    /// The format's own name; `unknown` for a type that is not known.
    pub const fn name(self) -> &'static str {
        match self.facts() {
            Some((name, ..)) => name,
            None => "unknown",
        }
    }

    /// Elements that are stored together, 1 for plain numbers; `None` for a type that is not known.
    pub const fn block_elements(self) -> Option<u64> {
        match self.facts() {
            Some((_, _, elements, _)) => Some(elements as u64),
            None => None,
        }
    }

    /// Bytes of a block.
    pub const fn block_bytes(self) -> Option<u64> {
        match self.facts() {
            Some((_, _, _, bytes)) => Some(bytes as u64),
            None => None,
        }
    }

    /// The number by which a GGUF file names it; `None` for what only safetensors has.
    pub const fn gguf_number(self) -> Option<u32> {
        match (self, self.facts()) {
            (TensorType::Unknown(number), _) => Some(number),
            (_, Some((_, number, ..))) => number,
            (_, None) => None,
        }
    }

    pub(super) fn of_gguf(number: u32) -> Self {
        let known = Self::ALL.iter().find(|t| t.gguf_number() == Some(number));
        known.copied().unwrap_or(TensorType::Unknown(number))
    }

    pub(super) fn of_safetensors(name: &str) -> Option<Self> {
        let known = Self::ALL.iter().copied().find(|t| t.name() == name)?;
        let shared = matches!(
            known,
            Self::F32 | Self::F16 | Self::Bf16 | Self::F64 | Self::I8 | Self::I16 | Self::I32 | Self::I64
        );
        (shared || known.gguf_number().is_none()).then_some(known)
    }

    /// The format that kernels read; `None` for what they do not.
    pub const fn format(self) -> Option<BlockFormat> {
        Some(match self {
            TensorType::F32 => BlockFormat::F32,
            TensorType::F16 => BlockFormat::F16,
            TensorType::Bf16 => BlockFormat::Bf16,
            TensorType::Q4_0 => BlockFormat::Q4_0,
            TensorType::Q4_1 => BlockFormat::Q4_1,
            TensorType::Q5_0 => BlockFormat::Q5_0,
            TensorType::Q5_1 => BlockFormat::Q5_1,
            TensorType::Q8_0 => BlockFormat::Q8_0,
            TensorType::Q2K => BlockFormat::Q2K,
            TensorType::Q3K => BlockFormat::Q3K,
            TensorType::Q4K => BlockFormat::Q4K,
            TensorType::Q5K => BlockFormat::Q5K,
            TensorType::Q6K => BlockFormat::Q6K,
            TensorType::Iq4Nl => BlockFormat::Iq4Nl,
            TensorType::Iq4Xs => BlockFormat::Iq4Xs,
            TensorType::Mxfp4 => BlockFormat::Mxfp4,
            _ => return None,
        })
    }

    /// The dtype of a tensor with these elements, if Selvedge has one.
    pub const fn dtype(self) -> Option<DType> {
        Some(match self {
            TensorType::F32 => DType::F32,
            TensorType::F16 => DType::F16,
            TensorType::Bf16 => DType::BF16,
            TensorType::F64 => DType::F64,
            TensorType::I8 => DType::I8,
            TensorType::I16 => DType::I16,
            TensorType::I32 => DType::I32,
            TensorType::I64 => DType::I64,
            TensorType::Bool => DType::Bool,
            TensorType::U8 => DType::U8,
            TensorType::U16 => DType::U16,
            TensorType::U32 => DType::U32,
            TensorType::U64 => DType::U64,
            _ => return None,
        })
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TensorType::Unknown(number) => write!(f, "type {number}"),
            known => f.write_str(known.name()),
        }
    }
}

/// The type of tensors with such blocks.
impl From<BlockFormat> for TensorType {
    fn from(format: BlockFormat) -> Self {
        match format {
            BlockFormat::F32 => TensorType::F32,
            BlockFormat::F16 => TensorType::F16,
            BlockFormat::Bf16 => TensorType::Bf16,
            BlockFormat::Q4_0 => TensorType::Q4_0,
            BlockFormat::Q4_1 => TensorType::Q4_1,
            BlockFormat::Q5_0 => TensorType::Q5_0,
            BlockFormat::Q5_1 => TensorType::Q5_1,
            BlockFormat::Q8_0 => TensorType::Q8_0,
            BlockFormat::Q2K => TensorType::Q2K,
            BlockFormat::Q3K => TensorType::Q3K,
            BlockFormat::Q4K => TensorType::Q4K,
            BlockFormat::Q5K => TensorType::Q5K,
            BlockFormat::Q6K => TensorType::Q6K,
            BlockFormat::Iq4Nl => TensorType::Iq4Nl,
            BlockFormat::Iq4Xs => TensorType::Iq4Xs,
            BlockFormat::Mxfp4 => TensorType::Mxfp4,
        }
    }
}
