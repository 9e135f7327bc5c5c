//! Tensors as the runtime's values, and back, without copying what need not be copied.

#![expect(unsafe_code, reason = "values of a C library over memory of ours, and our tensors over memory of its")]

use std::ffi::{CStr, c_void};
use std::ptr::{NonNull, null, null_mut};
use std::sync::Arc;

use ort_sys::{ONNXTensorElementDataType as Element, OrtValue};

use super::runtime::{Runtime, some};
use crate::tensor::Bytes;
use crate::{DType, Error, Result, Shape, Tensor};

/// A value of the runtime, released when dropped.
pub(super) struct Value {
    ptr: NonNull<OrtValue>,
    runtime: &'static Runtime,
}

// SAFETY: a value is not tied to a thread, and what we do with a shared one only reads it.
unsafe impl Send for Value {}
// SAFETY: as above.
unsafe impl Sync for Value {}

impl Value {
    /// Takes over what a call stored: nothing, or a value.
    ///
    /// # Safety
    ///
    /// `ptr` is null or a valid value that nobody else releases.
    pub(super) unsafe fn own(runtime: &'static Runtime, ptr: *mut OrtValue) -> Option<Self> {
        NonNull::new(ptr).map(|ptr| Self { ptr, runtime })
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        // SAFETY: the value is ours and is released once.
        unsafe { (self.runtime.api.ReleaseValue)(self.ptr.as_ptr()) }
    }
}

/// An input: a value over the memory of a tensor, and the tensor that keeps the memory.
pub(super) struct Input {
    value: Value,
    tensor: Tensor,
}

impl Input {
    /// Wraps a tensor; copies it only if its bytes are not aligned for its elements, or are strings.
    pub(super) fn new(runtime: &'static Runtime, name: &CStr, tensor: Tensor) -> Result<Self> {
        if tensor.dtype() == DType::String {
            return Ok(Self { value: strings(runtime, &tensor)?, tensor });
        }
        if tensor.dtype() == DType::Bool {
            // C++ takes a byte other than 0 and 1 for anything.
            tensor.as_slice::<bool>().map_err(|e| e.during(format!("reading input '{}'", name.to_string_lossy())))?;
        }
        let size = tensor.dtype().size().unwrap_or(1);
        let tensor = match tensor.bytes()? {
            bytes if bytes.as_ptr().addr() % size == 0 => tensor,
            bytes => Tensor::copy_from(tensor.dtype(), tensor.shape().clone(), bytes)?,
        };
        let bytes = tensor.bytes()?;
        let (dims, rank) = dims(tensor.shape());
        let mut value = null_mut();
        // SAFETY: `bytes` lives as long as `self.tensor`, which outlives the value; the runtime does not write
        // to the memory of inputs, though the C signature has no `const`; `dims` has `rank` elements.
        runtime.ok(unsafe {
            (runtime.api.CreateTensorWithDataAsOrtValue)(
                runtime.memory.as_ptr(),
                bytes.as_ptr().cast_mut().cast::<c_void>(),
                bytes.len(),
                dims.as_ptr(),
                rank,
                element(tensor.dtype()),
                &mut value,
            )
        })?;
        Ok(Self { value: Value { ptr: some(value, "tensor")?, runtime }, tensor })
    }

    pub(super) fn ptr(&self) -> *const OrtValue {
        self.value.ptr.as_ptr()
    }

    /// The tensor, if `address` lies in its memory.
    fn owner_of(&self, address: usize) -> Option<Tensor> {
        let bytes = self.tensor.bytes().ok()?.as_ptr_range();
        (bytes.start.addr()..bytes.end.addr()).contains(&address).then(|| self.tensor.clone())
    }
}

fn strings(runtime: &'static Runtime, tensor: &Tensor) -> Result<Value> {
    let (dims, rank) = dims(tensor.shape());
    let mut value = null_mut();
    // SAFETY: `dims` has `rank` elements and the default allocator lives as long as the process.
    runtime.ok(unsafe {
        let allocator = runtime.allocator.as_ptr();
        (runtime.api.CreateTensorAsOrtValue)(allocator, dims.as_ptr(), rank, element(DType::String), &mut value)
    })?;
    let value = Value { ptr: some(value, "string tensor")?, runtime };
    for (i, text) in tensor.as_strings()?.iter().enumerate().filter(|(_, text)| !text.is_empty()) {
        let mut buffer = null_mut();
        // SAFETY: the value is ours alone, `i` is below its element count, and on success the buffer has the
        // length asked for. Unlike FillStringTensor this takes texts with NUL.
        unsafe {
            let (ptr, len) = (value.ptr.as_ptr(), text.len());
            runtime.ok((runtime.api.GetResizedStringTensorElementBuffer)(ptr, i, len, &mut buffer))?;
            std::ptr::copy_nonoverlapping(text.as_ptr(), some(buffer, "string")?.as_ptr().cast(), len);
        }
    }
    Ok(value)
}

/// What keeps the memory of an output. Dropped in this order.
struct Owner {
    _value: Value,
    /// An output may be a constant of the model.
    _session: Arc<dyn Send + Sync>,
    /// An output may be an input that the model passes through.
    _input: Option<Tensor>,
}

/// An output as a tensor over the value's own memory, which lives as long as its `session`; `inputs` are those of the run.
pub(super) fn output(
    runtime: &'static Runtime,
    session: Arc<dyn Send + Sync>,
    name: &CStr,
    value: Option<Value>,
    inputs: &[Input],
) -> Result<Tensor> {
    let named = || format!("reading output '{}'", name.to_string_lossy());
    let value = value.ok_or_else(|| Error::backend("ONNX Runtime gave no value").during(named()))?;
    tensor(runtime, session, value, inputs).map_err(|e| e.during(named()))
}

fn tensor(runtime: &'static Runtime, session: Arc<dyn Send + Sync>, value: Value, inputs: &[Input]) -> Result<Tensor> {
    let (mut kind, mut dims, mut rank) = (0i32, null(), 0);
    // SAFETY: the value is live. The element type, a C enum, is received as the int that it is: as a Rust
    // enum, a type newer than the bindings would be undefined behaviour.
    runtime.ok(unsafe {
        let kind = (&raw mut kind).cast::<Element>();
        (runtime.api.GetTensorElementTypeAndShapeDataReference)(value.ptr.as_ptr(), kind, &mut dims, &mut rank)
    })?;
    let dtype = dtype(kind).ok_or_else(|| {
        Error::unsupported(format!("expected a dtype that Selvedge has, got ONNX element type {kind}"))
    })?;
    let dims = match NonNull::new(dims.cast_mut()) {
        // SAFETY: on success there are `rank` dimensions at `dims`, which live as long as the value.
        Some(dims) if rank > 0 => unsafe { std::slice::from_raw_parts(dims.as_ptr(), rank) },
        _ => &[],
    };
    let shape = shape(dims)?;
    if dtype == DType::String {
        return texts(&value, &shape);
    }
    let len = shape.elements() * dtype.size().unwrap_or(0);
    let mut data = null_mut();
    // SAFETY: the value is a live tensor of numbers.
    runtime.ok(unsafe { (runtime.api.GetTensorMutableData)(value.ptr.as_ptr(), &mut data) })?;
    let Some(data) = NonNull::new(data.cast::<u8>()).filter(|_| len > 0) else {
        return Tensor::zeros(dtype, &shape);
    };
    let input = inputs.iter().find_map(|input| input.owner_of(data.as_ptr().addr()));
    let owner = Owner { _value: value, _session: session, _input: input };
    // SAFETY: a dense tensor of this type and shape has `len` bytes at `data`. They belong to the value, to the
    // session, or to an input, all of which the owner keeps; nothing writes to them once the run has returned.
    let bytes = unsafe { Bytes::foreign(data, len, owner) };
    Tensor::from_bytes(dtype, shape, bytes)
}

fn texts(value: &Value, shape: &Shape) -> Result<Tensor> {
    let (runtime, ptr) = (value.runtime, value.ptr.as_ptr());
    let mut len = 0;
    // SAFETY: the value is a live string tensor.
    runtime.ok(unsafe { (runtime.api.GetStringTensorDataLength)(ptr, &mut len) })?;
    let (mut content, mut offsets) = (vec![0u8; len], vec![0usize; shape.elements()]);
    // SAFETY: the buffers have the lengths given.
    runtime.ok(unsafe {
        let (to, starts) = (content.as_mut_ptr().cast::<c_void>(), offsets.as_mut_ptr());
        (runtime.api.GetStringTensorContent)(ptr, to, len, starts, offsets.len())
    })?;
    let ends = offsets.iter().skip(1).copied().chain([len]);
    let mut texts = Vec::with_capacity(offsets.len());
    for (i, (&start, end)) in offsets.iter().zip(ends).enumerate() {
        let text = content.get(start..end).and_then(|bytes| std::str::from_utf8(bytes).ok());
        let text = text.ok_or_else(|| Error::backend(format!("element {i}: expected UTF-8")))?;
        texts.push(text.into());
    }
    Tensor::strings(shape, texts)
}

/// Dimensions as the C API takes them: the array, and how many of it count.
fn dims(shape: &Shape) -> ([i64; Shape::MAX_RANK], usize) {
    let mut dims = [0; Shape::MAX_RANK];
    for (to, &from) in dims.iter_mut().zip(shape.iter()) {
        // A shape's dimensions are at most `isize::MAX`.
        *to = from as i64;
    }
    (dims, shape.rank())
}

fn shape(dims: &[i64]) -> Result<Shape> {
    let dims: Option<Vec<usize>> = dims.iter().map(|d| usize::try_from(*d).ok()).collect();
    Shape::new(&dims.ok_or_else(|| Error::backend("ONNX Runtime gave a negative dimension"))?)
}

fn element(dtype: DType) -> Element {
    match dtype {
        DType::F32 => Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT,
        DType::F16 => Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16,
        DType::BF16 => Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16,
        DType::F64 => Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE,
        DType::I8 => Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8,
        DType::I16 => Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16,
        DType::I32 => Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32,
        DType::I64 => Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64,
        DType::U8 => Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8,
        DType::U16 => Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16,
        DType::U32 => Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32,
        DType::U64 => Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64,
        DType::Bool => Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL,
        DType::String => Element::ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING,
    }
}

fn dtype(number: i32) -> Option<DType> {
    DType::ALL.into_iter().find(|dtype| element(*dtype) as i32 == number)
}
