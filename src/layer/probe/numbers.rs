//! Tensor elements as f32, without a copy.

use half::{bf16, f16};

use crate::engine::{Answer, Request};
use crate::{DType, Tensor};

/// The elements of a tensor, wherever its bytes lie.
#[derive(Clone, Copy)]
pub(super) enum Numbers<'a> {
    Floats(&'a [f32]),
    Bytes(DType, &'a [u8]),
    Texts(&'a [String]),
}

impl<'a> Numbers<'a> {
    pub(super) fn of(tensor: &'a Tensor) -> Option<Self> {
        let bytes = |dtype| tensor.bytes().ok().map(|bytes| Self::Bytes(dtype, bytes));
        match tensor.dtype() {
            DType::String => tensor.as_strings().ok().map(Self::Texts),
            // Foreign bytes may not be aligned.
            DType::F32 => tensor.as_slice().ok().map(Self::Floats).or_else(|| bytes(DType::F32)),
            dtype => bytes(dtype),
        }
    }

    /// Element `i`; NaN beyond the end.
    pub(super) fn get(self, i: usize) -> f32 {
        match self {
            Self::Floats(floats) => floats.get(i).copied().unwrap_or(f32::NAN),
            Self::Texts(texts) => texts.get(i).map_or(f32::NAN, |text| super::category_code(text)),
            Self::Bytes(dtype, bytes) => element(dtype, bytes, i).unwrap_or(f32::NAN),
        }
    }
}

fn element(dtype: DType, bytes: &[u8], i: usize) -> Option<f32> {
    fn at<const N: usize>(bytes: &[u8], i: usize) -> Option<[u8; N]> {
        bytes.get(i.checked_mul(N)?..)?.first_chunk::<N>().copied()
    }
    Some(match dtype {
        DType::F32 => f32::from_le_bytes(at(bytes, i)?),
        DType::F64 => f64::from_le_bytes(at(bytes, i)?) as f32,
        DType::F16 => f16::from_le_bytes(at(bytes, i)?).to_f32(),
        DType::BF16 => bf16::from_le_bytes(at(bytes, i)?).to_f32(),
        DType::I8 => f32::from(i8::from_le_bytes(at(bytes, i)?)),
        DType::U8 | DType::Bool => f32::from(*bytes.get(i)?),
        DType::I16 => f32::from(i16::from_le_bytes(at(bytes, i)?)),
        DType::U16 => f32::from(u16::from_le_bytes(at(bytes, i)?)),
        DType::I32 => i32::from_le_bytes(at(bytes, i)?) as f32,
        DType::U32 => u32::from_le_bytes(at(bytes, i)?) as f32,
        DType::I64 => i64::from_le_bytes(at(bytes, i)?) as f32,
        DType::U64 => u64::from_le_bytes(at(bytes, i)?) as f32,
        DType::String => return None,
    })
}

/// The input of this name; the first one for an empty name.
pub(super) fn input<'a>(request: &'a Request, name: &str) -> Option<&'a Tensor> {
    let Request::Tensors(tensors) = request else { return None };
    find(&tensors.inputs, name)
}

/// The output of this name; the first one for an empty name.
pub(super) fn output<'a>(answer: &'a Answer, name: &str) -> Option<&'a Tensor> {
    find(&answer.outputs, name)
}

fn find<'a>(tensors: &'a [(String, Tensor)], name: &str) -> Option<&'a Tensor> {
    tensors.iter().find(|(n, _)| name.is_empty() || n == name).map(|(_, tensor)| tensor)
}
