//! Products of matrices: every instruction set against one naive product in `f64`, and bit for bit against the scalar one.

use half::f16;

use super::blocks::{Random, random, scales};
use crate::Code;
use crate::kernel::BlockFormat;
use crate::kernel::dispatch::available;
use crate::kernel::product::{Activations, Panels};
use crate::kernel::{block, scalar};

const FORMATS: [BlockFormat; 12] = [
    BlockFormat::Q4_0,
    BlockFormat::Q4_1,
    BlockFormat::Q5_0,
    BlockFormat::Q5_1,
    BlockFormat::Q8_0,
    BlockFormat::Q4K,
    BlockFormat::Q5K,
    BlockFormat::Q6K,
    BlockFormat::Iq4Nl,
    BlockFormat::Mxfp4,
    BlockFormat::F16,
    BlockFormat::Bf16,
];

/// A matrix of weights, rows of activations, and their product as the formulas say.
struct Case {
    format: BlockFormat,
    blocks: Vec<u8>,
    values: Vec<f32>,
    m: usize,
    n: usize,
    k: usize,
}

/// A number, and the sum of the finite magnitudes that were added to it.
#[derive(Clone, Copy)]
struct Expected {
    sum: f64,
    magnitude: f64,
}

impl Case {
    /// `pieces` are blocks along `k`, of formats of single weights 32 of them.
    fn random(format: BlockFormat, m: usize, n: usize, pieces: usize, seed: u64) -> Self {
        let mut dice = Random(seed);
        let k = pieces * format.block_elements().max(32);
        let blocks = random(format, n * k / format.block_elements(), &mut dice);
        let values = (0..m * k).map(|_| dice.unit()).collect();
        Case { format, blocks, values, m, n, k }
    }

    fn expected(&self) -> Vec<Expected> {
        let row_bytes = self.format.bytes(self.k).unwrap();
        let weights: Vec<Vec<Block>> =
            (0..self.n).map(|n| self.row(&self.blocks[n * row_bytes..][..row_bytes])).collect();
        let mut expected = Vec::new();
        for values in self.values.chunks_exact(self.k.max(1)).take(self.m) {
            let activations: Vec<Quantized> =
                values.chunks_exact(self.elements()).map(|values| Quantized::of(self.format, values)).collect();
            for row in &weights {
                let mut one = Expected { sum: 0.0, magnitude: 0.0 };
                row.iter().zip(&activations).for_each(|(w, a)| one.add(self.format, w, a));
                expected.push(one);
            }
        }
        expected
    }

    fn elements(&self) -> usize {
        self.format.block_elements().max(32)
    }

    fn row(&self, bytes: &[u8]) -> Vec<Block> {
        let block_bytes = self.format.bytes(self.elements()).unwrap();
        bytes.chunks_exact(block_bytes).map(|block| Block::of(self.format, block)).collect()
    }

    /// The packed product with the kernels of a table.
    fn product(&self, table: &crate::kernel::table::Table) -> Vec<f32> {
        // One byte further, so that nothing is aligned.
        let shifted: Vec<u8> = [0].into_iter().chain(self.blocks.iter().copied()).collect();
        let panels = Panels::pack(self.format, &shifted[1..], self.n, self.k).unwrap();
        let activations = Activations::quantize_by(table, self.format, &self.values, self.m, self.k).unwrap();
        let mut out = vec![f32::MIN; self.m * self.n];
        panels.multiply_by(table, &activations, &mut out, self.n, 0..self.n).unwrap();
        out
    }
}

/// The weights of a block whose scale is 1 and minimum 0, those of minimum 1 and scale 0, and scale and minimum.
struct Block {
    codes: Vec<f32>,
    minima: Vec<f32>,
    d: f64,
    m: f64,
}

impl Block {
    fn of(format: BlockFormat, bytes: &[u8]) -> Self {
        let elements = format.block_elements().max(32);
        let with = |numbers: [f32; 2]| {
            let (mut bytes, mut weights) = (bytes.to_vec(), vec![0.0; elements]);
            for (at, x) in scales(format).iter().zip(numbers) {
                bytes[*at..at + 2].copy_from_slice(&f16::from_f32(x).to_le_bytes());
            }
            if format == BlockFormat::Mxfp4 {
                bytes[block::mxfp4::E] = 128;
            }
            scalar::decode(format)(&bytes, &mut weights);
            weights
        };
        let number = |at: &usize| f16::from_le_bytes([bytes[*at], bytes[at + 1]]).to_f64();
        let (mut d, m) = (scales(format).first().map_or(1.0, number), scales(format).get(1).map_or(0.0, number));
        if format == BlockFormat::Mxfp4 {
            d = f64::from(block::half_power(bytes[block::mxfp4::E]));
        }
        Block { codes: with([1.0, 0.0]), minima: with([0.0, 1.0]), d, m }
    }
}

/// A block of activations as ggml quantizes it.
struct Quantized {
    codes: Vec<f64>,
    d: f64,
    /// Of Q8_1.
    sum: f64,
}

impl Quantized {
    fn of(format: BlockFormat, values: &[f32]) -> Self {
        let largest = values.iter().fold(0.0f32, |most, x| most.max(x.abs()));
        // Where the inverse of a scale is infinite the scale is 0, and codes are of no account.
        let rounded = |x: f32, by: f32| if by.is_finite() { (x * by).round_ties_even().into() } else { 0.0 };
        let code = |by: f32| values.iter().map(|x| rounded(*x, by)).collect::<Vec<f64>>();
        match format {
            BlockFormat::F16 => Self::plain(values.iter().map(|x| f16::from_f32(*x).to_f64()).collect()),
            BlockFormat::Bf16 => Self::plain(values.iter().map(|x| half::bf16::from_f32(*x).to_f64()).collect()),
            _ if largest == 0.0 => Quantized { codes: vec![0.0; values.len()], d: 0.0, sum: 0.0 },
            BlockFormat::Q4K | BlockFormat::Q5K | BlockFormat::Q6K => {
                let signed = *values.iter().find(|x| x.abs() == largest).unwrap();
                let by = -127.0 / signed;
                Quantized { codes: code(by), d: f64::from(1.0 / by), sum: 0.0 }
            }
            _ => {
                let (codes, d) = (code(127.0 / largest), largest / 127.0);
                let sum = f16::from_f32(d * codes.iter().sum::<f64>() as f32).to_f64();
                Quantized { codes, d: f16::from_f32(d).to_f64(), sum }
            }
        }
    }

    fn plain(codes: Vec<f64>) -> Self {
        Quantized { codes, d: 1.0, sum: 0.0 }
    }
}

impl Expected {
    fn add(&mut self, format: BlockFormat, w: &Block, a: &Quantized) {
        let dot = |w: &[f32]| w.iter().zip(&a.codes).map(|(w, a)| f64::from(*w) * a).sum::<f64>();
        let mut term = |x: f64| {
            self.sum += x;
            self.magnitude += if x.is_finite() { x.abs() } else { 0.0 };
        };
        match format {
            BlockFormat::F16 | BlockFormat::Bf16 => {
                w.codes.iter().zip(&a.codes).for_each(|(w, a)| term(f64::from(*w) * a));
            }
            BlockFormat::Q4_1 | BlockFormat::Q5_1 => {
                term(w.d * a.d * dot(&w.codes));
                term(w.m * a.sum);
            }
            BlockFormat::Q4K | BlockFormat::Q5K => {
                term(w.d * a.d * dot(&w.codes));
                term(w.m * a.d * dot(&w.minima));
            }
            _ => term(w.d * a.d * dot(&w.codes)),
        }
    }

    /// Each scale, product and sum is rounded once.
    fn allows(&self, got: f32, additions: usize) -> bool {
        if self.magnitude > f64::from(f32::MAX) / 4.0 {
            // Somewhere on the way it may have become infinite.
            return true;
        }
        if !self.sum.is_finite() {
            return got.is_nan() == self.sum.is_nan() && (got.is_nan() || f64::from(got) == self.sum);
        }
        let bound = self.magnitude * f64::from(f32::EPSILON) * (additions as f64 + 2.0) + 1e-38;
        (f64::from(got) - self.sum).abs() <= bound
    }
}

fn check(case: &Case) {
    let expected = case.expected();
    let mut first: Option<Vec<f32>> = None;
    for table in available() {
        let out = case.product(&table);
        let what = format!("{} {}: {} x {} x {}", table.isa, case.format, case.m, case.n, case.k);
        let additions = if case.format.block_elements() == 1 { case.k } else { 2 * case.k / case.elements() };
        for (i, (got, expected)) in out.iter().zip(&expected).enumerate() {
            let (row, column) = (i / case.n, i % case.n);
            assert!(
                expected.allows(*got, additions),
                "{what}: [{row}][{column}]: expected {}, got {got}",
                expected.sum
            );
        }
        let first = first.get_or_insert_with(|| out.clone());
        let same = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
        let differs = out.iter().zip(&*first).position(|pair| !same(pair));
        assert_eq!(differs, None, "{what}: not the bits of the scalar product");
    }
}

#[test]
fn every_product_is_what_the_formulas_say() {
    for format in FORMATS {
        let pieces: &[usize] = if format.block_elements() == 256 { &[1, 2, 3] } else { &[1, 2, 7, 8, 9, 17] };
        for (i, pieces) in pieces.iter().enumerate() {
            for (j, m) in [1, 2, 3, 4, 5, 7, 8, 11, 12, 13, 16, 18, 23, 25, 29].into_iter().enumerate() {
                let n = [1, 5, 15, 16, 17, 33][(i + j) % 6];
                check(&Case::random(format, m, n, *pieces, (i * 100 + j) as u64));
            }
        }
    }
}

/// More rows than a tile has, and a rest.
#[test]
fn many_rows() {
    for format in [BlockFormat::Q4_0, BlockFormat::Q4K, BlockFormat::F16] {
        check(&Case::random(format, 256 + 13, 3, 1, 5));
    }
}

/// The largest codes of one sign: where sums of products are too large for the room of an instruction, this shows it.
#[test]
fn extremes_do_not_saturate() {
    for format in FORMATS {
        for byte in [0x00, 0x0f, 0x7f, 0x80, 0x88, 0xf0, 0xff] {
            for (i, sign) in [1.0, -1.0].into_iter().enumerate() {
                let mut case = Case::random(format, 5, 17, 3, 1);
                case.values
                    .iter_mut()
                    .enumerate()
                    .for_each(|(k, x)| *x = if i == 1 && k % 2 == 1 { 1.0 } else { sign });
                case.blocks.fill(byte);
                for block in case.blocks.chunks_exact_mut(format.block_bytes()) {
                    for at in scales(format) {
                        block[*at..at + 2].copy_from_slice(&f16::ONE.to_le_bytes());
                    }
                }
                check(&case);
            }
        }
    }
}

/// Activations of every magnitude; zeros; those beyond binary16's scales; not numbers.
#[test]
fn activations_of_any_size() {
    for format in FORMATS {
        for value in [0.0, -0.0, 1e-45, -1e-40, 1e-30, 3e4, 1e30] {
            let mut case = Case::random(format, 6, 16, 2, 3);
            // With ordinary scales, since infinite ones make anything of nothing.
            case.blocks.chunks_exact_mut(format.block_bytes()).for_each(|block| {
                scales(format).iter().for_each(|at| block[*at..at + 2].copy_from_slice(&[0x00, 0x2c]));
            });
            if matches!(format, BlockFormat::F16 | BlockFormat::Bf16 | BlockFormat::Mxfp4) {
                case.blocks.fill(0x3c);
            }
            case.values.iter_mut().for_each(|x| *x *= value);
            if value < 1e29 || matches!(format, BlockFormat::Bf16 | BlockFormat::Q6K) {
                check(&case);
            }
        }
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut case = Case::random(format, 6, 17, 2, 3);
            case.blocks.fill(0x11);
            case.values[case.k + 3] = bad;
            for table in available() {
                let out = case.product(&table);
                let finite: Vec<bool> = out.chunks_exact(17).map(|row| row.iter().all(|x| x.is_finite())).collect();
                assert_eq!(finite, [true, false, true, true, true, true], "{format}: {bad}");
            }
        }
    }
}

/// Any split into rows and any stride gives the same numbers, and nothing is written beside them.
#[test]
fn splits_are_the_whole() {
    for format in [BlockFormat::Q4_0, BlockFormat::Q6K] {
        let case = Case::random(format, 6, 50, 2, 8);
        let panels = Panels::pack(format, &case.blocks, case.n, case.k).unwrap();
        let activations = Activations::quantize(format, &case.values, case.m, case.k).unwrap();
        let mut whole = vec![0.0; case.m * case.n];
        panels.multiply(&activations, &mut whole, case.n, 0..case.n).unwrap();
        for rows in [0..50, 0..16, 16..48, 3..4, 5..37, 15..17, 49..50, 7..7] {
            let stride = 53;
            let mut out = vec![7.5; 5 * stride + rows.len()];
            panels.multiply(&activations, &mut out, stride, rows.clone()).unwrap();
            for (m, out) in out.chunks(stride).enumerate() {
                let (written, beside) = out.split_at(rows.len());
                let expected = &whole[m * case.n..][rows.clone()];
                assert!(
                    written.iter().zip(expected).all(|(a, b)| a.to_bits() == b.to_bits() || a.is_nan()),
                    "{rows:?}"
                );
                assert!(beside.iter().all(|x| *x == 7.5), "{rows:?}");
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let refused = |result: crate::Result<()>, code| assert_eq!(result.unwrap_err().code(), code);
    for format in BlockFormat::ALL {
        assert_eq!(Panels::supports(format), FORMATS.contains(&format));
        if !Panels::supports(format) {
            refused(Panels::pack(format, &[], 0, 0).map(drop), Code::Unsupported);
            refused(Activations::quantize(format, &[], 0, 0).map(drop), Code::Unsupported);
        }
    }
    let pack = |bytes, rows, cols| Panels::pack(BlockFormat::Q4_0, &vec![0; bytes], rows, cols);
    refused(pack(18, 1, 31).map(drop), Code::InvalidArgument);
    refused(pack(17, 1, 32).map(drop), Code::InvalidArgument);
    refused(pack(18, usize::MAX / 16, 32).map(drop), Code::InvalidArgument);
    let panels = pack(3 * 18, 3, 32).unwrap();
    assert_eq!((panels.rows(), panels.cols(), panels.size()), (3, 32, 16 * 18));
    assert_eq!(Panels::packed_bytes(BlockFormat::Q4_0, 3, 32), Some(16 * 18));
    let quantize = |format, m, cols| Activations::quantize(format, &[1.0; 64], m, cols);
    refused(quantize(BlockFormat::Q4_0, 1, 32).map(drop), Code::InvalidArgument);
    refused(quantize(BlockFormat::F16, 4, 16).map(drop), Code::InvalidArgument);
    let two = quantize(BlockFormat::Q4_0, 2, 32).unwrap();
    let mut out = [0.0; 6];
    panels.multiply(&two, &mut out, 3, 0..3).unwrap();
    refused(panels.multiply(&two, &mut out[1..], 3, 0..3), Code::InvalidArgument);
    refused(panels.multiply(&two, &mut out, 2, 0..3), Code::InvalidArgument);
    refused(panels.multiply(&two, &mut out, 3, 1..4), Code::InvalidArgument);
    let other = quantize(BlockFormat::Q8_0, 2, 32).unwrap();
    refused(panels.multiply(&other, &mut out, 3, 0..3), Code::InvalidArgument);
    let wider = quantize(BlockFormat::Q4_0, 1, 64).unwrap();
    refused(panels.multiply(&wider, &mut out, 3, 0..3), Code::InvalidArgument);
    // Nothing is a product of nothing.
    let none = Activations::quantize(BlockFormat::Q4_0, &[], 0, 32).unwrap();
    panels.multiply(&none, &mut [], 3, 0..3).unwrap();
    let no_columns = pack(0, 3, 0).unwrap();
    let empty = Activations::quantize(BlockFormat::Q4_0, &[], 2, 0).unwrap();
    out.fill(1.0);
    no_columns.multiply(&empty, &mut out, 3, 0..3).unwrap();
    assert_eq!(out, [0.0; 6]);
}
