//! Views: borrowed tensors.

use super::{DType, Element, Shape, Tensor, cast};
use crate::{Error, Result};

/// A tensor that borrows its shape and bytes: row-major, little-endian, no strings.
///
/// ```
/// use selvedge::{Shape, TensorView};
/// let shape = Shape::new(&[2, 2])?;
/// let view = TensorView::new(&shape, &[1.0f32, 2.0, 3.0, 4.0])?;
/// assert_eq!(view.as_slice::<f32>()?[3], 4.0);
/// assert_eq!(view.to_tensor()?.shape(), &shape);
/// # Ok::<(), selvedge::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TensorView<'a> {
    dtype: DType,
    shape: &'a Shape,
    bytes: &'a [u8],
}

impl<'a> TensorView<'a> {
    /// A view of typed elements.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` unless the elements are as many as the shape's.
    pub fn new<T: Element>(shape: &'a Shape, elements: &'a [T]) -> Result<Self> {
        Self::from_bytes(T::DTYPE, shape, bytemuck::cast_slice(elements))
    }

    /// A view of raw bytes.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` unless the bytes are as many as the shape's elements times the dtype's size, and for strings.
    pub fn from_bytes(dtype: DType, shape: &'a Shape, bytes: &'a [u8]) -> Result<Self> {
        super::check_len(dtype, shape, bytes.len())?;
        Ok(Self { dtype, shape, bytes })
    }

    /// The type of the elements.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The dimensions.
    pub fn shape(&self) -> &'a Shape {
        self.shape
    }

    /// The raw bytes.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The elements.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if `T` is not the dtype or the bytes are not aligned for `T`.
    pub fn as_slice<T: Element>(&self) -> Result<&'a [T]> {
        if T::DTYPE != self.dtype {
            return Err(Error::invalid(format!("tensor elements: expected {}, got {}", T::DTYPE, self.dtype)));
        }
        cast(self.bytes)
    }

    /// An owned, aligned copy.
    ///
    /// # Errors
    ///
    /// `OutOfMemory`.
    pub fn to_tensor(&self) -> Result<Tensor> {
        Tensor::copy_from(self.dtype, self.shape.clone(), self.bytes)
    }
}
