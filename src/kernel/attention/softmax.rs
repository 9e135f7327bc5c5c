//! Softmax of a row of scores.

use super::machine::Machine;
use super::{Lanes, PANEL};

/// Replaces scores by `softmax(scale · score + mask)`, or by zeros where the mask hides all of them.
#[inline(always)]
pub(super) fn softmax<M: Machine>(machine: M, scores: &mut [f32], mask: &[f32], scale: f32) {
    let scores = scores.as_chunks_mut::<PANEL>().0;
    let mut largest = [f32::NEG_INFINITY; PANEL];
    for (scores, mask) in scores.iter_mut().zip(mask.as_chunks::<PANEL>().0) {
        for lane in 0..PANEL {
            scores[lane] = scores[lane] * scale + mask[lane];
            // Not `max`, which looks at what is no number first.
            largest[lane] = if scores[lane] > largest[lane] { scores[lane] } else { largest[lane] };
        }
    }
    let largest = fold(largest, |a, b| if a > b { a } else { b });
    if largest == f32::NEG_INFINITY {
        // What is no number is not hidden.
        let hide = |score: &mut f32| *score = if score.is_nan() { *score } else { 0.0 };
        return scores.as_flattened_mut().iter_mut().for_each(hide);
    }
    let mut sums = [0.0; PANEL];
    for scores in &mut *scores {
        scores.iter_mut().for_each(|score| *score -= largest);
        machine.exp(scores);
        sums.iter_mut().zip(&*scores).for_each(|(sum, number)| *sum += number);
    }
    let factor = 1.0 / fold(sums, |a, b| a + b);
    scores.as_flattened_mut().iter_mut().for_each(|score| *score *= factor);
}

/// All lanes in one, by halves.
#[inline(always)]
fn fold(mut lanes: Lanes, with: impl Fn(f32, f32) -> f32) -> f32 {
    for half in [8, 4, 2, 1] {
        for lane in 0..half {
            lanes[lane] = with(lanes[lane], lanes[lane + half]);
        }
    }
    lanes[0]
}

/// Numbers below this have no power of `e` that is more than 0 here: it would be below the smallest normal number, or next to it.
pub(super) const LEAST: f32 = -87.0;
/// ln 2 in two parts (Cody and Waite): the first has few enough bits that its multiples are exact.
pub(super) const LN2: [f32; 2] = [355.0 / 512.0, -2.121_944_4e-4];
/// `1/7!` to `1/0!`, the series of `e^x`. Up to ln 2 / 2 what is left out of it is below `5e-9` of the whole, a tenth of what `f32`
/// rounds by.
pub(super) const SERIES: [f32; 8] =
    [1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 1.0 / 2.0, 1.0, 1.0];
/// What makes a whole number the exponent of an `f32`, and how far that lies from its first bit.
pub(super) const BIAS: i32 = 127;
pub(super) const MANTISSA_BITS: u32 = f32::MANTISSA_DIGITS - 1;
