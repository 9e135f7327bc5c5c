//! The reference: every format as its formula says, clarity before speed. All other variants must give these bits.

use half::{bf16, f16};

use super::block::{self, LARGE, SMALL};
use super::format::BlockFormat;
use super::query::{LANES, Query, sum_lanes, to_length_1};
use super::table::{Accumulate, Decode, Isa, Table};

/// The kernel of a format.
pub(super) const fn decode(format: BlockFormat) -> Decode {
    match format {
        BlockFormat::F32 => {
            |blocks, out| each(blocks, out, |b: &[u8; 4], y: &mut [f32; 1]| y[0] = f32::from_le_bytes(*b))
        }
        BlockFormat::F16 => |blocks, out| each(blocks, out, |b: &[u8; 2], y: &mut [f32; 1]| y[0] = half(b, 0)),
        BlockFormat::Bf16 => |blocks, out| {
            each(blocks, out, |b: &[u8; 2], y: &mut [f32; 1]| {
                y[0] = f32::from_bits(u32::from(u16::from_le_bytes(*b)) << 16)
            })
        },
        BlockFormat::Q4_0 => |blocks, out| each(blocks, out, q4_0),
        BlockFormat::Q4_1 => |blocks, out| each(blocks, out, q4_1),
        BlockFormat::Q5_0 => |blocks, out| each(blocks, out, q5_0),
        BlockFormat::Q5_1 => |blocks, out| each(blocks, out, q5_1),
        BlockFormat::Q8_0 => |blocks, out| each(blocks, out, q8_0),
        BlockFormat::Q2K => |blocks, out| each(blocks, out, q2_k),
        BlockFormat::Q3K => |blocks, out| each(blocks, out, q3_k),
        BlockFormat::Q4K => |blocks, out| each(blocks, out, q4_k),
        BlockFormat::Q5K => |blocks, out| each(blocks, out, q5_k),
        BlockFormat::Q6K => |blocks, out| each(blocks, out, q6_k),
        BlockFormat::Iq4Nl => |blocks, out| each(blocks, out, iq4_nl),
        BlockFormat::Iq4Xs => |blocks, out| each(blocks, out, iq4_xs),
        BlockFormat::Mxfp4 => |blocks, out| each(blocks, out, mxfp4),
    }
}

fn each<const B: usize, const E: usize>(blocks: &[u8], out: &mut [f32], one: impl Fn(&[u8; B], &mut [f32; E])) {
    for (block, y) in blocks.as_chunks().0.iter().zip(out.as_chunks_mut().0) {
        one(block, y);
    }
}

fn half(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

fn q4_0(b: &[u8; block::q4_0::BYTES], y: &mut [f32; SMALL]) {
    let d = half(b, block::q4_0::D);
    for (j, q) in b[block::q4_0::QS..].iter().enumerate() {
        y[j] = f32::from((q & 15) as i8 - 8) * d;
        y[j + 16] = f32::from((q >> 4) as i8 - 8) * d;
    }
}

fn q4_1(b: &[u8; block::q4_1::BYTES], y: &mut [f32; SMALL]) {
    let (d, m) = (half(b, block::q4_1::D), half(b, block::q4_1::M));
    for (j, q) in b[block::q4_1::QS..].iter().enumerate() {
        y[j] = f32::from(q & 15) * d + m;
        y[j + 16] = f32::from(q >> 4) * d + m;
    }
}

/// Weight `j` of a block of 32 whose fifth bits stand apart.
pub(super) fn five_bits(qh: &[u8], qs: &[u8], j: usize) -> u8 {
    let nibble = if j < 16 { qs[j] & 15 } else { qs[j - 16] >> 4 };
    nibble | (qh[j / 8] >> (j % 8) & 1) << 4
}

fn q5_0(b: &[u8; block::q5_0::BYTES], y: &mut [f32; SMALL]) {
    let d = half(b, block::q5_0::D);
    for (j, y) in y.iter_mut().enumerate() {
        *y = f32::from(five_bits(&b[block::q5_0::QH..], &b[block::q5_0::QS..], j) as i8 - 16) * d;
    }
}

fn q5_1(b: &[u8; block::q5_1::BYTES], y: &mut [f32; SMALL]) {
    let (d, m) = (half(b, block::q5_1::D), half(b, block::q5_1::M));
    for (j, y) in y.iter_mut().enumerate() {
        *y = f32::from(five_bits(&b[block::q5_1::QH..], &b[block::q5_1::QS..], j)) * d + m;
    }
}

fn q8_0(b: &[u8; block::q8_0::BYTES], y: &mut [f32; SMALL]) {
    let d = half(b, block::q8_0::D);
    for (y, q) in y.iter_mut().zip(&b[block::q8_0::QS..]) {
        *y = f32::from(*q as i8) * d;
    }
}

/// Weight `i` of a block of 256 with two bits each.
fn two_bits(qs: &[u8], i: usize) -> u8 {
    qs[i / 128 * 32 + i % 32] >> (2 * (i % 128 / 32)) & 3
}

fn q2_k(b: &[u8; block::q2_k::BYTES], y: &mut [f32; LARGE]) {
    let (d, dmin) = (half(b, block::q2_k::D), half(b, block::q2_k::DMIN));
    for (i, y) in y.iter_mut().enumerate() {
        let s = b[block::q2_k::SCALES + i / 16];
        let q = two_bits(&b[block::q2_k::QS..], i);
        *y = d * f32::from(s & 15) * f32::from(q) - dmin * f32::from(s >> 4);
    }
}

fn q3_k(b: &[u8; block::q3_k::BYTES], y: &mut [f32; LARGE]) {
    let d = half(b, block::q3_k::D);
    let scales = q3_k_scales(&b[block::q3_k::SCALES..]);
    for (i, y) in y.iter_mut().enumerate() {
        let kept = b[block::q3_k::HMASK + i % 32] >> (i / 32) & 1;
        let q = two_bits(&b[block::q3_k::QS..], i) as i8 - if kept == 1 { 0 } else { 4 };
        *y = d * f32::from(scales[i / 16]) * f32::from(q);
    }
}

fn q4_k(b: &[u8; block::q4_k::BYTES], y: &mut [f32; LARGE]) {
    let (d, dmin) = (half(b, block::q4_k::D), half(b, block::q4_k::DMIN));
    let (scales, minima) = scales_and_minima(&b[block::q4_k::SCALES..]);
    for (i, y) in y.iter_mut().enumerate() {
        let q = b[block::q4_k::QS + i / 64 * 32 + i % 32] >> (4 * (i / 32 % 2)) & 15;
        *y = d * f32::from(scales[i / 32]) * f32::from(q) - dmin * f32::from(minima[i / 32]);
    }
}

fn q5_k(b: &[u8; block::q5_k::BYTES], y: &mut [f32; LARGE]) {
    let (d, dmin) = (half(b, block::q5_k::D), half(b, block::q5_k::DMIN));
    let (scales, minima) = scales_and_minima(&b[block::q5_k::SCALES..]);
    for (i, y) in y.iter_mut().enumerate() {
        let nibble = b[block::q5_k::QS + i / 64 * 32 + i % 32] >> (4 * (i / 32 % 2)) & 15;
        let q = nibble | (b[block::q5_k::QH + i % 32] >> (i / 32) & 1) << 4;
        *y = d * f32::from(scales[i / 32]) * f32::from(q) - dmin * f32::from(minima[i / 32]);
    }
}

fn q6_k(b: &[u8; block::q6_k::BYTES], y: &mut [f32; LARGE]) {
    let d = half(b, block::q6_k::D);
    for (i, y) in y.iter_mut().enumerate() {
        let (half, part, l) = (i / 128, i % 128 / 32, i % 32);
        let low = b[block::q6_k::QL + half * 64 + part % 2 * 32 + l] >> (4 * (part / 2)) & 15;
        let high = b[block::q6_k::QH + half * 32 + l] >> (2 * part) & 3;
        let scale = b[block::q6_k::SCALES + i / 16] as i8;
        *y = d * f32::from(scale) * f32::from((low | high << 4) as i8 - 32);
    }
}

fn iq4_nl(b: &[u8; block::iq4_nl::BYTES], y: &mut [f32; SMALL]) {
    levels(half(b, block::iq4_nl::D), &block::IQ4_LEVELS, &b[block::iq4_nl::QS..], y);
}

fn iq4_xs(b: &[u8; block::iq4_xs::BYTES], y: &mut [f32; LARGE]) {
    let d = half(b, block::iq4_xs::D);
    let high = u16::from_le_bytes([b[block::iq4_xs::SCALES_H], b[block::iq4_xs::SCALES_H + 1]]);
    for (j, (y, qs)) in y.as_chunks_mut().0.iter_mut().zip(b[block::iq4_xs::QS..].chunks_exact(16)).enumerate() {
        let low = b[block::iq4_xs::SCALES_L + j / 2] >> (4 * (j % 2)) & 15;
        let high = (high >> (2 * j) & 3) as u8;
        let scale = (low | high << 4) as i8 - 32;
        levels(d * f32::from(scale), &block::IQ4_LEVELS, qs, y);
    }
}

fn mxfp4(b: &[u8; block::mxfp4::BYTES], y: &mut [f32; SMALL]) {
    levels(block::half_power(b[block::mxfp4::E]), &block::E2M1_DOUBLED, &b[block::mxfp4::QS..], y);
}

fn levels(d: f32, levels: &[i8; 16], qs: &[u8], y: &mut [f32; SMALL]) {
    for (j, q) in qs.iter().enumerate() {
        y[j] = d * f32::from(levels[usize::from(q & 15)]);
        y[j + 16] = d * f32::from(levels[usize::from(q >> 4)]);
    }
}

/// The scales and the minima of Q4_K and Q5_K, six bits each.
pub(super) fn scales_and_minima(s: &[u8]) -> ([u8; 8], [u8; 8]) {
    let scale = |j: usize| if j < 4 { s[j] & 63 } else { s[j + 4] & 15 | s[j - 4] >> 6 << 4 };
    let minimum = |j: usize| if j < 4 { s[j + 4] & 63 } else { s[j + 4] >> 4 | s[j] >> 6 << 4 };
    (std::array::from_fn(scale), std::array::from_fn(minimum))
}

fn q3_k_scales(s: &[u8]) -> [i8; 16] {
    std::array::from_fn(|i| {
        let low = if i < 8 { s[i] & 15 } else { s[i - 8] >> 4 };
        let high = s[8 + i % 4] >> (2 * (i / 4)) & 3;
        (low | high << 4) as i8 - 32
    })
}

/// The reference as a table; every CPU can run it.
pub(super) fn table() -> Table {
    let decode = BlockFormat::ALL.map(decode);
    Table {
        isa: Isa::Scalar,
        decode,
        stream: decode,
        accumulate: BlockFormat::ALL.map(accumulate),
        normalize: to_length_1,
        narrow_f16: |from, to| from.iter().zip(to).for_each(|(x, y)| *y = f16::from_f32(*x)),
        narrow_bf16: |from, to| from.iter().zip(to).for_each(|(x, y)| *y = bf16::from_f32(*x)),
        dot_q8_0: |row, query| dot::<{ block::q8_0::BYTES }>(row, query, |b, k| b[block::q8_0::QS + k] as i8),
        dot_q4_0: |row, query| {
            dot::<{ block::q4_0::BYTES }>(row, query, |b, k| {
                (b[block::q4_0::QS + k % 16] >> (4 * (k / 16)) & 15) as i8 - 8
            })
        },
        affine_bytes: |codes, flip, zero, scale, out| {
            codes.iter().zip(out).for_each(|(code, y)| *y = (f32::from((code ^ flip) as i8) - zero) * scale);
        },
        affine_nibbles: |codes, flip, zero, scale, out| {
            let nibble = |i: usize| codes[i / 2] >> (4 * (i % 2)) & 15 ^ flip;
            out.iter_mut().enumerate().for_each(|(i, y)| *y = (f32::from(nibble(i)) - zero) * scale);
        },
    }
}

/// `sum += weight * w`, each product rounded before it is added.
fn accumulate(format: BlockFormat) -> Accumulate {
    macro_rules! one {
        ($format:ident) => {
            |rows, sum| {
                let (bytes, elements) = (BlockFormat::$format.block_bytes(), BlockFormat::$format.block_elements());
                let mut tile = [0.0; LARGE];
                for &(row, weight) in rows {
                    for (block, sum) in row.chunks_exact(bytes).zip(sum.chunks_exact_mut(elements)) {
                        decode(BlockFormat::$format)(block, &mut tile[..elements]);
                        sum.iter_mut().zip(tile).for_each(|(sum, w)| *sum += weight * w);
                    }
                }
            }
        };
    }
    match format {
        BlockFormat::F32 => one!(F32),
        BlockFormat::F16 => one!(F16),
        BlockFormat::Bf16 => one!(Bf16),
        BlockFormat::Q4_0 => one!(Q4_0),
        BlockFormat::Q4_1 => one!(Q4_1),
        BlockFormat::Q5_0 => one!(Q5_0),
        BlockFormat::Q5_1 => one!(Q5_1),
        BlockFormat::Q8_0 => one!(Q8_0),
        BlockFormat::Q2K => one!(Q2K),
        BlockFormat::Q3K => one!(Q3K),
        BlockFormat::Q4K => one!(Q4K),
        BlockFormat::Q5K => one!(Q5K),
        BlockFormat::Q6K => one!(Q6K),
        BlockFormat::Iq4Nl => one!(Iq4Nl),
        BlockFormat::Iq4Xs => one!(Iq4Xs),
        BlockFormat::Mxfp4 => one!(Mxfp4),
    }
}

/// Lane `j` of eight sums the exact integer products of codes `4j .. 4j + 4` of each block, times the two scales.
fn dot<const B: usize>(row: &[u8], query: &Query, code: impl Fn(&[u8; B], usize) -> i8) -> f32 {
    let mut lanes = [0.0; LANES];
    for (block, (scale, codes)) in row.as_chunks().0.iter().zip(query.blocks()) {
        // Both formats begin with their scale.
        let scale = half(block, 0) * scale;
        for (j, lane) in lanes.iter_mut().enumerate() {
            let products = (4 * j..4 * j + 4).map(|k| i32::from(code(block, k)) * i32::from(codes[k]));
            *lane += scale * products.sum::<i32>() as f32;
        }
    }
    sum_lanes(lanes)
}
