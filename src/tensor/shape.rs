//! Shapes: checked dimensions.

use std::fmt;
use std::ops::Deref;

use smallvec::SmallVec;

use crate::{Code, Error, Result};

/// The dimensions of a tensor, outermost first (row-major). Rank 0 is a scalar.
///
/// The element count is checked when the shape is made, so it never overflows later.
///
/// ```
/// use selvedge::Shape;
/// let s = Shape::new(&[2, 3])?;
/// assert_eq!((s.rank(), s.elements()), (2, 6));
/// assert!(Shape::new(&[usize::MAX, 2]).is_err());
/// # Ok::<(), selvedge::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Shape(SmallVec<[usize; IN_PLACE]>);

/// Dimensions that lie in the shape itself, without an allocation: those of a batch of images.
const IN_PLACE: usize = 4;

impl Shape {
    /// The largest rank taken.
    pub const MAX_RANK: usize = 64;

    /// A shape of the given dimensions.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for more than [`Shape::MAX_RANK`] dimensions, and if the product of those that are not 0 exceeds
    /// `isize::MAX`; `OutOfMemory`.
    pub fn new(dims: &[usize]) -> Result<Self> {
        if dims.len() > Self::MAX_RANK {
            return Err(Error::invalid(format!("shape: expected rank <= {}, got {}", Self::MAX_RANK, dims.len())));
        }
        let mut product = 1usize;
        for &d in dims {
            // Zero is skipped so that [2^63, 0, 2^63] is refused in whatever order it comes.
            product = product
                .checked_mul(d.max(1))
                .filter(|p| *p <= isize::MAX as usize)
                .ok_or_else(|| Error::invalid(format!("shape {dims:?} has more than {} elements", isize::MAX)))?;
        }
        let mut own = SmallVec::new();
        own.try_reserve_exact(dims.len()).map_err(|_| Error::new(Code::OutOfMemory, "no memory for a shape"))?;
        own.extend_from_slice(dims);
        Ok(Self(own))
    }

    /// The number of dimensions.
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// The number of elements: the product of the dimensions, 1 for a scalar.
    pub fn elements(&self) -> usize {
        self.0.iter().product()
    }
}

impl Deref for Shape {
    type Target = [usize];

    fn deref(&self) -> &[usize] {
        &self.0
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
