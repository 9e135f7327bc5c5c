//! Reference, in plain Rust.

use std::f32::consts::LOG2_E;

use super::Lanes;
use super::driver::{Kernel, walk};
use super::machine::Machine;
use super::softmax::{BIAS, LEAST, LN2, MANTISSA_BITS, SERIES};

pub(super) const KERNEL: Kernel = |cells, panels, tokens, out| walk(Scalar, cells, panels, tokens, out);

#[derive(Clone, Copy)]
struct Scalar;

impl Machine for Scalar {
    const ROWS: usize = 1;

    fn multiply(self, panel: &[Lanes], rows: &[f32], stride: usize, tile: &mut [Lanes]) {
        for (row, sums) in tile.iter_mut().enumerate() {
            *sums = Lanes::default();
            for (lanes, number) in panel.iter().zip(&rows[row * stride..]) {
                sums.iter_mut().zip(lanes).for_each(|(sum, lane)| *sum = number.mul_add(*lane, *sum));
            }
        }
    }

    fn exp(self, numbers: &mut Lanes) {
        numbers.iter_mut().for_each(|x| *x = exp(*x));
    }
}

/// `2^n · e^r` with the whole number `n` that leaves the smallest `r`.
fn exp(x: f32) -> f32 {
    if x < LEAST {
        return 0.0;
    }
    let n = (x * LOG2_E).round_ties_even();
    let r = n.mul_add(-LN2[1], n.mul_add(-LN2[0], x));
    let [first, rest @ ..] = SERIES;
    let power = rest.into_iter().fold(first, |sum, coefficient| sum.mul_add(r, coefficient));
    power * f32::from_bits((n as i32 + BIAS).cast_unsigned() << MANTISSA_BITS)
}
