//! Integers of ONNX: against the operators' formulas, index by index. ONNX Runtime itself is the oracle in
//! `tests/onnx/kernels.rs`.

use half::f16;

use super::blocks::{Random, random};
use crate::Code;
use crate::kernel::dispatch::available;
use crate::kernel::ints::*;
use crate::kernel::{BlockFormat, dequantize_into, quantize_into, scalar};

#[test]
fn variants_agree() {
    let mut rng = Random(1);
    let mut codes = vec![0; 200];
    rng.fill(&mut codes);
    let reference = scalar::table();
    for table in available() {
        for n in 0..=100 {
            for shift in 0..33 {
                for (flip, zero) in [(0, 0.0), (0x80, -128.0), (8, 8.0), (0, 7.0)] {
                    let (mut out, mut expected) = (vec![1.0; n], vec![2.0; n]);
                    (table.affine_bytes)(&codes[shift..shift + n], flip, zero, 0.37, &mut out);
                    (reference.affine_bytes)(&codes[shift..shift + n], flip, zero, 0.37, &mut expected);
                    assert_eq!(out, expected, "{} bytes, {n} at {shift}", table.isa);
                    let codes = &codes[shift..shift + n.div_ceil(2)];
                    (table.affine_nibbles)(codes, flip & 15, zero, 0.37, &mut out);
                    (reference.affine_nibbles)(codes, flip & 15, zero, 0.37, &mut expected);
                    assert_eq!(out, expected, "{} nibbles, {n} at {shift}", table.isa);
                }
            }
        }
    }
}

fn element(ints: Ints, data: &[u8], i: usize) -> i64 {
    let nibble = i64::from(if i.is_multiple_of(2) { data[i / 2] % 16 } else { data[i / 2] / 16 });
    match ints {
        Ints::I8 => i64::from(data[i] as i8),
        Ints::U8 => i64::from(data[i]),
        Ints::I4 => {
            if nibble < 8 {
                nibble
            } else {
                nibble - 16
            }
        }
        Ints::U4 => nibble,
    }
}

#[test]
fn linear_is_its_formula() {
    let mut rng = Random(2);
    for ints in [Ints::I8, Ints::U8, Ints::I4, Ints::U4] {
        for shape in
            [&[][..], &[1], &[7], &[3, 5], &[4, 37], &[37, 4], &[2, 33, 18], &[3, 4, 5, 6], &[0, 3], &[3, 0, 2]]
        {
            let mut ways = vec![Per::Tensor];
            for axis in 0..shape.len() {
                ways.push(Per::Axis(axis));
                ways.extend([1, 2, 3, 16, 100].map(|size| Per::Block { axis, size }));
            }
            for per in ways {
                for with_zero_points in [false, true] {
                    let elements: usize = shape.iter().product();
                    // The scale of each element, by its indices.
                    let scale_of = |mut i: usize| {
                        let (mut index, mut stride) = (0, 1);
                        for (d, dim) in shape.iter().enumerate().rev() {
                            let (at, part) = (
                                i % dim,
                                match per {
                                    Per::Tensor => (0, 1),
                                    Per::Axis(axis) => {
                                        if d == axis {
                                            (i % dim, *dim)
                                        } else {
                                            (0, 1)
                                        }
                                    }
                                    Per::Block { axis, size } if d == axis => (i % dim / size, dim.div_ceil(size)),
                                    Per::Block { .. } => (i % dim, *dim),
                                },
                            );
                            i = (i - at) / dim;
                            index += part.0 * stride;
                            stride *= part.1;
                        }
                        (index, stride)
                    };
                    let scales = match per {
                        Per::Tensor => 1,
                        Per::Axis(axis) => shape[axis],
                        Per::Block { axis, size } => shape
                            .iter()
                            .enumerate()
                            .map(|(d, n)| if d == axis { n.div_ceil(size) } else { *n })
                            .product(),
                    };
                    let scales: Vec<f32> = (0..scales).map(|_| rng.unit()).collect();
                    let (mut data, mut zeros) = (vec![0; ints.bytes(elements)], vec![0; ints.bytes(scales.len())]);
                    rng.fill(&mut data);
                    rng.fill(&mut zeros);
                    let zero_points = with_zero_points.then_some(&zeros[..]);
                    let how = Linear { per, scales: &scales, zero_points };
                    let mut out = vec![f32::NAN; elements];
                    dequantize_linear_into(ints, &data, shape, &how, &mut out).unwrap();
                    for (i, y) in out.iter().enumerate() {
                        let (at, all) = scale_of(i);
                        assert_eq!(all, scales.len());
                        let zero = zero_points.map_or(0, |z| element(ints, z, at));
                        let expected = (element(ints, &data, i) - zero) as f32 * scales[at];
                        assert_eq!(y.to_bits(), expected.to_bits(), "{ints:?} {shape:?} {per:?}: element {i}");
                    }
                    let mut narrow = vec![f16::NAN; elements];
                    dequantize_linear_f16_into(ints, &data, shape, &how, &mut narrow).unwrap();
                    assert!(narrow.iter().zip(&out).all(|(n, y)| n.to_bits() == f16::from_f32(*y).to_bits()));
                    for first in 0..elements.min(7) {
                        let mut part = vec![f32::NAN; (elements - first).min(21)];
                        dequantize_linear_range_into(ints, &data, shape, &how, first, &mut part).unwrap();
                        assert_eq!(part, out[first..first + part.len()], "{ints:?} {shape:?} {per:?} from {first}");
                    }
                }
            }
        }
    }
}

#[test]
fn large_tensors_are_split_without_a_seam() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    let (rows, columns) = (1031, 1033);
    let mut data = vec![0; rows * columns];
    Random(3).fill(&mut data);
    let scales: Vec<f32> = (0..rows).map(|i| 1.0 + i as f32).collect();
    let how = Linear { per: Per::Axis(0), scales: &scales, zero_points: None };
    for ints in [Ints::I8, Ints::U4] {
        let mut out = vec![0.0; rows * columns];
        let data = &data[..ints.bytes(rows * columns)];
        pool.install(|| dequantize_linear_into(ints, data, &[rows, columns], &how, &mut out)).unwrap();
        for (i, y) in out.iter().enumerate() {
            assert_eq!(*y, element(ints, data, i) as f32 * scales[i / columns]);
        }
    }
}

#[test]
fn wrong_lengths_and_axes_are_refused() {
    let scales = [1.0; 6];
    let call = |shape: &[usize], per, scales: &[f32], zero_points, data: &[u8], out: usize| {
        let how = Linear { per, scales, zero_points };
        dequantize_linear_into(Ints::U4, data, shape, &how, &mut vec![0.0; out])
    };
    call(&[2, 3], Per::Axis(1), &scales[..3], Some(&[0; 2][..]), &[0; 3], 6).unwrap();
    for bad in [
        call(&[2, 3], Per::Axis(2), &scales[..3], None, &[0; 3], 6),
        call(&[2, 3], Per::Axis(1), &scales[..2], None, &[0; 3], 6),
        call(&[2, 3], Per::Axis(1), &scales[..3], Some(&[0; 1][..]), &[0; 3], 6),
        call(&[2, 3], Per::Axis(1), &scales[..3], None, &[0; 4], 6),
        call(&[2, 3], Per::Axis(1), &scales[..3], None, &[0; 3], 5),
        call(&[2, 3], Per::Block { axis: 0, size: 0 }, &scales[..3], None, &[0; 3], 6),
        call(&[usize::MAX, 3], Per::Tensor, &scales[..1], None, &[0; 3], 6),
    ] {
        assert_eq!(bad.unwrap_err().code(), Code::InvalidArgument);
    }
    let how = Linear { per: Per::Tensor, scales: &scales[..1], zero_points: None };
    for first in [4, usize::MAX] {
        let beyond = dequantize_linear_range_into(Ints::U4, &[0; 3], &[2, 3], &how, first, &mut [0.0; 3]);
        assert_eq!(beyond.unwrap_err().code(), Code::InvalidArgument);
    }
}

#[test]
fn blocks_come_back_within_half_a_step() {
    let mut rng = Random(4);
    for bits in [4, 8] {
        for block in [16, 32, 128] {
            for (rows, columns) in [(3, 64), (5, 100), (1, 1), (4, 129), (0, 5), (5, 0)] {
                let shape = NBits::new(bits, block, rows, columns).unwrap();
                let weights: Vec<f32> = (0..rows * columns).map(|_| rng.unit() + 0.3).collect();
                for asymmetric in [false, true] {
                    let (mut values, mut scales) = (vec![0xaa; shape.value_bytes()], vec![f32::NAN; shape.scales()]);
                    let mut zeros = vec![0xaa; shape.zero_point_bytes()];
                    let zero_points = asymmetric.then_some(&mut zeros[..]);
                    shape.quantize_into(&weights, Order::Rows, &mut values, &mut scales, zero_points).unwrap();
                    let zero_points = asymmetric.then_some(&zeros[..]);
                    let mut back = vec![f32::NAN; weights.len()];
                    shape.dequantize_into(&values, &scales, zero_points, &mut back).unwrap();
                    for (i, (w, b)) in weights.iter().zip(&back).enumerate() {
                        let step = scales[i / columns * columns.div_ceil(block) + i % columns / block].abs();
                        // Without a zero point the weaker end is one step short; the zero point itself is rounded.
                        let most = 1.01 * step + 1e-6;
                        assert!((w - b).abs() <= most, "{shape:?}, weight {i}: {w} came back as {b}, step {step}");
                    }

                    let mut narrow = vec![f16::NAN; weights.len()];
                    shape.dequantize_f16_into(&values, &scales, zero_points, &mut narrow).unwrap();
                    assert!(narrow.iter().zip(&back).all(|(n, b)| n.to_bits() == f16::from_f32(*b).to_bits()));
                    let mut part = vec![f32::NAN; rows.min(2) * columns];
                    let last = rows - rows.min(2)..rows;
                    shape.dequantize_rows_into(last.clone(), &values, &scales, zero_points, &mut part).unwrap();
                    assert_eq!(part, back[last.start * columns..]);
                    let beyond = rows..rows + 1;
                    let beyond =
                        shape.dequantize_rows_into(beyond, &values, &scales, zero_points, &mut vec![0.0; columns]);
                    assert_eq!(beyond.unwrap_err().code(), Code::InvalidArgument);

                    // The same matrix by columns gives the same bytes.
                    let turned: Vec<f32> =
                        (0..rows * columns).map(|i| weights[i % rows * columns + i / rows]).collect();
                    let (mut values_2, mut scales_2) = (vec![0; values.len()], vec![0.0; scales.len()]);
                    let mut zeros_2 = vec![0; zeros.len()];
                    let zero_points = asymmetric.then_some(&mut zeros_2[..]);
                    shape.quantize_into(&turned, Order::Columns, &mut values_2, &mut scales_2, zero_points).unwrap();
                    assert_eq!((values_2, scales_2), (values, scales));
                    assert!(!asymmetric || zeros_2 == zeros);
                }
            }
        }
    }
}

#[test]
fn repacking_is_exact() {
    for (format, bits) in [(BlockFormat::Q4_0, 4), (BlockFormat::Q8_0, 8)] {
        let (rows, columns) = (5, 96);
        let shape = NBits::new(bits, 32, rows, columns).unwrap();
        let (mut values, mut scales) = (vec![0; shape.value_bytes()], vec![0.0; shape.scales()]);
        let (mut expected, mut out) = (vec![0.0; rows * columns], vec![0.0; rows * columns]);
        for seed in 0..50 {
            let blocks = random(format, rows * columns / 32, &mut Random(seed));
            dequantize_into(format, &blocks, &mut expected).unwrap();
            shape.repack_into(format, &blocks, &mut values, &mut scales).unwrap();
            let (mut values_alone, mut scales_alone) = (vec![0; values.len()], vec![0.0; scales.len()]);
            shape.repack_values_into(format, &blocks, &mut values_alone).unwrap();
            shape.repack_scales_into(format, &blocks, &mut scales_alone).unwrap();
            let bits = |scales: &[f32]| scales.iter().map(|d| d.to_bits()).collect::<Vec<_>>();
            assert!(values == values_alone && bits(&scales) == bits(&scales_alone), "{format}");
            shape.dequantize_into(&values, &scales, None, &mut out).unwrap();
            for (e, y) in expected.iter().zip(&out) {
                // A weight of 0 has no sign there.
                assert!(e == y || e.to_bits() == y.to_bits(), "{format}: expected {e}, got {y}");
            }
        }
        assert!(NBits::new(bits, 64, rows, columns).unwrap().repack_into(format, &[], &mut [], &mut []).is_err());
        assert!(shape.repack_values_into(format, &[], &mut values).is_err());
        assert!(shape.repack_scales_into(format, &[], &mut scales).is_err());
    }
    // What is quantized without zero points is what ggml's Q4_0 would be, but for the rounding of its scale.
    let weights: Vec<f32> = (0..64).map(|i| ((i * 37 % 64) as f32 - 32.0) / 256.0).collect();
    let mut blocks = vec![0; 36];
    quantize_into(BlockFormat::Q4_0, &weights, &mut blocks).unwrap();
    let shape = NBits::new(4, 32, 2, 32).unwrap();
    let (mut values, mut scales) = (vec![0; 32], vec![0.0; 2]);
    shape.repack_into(BlockFormat::Q4_0, &blocks, &mut values, &mut scales).unwrap();
    let (mut values_2, mut scales_2) = (vec![0; 32], vec![0.0; 2]);
    shape.quantize_into(&weights, Order::Rows, &mut values_2, &mut scales_2, None).unwrap();
    assert!(scales.iter().zip(&scales_2).all(|(a, b)| (a - b).abs() < 1e-4), "{scales:?} {scales_2:?}");
}

#[test]
fn blocks_of_no_sense_are_refused() {
    for (bits, block) in [(3, 32), (4, 8), (4, 48), (8, 0)] {
        assert_eq!(NBits::new(bits, block, 1, 1).unwrap_err().code(), Code::InvalidArgument);
    }
    assert!(NBits::new(4, 32, usize::MAX / 4, 64).is_err());
    let shape = NBits::new(4, 32, 1, 32).unwrap();
    let bad = shape.quantize_into(&[f32::NAN; 32], Order::Rows, &mut [0; 16], &mut [0.0], None);
    assert_eq!(bad.unwrap_err().code(), Code::InvalidArgument);
    assert!(shape.dequantize_into(&[0; 15], &[0.0], None, &mut [0.0; 32]).is_err());
}
