//! x86-64 with AVX-512 and VNNI: the sixteen columns of a panel are the lanes of one vector, and an instruction multiplies and
//! adds two pairs in each.
#![expect(unsafe_code, reason = "vector instructions")]

use std::arch::x86_64::*;

use super::{Codes, Kernel, MAX_ROWS, Numbers, PAIR, PANEL, Tile, Two};
use crate::kernel::table::{Isa, Table};

/// The kernel, if the table is that of the CPU's AVX-512.
pub(super) fn kernel(table: &Table) -> Option<Kernel> {
    let tile = |panel: &[Codes], rows: &[&[Two]], tile: &mut Tile| {
        // SAFETY: this is given only to who has the table, which exists only where the CPU has the features.
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
    (table.isa == Isa::Avx512).then_some(Kernel { rows: MAX_ROWS, tile, numbers, widen })
}

/// Calls a kernel for as many rows as there are.
macro_rules! for_rows {
    ($kernel:ident, $panel:expr, $rows:expr, $tile:expr) => {
        match $rows.len() {
            8 => $kernel::<8>($panel, $rows, $tile),
            7 => $kernel::<7>($panel, $rows, $tile),
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

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn by_rows(panel: &[Codes], rows: &[&[Two]], tile: &mut Tile) {
    for_rows!(products, panel, rows, tile)
}

#[target_feature(enable = "avx512f")]
fn numbers_by_rows(panel: &[Numbers], rows: &[&[f32]], tile: &mut [Numbers]) {
    for_rows!(products_of_numbers, panel, rows, tile)
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn products<const ROWS: usize>(panel: &[Codes], rows: &[&[Two]], tile: &mut Tile) {
    // As long as the panel, so that no index below is looked at.
    let rows: [&[Two]; ROWS] = std::array::from_fn(|row| &rows[row][..panel.len()]);
    let mut sums = [_mm512_setzero_si512(); ROWS];
    for (at, codes) in panel.iter().enumerate() {
        // SAFETY: a panel has 32 bytes for each pair.
        let codes = _mm512_cvtepi8_epi16(unsafe { _mm256_loadu_si256(codes.as_ptr().cast()) });
        for row in 0..ROWS {
            let [low, high] = rows[row][at];
            let two = _mm512_set1_epi32(i32::from(high) << 16 | i32::from(low.cast_unsigned()));
            sums[row] = _mm512_dpwssd_epi32(sums[row], codes, two);
        }
    }
    for row in 0..ROWS {
        // SAFETY: a row of the tile has sixteen sums.
        unsafe { _mm512_storeu_si512(tile[row].as_mut_ptr().cast(), sums[row]) }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn products_of_numbers<const ROWS: usize>(panel: &[Numbers], rows: &[&[f32]], tile: &mut [Numbers]) {
    // As long as the panel, so that no index below is looked at.
    let rows: [&[f32]; ROWS] = std::array::from_fn(|row| &rows[row][..panel.len()]);
    let mut sums = [_mm512_setzero_ps(); ROWS];
    for (at, weights) in panel.iter().enumerate() {
        // SAFETY: a panel has sixteen numbers in each row.
        let weights = unsafe { _mm512_loadu_ps(weights.as_ptr()) };
        for row in 0..ROWS {
            sums[row] = _mm512_fmadd_ps(_mm512_set1_ps(rows[row][at]), weights, sums[row]);
        }
    }
    for row in 0..ROWS {
        // SAFETY: a row of the tile has sixteen sums.
        unsafe { _mm512_storeu_ps(tile[row].as_mut_ptr(), sums[row]) }
    }
}

#[target_feature(enable = "avx512f,avx512bw")]
fn widen(panel: &[Codes], zeros: &[i16; PANEL], to: &mut [[Numbers; PAIR]]) {
    // SAFETY: sixteen zero points are there.
    let zeros = _mm512_cvtepi16_epi32(unsafe { _mm256_loadu_si256(zeros.as_ptr().cast()) });
    for (codes, [first, second]) in panel.iter().zip(to) {
        // SAFETY: a panel has two bytes for each of sixteen columns, and room for sixteen numbers in each of two rows.
        unsafe {
            // A lane has both weights of a column.
            let codes = _mm512_cvtepi8_epi16(_mm256_loadu_si256(codes.as_ptr().cast()));
            let low = _mm512_srai_epi32::<16>(_mm512_slli_epi32::<16>(codes));
            let high = _mm512_srai_epi32::<16>(codes);
            _mm512_storeu_ps(first.as_mut_ptr(), _mm512_cvtepi32_ps(_mm512_sub_epi32(low, zeros)));
            _mm512_storeu_ps(second.as_mut_ptr(), _mm512_cvtepi32_ps(_mm512_sub_epi32(high, zeros)));
        }
    }
}
