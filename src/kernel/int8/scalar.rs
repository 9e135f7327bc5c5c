//! The reference, in plain Rust.

use super::{Codes, Kernel, Numbers, PAIR, PANEL, Tile, Two};

pub(super) const KERNEL: Kernel = Kernel { rows: 1, tile, numbers, widen };

fn tile(panel: &[Codes], rows: &[&[Two]], tile: &mut Tile) {
    for (row, sums) in rows.iter().zip(tile) {
        *sums = [0; PANEL];
        for (codes, two) in panel.iter().zip(*row) {
            for (sum, codes) in sums.iter_mut().zip(codes.as_chunks::<PAIR>().0) {
                let products = codes.iter().zip(two).map(|(code, a)| i32::from(*code) * i32::from(*a));
                *sum = products.fold(*sum, i32::wrapping_add);
            }
        }
    }
}

fn numbers(panel: &[Numbers], rows: &[&[f32]], tile: &mut [Numbers]) {
    for (row, sums) in rows.iter().zip(tile) {
        *sums = [0.0; PANEL];
        for (weights, a) in panel.iter().zip(*row) {
            for (sum, weight) in sums.iter_mut().zip(weights) {
                *sum = a.mul_add(*weight, *sum);
            }
        }
    }
}

fn widen(panel: &[Codes], zeros: &[i16; PANEL], to: &mut [[Numbers; PAIR]]) {
    for (codes, to) in panel.iter().zip(to) {
        for (column, (codes, zero)) in codes.as_chunks::<PAIR>().0.iter().zip(zeros).enumerate() {
            for (code, to) in codes.iter().zip(&mut *to) {
                to[column] = f32::from(i16::from(*code) - zero);
            }
        }
    }
}
