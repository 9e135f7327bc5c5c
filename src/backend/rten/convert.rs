//! Tensors across the border to rten, which has f32, i32, i8 and u8.
//!
//! In: views of the app's memory, and copies of what changes its type. Out: rten's own buffers, and copies of the same.

use std::borrow::Cow;

use half::f16;
use half::slice::HalfFloatSliceExt;
use rten::{Value, ValueOrView, ValueView};
use rten_tensor::Layout;

use crate::{DType, Element, Error, Result, Tensor};

/// Whether a port may have the type: rten's own, or one that it computes in another without loss at the border.
pub(super) fn is_known(dtype: DType) -> bool {
    use DType::{Bool, F16, F32, I8, I32, I64, U8};
    matches!(dtype, F32 | F16 | I64 | I32 | I8 | U8 | Bool)
}

/// The input of this name as rten takes it.
pub(super) fn lend<'a>(name: &str, tensor: &'a Tensor) -> Result<ValueOrView<'a>> {
    match tensor.dtype() {
        DType::F32 => view::<f32>(tensor),
        DType::I32 => view::<i32>(tensor),
        DType::I8 => view::<i8>(tensor),
        DType::U8 => view::<u8>(tensor),
        DType::F16 => owned(tensor, |halves: &[f16]| Ok(halves.to_f32_vec())),
        DType::Bool => owned(tensor, |bits: &[bool]| Ok(bits.iter().map(|bit| i32::from(*bit)).collect::<Vec<i32>>())),
        DType::I64 => owned(tensor, |numbers: &[i64]| numbers.iter().map(|n| narrow(name, *n)).collect()),
        other => Err(Error::unsupported(format!("input '{name}': rten has no {other}"))),
    }
}

fn narrow(name: &str, number: i64) -> Result<i32> {
    i32::try_from(number)
        .map_err(|_| Error::unsupported(format!("input '{name}': rten has 32 bits for an i64, it holds {number}")))
}

/// An output of rten's as `dtype`.
pub(super) fn take(value: Value, dtype: DType) -> Result<Tensor> {
    match (value, dtype) {
        (Value::FloatTensor(t), DType::F32) => tensor(t.shape().to_vec(), t.into_data()),
        (Value::FloatTensor(t), DType::F16) => {
            let dims = t.shape().to_vec();
            tensor(dims, t.into_data().iter().map(|v| f16::from_f32(*v)).collect())
        }
        (Value::Int32Tensor(t), DType::I32) => tensor(t.shape().to_vec(), t.into_data()),
        (Value::Int32Tensor(t), DType::I64) => {
            let dims = t.shape().to_vec();
            tensor(dims, t.into_data().into_iter().map(i64::from).collect())
        }
        (Value::Int32Tensor(t), DType::Bool) => {
            let dims = t.shape().to_vec();
            tensor(dims, t.into_data().into_iter().map(|n| n != 0).collect())
        }
        (Value::Int8Tensor(t), DType::I8) => tensor(t.shape().to_vec(), t.into_data()),
        (Value::UInt8Tensor(t), DType::U8) => tensor(t.shape().to_vec(), t.into_data()),
        (got, _) => Err(Error::unsupported(format!("expected {dtype}, rten gave {}", got.dtype()))),
    }
}

fn tensor<T: Element>(dims: Vec<usize>, data: Vec<T>) -> Result<Tensor> {
    Tensor::new(&dims, data)
}

/// A view, or a copy where foreign memory is not aligned for it.
fn view<'a, T>(tensor: &'a Tensor) -> Result<ValueOrView<'a>>
where
    T: Element,
    ValueView<'a>: From<rten_tensor::TensorView<'a, T>>,
    Value: From<rten_tensor::Tensor<T>>,
{
    match elements::<T>(tensor)? {
        Cow::Borrowed(elements) => {
            ValueView::from_shape(&**tensor.shape(), elements).map(ValueOrView::from).map_err(|e| wrong(&e))
        }
        Cow::Owned(elements) => {
            Value::from_shape(&**tensor.shape(), elements).map(ValueOrView::from).map_err(|e| wrong(&e))
        }
    }
}

fn owned<T, W>(tensor: &Tensor, change: impl FnOnce(&[T]) -> Result<Vec<W>>) -> Result<ValueOrView<'static>>
where
    T: Element,
    Value: From<rten_tensor::Tensor<W>>,
{
    let changed = change(&elements::<T>(tensor)?)?;
    Value::from_shape(&**tensor.shape(), changed).map(ValueOrView::from).map_err(|e| wrong(&e))
}

fn elements<T: Element>(tensor: &Tensor) -> Result<Cow<'_, [T]>> {
    let bytes = tensor.bytes()?;
    if bytes.is_empty() || bytes.as_ptr().cast::<T>().is_aligned() {
        return Ok(Cow::Borrowed(tensor.as_slice::<T>()?));
    }
    let aligned = Tensor::copy_from(tensor.dtype(), tensor.shape().clone(), bytes)?;
    Ok(Cow::Owned(aligned.as_slice::<T>()?.to_vec()))
}

fn wrong(e: &dyn std::error::Error) -> Error {
    Error::backend(format!("a tensor for rten: {e}"))
}
