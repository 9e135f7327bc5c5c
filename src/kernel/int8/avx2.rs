//! x86-64 with AVX2: the sixteen columns of a panel are two vectors of eight lanes.
#![expect(unsafe_code, reason = "vector instructions")]

use std::arch::x86_64::*;

use super::{Codes, Kernel, Numbers, PAIR, PANEL, Tile, Two};
use crate::kernel::table::{Isa, Table};

/// As many as leave registers for the weights and an activation.
const ROWS: usize = 6;

/// The kernel, if the table is that of the CPU's AVX2.
pub(super) fn kernel(table: &Table) -> Option<Kernel> {
    let tile = |panel: &[Codes], rows: &[&[Two]], tile: &mut Tile| {
        // SAFETY: this is given only to who has the table, which exists only where the CPU has the feature.
        unsafe { by_rows(panel, rows, tile) }
    };
    let numbers = |panel: &[Numbers], rows: &[&[f32]], tile: &mut [Numbers]| {
        // SAFETY: as above.
        unsafe { numbers_by_rows(panel, rows, tile) }
    };
    let widen = |panel: &[Codes], zeros: &[i16; PANEL], to: &mut [[Numbers; PAIR]]| {
        // SAFETY: as above.
        unsafe { widen(panel, zeros, to) }
    };
    (table.isa == Isa::Avx2).then_some(Kernel { rows: ROWS, tile, numbers, widen })
}

/// Calls a kernel for as many rows as there are.
macro_rules! for_rows {
    ($kernel:ident, $panel:expr, $rows:expr, $tile:expr) => {
        match $rows.len() {
            6 => $kernel::<6>($panel, $rows, $tile),
            5 => $kernel::<5>($panel, $rows, $tile),
            4 => $kernel::<4>($panel, $rows, $tile),
            3 => $kernel::<3>($panel, $rows, $tile),
            2 => $kernel::<2>($panel, $rows, $tile),
            1 => $kernel::<1>($panel, $rows, $tile),
            rows => unreachable!("{rows} rows at once"),
        }
    };
}

#[target_feature(enable = "avx2")]
fn by_rows(panel: &[Codes], rows: &[&[Two]], tile: &mut Tile) {
    for_rows!(products, panel, rows, tile)
}

#[target_feature(enable = "avx2,fma")]
fn numbers_by_rows(panel: &[Numbers], rows: &[&[f32]], tile: &mut [Numbers]) {
    for_rows!(products_of_numbers, panel, rows, tile)
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

#[inline]
#[target_feature(enable = "avx2,fma")]
fn products_of_numbers<const ROWS: usize>(panel: &[Numbers], rows: &[&[f32]], tile: &mut [Numbers]) {
    // As long as the panel, so that no index below is looked at.
    let rows: [&[f32]; ROWS] = std::array::from_fn(|row| &rows[row][..panel.len()]);
    let mut sums = [[_mm256_setzero_ps(); 2]; ROWS];
    for (at, weights) in panel.iter().enumerate() {
        // SAFETY: a panel has sixteen numbers in each row.
        let (left, right) =
            unsafe { (_mm256_loadu_ps(weights.as_ptr()), _mm256_loadu_ps(weights.as_ptr().add(PANEL / 2))) };
        for row in 0..ROWS {
            let a = _mm256_set1_ps(rows[row][at]);
            let [first, second] = &mut sums[row];
            *first = _mm256_fmadd_ps(a, left, *first);
            *second = _mm256_fmadd_ps(a, right, *second);
        }
    }
    for row in 0..ROWS {
        let (left, right) = tile[row].split_at_mut(PANEL / 2);
        // SAFETY: each half of a row of the tile has eight sums.
        unsafe {
            _mm256_storeu_ps(left.as_mut_ptr(), sums[row][0]);
            _mm256_storeu_ps(right.as_mut_ptr(), sums[row][1]);
        }
    }
}

#[target_feature(enable = "avx2")]
fn widen(panel: &[Codes], zeros: &[i16; PANEL], to: &mut [[Numbers; PAIR]]) {
    for half in 0..2 {
        let columns = half * PANEL / 2;
        // SAFETY: eight of the sixteen zero points are there.
        let zeros = _mm256_cvtepi16_epi32(unsafe { _mm_loadu_si128(zeros.as_ptr().add(columns).cast()) });
        for (codes, [first, second]) in panel.iter().zip(&mut *to) {
            // SAFETY: a panel has two bytes for each column, and room for eight numbers in each of two rows.
            unsafe {
                // A lane has both weights of a column.
                let codes = _mm256_cvtepi8_epi16(_mm_loadu_si128(codes.as_ptr().add(PAIR * columns).cast()));
                let low = _mm256_srai_epi32::<16>(_mm256_slli_epi32::<16>(codes));
                let high = _mm256_srai_epi32::<16>(codes);
                let number = |code| _mm256_cvtepi32_ps(_mm256_sub_epi32(code, zeros));
                _mm256_storeu_ps(first.as_mut_ptr().add(columns), number(low));
                _mm256_storeu_ps(second.as_mut_ptr().add(columns), number(high));
            }
        }
    }
}

/// Two activations in each lane.
#[inline]
#[target_feature(enable = "avx2")]
fn both([low, high]: Two) -> __m256i {
    _mm256_set1_epi32(i32::from(high) << 16 | i32::from(low.cast_unsigned()))
}
