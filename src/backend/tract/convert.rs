//! Tensors across the border to tract.
//!
//! In: one copy. tract's tensors own an allocation of tract's, and its API has no way to lend it
//! memory of another owner. Out: no copy; the answer keeps tract's buffer alive. Half-precision
//! tensors are widened and narrowed here when the graph computes in f32.

use std::sync::Arc;

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use tract_onnx::prelude::tract_ndarray::{ArrayD, IxDyn};
use tract_onnx::prelude::{Datum, DatumType, IntoArcTensor, TValue, Tensor as TractTensor, TractResult};

use crate::tensor::Bytes;
use crate::{DType, Element, Error, Result, Shape, Tensor};

/// Whether half-precision models are computed in half precision, too. Where the CPU has no f16
/// arithmetic tract emulates it element by element, many times slower than f32.
pub(super) fn native_half() -> bool {
    tract_onnx::prelude::tract_linalg::has_fp16()
}

/// tract's type for values of `dtype`. tract has no bf16.
pub(super) fn datum_type(dtype: DType, native_half: bool) -> DatumType {
    match dtype {
        DType::F32 | DType::BF16 => DatumType::F32,
        DType::F16 if native_half => DatumType::F16,
        DType::F16 => DatumType::F32,
        DType::F64 => DatumType::F64,
        DType::I8 => DatumType::I8,
        DType::I16 => DatumType::I16,
        DType::I32 => DatumType::I32,
        DType::I64 => DatumType::I64,
        DType::U8 => DatumType::U8,
        DType::U16 => DatumType::U16,
        DType::U32 => DatumType::U32,
        DType::U64 => DatumType::U64,
        DType::Bool => DatumType::Bool,
        DType::String => DatumType::String,
    }
}

/// A copy for tract, as `to`.
pub(super) fn lend(tensor: &Tensor, to: DatumType) -> Result<TractTensor> {
    match tensor.dtype() {
        DType::F32 => copy::<f32>(tensor),
        DType::F16 if to == DatumType::F16 => copy::<f16>(tensor),
        DType::F16 => widen::<f16>(tensor),
        DType::BF16 => widen::<bf16>(tensor),
        DType::F64 => copy::<f64>(tensor),
        DType::I8 => copy::<i8>(tensor),
        DType::I16 => copy::<i16>(tensor),
        DType::I32 => copy::<i32>(tensor),
        DType::I64 => copy::<i64>(tensor),
        DType::U8 => copy::<u8>(tensor),
        DType::U16 => copy::<u16>(tensor),
        DType::U32 => copy::<u32>(tensor),
        DType::U64 => copy::<u64>(tensor),
        DType::Bool => copy::<bool>(tensor),
        DType::String => ArrayD::from_shape_vec(IxDyn(tensor.shape()), tensor.as_strings()?.to_vec())
            .map(TractTensor::from)
            .map_err(|e| Error::backend(format!("string tensor {}: {e}", tensor.shape()))),
    }
}

/// An output of tract's as `dtype`, over tract's own buffer where the types agree.
pub(super) fn take(value: TValue, dtype: DType) -> Result<Tensor> {
    let dims = Shape::new(value.shape())?;
    match (value.datum_type().unquantized(), dtype) {
        (DatumType::String, DType::String) => Tensor::strings(&dims, strings(&value)?),
        (DatumType::F32, DType::F16) => Tensor::new(&dims, narrow::<f16>(&value)?),
        (DatumType::F32, DType::BF16) => Tensor::new(&dims, narrow::<bf16>(&value)?),
        // tract counts in dimensions: the output of Shape, and what is computed from it.
        (DatumType::TDim, DType::I64) => {
            let counted = value.cast_to::<i64>().map_err(|e| wrong(&e))?.into_owned();
            share(counted.into_arc_tensor(), dtype, dims)
        }
        (got, _) if got == datum_type(dtype, true) && dtype != DType::BF16 => {
            share(value.into_arc_tensor(), dtype, dims)
        }
        (got, _) => Err(Error::backend(format!("expected {dtype}, tract gave {got:?}"))),
    }
}

fn copy<T: Element + Datum + Copy>(tensor: &Tensor) -> Result<TractTensor> {
    with_elements::<T, _>(tensor, |elements| TractTensor::from_shape(tensor.shape(), elements))
}

fn widen<T: Element + Half>(tensor: &Tensor) -> Result<TractTensor> {
    with_elements::<T, _>(tensor, |elements| {
        let mut wide = TractTensor::zero::<f32>(tensor.shape())?;
        T::widen(elements, wide.try_as_plain_ram_mut()?.as_slice_mut::<f32>()?);
        Ok(wide)
    })
}

/// Calls `f` with the elements, through an aligned copy if foreign memory is not aligned for them.
fn with_elements<T: Element, R>(tensor: &Tensor, f: impl FnOnce(&[T]) -> TractResult<R>) -> Result<R> {
    let bytes = tensor.bytes()?;
    let aligned;
    let elements = if bytes.is_empty() || bytes.as_ptr().cast::<T>().is_aligned() {
        tensor.as_slice::<T>()?
    } else {
        aligned = Tensor::copy_from(tensor.dtype(), tensor.shape().clone(), bytes)?;
        aligned.as_slice::<T>()?
    };
    f(elements).map_err(|e| Error::backend(format!("copying {}{} for tract: {e:#}", tensor.dtype(), tensor.shape())))
}

fn narrow<T: Half>(value: &TractTensor) -> Result<Vec<T>> {
    let wide = value.try_as_plain_ram().and_then(|v| v.as_slice::<f32>()).map_err(|e| wrong(&e))?;
    Ok(T::narrow(wide))
}

fn strings(value: &TractTensor) -> Result<Vec<String>> {
    let strings = value.try_as_plain_ram().and_then(|v| v.as_slice::<String>()).map_err(|e| wrong(&e))?;
    Ok(strings.to_vec())
}

fn share(tensor: Arc<TractTensor>, dtype: DType, shape: Shape) -> Result<Tensor> {
    // Storage that keeps its bytes elsewhere brings them here now, so that `Shared` finds them.
    tensor.try_as_plain_ram().map_err(|e| wrong(&e))?;
    Tensor::from_bytes(dtype, shape, Bytes::shared(Shared(tensor)))
}

fn wrong(e: &tract_onnx::prelude::TractError) -> Error {
    Error::backend(format!("reading an output of tract: {e:#}"))
}

/// A tensor of tract's as the owner of bytes.
struct Shared(Arc<TractTensor>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        self.0.as_plain_ram().map_or(&[], |view| view.as_bytes())
    }
}

/// The two 16-bit floats.
trait Half: Sized {
    fn widen(from: &[Self], to: &mut [f32]);
    fn narrow(from: &[f32]) -> Vec<Self>;
}

impl Half for f16 {
    fn widen(from: &[Self], to: &mut [f32]) {
        from.convert_to_f32_slice(to);
    }

    fn narrow(from: &[f32]) -> Vec<Self> {
        let mut to = vec![f16::ZERO; from.len()];
        to.convert_from_f32_slice(from);
        to
    }
}

impl Half for bf16 {
    fn widen(from: &[Self], to: &mut [f32]) {
        from.convert_to_f32_slice(to);
    }

    fn narrow(from: &[f32]) -> Vec<Self> {
        let mut to = vec![bf16::ZERO; from.len()];
        to.convert_from_f32_slice(from);
        to
    }
}
