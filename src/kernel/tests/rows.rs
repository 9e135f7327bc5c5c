//! Products of rows and queries.

use super::blocks::{Random, random};
use crate::kernel::dispatch::available;
use crate::kernel::row::dot_i8;
use crate::kernel::table::Table;
use crate::kernel::{BlockFormat, Query, accumulate_rows, dequantize_into, dot_i8_rows, normalize, quantize_into};

fn vector(n: usize, random: &mut Random) -> Vec<f32> {
    (0..n).map(|_| random.unit()).collect()
}

#[test]
fn variants_agree() {
    let mut rng = Random(11);
    let reference = crate::kernel::scalar::table();
    for table in available() {
        for blocks in (0..40).chain([1000]) {
            let query = Query::new(&vector(32 * blocks, &mut rng)).unwrap();
            for format in [BlockFormat::Q8_0, BlockFormat::Q4_0] {
                let row = random(format, blocks, &mut rng);
                let dot = |table: &Table| {
                    (if format == BlockFormat::Q8_0 { table.dot_q8_0 } else { table.dot_q4_0 })(&row, &query)
                };
                let (got, expected) = (dot(&table), dot(&reference));
                let same = got.to_bits() == expected.to_bits() || got.is_nan() && expected.is_nan();
                assert!(same, "{} {format}, {blocks} blocks: expected {expected}, got {got}", table.isa);
            }
        }
    }
}

/// The extreme codes: every partial sum at the end of its range.
#[test]
fn extreme_codes() {
    let query = Query::new(&[-1.0; 64]).unwrap();
    for table in available() {
        let mut row = vec![0x80u8; 68];
        for d in [0, 34] {
            row[d..d + 2].copy_from_slice(&[0, 0x3c]);
        }
        let expected = 64.0 * 128.0;
        let got = (table.dot_q8_0)(&row, &query);
        assert!((got - expected).abs() < 0.01, "{}: expected {expected}, got {got}", table.isa);
    }
}

#[test]
fn scores_are_near_the_exact_ones() {
    let mut rng = Random(5);
    for format in [BlockFormat::Q8_0, BlockFormat::Q4_0] {
        let (n, rows) = (256, 50);
        let query = vector(n, &mut rng);
        let mut blocks = vec![0; rows * format.bytes(n).unwrap()];
        quantize_into(format, &vector(rows * n, &mut rng), &mut blocks).unwrap();
        let mut scores = vec![0.0; rows];
        let quantized = Query::new(&query).unwrap();
        dot_i8_rows(format, &blocks, &quantized, &mut scores).unwrap();
        for (row, score) in blocks.chunks_exact(blocks.len() / rows).zip(&scores) {
            let mut weights = vec![0.0; n];
            dequantize_into(format, row, &mut weights).unwrap();
            let exact: f32 = weights.iter().zip(&query).map(|(w, q)| w * q).sum();
            // 256 products, each off by at most 1 / 254 of a magnitude up to 1, as a random walk.
            assert!((score - exact).abs() < 0.1, "{format}: expected about {exact}, got {score}");
            assert_eq!(dot_i8(format, row, &quantized).unwrap().to_bits(), score.to_bits());
        }
    }
}

#[test]
fn length_1_whatever_the_instruction_set() {
    let mut rng = Random(17);
    for n in (0..70).chain([256, 1000]) {
        let vector = vector(n, &mut rng).iter().map(|x| x * 1e-30).collect::<Vec<_>>();
        let length = vector.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        for table in available() {
            let (mut got, mut reference) = (vector.clone(), vector.clone());
            (table.normalize)(&mut got);
            (crate::kernel::scalar::table().normalize)(&mut reference);
            assert_eq!(got, reference, "{}, {n} numbers", table.isa);
            for (x, y) in vector.iter().zip(&got) {
                assert!((f64::from(*x) / length - f64::from(*y)).abs() < 1e-7, "{}: {x} of {length} is {y}", table.isa);
            }
        }
    }
    let mut zeros = [0.0; 20];
    normalize(&mut zeros);
    assert_eq!(zeros, [0.0; 20]);
}

#[test]
fn a_row_of_another_length_adds_nothing() {
    let (row, short) = ([0u8; 34], [0u8; 33]);
    let mut sum = [1.0; 32];
    let refused = accumulate_rows(BlockFormat::Q8_0, &[(&row, 1.0), (&short, 1.0)], &mut sum).unwrap_err();
    assert!(refused.to_string().contains("expected 34 bytes of blocks, got 33"), "{refused}");
    assert!(accumulate_rows(BlockFormat::Q8_0, &[(&short, 1.0)], &mut sum).is_err());
    accumulate_rows(BlockFormat::Q8_0, &[], &mut sum).unwrap();
    assert_eq!(sum, [1.0; 32]);
}

#[test]
fn tiny_and_empty_queries() {
    let tiny = Query::new(&[f32::MIN_POSITIVE; 32]).unwrap();
    let row = {
        let mut row = [1u8; 34];
        row[..2].copy_from_slice(&[0, 0x3c]);
        row
    };
    assert!(dot_i8(BlockFormat::Q8_0, &row, &tiny).unwrap().is_finite());
    assert_eq!(dot_i8(BlockFormat::Q8_0, &[], &Query::new(&[]).unwrap()).unwrap(), 0.0);
    assert!(Query::new(&[0.0; 31]).is_err() && Query::new(&[f32::NAN; 32]).is_err());
}
