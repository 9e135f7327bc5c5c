//! The reference: every product as its formula says.

use half::f16;

use super::driver::{At, Kernels, Machine, add_panel, words};
use super::layout::{GROUP, Layout, PANEL, PIECE};
use super::unpack::{Spread, Stretch};
use crate::kernel::block::{LARGE, SMALL};

/// Every CPU can run them.
pub(super) const KERNELS: Kernels = Kernels {
    add_panel: |stretch, layout, records, activations, row, tile| {
        add_panel(Scalar, stretch, layout, records, activations, row, tile);
    },
    put_group: |activations, layout, group, values, words| activations.put_group(Scalar, layout, group, values, words),
    words: words::<Scalar>,
};

#[derive(Clone, Copy)]
struct Scalar;

impl Spread for Scalar {
    fn halves(self, from: &[u8; 2 * PANEL], to: &mut [f32; PANEL]) {
        from.as_chunks().0.iter().zip(to).for_each(|(half, x)| *x = f16::from_le_bytes(*half).to_f32());
    }

    fn largest(self, values: &[f32]) -> f32 {
        // As whole numbers, since those of NaNs are the largest.
        f32::from_bits(values.iter().fold(0, |most, x| most.max(x.to_bits() & 0x7fff_ffff)))
    }

    fn quantize(self, values: &[f32; 16], factor: f32, codes: &mut [i8; 16]) -> i32 {
        for (x, code) in values.iter().zip(&mut *codes) {
            #[expect(clippy::manual_clamp, reason = "a NaN becomes -127 here, and stays one in a clamp")]
            let x = (x * factor).max(-127.0).min(127.0);
            *code = x.round_ties_even() as i8;
        }
        codes.iter().map(|code| i32::from(*code)).sum()
    }

    fn round_to_half(self, x: f32) -> f32 {
        f16::from_f32(x).to_f32()
    }

    fn levels(self, levels: &[u8; 16], codes: &mut [u8; PIECE]) {
        codes.iter_mut().for_each(|code| *code = levels[usize::from(*code & 15)]);
    }
}

impl Machine for Scalar {
    const ROWS: usize = GROUP;

    fn small<const MIN: bool>(self, _: &Layout, weights: &Stretch, at: At<'_>, tile: &mut [[f32; PANEL]]) {
        for (row, sums) in tile.iter_mut().enumerate() {
            for block in 0..at.count {
                let (codes, of) = (&at.codes(0, block, SMALL)[..SMALL / GROUP], at.block(0, block, SMALL));
                let a = at.activations;
                for (lane, sum) in sums.iter_mut().enumerate() {
                    let start = if MIN { 0 } else { a.starts[of][row] };
                    let product = start + product(weights, block * SMALL, lane, codes, row);
                    let scale = weights.scales[block][lane] * a.scales[of][row];
                    *sum = (product as f32).mul_add(scale, *sum);
                    if MIN {
                        *sum = weights.minima[block][lane].mul_add(a.sums[of][row], *sum);
                    }
                }
            }
        }
    }

    fn large<const SUBS: usize>(self, layout: &Layout, weights: &Stretch, at: At<'_>, tile: &mut [[f32; PANEL]]) {
        let (codes, of) = (at.codes(0, 0, LARGE), at.block(0, 0, LARGE));
        let a = at.activations;
        let pairs = &a.pairs[of * SUBS / 2..][..SUBS / 2];
        for (row, sums) in tile.iter_mut().enumerate() {
            for (lane, sum) in sums.iter_mut().enumerate() {
                let subs = codes.chunks_exact(LARGE / GROUP / SUBS).enumerate();
                let subs = subs.map(|(i, codes)| {
                    i32::from(weights.subs[i][lane][0]) * product(weights, i * (LARGE / SUBS), lane, codes, row)
                });
                let product: i32 = subs.sum();
                let pairs = weights.pairs.iter().zip(pairs).map(|(w, a)| dot(&w[lane], &a[row]));
                let minimum: i32 = pairs.sum();
                let scale = weights.scales[0][lane] * a.scales[of][row];
                if layout.minima {
                    *sum = (-minimum as f32).mul_add(weights.minima[0][lane] * a.scales[of][row], *sum);
                    *sum = (product as f32).mul_add(scale, *sum);
                } else {
                    *sum = ((product + minimum) as f32).mul_add(scale, *sum);
                }
            }
        }
    }

    fn float(self, weights: &Stretch, at: At<'_>, tile: &mut [[f32; PANEL]]) {
        let columns = &at.activations.floats[at.block(0, 0, 1)..][..at.count];
        for (row, sums) in tile.iter_mut().enumerate() {
            for (w, column) in weights.floats.iter().zip(columns) {
                w.iter().zip(&mut *sums).for_each(|(w, sum)| *sum = column[row].mul_add(*w, *sum));
            }
        }
    }
}

/// The products of a row's codes and a lane's from `k` on, added.
fn product(weights: &Stretch, k: usize, lane: usize, codes: &[[u32; GROUP]], row: usize) -> i32 {
    let groups = weights.codes[k * PANEL..].chunks_exact(PANEL * GROUP);
    let fours = groups.zip(codes).flat_map(|(group, codes)| group[lane * GROUP..].iter().zip(signed(codes[row])));
    fours.map(|(w, a)| i32::from(*w) * i32::from(a)).sum()
}

fn signed(word: u32) -> [i8; GROUP] {
    bytemuck::cast(word)
}

fn dot(a: &[i16; 2], b: &[i16; 2]) -> i32 {
    a.iter().zip(b).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum()
}
