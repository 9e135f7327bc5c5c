//! Tensors of a file: their names, types, shapes and places.

use std::ops::Range;

use super::tensor_type::TensorType;
use crate::kernel::{self, BlockFormat};
use crate::tensor::{Bytes, DType, Shape, TensorView};
use crate::{Code, Error, Result};

/// Many times what the largest models have.
pub(super) const MAX_TENSORS: u64 = 1 << 16;
/// Files that are opened as one.
pub(super) const MAX_PARTS: u64 = 1024;

/// What is kept of a tensor. The place was checked against the file.
#[derive(Debug)]
pub(super) struct Info {
    pub(super) name: Box<str>,
    shape: Shape,
    tensor_type: TensorType,
    /// The file that holds it, of those opened as one.
    pub(super) part: usize,
    at: usize,
    bytes: usize,
}

impl Info {
    pub(super) fn new(name: Box<str>, shape: Shape, tensor_type: TensorType, at: usize, bytes: usize) -> Self {
        Self { name, shape, tensor_type, part: 0, at, bytes }
    }

    pub(super) fn place(&self) -> Range<usize> {
        self.at..self.at + self.bytes
    }
}

/// The shape of a tensor of a file, outermost dimension first.
pub(super) fn shape(name: &str, dims: &[u64]) -> Result<Shape> {
    let mut own = [0usize; Shape::MAX_RANK];
    let own = &mut own[..dims.len()];
    let fits = own.iter_mut().zip(dims).all(|(own, &dim)| usize::try_from(dim).map(|dim| *own = dim).is_ok());
    match Shape::new(own) {
        Ok(shape) if fits => Ok(shape),
        Err(e) if e.code() == Code::OutOfMemory => Err(e),
        _ => Err(Error::corrupt(format!("tensor '{name}': it has more elements than can be addressed"))),
    }
}

/// Tensor of an open [`WeightFile`](super::WeightFile), which it borrows.
///
/// Rows are what lies along the last dimension; a tensor of rank 0 or 1 is one row.
#[derive(Clone, Copy, Debug)]
pub struct TensorEntry<'a> {
    info: &'a Info,
    file: &'a Bytes,
}

impl<'a> TensorEntry<'a> {
    pub(super) fn new(info: &'a Info, file: &'a Bytes) -> Self {
        Self { info, file }
    }

    /// The name.
    pub fn name(&self) -> &'a str {
        &self.info.name
    }

    /// The dimensions, outermost first (row-major), whatever the order in the file.
    pub fn shape(&self) -> &'a Shape {
        &self.info.shape
    }

    /// How the elements are encoded.
    pub fn tensor_type(&self) -> TensorType {
        self.info.tensor_type
    }

    /// The format that kernels read, if they can.
    pub fn format(&self) -> Option<BlockFormat> {
        self.info.tensor_type.format()
    }

    /// The bytes, as they are in the file: of any alignment.
    pub fn bytes(&self) -> &'a [u8] {
        self.file.as_slice().get(self.info.place()).unwrap_or_default()
    }

    /// Where in its file the bytes lie.
    pub fn place(&self) -> Range<u64> {
        let Range { start, end } = self.info.place();
        start as u64..end as u64
    }

    /// Which of the files that were opened as one holds it, from 0.
    pub fn part(&self) -> usize {
        self.info.part
    }

    /// The bytes with a share in the file's map, which lives as long as they do: for a runtime, without a copy.
    pub fn share(&self) -> Bytes {
        Bytes::shared(Slice { file: self.file.clone(), place: self.info.place() })
    }

    /// The tensor as a view of plain numbers.
    ///
    /// # Errors
    ///
    /// `Unsupported` for elements that have no dtype, such as quantized ones.
    pub fn view(&self) -> Result<TensorView<'a>> {
        let dtype = self.dtype().ok_or_else(|| self.unsupported("are no plain numbers"))?;
        TensorView::from_bytes(dtype, self.shape(), self.bytes())
    }

    /// The dtype of plain numbers; `None` for other elements.
    pub fn dtype(&self) -> Option<DType> {
        self.info.tensor_type.dtype()
    }

    /// Elements of a row.
    pub fn row_len(&self) -> usize {
        self.shape().last().copied().unwrap_or(1)
    }

    /// The number of rows.
    pub fn row_count(&self) -> usize {
        let dims = self.shape();
        dims[..dims.len().saturating_sub(1)].iter().product()
    }

    /// The bytes of some rows.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for rows that are not there, `Unsupported` where rows do not begin at whole bytes or
    /// the type is not known.
    pub fn rows(&self, rows: Range<usize>) -> Result<&'a [u8]> {
        if rows.start > rows.end || rows.end > self.row_count() {
            return Err(Error::invalid(format!(
                "tensor '{}': rows {rows:?}: expected within its {}",
                self.name(),
                self.row_count()
            )));
        }
        let (Some(block), Some(block_bytes)) = (self.tensor_type().block_elements(), self.tensor_type().block_bytes())
        else {
            return Err(self.unsupported("are not known"));
        };
        let elements = self.row_len() as u64;
        if !elements.is_multiple_of(block) {
            return Err(self.unsupported("have rows that do not begin at whole bytes"));
        }
        // The whole tensor was checked to lie within memory.
        let row = (elements / block * block_bytes) as usize;
        Ok(self.bytes().get(rows.start * row..rows.end * row).unwrap_or_default())
    }

    /// Writes all elements as f32.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` unless `out` has the shape's elements, `Unsupported` for a type that no kernel reads.
    pub fn dequantize_into(&self, out: &mut [f32]) -> Result<()> {
        self.dequantize(self.bytes(), self.shape().elements(), out)
    }

    /// Writes the elements of some rows as f32.
    ///
    /// # Errors
    ///
    /// As [`TensorEntry::dequantize_into`], and `InvalidArgument` for rows that are not there.
    pub fn dequantize_rows_into(&self, rows: Range<usize>, out: &mut [f32]) -> Result<()> {
        let bytes = self.rows(rows.clone())?;
        self.dequantize(bytes, (rows.end - rows.start) * self.row_len(), out)
    }

    /// All elements as f32, a tile at a time in `buffer`.
    ///
    /// # Errors
    ///
    /// `Unsupported` for a type that no kernel reads, `InvalidArgument` for a buffer smaller than a block.
    #[cfg(any(test, feature = "experimental"))]
    pub fn tiles<'t>(&self, buffer: &'t mut [f32]) -> Result<kernel::Tiles<'t>>
    where
        'a: 't,
    {
        let Some(format) = self.format() else { return Err(self.unsupported("cannot be dequantized")) };
        kernel::tiles(format, self.bytes(), buffer).map_err(|e| e.during(format!("reading tensor '{}'", self.name())))
    }

    fn dequantize(&self, bytes: &[u8], elements: usize, out: &mut [f32]) -> Result<()> {
        let Some(format) = self.format() else { return Err(self.unsupported("cannot be dequantized")) };
        if out.len() != elements {
            let got = out.len();
            return Err(Error::invalid(format!("tensor '{}': expected room for {elements}, got {got}", self.name())));
        }
        kernel::dequantize_into(format, bytes, out).map_err(|e| e.during(format!("reading tensor '{}'", self.name())))
    }

    fn unsupported(&self, what: &str) -> Error {
        Error::unsupported(format!("tensor '{}': elements of {} {what}", self.name(), self.tensor_type()))
    }
}

/// A part of a file as an owner of bytes.
struct Slice {
    file: Bytes,
    place: Range<usize>,
}

impl AsRef<[u8]> for Slice {
    fn as_ref(&self) -> &[u8] {
        self.file.as_slice().get(self.place.clone()).unwrap_or_default()
    }
}
