//! GPTQ and AWQ: packed here as their exporters pack, nibble by nibble, and taken apart again.

use half::f16;

use super::blocks::Random;
use crate::Code;
use crate::kernel::gptq::{Awq, Gptq, ZeroPoints};

struct Layer {
    q: Vec<u32>,
    zeros: Vec<u32>,
    scales: Vec<f16>,
}

const K: usize = 48;
const N: usize = 24;
const GROUP: usize = 16;

fn layer(seed: u64) -> Layer {
    let mut random = Random(seed);
    let mut nibbles = |n: usize| (0..n).map(|_| random.below(16) as u32).collect::<Vec<_>>();
    let (q, zeros) = (nibbles(K * N), nibbles(K / GROUP * N));
    Layer { q, zeros, scales: (0..K / GROUP * N).map(|_| f16::from_f32(random.unit())).collect() }
}

fn bytes(words: impl IntoIterator<Item = u32>) -> Vec<u8> {
    words.into_iter().flat_map(u32::to_le_bytes).collect()
}

/// Eight columns in a word; `order[i]` is the column of nibble `i`.
fn pack_columns(values: &[u32], order: [usize; 8]) -> Vec<u8> {
    bytes(values.chunks_exact(8).map(|eight| (0..8).map(|i| eight[order[i]] << (4 * i)).sum()))
}

const PLAIN: [usize; 8] = [0, 1, 2, 3, 4, 5, 6, 7];
const AWQ: [usize; 8] = [0, 2, 4, 6, 1, 3, 5, 7];

fn half_bytes(scales: &[f16]) -> Vec<u8> {
    scales.iter().flat_map(|s| s.to_le_bytes()).collect()
}

#[test]
fn gptq() {
    let layer = layer(1);
    let words = (0..K / 8).flat_map(|word| (0..N).map(move |n| (word, n)));
    let qweight = bytes(words.map(|(word, n)| (0..8).map(|i| layer.q[(8 * word + i) * N + n] << (4 * i)).sum()));
    let (qzeros, scales) = (pack_columns(&layer.zeros, PLAIN), half_bytes(&layer.scales));
    let order: Vec<u32> = (0..K as u32).map(|k| k * 7 % 3).collect();
    let g_idx = bytes(order.iter().copied());
    for (zero_points, plus) in [(ZeroPoints::LessOne, 1), (ZeroPoints::AsStored, 0)] {
        for reordered in [false, true] {
            let gptq = Gptq {
                inputs: K,
                outputs: N,
                group: GROUP,
                qweight: &qweight,
                qzeros: &qzeros,
                scales: &scales,
                g_idx: reordered.then_some(&g_idx),
                zero_points,
            };
            let mut out = vec![0.0; K * N];
            gptq.dequantize_into(0, &mut out).unwrap();
            for (i, y) in out.iter().enumerate() {
                let (k, n) = (i / N, i % N);
                let group = if reordered { order[k] as usize } else { k / GROUP };
                let zero = layer.zeros[group * N + n] as i32 + plus;
                assert_eq!(*y, (layer.q[i] as i32 - zero) as f32 * layer.scales[group * N + n].to_f32());
            }
            let mut narrow = vec![f16::NAN; K * N];
            gptq.dequantize_f16_into(0, &mut narrow).unwrap();
            assert!(narrow.iter().zip(&out).all(|(n, y)| *n == f16::from_f32(*y)));
            let mut part = vec![0.0; 3 * N];
            gptq.dequantize_into(10, &mut part).unwrap();
            assert_eq!(part, out[10 * N..13 * N]);
            assert_eq!(gptq.dequantize_into(K - 2, &mut part).unwrap_err().code(), Code::InvalidArgument);
            assert!(gptq.dequantize_into(0, &mut part[1..]).is_err());
            assert!(Gptq { qweight: &qweight[1..], ..gptq }.dequantize_into(0, &mut part).is_err());
            assert!(Gptq { qzeros: &qzeros[4..], ..gptq }.dequantize_into(0, &mut part).is_err());
            assert!(Gptq { group: 0, ..gptq }.dequantize_into(0, &mut part).is_err());
            let wild = bytes([u32::MAX; K]);
            let wild = Gptq { g_idx: Some(&wild), ..gptq };
            assert_eq!(wild.dequantize_into(0, &mut part).unwrap_err().code(), Code::Corrupt);
        }
    }
}

#[test]
fn awq() {
    let layer = layer(2);
    let (qweight, qzeros) = (pack_columns(&layer.q, AWQ), pack_columns(&layer.zeros, AWQ));
    let scales = half_bytes(&layer.scales);
    let awq = Awq { inputs: K, outputs: N, group: GROUP, qweight: &qweight, qzeros: &qzeros, scales: &scales };
    let mut out = vec![0.0; K * N];
    awq.dequantize_into(0, &mut out).unwrap();
    for (i, y) in out.iter().enumerate() {
        let at = i / N / GROUP * N + i % N;
        assert_eq!(*y, (layer.q[i] as i32 - layer.zeros[at] as i32) as f32 * layer.scales[at].to_f32());
    }
    let mut narrow = vec![f16::NAN; 2 * N];
    awq.dequantize_f16_into(K - 2, &mut narrow).unwrap();
    assert!(narrow.iter().zip(&out[(K - 2) * N..]).all(|(n, y)| *n == f16::from_f32(*y)));
    assert!(Awq { scales: &scales[2..], ..awq }.dequantize_into(0, &mut out).is_err());
    assert!(awq.dequantize_into(usize::MAX, &mut out).is_err());
}
