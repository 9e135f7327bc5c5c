//! Products of 8-bit integers: every instruction set against one naive product.

use super::blocks::Random;
use crate::Code;
use crate::kernel::dispatch::available;
use crate::kernel::int8::{Bytes, Weights};

struct Case {
    m: usize,
    k: usize,
    n: usize,
    a: Vec<u8>,
    b: Vec<u8>,
    signed: [bool; 2],
    zero: u8,
    zeros: Vec<u8>,
}

impl Case {
    fn expected(&self) -> Vec<i32> {
        let number = |byte: u8, signed: bool| if signed { i32::from(byte as i8) } else { i32::from(byte) };
        let zero = |n: usize| match &*self.zeros {
            [] => 0,
            [zero] => number(*zero, self.signed[1]),
            zeros => number(zeros[n], self.signed[1]),
        };
        let one = |m: usize, n: usize| {
            let products = (0..self.k).map(|k| {
                let a = number(self.a[m * self.k + k], self.signed[0]) - number(self.zero, self.signed[0]);
                a * (number(self.b[k * self.n + n], self.signed[1]) - zero(n))
            });
            products.fold(0, i32::wrapping_add)
        };
        (0..self.m * self.n).map(|i| one(i / self.n, i % self.n)).collect()
    }

    fn check(&self) {
        let (m, k, n, signed) = (self.m, self.k, self.n, self.signed);
        let weights = Weights::pack(Bytes { bytes: &self.b, signed: signed[1] }, k, n, &self.zeros).unwrap();
        let expected = self.expected();
        for table in available() {
            let mut out = vec![i32::MIN; m * n];
            weights.multiply_with(&table, Bytes { bytes: &self.a, signed: signed[0] }, self.zero, &mut out).unwrap();
            assert_eq!(out, expected, "{}: {m} × {k} × {n}, signed {signed:?}, {} zeros", table.isa, self.zeros.len());
        }
    }
}

const SIGNS: [[bool; 2]; 4] = [[false, false], [false, true], [true, false], [true, true]];

#[test]
fn every_instruction_set_gives_the_sums_of_the_formula() {
    let mut dice = Random(7);
    for (m, k, n) in [
        (1, 1, 1),
        (1, 2, 16),
        (2, 3, 17),
        (5, 64, 15),
        (6, 31, 32),
        (7, 65, 48),
        (8, 7, 1),
        (9, 130, 33),
        (19, 384, 40),
    ] {
        for (signed, zeros) in SIGNS.into_iter().zip([0, 1, n, 1]) {
            let mut bytes = |len: usize| -> Vec<u8> { (0..len).map(|_| dice.next() as u8).collect() };
            let (a, b, zeros, zero) = (bytes(m * k), bytes(k * n), bytes(zeros), bytes(1)[0]);
            Case { m, k, n, a, b, signed, zero, zeros }.check();
        }
    }
}

/// What saturates where bytes are multiplied as bytes: all at their ends, and as far from their zero points as they can be.
#[test]
fn numbers_at_the_ends_are_exact() {
    for signed in SIGNS {
        let ends = |signed| if signed { [0x80, 0x7F] } else { [0, 0xFF] };
        for (a, b) in ends(signed[0]).into_iter().flat_map(|a| ends(signed[1]).map(|b| (a, b))) {
            for (zero, zeros) in ends(signed[0]).into_iter().flat_map(|a| ends(signed[1]).map(|b| (a, b))) {
                let (m, k, n) = (7, 67, 18);
                Case { m, k, n, a: vec![a; m * k], b: vec![b; k * n], signed, zero, zeros: vec![zeros; n] }.check();
            }
        }
    }
}

/// 40,000 products of 255 and 255 are more than 32 bits hold.
#[test]
fn sums_beyond_32_bits_wrap_around() {
    let (m, k, n) = (2, 40_000, 3);
    Case { m, k, n, a: vec![255; m * k], b: vec![255; k * n], signed: [false; 2], zero: 0, zeros: vec![] }.check();
}

/// By activations in `f32`: within the rounding of a chain of sums, and the same bits everywhere.
#[test]
fn numbers_are_multiplied_to_the_same_bits_everywhere() {
    let mut dice = Random(11);
    for (m, k, n) in [(1, 1, 1), (2, 3, 17), (5, 64, 15), (6, 31, 32), (7, 65, 48), (9, 130, 33), (19, 384, 40)] {
        for (signed, per_column) in [(true, false), (false, true)] {
            let a: Vec<f32> = (0..m * k).map(|_| dice.unit()).collect();
            let b: Vec<u8> = (0..k * n).map(|_| dice.next() as u8).collect();
            let zeros: Vec<u8> = (0..if per_column { n } else { 1 }).map(|_| dice.next() as u8).collect();
            let scales: Vec<f32> = zeros.iter().map(|_| dice.unit() / 100.0).collect();
            let weights = Weights::pack(Bytes { bytes: &b, signed }, k, n, &zeros).unwrap();
            let number = |byte: u8| if signed { f64::from(byte as i8) } else { f64::from(byte) };
            let mut first: Option<Vec<u32>> = None;
            for table in available() {
                let mut out = vec![f32::NAN; m * n];
                weights.multiply_numbers_with(&table, &a, &scales, &mut out).unwrap();
                for (i, got) in out.iter().enumerate() {
                    let (m, n) = (i / n, i % n);
                    let products = (0..k).map(|k_| {
                        let weight = number(b[k_ * weights.columns() + n]);
                        f64::from(a[m * k + k_]) * (weight - number(zeros[n % zeros.len()]))
                    });
                    let (sum, size) = products.fold((0.0, 0.0), |(sum, size), p| (sum + p, size + p.abs()));
                    let scale = f64::from(scales[n % scales.len()]);
                    let room = size * scale.abs() * k as f64 * f64::from(f32::EPSILON) + 1e-30;
                    assert!(
                        (f64::from(*got) - sum * scale).abs() <= room,
                        "{}: {got}, expected {}",
                        table.isa,
                        sum * scale
                    );
                }
                let bits: Vec<u32> = out.iter().map(|x| x.to_bits()).collect();
                assert_eq!(*first.get_or_insert_with(|| bits.clone()), bits, "{}", table.isa);
            }
        }
    }
}

#[test]
fn nothing_is_multiplied_to_zeros() {
    for (m, k, n) in [(0, 4, 4), (4, 0, 4), (4, 4, 0), (0, 0, 0)] {
        Case { m, k, n, a: vec![1; m * k], b: vec![1; k * n], signed: [false; 2], zero: 0, zeros: vec![] }.check();
    }
}

#[test]
fn lengths_that_do_not_fit_are_refused() {
    const ZEROS: [u8; 16] = [0; 16];
    let bytes = |len: usize| Bytes { bytes: &ZEROS[..len], signed: false };
    for (len, zeros) in [(11, 0), (13, 0), (12, 2)] {
        let error = Weights::pack(bytes(len), 4, 3, &ZEROS[..zeros]).unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{error}");
    }
    let weights = Weights::pack(bytes(12), 4, 3, &[]).unwrap();
    let error = weights.multiply_numbers(&[0.0; 4], &[1.0; 2], &mut [0.0; 3]).unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument, "{error}");
    for (len, sums) in [(4, 4), (5, 3), (8, 3)] {
        let error = weights.multiply(bytes(len), 0, &mut vec![0; sums]).unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{error}");
    }
}
