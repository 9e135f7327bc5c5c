//! Conversions to and from `ndarray` (feature `ndarray`).

use ndarray::{ArrayD, ArrayViewD, IxDyn};

use super::{Element, Tensor};
use crate::{Error, Result};

impl Tensor {
    /// Takes over an array. A contiguous one in standard layout is not copied.
    ///
    /// # Errors
    ///
    /// As [`Shape::new`](super::Shape::new), for an array of too many dimensions.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::arr2;
    /// use selvedge::Tensor;
    /// let t = Tensor::from_ndarray(arr2(&[[1f32, 2.], [3., 4.]]).into_dyn())?;
    /// assert_eq!(t.to_ndarray::<f32>()?[[1, 0]], 3.0);
    /// # Ok::<(), selvedge::Error>(())
    /// ```
    pub fn from_ndarray<T: Element>(array: ArrayD<T>) -> Result<Self> {
        let (dims, len) = (array.shape().to_vec(), array.len());
        let elements = if array.is_standard_layout() {
            // A slice of an array keeps what was cut off around it.
            match array.into_raw_vec_and_offset() {
                (all, _) if all.len() == len => all,
                (all, first) => all.into_iter().skip(first.unwrap_or(0)).take(len).collect(),
            }
        } else {
            array.iter().copied().collect()
        };
        Self::new(&dims, elements)
    }

    /// Borrows the elements as an array.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if `T` is not the dtype.
    pub fn to_ndarray<T: Element>(&self) -> Result<ArrayViewD<'_, T>> {
        ArrayViewD::from_shape(IxDyn(self.shape()), self.as_slice()?)
            .map_err(|e| Error::invalid(format!("tensor {}: no array can view it", self.shape())).because(e))
    }
}
