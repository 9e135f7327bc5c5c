//! Packing: from blocks of rows to the records of panels.

use super::layout::{GROUP, GROUP_BYTES, GROUPS, Kind, Layout, PANEL, PIECE};
use crate::kernel::block::{self, LARGE, SMALL};
use crate::kernel::format::BlockFormat;
use crate::kernel::scalar::{five_bits, scales_and_minima};

/// Writes the records of a panel; `rows` are the blocks of at most [`PANEL`] rows, and `records` is zeros.
pub(super) fn panel<'b>(
    format: BlockFormat,
    layout: &Layout,
    rows: impl Iterator<Item = &'b [u8]>,
    records: &mut [u8],
) {
    let block_bytes = format.block_bytes() * layout.elements() / format.block_elements();
    for (row, blocks) in rows.enumerate() {
        let records = records.chunks_exact_mut(layout.record_bytes());
        for (block, record) in blocks.chunks_exact(block_bytes).zip(records) {
            if layout.kind == Kind::Float {
                floats(block, row, record);
            } else {
                scales(format, layout, block, row, record);
                let codes = codes(format, block);
                let pieces = record[layout.pieces_at()..].chunks_exact_mut(layout.piece_bytes());
                pieces.zip(codes.as_chunks().0).for_each(|(piece, codes)| put(layout.bits, codes, row, piece));
            }
        }
    }
}

fn floats(block: &[u8], row: usize, record: &mut [u8]) {
    for (number, column) in block.chunks_exact(2).zip(record.chunks_exact_mut(2 * PANEL)) {
        column[2 * row..2 * row + 2].copy_from_slice(number);
    }
}

fn scales(format: BlockFormat, layout: &Layout, block: &[u8], row: usize, record: &mut [u8]) {
    let mut half = |field: usize, bytes: [u8; 2]| {
        record[field * 2 * PANEL + 2 * row..][..2].copy_from_slice(&bytes);
    };
    let of = |at: usize| [block[at], block[at + 1]];
    match format {
        BlockFormat::Mxfp4 => {
            half(0, ((block::half_power(block[block::mxfp4::E]).to_bits() >> 16) as u16).to_le_bytes())
        }
        BlockFormat::Q6K => half(0, of(block::q6_k::D)),
        // All others begin with the scale, and the minimum follows where there is one.
        _ => half(0, of(0)),
    }
    if layout.minima {
        half(1, of(2));
    }
    let mut sub = |i: usize, byte: u8| record[layout.subs_at() + i * PANEL + row] = byte;
    match format {
        BlockFormat::Q4K | BlockFormat::Q5K => {
            const { assert!(block::q4_k::SCALES == block::q5_k::SCALES) };
            let (scales, minima) = scales_and_minima(&block[block::q4_k::SCALES..]);
            scales.iter().chain(&minima).enumerate().for_each(|(i, byte)| sub(i, *byte));
        }
        BlockFormat::Q6K => {
            let scales = &block[block::q6_k::SCALES..][..16];
            scales.iter().enumerate().for_each(|(i, byte)| sub(i, *byte));
        }
        _ => {}
    }
}

/// The codes of a block as they stand in a record: of nibbles with levels, the nibbles.
fn codes(format: BlockFormat, block: &[u8]) -> [u8; LARGE] {
    let mut codes = [0; LARGE];
    let mut nibbles = |qs: usize| {
        for j in 0..SMALL / 2 {
            codes[j] = block[qs + j] & 15;
            codes[j + SMALL / 2] = block[qs + j] >> 4;
        }
    };
    match format {
        BlockFormat::Q4_0 => nibbles(block::q4_0::QS),
        BlockFormat::Q4_1 => nibbles(block::q4_1::QS),
        BlockFormat::Iq4Nl => nibbles(block::iq4_nl::QS),
        BlockFormat::Mxfp4 => nibbles(block::mxfp4::QS),
        BlockFormat::Q5_0 => five(&block[block::q5_0::QH..], &block[block::q5_0::QS..], &mut codes),
        BlockFormat::Q5_1 => five(&block[block::q5_1::QH..], &block[block::q5_1::QS..], &mut codes),
        BlockFormat::Q8_0 => codes.iter_mut().zip(&block[block::q8_0::QS..]).for_each(|(code, q)| *code = q ^ 0x80),
        BlockFormat::Q4K => k_nibbles(&block[block::q4_k::QS..], &mut codes),
        BlockFormat::Q5K => {
            k_nibbles(&block[block::q5_k::QS..], &mut codes);
            let upper = |i: usize| (block[block::q5_k::QH + i % 32] >> (i / 32) & 1) << 4;
            codes.iter_mut().enumerate().for_each(|(i, code)| *code |= upper(i));
        }
        BlockFormat::Q6K => six(block, &mut codes),
        _ => unreachable!("{format} has no whole numbers"),
    }
    codes
}

fn five(qh: &[u8], qs: &[u8], codes: &mut [u8; LARGE]) {
    codes[..SMALL].iter_mut().enumerate().for_each(|(j, code)| *code = five_bits(qh, qs, j));
}

fn k_nibbles(qs: &[u8], codes: &mut [u8; LARGE]) {
    for (codes, qs) in codes.chunks_exact_mut(64).zip(qs.chunks_exact(32)) {
        let (low, high) = codes.split_at_mut(32);
        low.iter_mut().zip(qs).for_each(|(code, q)| *code = q & 15);
        high.iter_mut().zip(qs).for_each(|(code, q)| *code = q >> 4);
    }
}

fn six(block: &[u8], codes: &mut [u8; LARGE]) {
    for (half, codes) in codes.chunks_exact_mut(LARGE / 2).enumerate() {
        let low = &block[block::q6_k::QL + half * 64..][..64];
        let high = &block[block::q6_k::QH + half * 32..][..32];
        for l in 0..32 {
            codes[l] = low[l] & 15 | (high[l] & 3) << 4;
            codes[l + 32] = low[l + 32] & 15 | (high[l] >> 2 & 3) << 4;
            codes[l + 64] = low[l] >> 4 | (high[l] >> 4 & 3) << 4;
            codes[l + 96] = low[l + 32] >> 4 | (high[l] >> 6) << 4;
        }
    }
}

/// Lays 32 codes of a row into a piece that is zeros there.
fn put(bits: usize, codes: &[u8; SMALL], row: usize, piece: &mut [u8]) {
    let (upper, lower) = piece.split_at_mut(if bits < 8 { PIECE / 8 * (bits - 4) } else { 0 });
    for (k, code) in codes.iter().enumerate() {
        let (g, i) = (k / GROUP, row * GROUP + k % GROUP);
        if bits == 8 {
            lower[g * GROUP_BYTES + i] = *code;
            continue;
        }
        lower[g % (GROUPS / 2) * GROUP_BYTES + i] |= (code & 15) << (4 * (g / (GROUPS / 2)));
        match bits {
            5 => upper[i] |= (code >> 4) << g,
            6 => upper[g / 4 * GROUP_BYTES + i] |= (code >> 4) << (2 * (g % 4)),
            _ => {}
        }
    }
}
