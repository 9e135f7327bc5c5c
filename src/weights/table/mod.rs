//! Tables: the rows of two-dimensional tensors, read one by one where they lie.
//!
//! An embedding table stays quantized in the map. A row is dequantized while it is added to a sum, so that pooling the
//! rows of a text touches each byte once and writes nothing but the sum.

mod search;
#[cfg(test)]
mod tests;

use super::tensor_type::TensorType;
use super::tensors::TensorEntry;
use crate::kernel::{self, BlockFormat};
use crate::tensor::Bytes;
use crate::{Error, Result};

pub use search::Hit;

/// Bytes ahead that are prefetched while a row is summed, and rows at most: as much as the memory answers at a time.
const AHEAD_BYTES: usize = 8 << 10;
const MAX_AHEAD: usize = 32;

/// Rows that are added to the sum together: as many as the kernels sum side by side.
const ABREAST: usize = 4;

/// A sum that begins where a line of the cache does: each row is added to all of it, and numbers that straddle two
/// lines cost twice. Wider rows are added to where the sum is wanted.
#[repr(align(64))]
struct Aligned([f32; ALIGNED]);
const ALIGNED: usize = 1024;

/// Table: the rows of a two-dimensional tensor, `[rows, width]`, such as the vectors of a vocabulary or of a collection of
/// texts. Shares the file's map, so a clone costs nothing.
///
/// # Examples
///
/// ```
/// use selvedge::Bytes;
/// use selvedge::kernel::{BlockFormat, quantize_into};
/// use selvedge::weights::{Pool, Table};
/// // Three rows of 32 numbers, in 34 bytes each.
/// let numbers: Vec<f32> = (0..96).map(|i| (i / 32 + 1) as f32).collect();
/// let mut blocks = vec![0; 3 * 34];
/// quantize_into(BlockFormat::Q8_0, &numbers, &mut blocks)?;
/// let table = Table::from_bytes(BlockFormat::Q8_0, 32, Bytes::shared(blocks))?;
/// let mut pooled = [0.0; 32];
/// table.pool_into(&[0, 2], Pool::Mean, false, &mut pooled)?;
/// assert!((pooled[0] - 2.0).abs() < 0.01);
/// assert_eq!(table.search(&pooled, 1)?[0].row, 2);
/// # Ok::<(), selvedge::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Table {
    bytes: Bytes,
    cells: Cells,
    rows: usize,
    width: usize,
    row_bytes: usize,
}

/// How a row is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cells {
    Blocks(BlockFormat),
    /// Whole numbers without a scale, as model2vec stores tables whose rows only count by their direction.
    I8,
    /// As numpy makes numbers unless it is told; rounded to f32 when they are read.
    F64,
}

/// Pooling: how rows become one vector.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Pool<'a> {
    /// Their sum.
    Sum,
    /// Their sum, divided by their number.
    Mean,
    /// The sum of each row times its weight, one for each id.
    Weighted(&'a [f32]),
}

impl Table {
    /// The rows of a tensor of an open file.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` unless it has two dimensions, at least one row of at least one element and at most
    /// 2^32 rows; `Unsupported` for elements that no kernel reads.
    pub fn new(tensor: &TensorEntry<'_>) -> Result<Self> {
        let name = tensor.name();
        let &[rows, width] = &**tensor.shape() else {
            return Err(Error::invalid(format!("table '{name}': expected 2 dimensions, got {}", tensor.shape())));
        };
        let cells = match (tensor.format(), tensor.tensor_type()) {
            (Some(format), _) => Cells::Blocks(format),
            (None, TensorType::I8) => Cells::I8,
            (None, TensorType::F64) => Cells::F64,
            (None, other) => {
                return Err(Error::unsupported(format!("table '{name}': elements of {other} cannot be read")));
            }
        };
        Self::of(cells, rows, width, tensor.share()).map_err(|e| e.during(format!("reading table '{name}'")))
    }

    /// Rows of `width` elements in `format`, one behind the other.
    ///
    /// # Errors
    ///
    /// As [`Table::new`], and `InvalidArgument` for bytes that are not whole rows.
    pub fn from_bytes(format: BlockFormat, width: usize, rows: Bytes) -> Result<Self> {
        let len = rows.as_slice().len();
        match format.bytes(width) {
            Some(row) if row > 0 && len.is_multiple_of(row) => Self::of(Cells::Blocks(format), len / row, width, rows),
            Some(row) => Err(Error::invalid(format!("table: expected a multiple of {row} bytes, got {len}"))),
            None => Err(Error::invalid(format!(
                "table: expected rows of a multiple of {} elements in {format}, got {width}",
                format.block_elements()
            ))),
        }
    }

    fn of(cells: Cells, rows: usize, width: usize, bytes: Bytes) -> Result<Self> {
        if rows == 0 || width == 0 || rows as u64 > 1 << 32 {
            return Err(Error::invalid(format!("table: expected 1 to 2^32 rows, got {rows} of {width} elements")));
        }
        let row_bytes = match cells {
            Cells::Blocks(format) => format.bytes(width),
            Cells::I8 => Some(width),
            Cells::F64 => width.checked_mul(8),
        };
        match row_bytes {
            Some(row_bytes) if row_bytes.checked_mul(rows) == Some(bytes.as_slice().len()) => {
                Ok(Self { bytes, cells, rows, width, row_bytes })
            }
            _ => Err(Error::invalid(format!("table: {rows} rows of {width} elements do not take {bytes:?}"))),
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Elements of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// All rows as they are stored, one behind the other.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The format in which a row is stored; `None` for plain numbers of 8 bits, and for those of 64.
    pub fn format(&self) -> Option<BlockFormat> {
        match self.cells {
            Cells::Blocks(format) => Some(format),
            Cells::I8 | Cells::F64 => None,
        }
    }

    /// Checks ids, as every method that takes some does before anything else.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` if an id is of no row.
    pub fn check(&self, ids: &[u32]) -> Result<()> {
        // All are looked at without a branch for each, which the compiler does many at a time.
        let highest = ids.iter().fold(0, |highest, id| highest.max(*id));
        if ids.is_empty() || (highest as usize) < self.rows {
            return Ok(());
        }
        Err(Error::invalid(format!("table: expected ids below {}, got {highest}", self.rows)))
    }

    /// Writes the rows of `ids` as f32, one behind the other: `[ids, width]`.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for an id of no row, or `out` of another size.
    pub fn gather_into(&self, ids: &[u32], out: &mut [f32]) -> Result<()> {
        self.check(ids)?;
        let expected = ids.len().checked_mul(self.width);
        if expected != Some(out.len()) {
            let (n, width, got) = (ids.len(), self.width, out.len());
            return Err(Error::invalid(format!("table: expected room for {n} rows of {width}, got {got}")));
        }
        let bytes = self.bytes.as_slice();
        self.prefetch_first(bytes, ids);
        for (i, (&id, out)) in ids.iter().zip(out.chunks_exact_mut(self.width)).enumerate() {
            self.prefetch_ahead(bytes, ids, i);
            self.read(self.row(bytes, id), out)?;
        }
        Ok(())
    }

    /// Pools the rows of `ids` into one vector, scaled to length 1 if `normalize` says so. Without ids, and where all
    /// cancel out, it is the vector of zeros.
    ///
    /// Each product is rounded before it is added, in the order of `ids`: the same bits on every machine.
    ///
    /// # Errors
    ///
    /// `InvalidArgument` for an id of no row, `out` of another size than a row, or not a weight for each id.
    pub fn pool_into(&self, ids: &[u32], pool: Pool<'_>, normalize: bool, out: &mut [f32]) -> Result<()> {
        self.check(ids)?;
        if out.len() != self.width {
            return Err(Error::invalid(format!("table: expected room for {}, got {}", self.width, out.len())));
        }
        let weights = match pool {
            Pool::Weighted(weights) if weights.len() != ids.len() => {
                return Err(Error::invalid(format!("pool: expected {} weights, got {}", ids.len(), weights.len())));
            }
            Pool::Weighted(weights) => weights,
            Pool::Sum | Pool::Mean => &[],
        };
        let mut aligned = Aligned([0.0; ALIGNED]);
        match aligned.0.get_mut(..out.len()) {
            Some(sum) => {
                self.sum(ids, weights, sum)?;
                out.copy_from_slice(sum);
            }
            None => {
                out.fill(0.0);
                self.sum(ids, weights, out)?;
            }
        }
        if pool == Pool::Mean && !normalize && !ids.is_empty() {
            let n = ids.len() as f32;
            out.iter_mut().for_each(|x| *x /= n);
        }
        if normalize {
            kernel::normalize(out);
        }
        Ok(())
    }

    /// Adds the rows to `sum`, each times its weight, or once without weights.
    fn sum(&self, ids: &[u32], weights: &[f32], sum: &mut [f32]) -> Result<()> {
        let bytes = self.bytes.as_slice();
        self.prefetch_first(bytes, ids);
        let mut rows: [(&[u8], f32); ABREAST] = [(&[], 1.0); ABREAST];
        for (group, ids_here) in ids.chunks(ABREAST).enumerate() {
            let rows = &mut rows[..ids_here.len()];
            for (i, (row, &id)) in (group * ABREAST..).zip(rows.iter_mut().zip(ids_here)) {
                self.prefetch_ahead(bytes, ids, i);
                *row = (self.row(bytes, id), weights.get(i).copied().unwrap_or(1.0));
            }
            self.add(rows, sum)?;
        }
        Ok(())
    }

    /// `id` has been checked.
    fn row<'a>(&self, bytes: &'a [u8], id: u32) -> &'a [u8] {
        let begin = id as usize * self.row_bytes;
        &bytes[begin..begin + self.row_bytes]
    }

    /// How many rows are prefetched before they are summed.
    fn ahead(&self) -> usize {
        (AHEAD_BYTES / self.row_bytes).clamp(1, MAX_AHEAD)
    }

    fn prefetch_first(&self, bytes: &[u8], ids: &[u32]) {
        ids.iter().take(self.ahead()).for_each(|&id| kernel::prefetch(self.row(bytes, id)));
    }

    fn prefetch_ahead(&self, bytes: &[u8], ids: &[u32], i: usize) {
        if let Some(&id) = ids.get(i + self.ahead()) {
            kernel::prefetch(self.row(bytes, id));
        }
    }

    fn read(&self, row: &[u8], out: &mut [f32]) -> Result<()> {
        match self.cells {
            Cells::Blocks(format) => kernel::dequantize_into(format, row, out),
            Cells::I8 => {
                row.iter().zip(out).for_each(|(&cell, x)| *x = f32::from(cell as i8));
                Ok(())
            }
            Cells::F64 => {
                row.as_chunks().0.iter().zip(out).for_each(|(cell, x)| *x = f64::from_le_bytes(*cell) as f32);
                Ok(())
            }
        }
    }

    fn add(&self, rows: &[(&[u8], f32)], sum: &mut [f32]) -> Result<()> {
        match self.cells {
            Cells::Blocks(format) => kernel::accumulate_rows(format, rows, sum),
            Cells::I8 => {
                for (row, weight) in rows {
                    row.iter().zip(&mut *sum).for_each(|(&cell, x)| *x += weight * f32::from(cell as i8));
                }
                Ok(())
            }
            Cells::F64 => {
                for (row, weight) in rows {
                    let cells = row.as_chunks().0.iter().map(|cell| f64::from_le_bytes(*cell) as f32);
                    cells.zip(&mut *sum).for_each(|(cell, x)| *x += weight * cell);
                }
                Ok(())
            }
        }
    }
}
