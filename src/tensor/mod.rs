//! Tensors, row-major and little-endian: the only data shape that crosses rooms.
//!
//! Enters: vectors, slices, foreign memory. Leaves: [`Tensor`], [`TensorView`]. May import: error.

mod bytes;
mod dtype;
#[cfg(feature = "ndarray")]
mod nd;
mod shape;
mod strings;
#[cfg(test)]
mod tests;
mod view;

use std::sync::Arc;

pub use bytes::Bytes;
pub use dtype::{DType, Element};
pub use shape::Shape;
pub use view::TensorView;

use crate::{Error, Result};

/// An immutable tensor. A clone shares the bytes.
///
/// ```
/// use selvedge::Tensor;
/// let t = Tensor::new(&[2, 3], vec![0f32, 1., 2., 3., 4., 5.])?;
/// assert_eq!(t.as_slice::<f32>()?[4], 4.0);
/// assert!(t.as_slice::<i64>().is_err());
/// # Ok::<(), selvedge::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Tensor {
    dtype: DType,
    shape: Shape,
    data: Data,
}

#[derive(Clone, Debug)]
enum Data {
    Bytes(Bytes),
    Strings(Arc<[String]>),
}

impl Tensor {
    /// A tensor that takes over a vector, without a copy.
    ///
    /// # Errors
    ///
    /// As [`Shape::new`]; `InvalidArgument` unless the elements are as many as the shape's.
    pub fn new<T: Element>(dims: &[usize], elements: Vec<T>) -> Result<Self> {
        Self::from_bytes(T::DTYPE, Shape::new(dims)?, Bytes::shared(bytes::Elements(elements)))
    }

    /// A scalar (rank 0).
    pub fn scalar<T: Element>(value: T) -> Self {
        Self {
            dtype: T::DTYPE,
            shape: Shape::default(),
            data: Data::Bytes(Bytes::shared(bytes::Elements(vec![value]))),
        }
    }

    /// A tensor of strings.
    ///
    /// # Errors
    ///
    /// As [`Shape::new`]; `InvalidArgument` unless the elements are as many as the shape's.
    pub fn strings(dims: &[usize], elements: Vec<String>) -> Result<Self> {
        let shape = Shape::new(dims)?;
        if elements.len() != shape.elements() {
            return Err(Error::invalid(format!(
                "string tensor {shape}: expected {} elements, got {}",
                shape.elements(),
                elements.len()
            )));
        }
        Ok(Self { dtype: DType::String, shape, data: Data::Strings(elements.into()) })
    }

    /// A tensor over bytes of any owner.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` unless the bytes are as many as the shape's elements times the dtype's size, and for strings.
    pub fn from_bytes(dtype: DType, shape: Shape, bytes: Bytes) -> Result<Self> {
        check_len(dtype, &shape, bytes.as_slice().len())?;
        Ok(Self { dtype, shape, data: Data::Bytes(bytes) })
    }

    /// A 64-byte aligned copy of raw bytes.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` unless the bytes are as many as the shape's elements times the dtype's size, and for strings;
    /// `OutOfMemory`.
    pub fn copy_from(dtype: DType, shape: Shape, bytes: &[u8]) -> Result<Self> {
        check_len(dtype, &shape, bytes.len())?;
        Ok(Self { dtype, shape, data: Data::Bytes(Bytes::copy_from(bytes)?) })
    }

    /// A tensor of raw bytes, copied into memory that is aligned for every dtype: row-major, numbers little-endian, a
    /// boolean as a byte of 0 or 1. Where the bytes lie does not matter.
    ///
    /// A string is its length in bytes as a little-endian u32, then its UTF-8, and the next one follows without a gap:
    /// `BYTES` of the Open Inference Protocol.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` unless the bytes are exactly the elements of the shape, for a boolean of another byte, and for a
    /// string that is not UTF-8; as [`Shape::new`]; `OutOfMemory`.
    ///
    /// ```
    /// use selvedge::{DType, Tensor};
    /// let t = Tensor::from_raw_bytes(DType::I16, &[1, 2], &[1, 0, 0xff, 0xff])?;
    /// assert_eq!(t.as_slice::<i16>()?, [1, -1]);
    /// let words = Tensor::from_raw_bytes(DType::String, &[2], b"\x02\0\0\0hi\0\0\0\0")?;
    /// assert_eq!(words.as_strings()?, ["hi", ""]);
    /// assert!(Tensor::from_raw_bytes(DType::Bool, &[1], &[7]).is_err());
    /// # Ok::<(), selvedge::Error>(())
    /// ```
    pub fn from_raw_bytes(dtype: DType, dims: &[usize], bytes: &[u8]) -> Result<Self> {
        let shape = Shape::new(dims)?;
        if dtype == DType::String {
            let strings = strings::read(&shape, bytes)?;
            return Ok(Self { dtype, shape, data: Data::Strings(strings.into()) });
        }
        let odd = bytes.iter().position(|byte| *byte > 1).filter(|_| dtype == DType::Bool);
        let tensor = Self::copy_from(dtype, shape, bytes)?;
        match odd {
            Some(i) => Err(Error::invalid(format!(
                "tensor {} of bool: expected 0 or 1 in every byte, got {} at byte {i}",
                tensor.shape, bytes[i]
            ))),
            None => Ok(tensor),
        }
    }

    /// A 64-byte aligned tensor of zeros.
    ///
    /// # Errors
    ///
    /// As [`Shape::new`]; `InvalidArgument` for strings, and for more bytes than `isize::MAX`; `OutOfMemory`.
    pub fn zeros(dtype: DType, dims: &[usize]) -> Result<Self> {
        let shape = Shape::new(dims)?;
        let len = byte_len(dtype, &shape)?;
        Ok(Self { dtype, shape, data: Data::Bytes(Bytes::zeroed(len)?) })
    }

    /// The type of the elements.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The dimensions.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// A borrowed view.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for strings.
    pub fn view(&self) -> Result<TensorView<'_>> {
        TensorView::from_bytes(self.dtype, &self.shape, self.bytes()?)
    }

    /// The raw bytes.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for strings.
    pub fn bytes(&self) -> Result<&[u8]> {
        match &self.data {
            Data::Bytes(bytes) => Ok(bytes.as_slice()),
            Data::Strings(_) => Err(Error::invalid("tensor bytes: expected a numeric dtype, got string")),
        }
    }

    /// The bytes for writing, copied first if they are shared or not ours.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for strings, `OutOfMemory` without room for the copy.
    pub fn bytes_mut(&mut self) -> Result<&mut [u8]> {
        let Data::Bytes(bytes) = &mut self.data else {
            return Err(Error::invalid("tensor bytes: expected a numeric dtype, got string"));
        };
        if bytes.get_mut().is_none() {
            *bytes = Bytes::copy_from(bytes.as_slice())?;
        }
        bytes.get_mut().ok_or_else(|| Error::internal("a fresh copy of a tensor is shared"))
    }

    /// The elements.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if `T` is not the dtype or foreign bytes are not aligned for `T`.
    pub fn as_slice<T: Element>(&self) -> Result<&[T]> {
        if T::DTYPE != self.dtype {
            return Err(Error::invalid(format!("tensor elements: expected {}, got {}", T::DTYPE, self.dtype)));
        }
        cast(self.bytes()?)
    }

    /// The strings.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for numeric dtypes.
    pub fn as_strings(&self) -> Result<&[String]> {
        match &self.data {
            Data::Strings(strings) => Ok(strings),
            Data::Bytes(_) => Err(Error::invalid(format!("tensor elements: expected string, got {}", self.dtype))),
        }
    }

    /// The same elements under other dimensions.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if the count differs.
    pub fn reshape(self, dims: &[usize]) -> Result<Self> {
        let shape = Shape::new(dims)?;
        if shape.elements() != self.shape.elements() {
            return Err(Error::invalid(format!(
                "reshape {} to {shape}: expected {} elements, got {}",
                self.shape,
                self.shape.elements(),
                shape.elements()
            )));
        }
        Ok(Self { shape, ..self })
    }
}

/// Equal dtype, shape and bytes: floats compare by bit pattern.
impl PartialEq for Tensor {
    fn eq(&self, other: &Self) -> bool {
        self.dtype == other.dtype
            && self.shape == other.shape
            && match (&self.data, &other.data) {
                (Data::Bytes(a), Data::Bytes(b)) => a.as_slice() == b.as_slice(),
                (Data::Strings(a), Data::Strings(b)) => a == b,
                _ => false,
            }
    }
}

fn byte_len(dtype: DType, shape: &Shape) -> Result<usize> {
    let size = dtype.size().ok_or_else(|| Error::invalid("tensor bytes: expected a numeric dtype, got string"))?;
    shape
        .elements()
        .checked_mul(size)
        .filter(|n| *n <= isize::MAX as usize)
        .ok_or_else(|| Error::invalid(format!("tensor {shape} of {dtype} exceeds the address space")))
}

fn check_len(dtype: DType, shape: &Shape, got: usize) -> Result<()> {
    let expected = byte_len(dtype, shape)?;
    if got != expected {
        return Err(Error::invalid(format!("tensor {shape} of {dtype}: expected {expected} bytes, got {got}")));
    }
    Ok(())
}

fn cast<T: Element>(bytes: &[u8]) -> Result<&[T]> {
    // An empty slice of ours may dangle at alignment 1, which is of no matter.
    if bytes.is_empty() {
        return Ok(&[]);
    }
    let (align, off) = (align_of::<T>(), bytes.as_ptr() as usize % align_of::<T>());
    if off != 0 {
        return Err(Error::invalid(format!(
            "tensor elements as {}: expected bytes aligned to {align}, got an address off by {off}",
            T::DTYPE
        )));
    }
    bytemuck::checked::try_cast_slice(bytes)
        .map_err(|e| Error::invalid(format!("tensor elements as {}: expected 0 or 1 in every byte: {e}", T::DTYPE)))
}
