//! x86-64 with AVX-512 and VNNI: the sixteen rows of a panel are the lanes of one vector, and an instruction multiplies
//! and adds four codes in each.
#![expect(unsafe_code, reason = "vector instructions")]
#![expect(clippy::needless_range_loop, reason = "rows and lanes are places in several arrays at once")]

use std::arch::x86_64::*;

use super::activations::Activations;
use super::avx2::Avx2;
use super::driver::{At, Kernels, Machine, add_panel, words};
use super::layout::{GROUP, GROUP_BYTES, GROUPS, Layout, PANEL, PIECE};
use super::unpack::{Spread, Stretch};
use crate::kernel::block::{LARGE, SMALL};
use crate::kernel::table::{Isa, Table};

/// The kernels, if the table is that of the CPU's AVX-512.
pub(super) fn kernels(table: &Table) -> Option<Kernels> {
    let add_panel = |stretch: &mut Stretch, layout: &Layout, records: &[u8], a: &Activations, row, tile: &mut [_]| {
        // SAFETY: these are given only to who has the table, which exists only where the CPU has the features.
        unsafe { add_panel_512(Avx512(()), stretch, layout, records, a, row, tile) }
    };
    let put_group = |to: &mut Activations, layout: &Layout, group, values: &[f32], words: &mut [u32]| {
        // SAFETY: as above.
        unsafe { put_group_512(Avx512(()), to, layout, group, values, words) }
    };
    (table.isa == Isa::Avx512).then_some(Kernels { add_panel, put_group, words: words::<Avx512> })
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,f16c,fma")]
fn add_panel_512(
    machine: Avx512,
    stretch: &mut Stretch,
    layout: &Layout,
    records: &[u8],
    activations: &Activations,
    row: usize,
    tile: &mut [[f32; PANEL]],
) {
    add_panel(machine, stretch, layout, records, activations, row, tile);
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,f16c,fma")]
fn put_group_512(
    spread: Avx512,
    to: &mut Activations,
    layout: &Layout,
    group: usize,
    values: &[f32],
    words: &mut [u32],
) {
    to.put_group(spread, layout, group, values, words);
}

/// Proof of the features.
#[derive(Clone, Copy)]
struct Avx512(());

/// Calls a kernel for as many groups of rows, and rows in each, as the tile has.
macro_rules! by_rows {
    ($tile:expr, $kernel:ident::<_, _ $(, $more:tt)*>($($argument:expr),*)) => {
        // SAFETY: the value proves the features; `At` has these groups, and the tile these rows.
        unsafe {
            match $tile.len() {
                12 => $kernel::<3, 4 $(, $more)*>($($argument),*),
                8 => $kernel::<2, 4 $(, $more)*>($($argument),*),
                4 => $kernel::<1, 4 $(, $more)*>($($argument),*),
                3 => $kernel::<1, 3 $(, $more)*>($($argument),*),
                2 => $kernel::<1, 2 $(, $more)*>($($argument),*),
                1 => $kernel::<1, 1 $(, $more)*>($($argument),*),
                rows => unreachable!("{rows} rows in a tile"),
            }
        }
    };
}

impl Avx512 {
    /// These features contain those.
    fn avx2(self) -> Avx2 {
        Avx2(())
    }
}

impl Spread for Avx512 {
    #[inline(always)]
    fn halves(self, from: &[u8; 2 * PANEL], to: &mut [f32; PANEL]) {
        // SAFETY: the value proves the features; both are sixteen numbers.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), _mm512_cvtph_ps(_mm256_loadu_si256(from.as_ptr().cast()))) }
    }

    #[inline(always)]
    fn largest(self, values: &[f32]) -> f32 {
        self.avx2().largest(values)
    }

    #[inline(always)]
    fn quantize(self, values: &[f32; 16], factor: f32, codes: &mut [i8; 16]) -> i32 {
        self.avx2().quantize(values, factor, codes)
    }

    #[inline(always)]
    fn round_to_half(self, x: f32) -> f32 {
        self.avx2().round_to_half(x)
    }

    #[inline(always)]
    fn levels(self, levels: &[u8; 16], codes: &mut [u8; PIECE]) {
        for codes in codes.as_chunks_mut::<64>().0 {
            // SAFETY: the value proves the features; sixteen levels and 64 codes are there.
            unsafe {
                let levels = _mm512_broadcast_i32x4(_mm_loadu_si128(levels.as_ptr().cast()));
                let of = _mm512_shuffle_epi8(levels, _mm512_loadu_si512(codes.as_ptr().cast()));
                _mm512_storeu_si512(codes.as_mut_ptr().cast(), of);
            }
        }
    }
}

impl Machine for Avx512 {
    const ROWS: usize = 3 * GROUP;

    #[inline(always)]
    fn small<const MIN: bool>(self, _: &Layout, weights: &Stretch, at: At<'_>, tile: &mut [[f32; PANEL]]) {
        by_rows!(tile, small::<_, _, MIN>(weights, at, tile));
    }

    #[inline(always)]
    fn large<const SUBS: usize>(self, _: &Layout, weights: &Stretch, at: At<'_>, tile: &mut [[f32; PANEL]]) {
        by_rows!(tile, large::<_, _, SUBS>(weights, at, tile));
    }

    #[inline(always)]
    fn float(self, weights: &Stretch, at: At<'_>, tile: &mut [[f32; PANEL]]) {
        by_rows!(tile, float::<_, _>(weights, at, tile));
    }
}

/// # Safety
///
/// The CPU has the features, and `tile` has `(G - 1) · 4 + R` rows.
#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,f16c,fma")]
unsafe fn small<const G: usize, const R: usize, const MIN: bool>(
    weights: &Stretch,
    at: At<'_>,
    tile: &mut [[f32; PANEL]],
) {
    let a = at.activations;
    // SAFETY: the caller's; blocks of a stretch are read, and of the activations those that `At` names.
    unsafe {
        let mut sums = load::<G, R>(tile);
        for block in 0..at.count {
            let of: [usize; G] = std::array::from_fn(|g| at.block(g, block, SMALL));
            let mut products = [[_mm512_setzero_si512(); R]; G];
            if !MIN {
                for (of, products) in of.iter().zip(&mut products) {
                    let starts = a.starts.get_unchecked(*of);
                    products.iter_mut().zip(starts).for_each(|(p, start)| *p = _mm512_set1_epi32(*start));
                }
            }
            let codes: [_; G] = std::array::from_fn(|g| at.codes(g, block, SMALL).as_ptr());
            multiply::<G, R, GROUPS>(weights.codes.as_ptr().add(block * PIECE), codes, &mut products);
            let scales = _mm512_load_ps(weights.scales.get_unchecked(block).as_ptr());
            let minima = _mm512_load_ps(weights.minima.get_unchecked(block).as_ptr());
            for g in 0..G {
                let of_rows = a.scales.get_unchecked(of[g]);
                for r in 0..R {
                    let scale = _mm512_mul_ps(scales, _mm512_set1_ps(of_rows[r]));
                    sums[g][r] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(products[g][r]), scale, sums[g][r]);
                    if MIN {
                        let sum = _mm512_set1_ps(a.sums.get_unchecked(of[g])[r]);
                        sums[g][r] = _mm512_fmadd_ps(minima, sum, sums[g][r]);
                    }
                }
            }
        }
        store(sums, tile);
    }
}

/// # Safety
///
/// As of [`small`].
#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,f16c,fma")]
unsafe fn large<const G: usize, const R: usize, const SUBS: usize>(
    weights: &Stretch,
    at: At<'_>,
    tile: &mut [[f32; PANEL]],
) {
    let a = at.activations;
    // SAFETY: the caller's; the whole stretch is read, and of the activations the block that `At` names.
    unsafe {
        let mut products = [[_mm512_setzero_si512(); R]; G];
        let of: [usize; G] = std::array::from_fn(|g| at.block(g, 0, LARGE));
        // What has minima keeps their sum apart, since another scale is theirs.
        let mut minima = [[_mm512_setzero_si512(); R]; G];
        for pair in 0..SUBS / 2 {
            let w = _mm512_load_si512(weights.pairs[pair].as_ptr().cast());
            for g in 0..G {
                let pairs = a.pairs.as_ptr().add(of[g] * SUBS / 2 + pair).cast::<i32>();
                for r in 0..R {
                    minima[g][r] = _mm512_dpwssd_epi32(minima[g][r], w, _mm512_set1_epi32(pairs.add(r).read()));
                }
            }
        }
        if SUBS == 8 {
            let mut sums = load::<G, R>(tile);
            let of_weights = _mm512_load_ps(weights.minima[0].as_ptr());
            for g in 0..G {
                for r in 0..R {
                    let scale = _mm512_mul_ps(of_weights, _mm512_set1_ps(a.scales.get_unchecked(of[g])[r]));
                    sums[g][r] = _mm512_fnmadd_ps(_mm512_cvtepi32_ps(minima[g][r]), scale, sums[g][r]);
                }
            }
            store(sums, tile);
        } else {
            products = minima;
        }
        let codes: [_; G] = std::array::from_fn(|g| at.codes(g, 0, LARGE).as_ptr());
        for sub in 0..SUBS {
            let mut of_sub = [[_mm512_setzero_si512(); R]; G];
            let w = weights.codes.as_ptr().add(sub * (LARGE / SUBS) * PANEL);
            let codes = codes.map(|codes| codes.add(sub * (LARGE / SUBS / GROUP)));
            if SUBS == 8 {
                multiply::<G, R, 8>(w, codes, &mut of_sub);
            } else {
                multiply::<G, R, 4>(w, codes, &mut of_sub);
            }
            let scale = _mm512_srai_epi32::<16>(_mm512_load_si512(weights.subs[sub].as_ptr().cast()));
            for g in 0..G {
                for r in 0..R {
                    let scaled = _mm512_mullo_epi32(of_sub[g][r], scale);
                    products[g][r] = _mm512_add_epi32(products[g][r], scaled);
                }
            }
        }
        // Not before: the sums of the subs need the registers.
        let mut sums = load::<G, R>(tile);
        let scales = _mm512_load_ps(weights.scales[0].as_ptr());
        for g in 0..G {
            for r in 0..R {
                let scale = _mm512_mul_ps(scales, _mm512_set1_ps(a.scales.get_unchecked(of[g])[r]));
                sums[g][r] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(products[g][r]), scale, sums[g][r]);
            }
        }
        store(sums, tile);
    }
}

/// # Safety
///
/// As of [`small`].
#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,f16c,fma")]
unsafe fn float<const G: usize, const R: usize>(weights: &Stretch, at: At<'_>, tile: &mut [[f32; PANEL]]) {
    // SAFETY: the caller's; columns of a stretch are read, and of the activations those that `At` names.
    unsafe {
        let mut sums = load::<G, R>(tile);
        let floats: [*const [f32; GROUP]; G] =
            std::array::from_fn(|g| at.activations.floats.as_ptr().add(at.block(g, 0, 1)));
        for k in 0..at.count {
            let w = _mm512_load_ps(weights.floats.get_unchecked(k).as_ptr());
            for g in 0..G {
                for r in 0..R {
                    let x = _mm512_set1_ps((*floats[g].add(k))[r]);
                    sums[g][r] = _mm512_fmadd_ps(x, w, sums[g][r]);
                }
            }
        }
        store(sums, tile);
    }
}

/// Adds the products of so many groups of codes.
///
/// # Safety
///
/// The CPU has the features; `N` groups of weights and of activations can be read.
#[inline(always)]
unsafe fn multiply<const G: usize, const R: usize, const N: usize>(
    weights: *const u8,
    codes: [*const [u32; GROUP]; G],
    products: &mut [[__m512i; R]; G],
) {
    // SAFETY: the caller's.
    unsafe {
        for k in 0..N {
            let w = _mm512_load_si512(weights.add(k * GROUP_BYTES).cast());
            for g in 0..G {
                let codes = codes[g].add(k).cast::<i32>();
                for r in 0..R {
                    let a = _mm512_set1_epi32(codes.add(r).read());
                    products[g][r] = _mm512_dpbusd_epi32(products[g][r], w, a);
                }
            }
        }
    }
}

/// # Safety
///
/// As of [`small`].
#[inline(always)]
unsafe fn load<const G: usize, const R: usize>(tile: &[[f32; PANEL]]) -> [[__m512; R]; G] {
    // SAFETY: the caller's.
    unsafe {
        let at = |i: usize| _mm512_loadu_ps(tile.get_unchecked(i).as_ptr());
        std::array::from_fn(|g| std::array::from_fn(|r| at(g * GROUP + r)))
    }
}

/// # Safety
///
/// As of [`small`].
#[inline(always)]
unsafe fn store<const G: usize, const R: usize>(sums: [[__m512; R]; G], tile: &mut [[f32; PANEL]]) {
    for (g, sums) in sums.into_iter().enumerate() {
        for (r, sums) in sums.into_iter().enumerate() {
            // SAFETY: the caller's.
            unsafe { _mm512_storeu_ps(tile.get_unchecked_mut(g * GROUP + r).as_mut_ptr(), sums) };
        }
    }
}
