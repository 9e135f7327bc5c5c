//! Quantization: errors within half a step, refusals. Bytes are compared with ggml's in `ggml.rs`.

use super::blocks::Random;
use crate::Code;
use crate::kernel::{BlockFormat, dequantize_into, quantize_into, quantize_q4_0_closely};

#[test]
fn comes_back_within_half_a_step() {
    let mut random = Random(1);
    let weights: Vec<f32> = (0..320_000).map(|_| random.unit()).collect();
    // Half a step of the largest scale there can be, and what its rounding to binary16 adds at the largest code. Q4_0
    // reaches from -8 to 7 only, where it errs by a whole step.
    for (format, most) in [
        (BlockFormat::F32, 0.0),
        (BlockFormat::F16, 0.5 / 2048.0),
        (BlockFormat::Bf16, 0.5 / 256.0),
        (BlockFormat::Q8_0, (0.5 + 127.0 / 2048.0) / 127.0),
        (BlockFormat::Q4_0, 1.01 / 8.0),
        (BlockFormat::Q4_1, 0.51 * 2.0 / 15.0),
    ] {
        let mut blocks = vec![0; format.bytes(weights.len()).unwrap()];
        quantize_into(format, &weights, &mut blocks).unwrap();
        let mut back = vec![0.0; weights.len()];
        dequantize_into(format, &blocks, &mut back).unwrap();
        let worst = weights.iter().zip(&back).map(|(w, b)| (w - b).abs()).fold(0.0, f32::max);
        assert!(worst <= most, "{format}: off by {worst}");
        assert!(format == BlockFormat::F32 || worst > most / 10.0, "{format}: suspiciously exact: {worst}");
    }
}

#[test]
fn what_does_not_fit_is_refused_and_named() {
    for format in [BlockFormat::Q8_0, BlockFormat::Q4_0, BlockFormat::Q4_1] {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 3e38, -1e38] {
            let mut weights = vec![0.5; 96];
            weights[70] = bad;
            let error = quantize_into(format, &weights, &mut vec![0; format.bytes(96).unwrap()]).unwrap_err();
            assert_eq!(error.code(), Code::InvalidArgument);
            assert!(error.message().contains("weights 64 to 96"), "{error}");
        }
        quantize_into(format, &[0.0; 32], &mut vec![0; format.block_bytes()]).unwrap();
    }
    let error = quantize_into(BlockFormat::Q4K, &[0.0; 256], &mut [0; 144]).unwrap_err();
    assert_eq!(error.code(), Code::Unsupported);
}

/// What a quantizer's blocks lose: the sum of squares over each block.
fn lost(weights: &[f32], quantize: impl Fn(&[f32], &mut [u8]) -> crate::Result<()>) -> Vec<f64> {
    let mut blocks = vec![0; BlockFormat::Q4_0.bytes(weights.len()).unwrap()];
    quantize(weights, &mut blocks).unwrap();
    let mut back = vec![0.0; weights.len()];
    dequantize_into(BlockFormat::Q4_0, &blocks, &mut back).unwrap();
    let pairs = weights.chunks(32).zip(back.chunks(32));
    pairs.map(|(w, b)| w.iter().zip(b).map(|(w, b)| f64::from(w - b).powi(2)).sum()).collect()
}

#[test]
fn closer_blocks_never_lose_more_than_the_references() {
    let mut random = Random(2);
    // About normally distributed: sums of four. Some blocks of them tiny, some large, some lopsided, one of zeros.
    let mut weights: Vec<f32> = (0..32 * 3000).map(|_| (0..4).map(|_| random.unit()).sum()).collect();
    let normal = weights.len();
    for scale in [0.0, 1e-20, 1e-6, 1e4] {
        weights.extend((0..320).map(|_| random.unit() * scale));
        weights.extend((0..320).map(|_| random.unit().abs() * scale));
    }
    let reference = lost(&weights, |weights, blocks| quantize_into(BlockFormat::Q4_0, weights, blocks));
    let closer = lost(&weights, quantize_q4_0_closely);
    for (i, (closer, reference)) in closer.iter().zip(&reference).enumerate() {
        assert!(*closer <= reference * 1.000_01, "block {i}: lost {closer}, the reference {reference}");
    }
    let of_normal = |lost: &[f64]| lost[..normal / 32].iter().sum::<f64>();
    let share = of_normal(&closer) / of_normal(&reference);
    assert!((0.7..0.92).contains(&share), "{share} of the squared error");
    for bad in [f32::NAN, 3e38] {
        let mut weights = vec![0.5; 96];
        weights[70] = bad;
        let error = quantize_q4_0_closely(&weights, &mut [0; 54]).unwrap_err();
        assert!(error.message().contains("weights 64 to 96"), "{error}");
    }
    assert_eq!(quantize_q4_0_closely(&[0.5; 32], &mut [0; 17]).unwrap_err().code(), Code::InvalidArgument);
}
