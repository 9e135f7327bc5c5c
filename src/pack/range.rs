//! Range of a tensor's weights: whether blocks can hold them, and the power of two that they are divided by for it.
//!
//! Blocks have their scales in f16, and f16 its weights: below 2^-14 they lose bits, below 2^-25 all of them, and above
//! 65,504 there is nothing. A tensor of which this would cost a row more than [`limit`] is stored divided by a power of two
//! that brings its largest weights to the upper end, which loses nothing else; one whose rows differ too much even for that
//! stays in f32.

use rayon::prelude::*;

use super::encode::{ROWS, gather};
use super::keys::{Layout, MAX_EXPONENT};
use super::select::Plan;
use crate::kernel::BlockFormat;

/// The smallest number of f16 that has all bits, half of the distance between those below it, and the largest.
const MIN_NORMAL: f64 = 1.0 / 16_384.0;
const HALF_STEP: f64 = 1.0 / 33_554_432.0;
const MAX_HALF: f64 = 65_504.0;
/// Weights whose scale is common, in both block formats.
const BLOCK: usize = 32;

/// The exponent of the power of two to divide the weights of `data` by; or why they stay.
pub(super) fn exponent(plan: &Plan<'_>, data: &[u8]) -> Result<i32, String> {
    // In f16 a matrix has no direction, so that what a product sums over may lie either way.
    let other = (plan.format == BlockFormat::F16 && plan.dims.len() == 2).then_some(Layout::Columns);
    let reach = |exponent| {
        let layouts = std::iter::once(plan.layout).chain(other);
        layouts.map(|layout| Reach::of(plan, layout, data, exponent)).fold(Reach::NONE, Reach::and)
    };
    let plain = reach(0);
    if let Some(odd) = plain.odd {
        return Err(format!("expected finite weights, got {odd}"));
    }
    if plain.lost <= limit(plan.format) {
        return Ok(0);
    }
    // Of a weight with this exponent the scale, or the weight itself, is among the largest of f16.
    let top = match plan.format {
        BlockFormat::Q8_0 => 21,
        BlockFormat::Q4_0 => 17,
        _ => 14,
    };
    let exponent = (plain.largest.log2().floor() as i32 - top).clamp(-MAX_EXPONENT, MAX_EXPONENT);
    let lost = reach(exponent).lost;
    if lost <= limit(plan.format) {
        return Ok(exponent);
    }
    Err(format!(
        "{} would lose {:.2} % of a row, beyond {:.2} %: the largest weights of its rows are between {:.1e} and {:.1e}",
        plan.format,
        lost * 100.0,
        limit(plan.format) * 100.0,
        plain.least,
        plain.largest
    ))
}

/// The most that the range of f16 may cost a row: the norm of those errors over that of the weights. Blocks round by more
/// than that anyway, and f16 by half of it.
fn limit(format: BlockFormat) -> f64 {
    if format == BlockFormat::F16 { 1.0 / 1024.0 } else { 1.0 / 256.0 }
}

/// What a tensor's weights are to a format, divided by a power of two.
#[derive(Clone, Copy)]
struct Reach {
    /// What the range of f16 costs a row, at most.
    lost: f64,
    /// Magnitudes of the largest weight, and of the largest in the row where that is the least, rows of zeros aside.
    largest: f64,
    least: f64,
    /// A weight that is not finite.
    odd: Option<f32>,
}

impl Reach {
    const NONE: Self = Self { lost: 0.0, largest: 0.0, least: f64::INFINITY, odd: None };

    fn of(plan: &Plan<'_>, layout: Layout, data: &[u8], exponent: i32) -> Self {
        let (rows, columns) = layout.split(&plan.dims).unwrap_or((0, 0));
        // The survey has bounded their product.
        let (rows, columns) = (rows as usize, columns as usize);
        let padded = columns.next_multiple_of(plan.format.block_elements());
        let data = data.as_chunks::<4>().0;
        // Of another length it is refused when it is encoded.
        if columns == 0 || data.len() != rows * columns {
            return Self::NONE;
        }
        let divisor = 2f64.powi(exponent);
        let piece = |first: usize| {
            let mut weights = vec![0.0; ROWS.min(rows - first) * padded];
            gather(layout, data, first, columns, &mut weights, padded);
            weights.chunks(padded).map(|row| Self::of_row(plan.format, row, divisor)).fold(Self::NONE, Self::and)
        };
        (0..rows.div_ceil(ROWS)).into_par_iter().map(|i| piece(i * ROWS)).reduce(|| Self::NONE, Self::and)
    }

    fn and(self, other: Self) -> Self {
        Self {
            lost: self.lost.max(other.lost),
            largest: self.largest.max(other.largest),
            least: self.least.min(other.least),
            odd: self.odd.or(other.odd),
        }
    }

    fn of_row(format: BlockFormat, row: &[f32], divisor: f64) -> Self {
        let (mut largest, mut error, mut whole) = (0.0f64, 0.0, 0.0);
        for block in row.chunks(BLOCK) {
            let square: f64 = block.iter().map(|w| f64::from(*w).powi(2)).sum();
            let most = block.iter().fold(0.0, |most: f64, w| most.max(f64::from(w.abs())));
            largest = largest.max(most);
            whole += square;
            error += match format {
                BlockFormat::F16 => {
                    block.iter().map(|w| (lost(f64::from(w.abs()) / divisor) * f64::from(*w)).powi(2)).sum()
                }
                // The scales that may be chosen: `quantize_q4_0_closely`.
                BlockFormat::Q4_0 => lost(most / divisor / 9.0).max(lost(most / divisor / 6.0)).powi(2) * square,
                _ => lost(most / divisor / 127.0).powi(2) * square,
            };
        }
        Self {
            lost: if whole > 0.0 { (error / whole).sqrt() } else { 0.0 },
            largest,
            least: if largest > 0.0 { largest } else { f64::INFINITY },
            odd: row.iter().copied().find(|w| !w.is_finite()),
        }
    }
}

/// The share of a number that f16 loses at most, beyond the rounding of a normal one.
fn lost(magnitude: f64) -> f64 {
    match magnitude {
        m if m > MAX_HALF => 1.0,
        m if m < MIN_NORMAL && m > 0.0 => (HALF_STEP / m).min(1.0),
        _ => 0.0,
    }
}
