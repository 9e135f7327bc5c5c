//! x86-64 with AVX2: the sixteen columns of a panel are two vectors of eight lanes.
#![expect(unsafe_code, reason = "vector instructions")]

use std::arch::x86_64::*;

use super::{Codes, Kernel, PANEL, Tile, Two};
use crate::kernel::table::{Isa, Table};

/// As many as leave registers for the weights and an activation.
const ROWS: usize = 6;

/// The kernel, if the table is that of the CPU's AVX2.
pub(super) fn kernel(table: &Table) -> Option<Kernel> {
    let tile = |panel: &[Codes], rows: &[&[Two]], tile: &mut Tile| {
        // SAFETY: this is given only to who has the table, which exists only where the CPU has the feature.
        unsafe { by_rows(panel, rows, tile) }
    };
    (table.isa == Isa::Avx2).then_some(Kernel { rows: ROWS, tile })
}

#[target_feature(enable = "avx2")]
fn by_rows(panel: &[Codes], rows: &[&[Two]], tile: &mut Tile) {
    match rows.len() {
        6 => products::<6>(panel, rows, tile),
        5 => products::<5>(panel, rows, tile),
        4 => products::<4>(panel, rows, tile),
        3 => products::<3>(panel, rows, tile),
        2 => products::<2>(panel, rows, tile),
        1 => products::<1>(panel, rows, tile),
        rows => unreachable!("{rows} rows at once"),
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn products<const ROWS: usize>(panel: &[Codes], rows: &[&[Two]], tile: &mut Tile) {
    // As long as the panel, so that no index below is looked at.
    let rows: [&[Two]; ROWS] = std::array::from_fn(|row| &rows[row][..panel.len()]);
    let mut sums = [[_mm256_setzero_si256(); 2]; ROWS];
    for (at, codes) in panel.iter().enumerate() {
        // SAFETY: a panel has 32 bytes for each pair.
        let (left, right) =
            unsafe { (_mm_loadu_si128(codes.as_ptr().cast()), _mm_loadu_si128(codes.as_ptr().add(PANEL).cast())) };
        let (left, right) = (_mm256_cvtepi8_epi16(left), _mm256_cvtepi8_epi16(right));
        for row in 0..ROWS {
            let two = both(rows[row][at]);
            let [a, b] = &mut sums[row];
            *a = _mm256_add_epi32(*a, _mm256_madd_epi16(left, two));
            *b = _mm256_add_epi32(*b, _mm256_madd_epi16(right, two));
        }
    }
    for row in 0..ROWS {
        let (left, right) = tile[row].split_at_mut(PANEL / 2);
        // SAFETY: each half of a row of the tile has eight sums.
        unsafe {
            _mm256_storeu_si256(left.as_mut_ptr().cast(), sums[row][0]);
            _mm256_storeu_si256(right.as_mut_ptr().cast(), sums[row][1]);
        }
    }
}

/// Two activations in each lane.
#[inline]
#[target_feature(enable = "avx2")]
fn both([low, high]: Two) -> __m256i {
    _mm256_set1_epi32(i32::from(high) << 16 | i32::from(low.cast_unsigned()))
}
