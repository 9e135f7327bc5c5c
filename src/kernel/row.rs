//! Kernels of one row: gather and score without dequantizing into memory.

use super::block::SMALL;
use super::table::Table;
use super::{Format, check};
use crate::{Error, Result};

/// Partial sums of a product. All variants keep eight, so that all round alike.
pub(super) const LANES: usize = 8;

/// Adds `weight` times the row's weights to `sum`: one step of pooling rows of a quantized table.
///
/// Each product is rounded before it is added, so the result is the same on every machine. `row` must be exactly the
/// blocks of `sum.len()` weights, else `InvalidArgument`.
///
/// ```
/// use selvedge::kernel::{Format, accumulate, quantize_into};
/// let mut row = vec![0; Format::F16.bytes(4).unwrap()];
/// quantize_into(Format::F16, &[1.0, 2.0, 3.0, 4.0], &mut row)?;
/// let mut sum = [10.0; 4];
/// accumulate(Format::F16, &row, 0.5, &mut sum)?;
/// assert_eq!(sum, [10.5, 11.0, 11.5, 12.0]);
/// # Ok::<(), selvedge::Error>(())
/// ```
pub fn accumulate(format: Format, row: &[u8], weight: f32, sum: &mut [f32]) -> Result<()> {
    accumulate_rows(format, &[(row, weight)], sum)
}

/// [`accumulate`] of several rows, each with its weight, in their order: the same bits, in less time, since the sum is
/// read and written once for four rows.
///
/// Each row must be exactly the blocks of `sum.len()` weights, else `InvalidArgument`, and nothing is added.
pub fn accumulate_rows(format: Format, rows: &[(&[u8], f32)], sum: &mut [f32]) -> Result<()> {
    let Some((first, _)) = rows.first() else { return Ok(()) };
    check(format, first, sum.len())?;
    if let Some((row, _)) = rows.iter().find(|(row, _)| row.len() != first.len()) {
        check(format, row, sum.len())?;
    }
    Table::active().accumulate[format as usize](rows, sum);
    Ok(())
}

/// Scales a vector to length 1, the length being computed in `f64`; a vector of zeros stays as it is. The same bits on
/// every machine.
///
/// ```
/// let mut vector = [3.0, 0.0, 4.0];
/// selvedge::kernel::normalize(&mut vector);
/// assert_eq!(vector, [0.6, 0.0, 0.8]);
/// ```
pub fn normalize(vector: &mut [f32]) {
    (Table::active().normalize)(vector);
}

/// Plain Rust, which the compiler turns into the instruction set of its caller; the sixteen sums side by side are added
/// in one order everywhere.
#[inline(always)]
pub(super) fn to_length_1(vector: &mut [f32]) {
    let (chunks, rest) = vector.as_chunks::<{ 2 * LANES }>();
    let mut squares = [0.0f64; 2 * LANES];
    for chunk in chunks {
        for (square, &x) in squares.iter_mut().zip(chunk) {
            *square += f64::from(x) * f64::from(x);
        }
    }
    let rest: f64 = rest.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    let length = (squares.iter().sum::<f64>() + rest).sqrt();
    if length > 0.0 {
        let scale = 1.0 / length;
        vector.iter_mut().for_each(|x| *x = (f64::from(*x) * scale) as f32);
    }
}

/// A vector in signed bytes, one scale per 32 numbers, for scoring rows with [`dot_i8`].
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    scales: Vec<f32>,
    codes: Vec<i8>,
}

impl Query {
    /// Quantizes a vector: each 32 numbers to -127 ..= 127 of their largest magnitude.
    ///
    /// `InvalidArgument` unless the length is a multiple of 32 and every number is finite.
    pub fn new(vector: &[f32]) -> Result<Self> {
        if !vector.len().is_multiple_of(SMALL) {
            return Err(Error::invalid(format!("query: expected a multiple of {SMALL} numbers, got {}", vector.len())));
        }
        if let Some(i) = vector.iter().position(|x| !x.is_finite()) {
            return Err(Error::invalid(format!("query: expected finite numbers, got {} at {i}", vector[i])));
        }
        let (mut scales, mut codes) = (Vec::with_capacity(vector.len() / SMALL), Vec::with_capacity(vector.len()));
        for block in vector.chunks_exact(SMALL) {
            let scale = block.iter().fold(0.0f32, |most, x| most.max(x.abs())) / 127.0;
            scales.push(scale);
            // A scale of 0 leaves codes of 0; a subnormal one must not make them infinite.
            codes.extend(
                block.iter().map(|x| if scale > 0.0 { (x / scale).round().clamp(-127.0, 127.0) as i8 } else { 0 }),
            );
        }
        Ok(Self { scales, codes })
    }

    /// Numbers in the vector.
    pub fn len(&self) -> usize {
        self.codes.len()
    }

    /// Whether the vector has no numbers.
    pub fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }

    /// Scale and codes of each 32 numbers.
    pub(super) fn blocks(&self) -> impl Iterator<Item = (&f32, &[i8; SMALL])> {
        self.scales.iter().zip(self.codes.as_chunks().0)
    }
}

/// The dot product of a row in [`Format::Q8_0`] or [`Format::Q4_0`] and a query: whole numbers within a block of 32,
/// `f32` across blocks, in an order that is the same on every machine.
///
/// `Unsupported` for other formats; `InvalidArgument` if row and query differ in length.
///
/// ```
/// use selvedge::kernel::{Format, Query, dot_i8, quantize_into};
/// let vector: Vec<f32> = (0..64).map(|i| (i as f32).sin()).collect();
/// let mut row = vec![0; Format::Q8_0.bytes(64).unwrap()];
/// quantize_into(Format::Q8_0, &vector, &mut row)?;
/// let exact: f32 = vector.iter().map(|x| x * x).sum();
/// assert!((dot_i8(Format::Q8_0, &row, &Query::new(&vector)?)? - exact).abs() < 0.01 * exact);
/// # Ok::<(), selvedge::Error>(())
/// ```
pub fn dot_i8(format: Format, row: &[u8], query: &Query) -> Result<f32> {
    let mut score = [0.0];
    dot_i8_rows(format, row, query, &mut score)?;
    Ok(score[0])
}

/// [`dot_i8`] of every row of a table: `scores[i]` is that of row `i`. On one thread; split the table for more.
///
/// `rows` must be exactly `scores.len()` rows of `query.len()` weights, else `InvalidArgument`.
pub fn dot_i8_rows(format: Format, rows: &[u8], query: &Query, scores: &mut [f32]) -> Result<()> {
    let dot = match format {
        Format::Q8_0 => Table::active().dot_q8_0,
        Format::Q4_0 => Table::active().dot_q4_0,
        _ => return Err(Error::unsupported(format!("scores of rows in {format}: expected q8_0 or q4_0"))),
    };
    let elements = query.len().checked_mul(scores.len());
    let elements = elements.ok_or_else(|| Error::invalid("scores: more weights than fit a usize"))?;
    check(format, rows, elements)?;
    if rows.is_empty() {
        scores.fill(0.0);
        return Ok(());
    }
    for (row, score) in rows.chunks_exact(rows.len() / scores.len()).zip(scores) {
        *score = dot(row, query);
    }
    Ok(())
}

/// The order in which partial sums are added.
pub(super) fn sum_lanes(lanes: [f32; LANES]) -> f32 {
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}

/// Asks the CPU to bring a row into its caches, for one that is read soon: while summing rows of a gather, ask for those
/// some KiB ahead, as many as the memory answers at a time. Costs nothing where the CPU cannot.
#[inline]
pub fn prefetch(row: &[u8]) {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    super::generic::prefetch(row);
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = row;
}
