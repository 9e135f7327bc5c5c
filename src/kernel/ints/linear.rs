//! ONNX `DequantizeLinear`.

use half::f16;
use rayon::prelude::*;

use crate::kernel::dispatch::active_table;
use crate::{Error, Result};

/// Elements from which on the work is split over rayon's threads, and those of a piece.
const SPLIT_FROM: usize = 1 << 20;
const PIECE: usize = 1 << 18;
/// Elements of a tile on the stack, small enough to stay in the first cache.
const TILE: usize = 1 << 10;

/// An integer type of quantized ONNX tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ints {
    /// Signed bytes.
    I8,
    /// Unsigned bytes.
    U8,
    /// Signed nibbles, two in a byte, the lower first.
    I4,
    /// Unsigned nibbles, two in a byte, the lower first.
    U4,
}

impl Ints {
    /// `int8`, `uint8`, `int4` or `uint4`.
    pub const fn name(self) -> &'static str {
        match self {
            Ints::I8 => "int8",
            Ints::U8 => "uint8",
            Ints::I4 => "int4",
            Ints::U4 => "uint4",
        }
    }

    /// Bytes of so many elements; the last nibble of an odd number is padding.
    pub const fn bytes(self, elements: usize) -> usize {
        match self {
            Ints::I8 | Ints::U8 => elements,
            Ints::I4 | Ints::U4 => elements.div_ceil(2),
        }
    }

    fn at(self, data: &[u8], i: usize) -> i32 {
        let nibble = || data[i / 2] >> (4 * (i % 2)) & 15;
        match self {
            Ints::I8 => i32::from(data[i] as i8),
            Ints::U8 => i32::from(data[i]),
            Ints::I4 => i32::from((nibble() << 4) as i8 >> 4),
            Ints::U4 => i32::from(nibble()),
        }
    }
}

/// The elements that share a scale and a zero point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Per {
    /// The whole tensor: one scale.
    Tensor,
    /// All elements with the same index of this axis: as many scales as the axis is long.
    Axis(usize),
    /// Blocks of `size` along `axis`, the last of which may be shorter: scales in the shape of the tensor, but with
    /// `⌈axis / size⌉` for the axis.
    Block {
        /// The axis.
        axis: usize,
        /// Elements per block, at least 1.
        size: usize,
    },
}

/// Scales and zero points of a quantized tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Linear<'q> {
    /// The elements that share a scale.
    pub per: Per,
    /// The scales.
    pub scales: &'q [f32],
    /// As many zero points, in the integers of the tensor; absent, they are 0.
    pub zero_points: Option<&'q [u8]>,
}

/// ONNX `DequantizeLinear` (operator set 25): `out = (data - zero_point) · scale`, in `f32`.
///
/// `shape` is that of the tensor, row-major. Elements are split over the current rayon thread pool where they are
/// many.
///
/// # Errors
///
/// `InvalidArgument` where a length does not fit the shape, or the axis is none of its axes.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "experimental")] {
/// use selvedge::kernel::ints::{Ints, Linear, Per, dequantize_linear_into};
/// // Two rows of three signed nibbles, a scale for each row.
/// let data = [0x21, 0xf3, 0x70]; // 1, 2, 3, -1, 0, 7
/// let how = Linear { per: Per::Axis(0), scales: &[0.5, 2.0], zero_points: None };
/// let mut out = [0.0; 6];
/// dequantize_linear_into(Ints::I4, &data, &[2, 3], &how, &mut out)?;
/// assert_eq!(out, [0.5, 1.0, 1.5, -2.0, 0.0, 14.0]);
/// # }
/// # Ok::<(), selvedge::Error>(())
/// ```
pub fn dequantize_linear_into(
    ints: Ints,
    data: &[u8],
    shape: &[usize],
    how: &Linear<'_>,
    out: &mut [f32],
) -> Result<()> {
    let grid = Grid::checked(ints, data, shape, how)?;
    expect("elements of the output", grid.elements, out.len())?;
    split(out, |first, out| range(ints, data, &grid, how, first, out));
    Ok(())
}

/// Some elements of [`dequantize_linear_into`]'s output: those from `first` on, row-major, as many as `out` holds.
///
/// # Errors
///
/// As [`dequantize_linear_into`], and `InvalidArgument` for elements that are not there.
pub fn dequantize_linear_range_into(
    ints: Ints,
    data: &[u8],
    shape: &[usize],
    how: &Linear<'_>,
    first: usize,
    out: &mut [f32],
) -> Result<()> {
    let grid = Grid::checked(ints, data, shape, how)?;
    if first.checked_add(out.len()).is_none_or(|end| end > grid.elements) {
        let (n, all) = (out.len(), grid.elements);
        return Err(Error::invalid(format!("{n} elements from {first} on: expected within the tensor's {all}")));
    }
    split(out, |i, out| range(ints, data, &grid, how, first + i, out));
    Ok(())
}

/// [`dequantize_linear_into`], rounded to the nearest `f16`, ties to even; beyond ±65504 it is infinite.
///
/// # Errors
///
/// As [`dequantize_linear_into`].
pub fn dequantize_linear_f16_into(
    ints: Ints,
    data: &[u8],
    shape: &[usize],
    how: &Linear<'_>,
    out: &mut [f16],
) -> Result<()> {
    let grid = Grid::checked(ints, data, shape, how)?;
    expect("elements of the output", grid.elements, out.len())?;
    split(out, |first, out| {
        let mut tile = [0.0; TILE];
        for (i, out) in out.chunks_mut(TILE).enumerate() {
            let tile = &mut tile[..out.len()];
            range(ints, data, &grid, how, first + i * TILE, tile);
            (active_table().narrow_f16)(tile, out);
        }
    });
    Ok(())
}

/// Runs `one` over the whole, or over pieces of it on several threads; it is given where a piece begins.
fn split<T: Send>(out: &mut [T], one: impl Fn(usize, &mut [T]) + Sync) {
    if out.len() < SPLIT_FROM || crate::threads::pool().is_err() || rayon::current_num_threads() == 1 {
        one(0, out);
    } else {
        out.par_chunks_mut(PIECE).enumerate().for_each(|(i, out)| one(i * PIECE, out));
    }
}

pub(super) fn expect(what: &str, expected: usize, got: usize) -> Result<()> {
    if expected == got { Ok(()) } else { Err(Error::invalid(format!("{what}: expected {expected}, got {got}"))) }
}

/// A tensor seen as `[before, axis, after]`, and its scales.
struct Grid {
    per: Per,
    axis: usize,
    after: usize,
    elements: usize,
    scales: usize,
}

impl Grid {
    /// The grid, if all lengths fit it.
    fn checked(ints: Ints, data: &[u8], shape: &[usize], how: &Linear<'_>) -> Result<Self> {
        let grid = Self::new(shape, how.per)?;
        expect("bytes of the data", ints.bytes(grid.elements), data.len())?;
        expect("scales", grid.scales, how.scales.len())?;
        if let Some(zero_points) = how.zero_points {
            expect("bytes of zero points", ints.bytes(grid.scales), zero_points.len())?;
        }
        Ok(grid)
    }

    fn new(shape: &[usize], per: Per) -> Result<Self> {
        let product = |dims: &[usize]| {
            let product = dims.iter().try_fold(1usize, |product, dim| product.checked_mul(*dim));
            product.ok_or_else(|| Error::invalid(format!("shape {shape:?}: more elements than fit a usize")))
        };
        let elements = product(shape)?;
        let axis = match per {
            Per::Tensor => return Ok(Self { per, axis: 1, after: elements, elements, scales: 1 }),
            Per::Block { size: 0, .. } => return Err(Error::invalid("block size: expected at least 1, got 0")),
            Per::Axis(axis) | Per::Block { axis, .. } => axis,
        };
        let Some(length) = shape.get(axis).copied() else {
            return Err(Error::invalid(format!("axis: expected one of {} axes, got {axis}", shape.len())));
        };
        let scales = match per {
            Per::Block { size, .. } => {
                product(&[product(&shape[..axis])?, length.div_ceil(size), product(&shape[axis + 1..])?])?
            }
            _ => length,
        };
        Ok(Self { per, axis: length, after: product(&shape[axis + 1..])?, elements, scales })
    }

    /// From an element on: the index of its scale, for how many elements that holds, and whether the index grows
    /// with them.
    fn run(&self, element: usize) -> (usize, usize, bool) {
        let (row, i) = (element / self.after, element % self.after);
        let (before, a) = (row / self.axis, row % self.axis);
        match self.per {
            Per::Tensor => (0, self.elements - element, false),
            Per::Axis(_) if self.after == 1 => (a, self.axis - a, true),
            Per::Axis(_) => (a, self.after - i, false),
            Per::Block { size, .. } => {
                let block = before * self.axis.div_ceil(size) + a / size;
                if self.after == 1 {
                    (block, (size - a % size).min(self.axis - a), false)
                } else {
                    (block * self.after + i, self.after - i, true)
                }
            }
        }
    }
}

/// Elements from `first` on.
fn range(ints: Ints, data: &[u8], grid: &Grid, how: &Linear<'_>, first: usize, out: &mut [f32]) {
    let zero_point = |i: usize| how.zero_points.map_or(0, |z| ints.at(z, i));
    let mut done = 0;
    while done < out.len() {
        let element = first + done;
        let (index, len, grows) = grid.run(element);
        let len = len.min(out.len() - done);
        let out = &mut out[done..done + len];
        if grows {
            for (i, y) in out.iter_mut().enumerate() {
                *y = (ints.at(data, element + i) - zero_point(index + i)) as f32 * how.scales[index + i];
            }
        } else {
            uniform(ints, data, element, zero_point(index), how.scales[index], out);
        }
        done += len;
    }
}

/// Elements that share a scale.
pub(super) fn uniform(ints: Ints, data: &[u8], first: usize, zero_point: i32, scale: f32, out: &mut [f32]) {
    let table = active_table();
    // The kernels read signed bytes and unsigned nibbles; flipping the top bit makes either of the other, shifted.
    match ints {
        Ints::I8 => (table.affine_bytes)(&data[first..first + out.len()], 0, zero_point as f32, scale, out),
        Ints::U8 => (table.affine_bytes)(&data[first..first + out.len()], 0x80, (zero_point - 128) as f32, scale, out),
        Ints::I4 | Ints::U4 => {
            // A run may begin with the upper nibble of a byte.
            let odd = (first % 2).min(out.len());
            let (head, out) = out.split_at_mut(odd);
            head.iter_mut().for_each(|y| *y = (ints.at(data, first) - zero_point) as f32 * scale);
            let data = &data[(first + odd) / 2..][..out.len().div_ceil(2)];
            let (flip, shift) = if ints == Ints::I4 { (8, 8) } else { (0, 0) };
            (table.affine_nibbles)(data, flip, (zero_point + shift) as f32, scale, out);
        }
    }
}
