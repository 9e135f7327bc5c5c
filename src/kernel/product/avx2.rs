//! x86-64 with AVX2: the sixteen rows of a panel are two vectors of eight lanes.
//!
//! The instruction that multiplies bytes adds two products in sixteen bits, and saturates. Of codes of four, five and six
//! bits a sum of eight, four and two groups has room there: `2 · 8 · 15 · 127`, `2 · 4 · 31 · 127` and `2 · 2 · 63 · 127` are
//! below 2^15, and activations are never -128. Those of eight bits have no room,
//! and are multiplied as numbers of sixteen: as many products need two multiplications, as many as halves of four bits would,
//! but nothing has to be added to their sums.
#![expect(unsafe_code, reason = "vector instructions")]
#![expect(clippy::needless_range_loop, reason = "rows and lanes are places in several arrays at once")]

use std::arch::x86_64::*;

use self::groups::{add_products_of_four, add_wide_products_of_four};
use super::activations::Activations;
use super::driver::{At, Kernels, Machine, add_panel, words};
use super::layout::{GROUP, GROUP_BYTES, GROUPS, Layout, PANEL, PIECE};
use super::unpack::{Spread, Stretch, Wide};
use crate::kernel::block::{LARGE, SMALL};
use crate::kernel::table::{Isa, Table};

mod groups;

/// Lanes of a vector.
const LANES: usize = 8;
/// Vectors of a panel.
const VECTORS: usize = PANEL / LANES;

/// The kernels, if the table is that of the CPU's AVX2.
pub(super) fn kernels(table: &Table) -> Option<Kernels> {
    let add_panel = |stretch: &mut Stretch, layout: &Layout, records: &[u8], a: &Activations, row, tile: &mut [_]| {
        // SAFETY: these are given only to who has the table, which exists only where the CPU has the features.
        unsafe { add_panel_256(Avx2(()), stretch, layout, records, a, row, tile) }
    };
    let put_group = |to: &mut Activations, layout: &Layout, group, values: &[f32], words: &mut [u32]| {
        // SAFETY: as above.
        unsafe { put_group_256(Avx2(()), to, layout, group, values, words) }
    };
    (table.isa == Isa::Avx2).then_some(Kernels { add_panel, put_group, words: words::<Avx2> })
}

#[target_feature(enable = "avx2,f16c,fma")]
fn add_panel_256(
    machine: Avx2,
    stretch: &mut Stretch,
    layout: &Layout,
    records: &[u8],
    activations: &Activations,
    row: usize,
    tile: &mut [[f32; PANEL]],
) {
    add_panel(machine, stretch, layout, records, activations, row, tile);
}

#[target_feature(enable = "avx2,f16c,fma")]
fn put_group_256(spread: Avx2, to: &mut Activations, layout: &Layout, group: usize, values: &[f32], words: &mut [u32]) {
    to.put_group(spread, layout, group, values, words);
}

/// Proof of the features.
#[derive(Clone, Copy)]
pub(super) struct Avx2(pub(super) ());

/// Calls a kernel for as many rows as the tile has.
macro_rules! by_rows {
    ($tile:expr, $kernel:ident::<_ $(, $more:tt)*>($($argument:expr),*)) => {
        // SAFETY: the value proves the features; `At` has these rows, and so has the tile.
        unsafe {
            match $tile.len() {
                4 => $kernel::<4 $(, $more)*>($($argument),*),
                3 => $kernel::<3 $(, $more)*>($($argument),*),
                2 => $kernel::<2 $(, $more)*>($($argument),*),
                1 => $kernel::<1 $(, $more)*>($($argument),*),
                rows => unreachable!("{rows} rows in a tile"),
            }
        }
    };
}

impl Spread for Avx2 {
    const WIDE: bool = true;

    #[inline(always)]
    fn halves(self, from: &[u8; 2 * PANEL], to: &mut [f32; PANEL]) {
        for (from, to) in from.as_chunks::<16>().0.iter().zip(to.as_chunks_mut::<LANES>().0) {
            // SAFETY: the value proves the features; both are eight numbers.
            unsafe { _mm256_storeu_ps(to.as_mut_ptr(), _mm256_cvtph_ps(_mm_loadu_si128(from.as_ptr().cast()))) }
        }
    }

    #[inline(always)]
    fn largest(self, values: &[f32]) -> f32 {
        // SAFETY: the value proves the features; eight numbers are left each time.
        unsafe {
            let mut most = _mm256_setzero_si256();
            for eight in values.as_chunks::<LANES>().0 {
                let magnitudes = _mm256_loadu_si256(eight.as_ptr().cast());
                let magnitudes = _mm256_and_si256(magnitudes, _mm256_set1_epi32(0x7fff_ffff));
                // As whole numbers, since those of NaNs are the largest.
                most = _mm256_max_epu32(most, magnitudes);
            }
            let four = _mm_max_epu32(_mm256_castsi256_si128(most), _mm256_extracti128_si256::<1>(most));
            let two = _mm_max_epu32(four, _mm_shuffle_epi32::<0b01_00_11_10>(four));
            let one = _mm_max_epu32(two, _mm_shuffle_epi32::<0b10_11_00_01>(two));
            f32::from_bits(_mm_cvtsi128_si32(one) as u32)
        }
    }

    #[inline(always)]
    fn quantize(self, values: &[f32; 16], factor: f32, codes: &mut [i8; 16]) -> i32 {
        // SAFETY: the value proves the features; sixteen numbers and codes are there.
        unsafe {
            let whole = |at: usize| {
                let x = _mm256_mul_ps(_mm256_loadu_ps(values.as_ptr().add(at)), _mm256_set1_ps(factor));
                // Of a NaN and a number these give the second, the number.
                let x = _mm256_min_ps(_mm256_max_ps(x, _mm256_set1_ps(-127.0)), _mm256_set1_ps(127.0));
                _mm256_cvtps_epi32(x)
            };
            let (low, high) = (whole(0), whole(LANES));
            let pairs = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(low, high));
            let (first, second) = (_mm256_castsi256_si128(pairs), _mm256_extracti128_si256::<1>(pairs));
            _mm_storeu_si128(codes.as_mut_ptr().cast(), _mm_packs_epi16(first, second));
            let four = _mm_madd_epi16(_mm_add_epi16(first, second), _mm_set1_epi16(1));
            let two = _mm_add_epi32(four, _mm_shuffle_epi32::<0b01_00_11_10>(four));
            _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32::<0b10_11_00_01>(two)))
        }
    }

    #[inline(always)]
    fn round_to_half(self, x: f32) -> f32 {
        // SAFETY: the value proves the features.
        unsafe { _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(_mm_set_ss(x)))) }
    }

    #[inline(always)]
    fn widen(self, codes: &[u8; GROUP_BYTES], offset: i16, even: &mut Wide, odd: &mut Wide) {
        let to = even.as_chunks_mut::<16>().0.iter_mut().zip(odd.as_chunks_mut::<16>().0);
        for (codes, (even, odd)) in codes.as_chunks::<32>().0.iter().zip(to) {
            // SAFETY: the value proves the features; 32 codes are there, and room for sixteen numbers twice.
            unsafe {
                let (codes, offset) = (_mm256_loadu_si256(codes.as_ptr().cast()), _mm256_set1_epi16(offset));
                let low = _mm256_and_si256(codes, _mm256_set1_epi16(255));
                let high = _mm256_srli_epi16::<8>(codes);
                _mm256_storeu_si256(even.as_mut_ptr().cast(), _mm256_sub_epi16(low, offset));
                _mm256_storeu_si256(odd.as_mut_ptr().cast(), _mm256_sub_epi16(high, offset));
            }
        }
    }

    #[inline(always)]
    fn levels(self, levels: &[u8; 16], codes: &mut [u8; PIECE]) {
        for codes in codes.as_chunks_mut::<32>().0 {
            // SAFETY: the value proves the features; sixteen levels and 32 codes are there.
            unsafe {
                let levels = _mm256_broadcastsi128_si256(_mm_loadu_si128(levels.as_ptr().cast()));
                let of = _mm256_shuffle_epi8(levels, _mm256_loadu_si256(codes.as_ptr().cast()));
                _mm256_storeu_si256(codes.as_mut_ptr().cast(), of);
            }
        }
    }
}

impl Machine for Avx2 {
    const ROWS: usize = GROUP;

    #[inline(always)]
    fn small<const MIN: bool>(self, layout: &Layout, weights: &Stretch, at: At<'_>, tile: &mut [[f32; PANEL]]) {
        match layout.width() {
            4 => by_rows!(tile, small::<_, 8, MIN>(weights, at, tile)),
            5 => by_rows!(tile, small::<_, 4, MIN>(weights, at, tile)),
            _ => by_rows!(tile, wide::<_>(weights, at, tile)),
        }
    }

    #[inline(always)]
    fn large<const SUBS: usize>(self, layout: &Layout, weights: &Stretch, at: At<'_>, tile: &mut [[f32; PANEL]]) {
        match layout.width() {
            4 => by_rows!(tile, large::<_, 8, 8, SUBS>(weights, at, tile)),
            5 => by_rows!(tile, large::<_, 8, 4, SUBS>(weights, at, tile)),
            _ => by_rows!(tile, large::<_, 4, 2, SUBS>(weights, at, tile)),
        }
    }

    #[inline(always)]
    fn float(self, weights: &Stretch, at: At<'_>, tile: &mut [[f32; PANEL]]) {
        by_rows!(tile, float::<_>(weights, at, tile));
    }
}

type Whole<const R: usize> = [[__m256i; VECTORS]; R];

/// A function of its own, since the compiler keeps its sums in registers only in a small one, as are the next two.
///
/// Sums of products in `DEPTH` groups have room in sixteen bits.
///
/// # Safety
///
/// The CPU has the features, and `tile` has `R` rows.
#[inline(never)]
#[target_feature(enable = "avx2,f16c,fma")]
unsafe fn small<const R: usize, const DEPTH: usize, const MIN: bool>(
    weights: &Stretch,
    at: At<'_>,
    tile: &mut [[f32; PANEL]],
) {
    let (a, first, all) = (at.activations, at.block(0, 0, SMALL), at.codes(0, 0, SMALL).as_ptr());
    let next_group = at.next_group();
    // SAFETY: the caller's; blocks of a stretch are read, and of the activations those that `At` names.
    unsafe {
        for block in 0..at.count {
            let of = first + block;
            let codes = all.add(block * GROUPS);
            prefetch::<2>(codes.wrapping_add(next_group));
            let mut products = [[_mm256_setzero_si256(); VECTORS]; R];
            if !MIN {
                let starts = a.starts.get_unchecked(of);
                products = std::array::from_fn(|r| [_mm256_set1_epi32(starts[r]); VECTORS]);
            }
            let w = weights.codes.as_ptr().add(block * PIECE);
            add_products::<R, GROUPS, DEPTH>(&mut products, w, codes, [_mm256_set1_epi16(1); VECTORS]);
            let minima = if MIN { Some((&weights.minima[block], a.sums.get_unchecked(of))) } else { None };
            scale(&weights.scales[block], a.scales.get_unchecked(of), products, minima, tile);
        }
    }
}

/// Codes of eight bits.
///
/// # Safety
///
/// As of [`small`].
#[inline(never)]
#[target_feature(enable = "avx2,f16c,fma")]
unsafe fn wide<const R: usize>(weights: &Stretch, at: At<'_>, tile: &mut [[f32; PANEL]]) {
    let (a, first, all) = (at.activations, at.block(0, 0, SMALL), at.codes(0, 0, SMALL).as_ptr());
    let next_group = at.next_group();
    // SAFETY: the caller's; blocks of a stretch are read, and of the activations those that `At` names.
    unsafe {
        for block in 0..at.count {
            let of = first + block;
            let codes = all.add(block * 2 * GROUPS);
            prefetch::<4>(codes.wrapping_add(next_group));
            let w = weights.wide.as_ptr().add(block * 2 * GROUPS).cast::<u8>();
            let mut products = [[_mm256_setzero_si256(); VECTORS]; R];
            if let Some(four) = products.as_chunks_mut().0.first_mut() {
                for k in (0..2 * GROUPS).step_by(2) {
                    add_wide_products_of_four(four, w.add(k * GROUP_BYTES), codes.add(k).cast());
                }
            } else {
                for k in 0..2 * GROUPS {
                    let w = vectors(w.add(k * GROUP_BYTES));
                    let codes = codes.add(k).cast::<i32>();
                    for (r, products) in products.iter_mut().enumerate() {
                        let a = _mm256_set1_epi32(codes.add(r).read());
                        for v in 0..VECTORS {
                            products[v] = _mm256_add_epi32(products[v], _mm256_madd_epi16(w[v], a));
                        }
                    }
                }
            }
            scale(&weights.scales[block], a.scales.get_unchecked(of), products, None, tile);
        }
    }
}

/// `N` groups have one sub.
///
/// # Safety
///
/// As of [`small`].
#[inline(never)]
#[target_feature(enable = "avx2,f16c,fma")]
unsafe fn large<const R: usize, const N: usize, const DEPTH: usize, const SUBS: usize>(
    weights: &Stretch,
    at: At<'_>,
    tile: &mut [[f32; PANEL]],
) {
    let a = at.activations;
    // SAFETY: the caller's; the whole stretch is read, and of the activations the block that `At` names.
    unsafe {
        let of = at.block(0, 0, LARGE);
        let mut minima = [[_mm256_setzero_si256(); VECTORS]; R];
        for pair in 0..SUBS / 2 {
            let w = vectors(weights.pairs[pair].as_ptr().cast());
            let pairs = a.pairs.as_ptr().add(of * SUBS / 2 + pair).cast::<i32>();
            for (r, minima) in minima.iter_mut().enumerate() {
                let a = _mm256_set1_epi32(pairs.add(r).read());
                for v in 0..VECTORS {
                    minima[v] = _mm256_add_epi32(minima[v], _mm256_madd_epi16(w[v], a));
                }
            }
        }
        let mut products = [[_mm256_setzero_si256(); VECTORS]; R];
        if SUBS == 8 {
            // What has minima keeps their sum apart, since another scale is theirs.
            let scales = a.scales.get_unchecked(of).map(|scale| -scale);
            scale(&weights.minima[0], &scales, minima, None, tile);
        } else {
            products = minima;
        }
        let (codes, next_group) = (at.codes(0, 0, LARGE).as_ptr(), at.next_group());
        for sub in 0..SUBS {
            let w = weights.codes.as_ptr().add(sub * N * GROUP_BYTES);
            if N == 8 {
                prefetch::<2>(codes.wrapping_add(sub * N + next_group));
            } else {
                prefetch::<1>(codes.wrapping_add(sub * N + next_group));
            }
            let subs = vectors(weights.subs[sub].as_ptr().cast());
            add_products::<R, N, DEPTH>(&mut products, w, codes.add(sub * N), subs);
        }
        scale(&weights.scales[0], a.scales.get_unchecked(of), products, None, tile);
    }
}

/// # Safety
///
/// As of [`small`].
#[inline(never)]
#[target_feature(enable = "avx2,f16c,fma")]
unsafe fn float<const R: usize>(weights: &Stretch, at: At<'_>, tile: &mut [[f32; PANEL]]) {
    // SAFETY: the caller's; columns of a stretch are read, and of the activations those that `At` names.
    unsafe {
        let mut sums = [[_mm256_setzero_ps(); VECTORS]; R];
        for r in 0..R {
            sums[r] = std::array::from_fn(|v| _mm256_loadu_ps(tile.get_unchecked(r).as_ptr().add(v * LANES)));
        }
        let floats = at.activations.floats.as_ptr().add(at.block(0, 0, 1));
        for k in 0..at.count {
            let w = weights.floats.get_unchecked(k).as_ptr();
            let w: [__m256; VECTORS] = std::array::from_fn(|v| _mm256_load_ps(w.add(v * LANES)));
            for r in 0..R {
                let x = _mm256_set1_ps((*floats.add(k))[r]);
                for v in 0..VECTORS {
                    sums[r][v] = _mm256_fmadd_ps(x, w[v], sums[r][v]);
                }
            }
        }
        for r in 0..R {
            for v in 0..VECTORS {
                _mm256_storeu_ps(tile.get_unchecked_mut(r).as_mut_ptr().add(v * LANES), sums[r][v]);
            }
        }
    }
}

/// Asks for lines of codes of the next four rows: they lie a whole row further, where no prefetcher of a CPU looks.
///
/// # Safety
///
/// The CPU has the features; any address will do.
#[inline(always)]
unsafe fn prefetch<const LINES: usize>(codes: *const [u32; GROUP]) {
    for line in 0..LINES {
        // SAFETY: a hint.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(codes.cast::<i8>().wrapping_add(64 * line)) };
    }
}

/// Adds the products of `N` groups of codes, `DEPTH` of them at a time times a factor.
///
/// # Safety
///
/// The CPU has the features; `N` groups of weights and of activations can be read.
#[inline(always)]
unsafe fn add_products<const R: usize, const N: usize, const DEPTH: usize>(
    to: &mut Whole<R>,
    weights: *const u8,
    codes: *const [u32; GROUP],
    factor: [__m256i; VECTORS],
) {
    // SAFETY: the caller's.
    unsafe {
        for first in (0..N).step_by(DEPTH) {
            let mut narrow = [[_mm256_setzero_si256(); VECTORS]; R];
            if let Some(four) = narrow.as_chunks_mut().0.first_mut() {
                for k in (first..first + DEPTH).step_by(2) {
                    add_products_of_four(four, weights.add(k * GROUP_BYTES), codes.add(k).cast());
                }
            } else {
                for k in first..first + DEPTH {
                    let w = vectors(weights.add(k * GROUP_BYTES));
                    let codes = codes.add(k).cast::<i32>();
                    for (r, narrow) in narrow.iter_mut().enumerate() {
                        let a = _mm256_set1_epi32(codes.add(r).read());
                        for v in 0..VECTORS {
                            narrow[v] = _mm256_add_epi16(narrow[v], _mm256_maddubs_epi16(w[v], a));
                        }
                    }
                }
            }
            for (to, narrow) in to.iter_mut().zip(narrow) {
                for v in 0..VECTORS {
                    to[v] = _mm256_add_epi32(to[v], _mm256_madd_epi16(narrow[v], factor[v]));
                }
            }
        }
    }
}

/// # Safety
///
/// The CPU has the features; 64 aligned bytes can be read.
#[inline(always)]
unsafe fn vectors(from: *const u8) -> [__m256i; VECTORS] {
    // SAFETY: the caller's.
    unsafe { std::array::from_fn(|v| _mm256_load_si256(from.cast::<__m256i>().add(v))) }
}

/// Adds whole numbers times the scales of weights and of rows, then minima times what they are multiplied by.
///
/// # Safety
///
/// The CPU has the features, the numbers of weights are aligned, and `tile` has `R` rows.
#[inline(always)]
unsafe fn scale<const R: usize>(
    weights: &[f32; PANEL],
    rows: &[f32; GROUP],
    products: Whole<R>,
    minima: Option<(&[f32; PANEL], &[f32; GROUP])>,
    tile: &mut [[f32; PANEL]],
) {
    // SAFETY: the caller's.
    unsafe {
        for (r, products) in products.into_iter().enumerate() {
            let row = tile.get_unchecked_mut(r).as_mut_ptr();
            for (v, product) in products.into_iter().enumerate() {
                let scale = _mm256_mul_ps(_mm256_load_ps(weights.as_ptr().add(v * LANES)), _mm256_set1_ps(rows[r]));
                let to = row.add(v * LANES);
                let mut sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(product), scale, _mm256_loadu_ps(to));
                if let Some((minima, sums)) = minima {
                    let minima = _mm256_load_ps(minima.as_ptr().add(v * LANES));
                    sum = _mm256_fmadd_ps(minima, _mm256_set1_ps(sums[r]), sum);
                }
                _mm256_storeu_ps(to, sum);
            }
        }
    }
}
