//! x86-64 with AVX2: the lanes of a panel are two vectors of eight.
#![expect(unsafe_code, reason = "vector instructions")]

use std::arch::x86_64::*;
use std::f32::consts::LOG2_E;
use std::ops::Range;

use super::cells::Cells;
use super::driver::{Kernel, Tokens, walk};
use super::machine::Machine;
use super::softmax::{BIAS, LEAST, LN2, MANTISSA_BITS, SERIES};
use super::{Lanes, PANEL};
use crate::kernel::table::{Isa, Table};

/// Lanes of a vector.
const LANES: usize = 8;
/// Vectors of a panel.
const VECTORS: usize = PANEL / LANES;

/// The kernel, if the table is that of the CPU's AVX2.
pub(super) fn kernel(table: &Table) -> Option<Kernel> {
    let kernel = |cells: &Cells, panels: Range<usize>, tokens: &Tokens<'_>, out: &mut [f32]| {
        // SAFETY: this is given only to who has the table, which exists only where the CPU has the features.
        unsafe { walk_256(Avx2(()), cells, panels, tokens, out) }
    };
    (table.isa == Isa::Avx2).then_some(kernel)
}

#[target_feature(enable = "avx2,fma")]
fn walk_256(machine: Avx2, cells: &Cells, panels: Range<usize>, tokens: &Tokens<'_>, out: &mut [f32]) {
    walk(machine, cells, panels, tokens, out);
}

/// Proof of the features.
#[derive(Clone, Copy)]
struct Avx2(());

impl Machine for Avx2 {
    const ROWS: usize = 6;

    #[inline(always)]
    fn multiply(self, panel: &[Lanes], rows: &[f32], stride: usize, tile: &mut [Lanes]) {
        // SAFETY: the value proves the features.
        unsafe {
            match tile.len() {
                6 => multiply::<6>(panel, rows, stride, tile),
                5 => multiply::<5>(panel, rows, stride, tile),
                4 => multiply::<4>(panel, rows, stride, tile),
                3 => multiply::<3>(panel, rows, stride, tile),
                2 => multiply::<2>(panel, rows, stride, tile),
                1 => multiply::<1>(panel, rows, stride, tile),
                rows => unreachable!("{rows} rows at once"),
            }
        }
    }

    #[inline(always)]
    fn exp(self, numbers: &mut Lanes) {
        // SAFETY: the value proves the features.
        numbers.as_chunks_mut::<LANES>().0.iter_mut().for_each(|numbers| unsafe { exp(numbers) });
    }
}

#[target_feature(enable = "avx2,fma")]
fn multiply<const ROWS: usize>(panel: &[Lanes], rows: &[f32], stride: usize, tile: &mut [Lanes]) {
    // As long as the panel, so that no index below is looked at.
    let rows: [&[f32]; ROWS] = std::array::from_fn(|row| &rows[row * stride..][..panel.len()]);
    let mut sums = [[_mm256_setzero_ps(); VECTORS]; ROWS];
    for (at, lanes) in panel.iter().enumerate() {
        let [first, second] = lanes.as_chunks::<LANES>().0 else { unreachable!("two vectors in a panel") };
        // SAFETY: both are eight numbers.
        let lanes = unsafe { [_mm256_loadu_ps(first.as_ptr()), _mm256_loadu_ps(second.as_ptr())] };
        for row in 0..ROWS {
            let number = _mm256_set1_ps(rows[row][at]);
            for vector in 0..VECTORS {
                sums[row][vector] = _mm256_fmadd_ps(number, lanes[vector], sums[row][vector]);
            }
        }
    }
    for (sums, to) in sums.into_iter().zip(tile) {
        for (sums, to) in sums.into_iter().zip(to.as_chunks_mut::<LANES>().0) {
            // SAFETY: there is room for eight numbers.
            unsafe { _mm256_storeu_ps(to.as_mut_ptr(), sums) }
        }
    }
}

/// As the reference says it.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn exp(numbers: &mut [f32; LANES]) {
    // SAFETY: eight numbers are there.
    let x = unsafe { _mm256_loadu_ps(numbers.as_ptr()) };
    let n =
        _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(_mm256_mul_ps(x, _mm256_set1_ps(LOG2_E)));
    let r = _mm256_fmadd_ps(n, _mm256_set1_ps(-LN2[0]), x);
    let r = _mm256_fmadd_ps(n, _mm256_set1_ps(-LN2[1]), r);
    let [first, rest @ ..] = SERIES;
    let mut power = _mm256_set1_ps(first);
    for coefficient in rest {
        power = _mm256_fmadd_ps(power, r, _mm256_set1_ps(coefficient));
    }
    let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(BIAS));
    let scale = _mm256_castsi256_ps(_mm256_slli_epi32::<{ MANTISSA_BITS as i32 }>(exponent));
    let is_less = _mm256_cmp_ps::<_CMP_LT_OQ>(x, _mm256_set1_ps(LEAST));
    let power = _mm256_andnot_ps(is_less, _mm256_mul_ps(power, scale));
    // SAFETY: there is room for eight numbers.
    unsafe { _mm256_storeu_ps(numbers.as_mut_ptr(), power) }
}
