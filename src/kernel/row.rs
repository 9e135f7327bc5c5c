//! Kernels of rows: sums and scores without dequantizing into memory.

use super::dispatch::active_table;
use super::format::BlockFormat;
use super::query::Query;
use crate::{Error, Result};

/// Adds `weight` times the row's weights to `sum`: one step of pooling rows of a quantized table.
///
/// Each product is rounded before it is added, so the result is the same on every machine.
///
/// # Errors
///
/// `InvalidArgument` unless `row` is exactly the blocks of `sum.len()` weights.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "experimental")] {
/// use selvedge::kernel::{BlockFormat, accumulate, quantize_into};
/// let mut row = vec![0; BlockFormat::F16.bytes(4).unwrap()];
/// quantize_into(BlockFormat::F16, &[1.0, 2.0, 3.0, 4.0], &mut row)?;
/// let mut sum = [10.0; 4];
/// accumulate(BlockFormat::F16, &row, 0.5, &mut sum)?;
/// assert_eq!(sum, [10.5, 11.0, 11.5, 12.0]);
/// # }
/// # Ok::<(), selvedge::Error>(())
/// ```
pub fn accumulate(format: BlockFormat, row: &[u8], weight: f32, sum: &mut [f32]) -> Result<()> {
    accumulate_rows(format, &[(row, weight)], sum)
}

/// [`accumulate`] of several rows, each with its weight, in their order: the same bits, in less time, since the sum is
/// read and written once for four rows.
///
/// # Errors
///
/// `InvalidArgument` unless each row is exactly the blocks of `sum.len()` weights; nothing is added then.
pub fn accumulate_rows(format: BlockFormat, rows: &[(&[u8], f32)], sum: &mut [f32]) -> Result<()> {
    let Some((first, _)) = rows.first() else { return Ok(()) };
    format.check(first, sum.len())?;
    if let Some((row, _)) = rows.iter().find(|(row, _)| row.len() != first.len()) {
        format.check(row, sum.len())?;
    }
    active_table().accumulate[format as usize](rows, sum);
    Ok(())
}

/// Scales a vector to length 1, the length being computed in `f64`; a vector of zeros stays as it is. The same bits on
/// every machine.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "experimental")] {
/// let mut vector = [3.0, 0.0, 4.0];
/// selvedge::kernel::normalize(&mut vector);
/// assert_eq!(vector, [0.6, 0.0, 0.8]);
/// # }
/// ```
pub fn normalize(vector: &mut [f32]) {
    (active_table().normalize)(vector);
}

/// The dot product of a row in [`BlockFormat::Q8_0`] or [`BlockFormat::Q4_0`] and a query: whole numbers within a block of 32,
/// `f32` across blocks, in an order that is the same on every machine.
///
/// # Errors
///
/// `Unsupported` for other formats; `InvalidArgument` if row and query differ in length.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "experimental")] {
/// use selvedge::kernel::{BlockFormat, Query, dot_i8, quantize_into};
/// let vector: Vec<f32> = (0..64).map(|i| (i as f32).sin()).collect();
/// let mut row = vec![0; BlockFormat::Q8_0.bytes(64).unwrap()];
/// quantize_into(BlockFormat::Q8_0, &vector, &mut row)?;
/// let exact: f32 = vector.iter().map(|x| x * x).sum();
/// assert!((dot_i8(BlockFormat::Q8_0, &row, &Query::new(&vector)?)? - exact).abs() < 0.01 * exact);
/// # }
/// # Ok::<(), selvedge::Error>(())
/// ```
pub fn dot_i8(format: BlockFormat, row: &[u8], query: &Query) -> Result<f32> {
    let mut score = [0.0];
    dot_i8_rows(format, row, query, &mut score)?;
    Ok(score[0])
}

/// [`dot_i8`] of every row of a table: `scores[i]` is that of row `i`. On one thread; split the table for more.
///
/// # Errors
///
/// `Unsupported` for other formats than [`dot_i8`] takes; `InvalidArgument` unless `rows` is exactly `scores.len()` rows of
/// `query.len()` weights.
pub fn dot_i8_rows(format: BlockFormat, rows: &[u8], query: &Query, scores: &mut [f32]) -> Result<()> {
    let dot = match format {
        BlockFormat::Q8_0 => active_table().dot_q8_0,
        BlockFormat::Q4_0 => active_table().dot_q4_0,
        _ => return Err(Error::unsupported(format!("scores of rows in {format}: expected q8_0 or q4_0"))),
    };
    let elements = query.len().checked_mul(scores.len());
    let elements = elements.ok_or_else(|| Error::invalid("scores: more weights than fit a usize"))?;
    format.check(rows, elements)?;
    if rows.is_empty() {
        scores.fill(0.0);
        return Ok(());
    }
    for (row, score) in rows.chunks_exact(rows.len() / scores.len()).zip(scores) {
        *score = dot(row, query);
    }
    Ok(())
}
