//! x86-64 with AVX-512: the lanes of a panel are one vector.
#![expect(unsafe_code, reason = "vector instructions")]

use std::arch::x86_64::*;
use std::f32::consts::LOG2_E;
use std::ops::Range;

use super::Lanes;
use super::cells::Cells;
use super::driver::{Kernel, Tokens, walk};
use super::machine::Machine;
use super::softmax::{BIAS, LEAST, LN2, MANTISSA_BITS, SERIES};
use crate::kernel::table::{Isa, Table};

/// The kernel, if the table is that of the CPU's AVX-512.
pub(super) fn kernel(table: &Table) -> Option<Kernel> {
    let kernel = |cells: &Cells, panels: Range<usize>, tokens: &Tokens<'_>, out: &mut [f32]| {
        // SAFETY: this is given only to who has the table, which exists only where the CPU has the features.
        unsafe { walk_512(Avx512(()), cells, panels, tokens, out) }
    };
    (table.isa == Isa::Avx512).then_some(kernel)
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx2,fma")]
fn walk_512(machine: Avx512, cells: &Cells, panels: Range<usize>, tokens: &Tokens<'_>, out: &mut [f32]) {
    walk(machine, cells, panels, tokens, out);
}

/// Proof of the features.
#[derive(Clone, Copy)]
struct Avx512(());

impl Machine for Avx512 {
    const ROWS: usize = 12;

    #[inline(always)]
    fn multiply(self, panel: &[Lanes], rows: &[f32], stride: usize, tile: &mut [Lanes]) {
        // By fours, and the rest at once.
        let (fours, rest) = tile.split_at_mut(tile.len() / 4 * 4);
        let of_rest = &rows[fours.len() * stride..];
        // SAFETY: the value proves the features.
        unsafe {
            match fours.len() {
                12 => multiply::<12>(panel, rows, stride, fours),
                8 => multiply::<8>(panel, rows, stride, fours),
                4 => multiply::<4>(panel, rows, stride, fours),
                _ => {}
            }
            match rest.len() {
                3 => multiply::<3>(panel, of_rest, stride, rest),
                2 => multiply::<2>(panel, of_rest, stride, rest),
                1 => multiply::<1>(panel, of_rest, stride, rest),
                _ => {}
            }
        }
    }

    #[inline(always)]
    fn exp(self, numbers: &mut Lanes) {
        // SAFETY: the value proves the features.
        unsafe { exp(numbers) }
    }
}

#[target_feature(enable = "avx512f")]
fn multiply<const ROWS: usize>(panel: &[Lanes], rows: &[f32], stride: usize, tile: &mut [Lanes]) {
    // As long as the panel, so that no index below is looked at.
    let rows: [&[f32]; ROWS] = std::array::from_fn(|row| &rows[row * stride..][..panel.len()]);
    let mut sums = [_mm512_setzero_ps(); ROWS];
    for (at, lanes) in panel.iter().enumerate() {
        // SAFETY: sixteen numbers are there.
        let lanes = unsafe { _mm512_loadu_ps(lanes.as_ptr()) };
        for row in 0..ROWS {
            sums[row] = _mm512_fmadd_ps(_mm512_set1_ps(rows[row][at]), lanes, sums[row]);
        }
    }
    for (sums, to) in sums.into_iter().zip(tile) {
        // SAFETY: there is room for sixteen numbers.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), sums) }
    }
}

/// As the reference says it.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn exp(numbers: &mut Lanes) {
    // SAFETY: sixteen numbers are there.
    let x = unsafe { _mm512_loadu_ps(numbers.as_ptr()) };
    let n = _mm512_mul_ps(x, _mm512_set1_ps(LOG2_E));
    let n = _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(n);
    let r = _mm512_fmadd_ps(n, _mm512_set1_ps(-LN2[0]), x);
    let r = _mm512_fmadd_ps(n, _mm512_set1_ps(-LN2[1]), r);
    let [first, rest @ ..] = SERIES;
    let mut power = _mm512_set1_ps(first);
    for coefficient in rest {
        power = _mm512_fmadd_ps(power, r, _mm512_set1_ps(coefficient));
    }
    let exponent = _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(BIAS));
    let scale = _mm512_castsi512_ps(_mm512_slli_epi32::<MANTISSA_BITS>(exponent));
    let is_less = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(x, _mm512_set1_ps(LEAST));
    let power = _mm512_maskz_mul_ps(!is_less, power, scale);
    // SAFETY: there is room for sixteen numbers.
    unsafe { _mm512_storeu_ps(numbers.as_mut_ptr(), power) }
}
