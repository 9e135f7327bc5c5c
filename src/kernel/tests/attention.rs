//! Attention: every instruction set against one naive formula in `f64`, and bit for bit against the reference.

use half::f16;

use super::blocks::Random;
use crate::Code;
use crate::kernel::attention::{Cells, Cut, Mask, TILE, Tokens, attend, attend_with};
use crate::kernel::dispatch::available;
use crate::kernel::table::Table;

/// A head of a cache whose parts lie further apart than they are long, and tokens that look at it.
struct Case {
    cells: usize,
    key_size: usize,
    value_size: usize,
    tokens: usize,
    keys: Vec<f16>,
    key_stride: usize,
    values: Vec<f16>,
    value_stride: usize,
    queries: Vec<f32>,
    mask: Vec<f32>,
    mask_stride: usize,
    scale: f32,
}

impl Case {
    /// `looks` says which cells a token looks at.
    fn random(
        [cells, key_size, value_size, tokens]: [usize; 4],
        seed: u64,
        looks: impl Fn(usize, usize) -> bool,
    ) -> Self {
        let mut dice = Random(seed);
        let (key_stride, value_stride, mask_stride) = (key_size + 5, cells + 3, cells + 2);
        let mut numbers = |count: usize, by: f32| -> Vec<f32> { (0..count).map(|_| dice.unit() * by).collect() };
        let halves = |numbers: Vec<f32>| numbers.into_iter().map(f16::from_f32).collect();
        let keys = halves(numbers(cells * key_stride, 3.0));
        let values = halves(numbers(value_size * value_stride, 2.0));
        let queries = numbers(tokens * key_size, 3.0);
        let mask = (0..tokens * mask_stride).map(|i| (i / mask_stride, i % mask_stride));
        let mask = mask.map(|(token, cell)| if cell < cells && looks(token, cell) { 0.0 } else { f32::NEG_INFINITY });
        let scale = 1.0 / (key_size as f32).sqrt();
        let mask = mask.collect();
        Self {
            cells,
            key_size,
            value_size,
            tokens,
            keys,
            key_stride,
            values,
            value_stride,
            queries,
            mask,
            mask_stride,
            scale,
        }
    }

    fn cut(&self) -> Cut<'_> {
        Cut {
            keys: &self.keys,
            key_stride: self.key_stride,
            key_size: self.key_size,
            values: &self.values,
            value_stride: self.value_stride,
            value_size: self.value_size,
        }
    }

    fn mask(&self) -> Mask<'_> {
        Mask { numbers: &self.mask, stride: self.mask_stride }
    }

    /// In tiles of so many tokens.
    fn got(&self, table: &Table, tile: usize) -> Vec<f32> {
        let mut cells = Cells::default();
        cells.pack(&self.cut(), self.cells).unwrap();
        let mut out = vec![f32::NAN; self.tokens * self.value_size];
        for (i, out) in out.chunks_mut(tile * self.value_size).enumerate() {
            let tokens = i * tile..self.tokens.min((i + 1) * tile);
            let panels = self.mask().panels(tokens.clone(), self.cells);
            let queries = &self.queries[tokens.start * self.key_size..tokens.end * self.key_size];
            let mask = Mask { numbers: &self.mask[tokens.start * self.mask_stride..], ..self.mask() };
            let tokens = Tokens { queries, scale: self.scale, mask };
            attend_with(table, &cells, panels, &tokens, out).unwrap();
        }
        out
    }

    /// The formula for a channel of a token, and the sum of the magnitudes in it.
    fn expected(&self, token: usize, channel: usize) -> (f64, f64) {
        let score = |cell: usize| {
            let products = (0..self.key_size).map(|i| {
                let key = self.keys[cell * self.key_stride + i].to_f64();
                f64::from(self.queries[token * self.key_size + i]) * key
            });
            products.sum::<f64>() * f64::from(self.scale) + f64::from(self.mask[token * self.mask_stride + cell])
        };
        let scores: Vec<f64> = (0..self.cells).map(score).collect();
        let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if largest == f64::NEG_INFINITY {
            return (0.0, 0.0);
        }
        let powers: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
        let sum: f64 = powers.iter().sum();
        let value = |cell: usize| self.values[channel * self.value_stride + cell].to_f64();
        let terms = powers.iter().enumerate().map(|(cell, power)| power / sum * value(cell));
        terms.fold((0.0, 0.0), |(sum, size), term| (sum + term, size + term.abs()))
    }

    fn check(&self, what: &str) {
        let reference = self.got(&available()[0], TILE);
        for (i, got) in reference.iter().enumerate() {
            let (expected, size) = self.expected(i / self.value_size, i % self.value_size);
            // A score is off by what its chain rounds, and its power by as much; then comes the chain of cells.
            let room = size * (self.key_size * 8 + self.cells) as f64 * f64::from(f32::EPSILON) + 1e-30;
            assert!((f64::from(*got) - expected).abs() <= room, "{what}: number {i}: expected {expected}, got {got}");
        }
        let bits = |numbers: Vec<f32>| numbers.into_iter().map(f32::to_bits).collect::<Vec<_>>();
        let reference = bits(reference);
        for table in available() {
            for tile in [TILE, 1, 7] {
                assert!(bits(self.got(&table, tile)) == reference, "{what}: {}, tiles of {tile}", table.isa);
            }
        }
    }
}

/// Cells, elements of a key, channels, tokens.
const SIZES: [[usize; 4]; 8] = [
    [16, 1, 1, 1],
    [16, 16, 16, 2],
    [32, 64, 64, 3],
    [48, 20, 40, 5],
    [64, 96, 17, 13],
    [256, 64, 64, 24],
    [272, 128, 128, 31],
    [512, 80, 80, 49],
];

#[test]
fn every_instruction_set_computes_the_formula() {
    for (seed, sizes) in SIZES.into_iter().enumerate() {
        let [cells, _, _, tokens] = sizes;
        // The tokens are the last ones before the cells that are free.
        let first = (cells - cells / 4).saturating_sub(tokens);
        Case::random(sizes, seed as u64, |token, cell| cell <= first + token).check(&format!("{sizes:?}, causal"));
        Case::random(sizes, seed as u64, |token, cell| (first + token).abs_diff(cell) < 20)
            .check(&format!("{sizes:?}, within a window"));
        Case::random(sizes, seed as u64, |token, cell| (token + cell) % 3 == 0)
            .check(&format!("{sizes:?}, with holes"));
        Case::random(sizes, seed as u64, |token, _| token % 2 == 1)
            .check(&format!("{sizes:?}, every other sees nothing"));
    }
}

/// Scores far apart, and such as overflow without the largest taken off.
#[test]
fn scores_of_every_size_are_weighed() {
    for by in [0.0, 1e-3, 30.0, 1000.0] {
        let mut case = Case::random([64, 32, 16, 9], 3, |token, cell| cell <= 40 + token);
        case.queries.iter_mut().for_each(|query| *query *= by);
        // Rounding of a score counts by its size.
        let reference = case.got(&available()[0], TILE);
        assert!(reference.iter().all(|number| number.abs() <= 2.0), "{by}");
        if by <= 1.0 {
            case.check(&format!("queries by {by}"));
        }
        for table in available() {
            assert_eq!(case.got(&table, TILE), reference, "{}: queries by {by}", table.isa);
        }
    }
}

/// Where it matters that powers are right to the last bits: against `f64`, over all that a score may lie below the largest.
#[test]
fn powers_are_right_to_two_units_of_the_last_place() {
    // One cell with the largest score, one with another: the value of the second is its share.
    for i in 0..4_000 {
        let below = i as f32 * 0.021;
        let mut case = Case::random([16, 1, 1, 1], 1, |_, cell| cell < 2);
        (case.scale, case.queries[0]) = (1.0, 1.0);
        (case.keys[0], case.keys[case.key_stride]) = (f16::ZERO, f16::from_f32(-below));
        (case.values[0], case.values[1]) = (f16::ZERO, f16::ONE);
        let power = f64::from(case.keys[case.key_stride].to_f32()).exp();
        let expected = power / (1.0 + power);
        let got = f64::from(case.got(&available()[0], TILE)[0]);
        assert!((got - expected).abs() <= expected * 3.0 * f64::from(f32::EPSILON), "{below}: {expected}, got {got}");
    }
}

/// Cells that nobody looks at may have anything finite in them.
#[test]
fn what_is_hidden_changes_nothing() {
    let case = |fill: f32| {
        let mut case = Case::random([64, 24, 24, 6], 5, |token, cell| cell < 21 + token);
        for cell in 27..64 {
            case.keys[cell * case.key_stride..][..24].fill(f16::from_f32(fill));
            (0..24).for_each(|channel| case.values[channel * case.value_stride + cell] = f16::from_f32(fill));
        }
        case
    };
    for table in available() {
        assert_eq!(case(0.0).got(&table, TILE), case(65504.0).got(&table, TILE), "{}", table.isa);
        assert_eq!(case(0.0).got(&table, TILE), case(-65504.0).got(&table, TILE), "{}", table.isa);
    }
}

#[test]
fn a_token_that_is_no_number_says_so() {
    for table in available() {
        let mut case = Case::random([32, 8, 8, 2], 6, |_, cell| cell < 20);
        case.queries[3] = f32::NAN;
        let got = case.got(&table, TILE);
        assert!(got[..8].iter().all(|number| number.is_nan()), "{}: {got:?}", table.isa);
        assert!(got[8..].iter().all(|number| number.is_finite()), "{}: {got:?}", table.isa);
    }
}

#[test]
fn sizes_that_do_not_fit_are_refused() {
    let case = Case::random([32, 8, 8, 3], 2, |_, _| true);
    let mut cells = Cells::default();
    for (cut, count) in [
        (case.cut(), 31),
        (case.cut(), 48),
        (Cut { keys: &case.keys[..31 * case.key_stride + 7], ..case.cut() }, 32),
        (Cut { values: &case.values[..7 * case.value_stride + 31], ..case.cut() }, 32),
        (Cut { value_stride: usize::MAX, ..case.cut() }, 32),
        (Cut { key_size: 0, ..case.cut() }, 32),
    ] {
        assert_eq!(cells.pack(&cut, count).unwrap_err().code(), Code::Internal);
    }
    cells.pack(&case.cut(), 32).unwrap();
    let tokens = |queries, mask| Tokens { queries, scale: 1.0, mask: Mask { numbers: mask, stride: case.mask_stride } };
    let (queries, mask) = (&*case.queries, &*case.mask);
    let mut out = [0.0; 24];
    let mut ask = |tokens: Tokens<'_>, panels, len| attend(&cells, panels, &tokens, &mut out[..len]);
    ask(tokens(queries, mask), 0..2, 24).unwrap();
    for (tokens, panels, len) in [
        (tokens(queries, mask), 0..3, 24),
        #[expect(clippy::reversed_empty_ranges, reason = "what is refused")]
        (tokens(queries, mask), 2..1, 24),
        (tokens(queries, mask), 0..2, 23),
        (tokens(&queries[1..], mask), 0..2, 24),
        (tokens(queries, &mask[..2 * case.mask_stride + 31]), 0..2, 24),
    ] {
        assert_eq!(ask(tokens, panels, len).unwrap_err().code(), Code::Internal);
    }
}
