//! Kernels, each once in the lanes of any instruction set; the files of the instruction sets only instantiate it.
#![expect(unsafe_code, reason = "blocks are read through raw pointers, by vector instructions")]

use half::{bf16, f16};

use std::mem::MaybeUninit;

use super::block;
use super::decode::{Blocks, SINGLES};
use super::lanes::{Add, Lanes, Plus, Sink, Store, Stream};
use super::query::{Query, sum_lanes};

const LINE: usize = 64;

/// Blocks between the scales of one and its weights: as many as keep the scales' way through memory from being waited
/// for.
const AHEAD: usize = 4;

/// Weights decoded on the stack before they go to where they do not fit: behind the end, or unaligned.
#[repr(align(64))]
struct Tile<const N: usize>([f32; N]);

/// The kernels of this file in the lanes of one instruction set, as its table.
///
/// The functions are private to the table, which exists only where the CPU has the features: that makes them safe.
macro_rules! kernels {
    ($isa:expr, $lanes:ty, $features:literal) => {{
        use crate::kernel::decode::{Blocks, by_format};
        use crate::kernel::generic::{self, entry};
        use crate::kernel::lanes::Store;
        use crate::kernel::query::{Query, to_length_1};
        use crate::kernel::table::Table;
        use half::{bf16, f16};

        entry!($features, decode<B>(blocks: &[u8], out: &mut [f32]), generic::all::<$lanes, B, _>(blocks, out, Store));
        entry!($features, stream<B>(blocks: &[u8], out: &mut [f32]), generic::stream::<$lanes, B>(blocks, out));
        entry!($features, accumulate<B>(rows: &[(&[u8], f32)], sum: &mut [f32]), generic::accumulate::<$lanes, B>(rows, sum));
        entry!($features, normalize(vector: &mut [f32]), to_length_1(vector));
        entry!($features, narrow_f16(from: &[f32], to: &mut [f16]), generic::narrow_f16::<$lanes>(from, to));
        entry!($features, narrow_bf16(from: &[f32], to: &mut [bf16]), generic::narrow_bf16::<$lanes>(from, to));
        entry!($features, dot_q8_0(row: &[u8], query: &Query) -> f32, generic::dot_q8_0::<$lanes>(row, query));
        entry!($features, dot_q4_0(row: &[u8], query: &Query) -> f32, generic::dot_q4_0::<$lanes>(row, query));
        entry!(
            $features,
            affine_bytes(codes: &[u8], flip: u8, zero: f32, scale: f32, out: &mut [f32]),
            generic::affine_bytes::<$lanes>(codes, flip, zero, scale, out)
        );
        entry!(
            $features,
            affine_nibbles(codes: &[u8], flip: u8, zero: f32, scale: f32, out: &mut [f32]),
            generic::affine_nibbles::<$lanes>(codes, flip, zero, scale, out)
        );
        Table {
            isa: $isa,
            decode: by_format!(decode),
            stream: by_format!(stream),
            accumulate: by_format!(accumulate),
            normalize,
            narrow_f16,
            narrow_bf16,
            dot_q8_0,
            dot_q4_0,
            affine_bytes,
            affine_nibbles,
        }
    }};
}
pub(super) use kernels;

/// A function that enables the features for what is inlined into it.
macro_rules! entry {
    ($features:literal, $name:ident $(<$blocks:ident>)? ($($arg:ident: $type:ty),*) $(-> $result:ty)?, $kernel:expr) => {
        fn $name $(<$blocks: Blocks>)? ($($arg: $type),*) $(-> $result)? {
            #[target_feature(enable = $features)]
            unsafe fn run $(<$blocks: Blocks>)? ($($arg: $type),*) $(-> $result)? {
                $kernel
            }
            // SAFETY: reached through the table only.
            unsafe { run $(::<$blocks>)? ($($arg),*) }
        }
    };
}
pub(super) use entry;

/// Decodes all blocks into the sink.
///
/// # Safety
///
/// The CPU has `L`. For [`Stream`] `out` is aligned to 64.
#[inline(always)]
pub(super) unsafe fn all<L: Lanes, B: Blocks, S: Sink<L>>(blocks: &[u8], out: &mut [f32], sink: S) {
    let whole = out.len() / B::ELEMENTS;
    assert!(blocks.len() / B::BYTES >= whole);
    // SAFETY: the slice holds `whole` units; the CPU has `L`.
    let head = |i: usize| unsafe { B::head::<L>(blocks.as_ptr().add(i * B::BYTES)) };
    let mut heads = [const { MaybeUninit::uninit() }; 2 * AHEAD];
    for (i, room) in heads.iter_mut().enumerate().take(whole.min(AHEAD)) {
        room.write(head(i));
    }
    for i in 0..whole {
        if i + AHEAD < whole {
            heads[(i + AHEAD) % heads.len()].write(head(i + AHEAD));
        }
        let (b, y) = (i * B::BYTES, i * B::ELEMENTS);
        // SAFETY: both slices hold `whole` of their units, and the head was written `AHEAD` blocks before.
        unsafe {
            let head = heads[i % heads.len()].assume_init_ref();
            B::decode::<L, S>(blocks.as_ptr().add(b), head, out.as_mut_ptr().add(y), sink);
        }
    }
    if const { B::ELEMENTS == SINGLES } {
        let (blocks, out) = (&blocks[whole * B::BYTES..], &mut out[whole * B::ELEMENTS..]);
        if !out.is_empty() {
            let (mut padded, mut tile) = ([0; SINGLES * 4], Tile([0.0; SINGLES]));
            padded[..blocks.len()].copy_from_slice(blocks);
            tile.0[..out.len()].copy_from_slice(out);
            // SAFETY: so many weights, and no single weight has more than four bytes.
            unsafe { B::decode::<L, S>(padded.as_ptr(), &B::head::<L>(padded.as_ptr()), tile.0.as_mut_ptr(), sink) };
            out.copy_from_slice(&tile.0[..out.len()]);
        }
    }
}

/// Decodes all blocks, past the caches.
///
/// # Safety
///
/// The CPU has `L`.
#[inline(always)]
pub(super) unsafe fn stream<L: Lanes, B: Blocks>(blocks: &[u8], out: &mut [f32]) {
    if out.as_ptr().addr().is_multiple_of(LINE) {
        // SAFETY: the caller's, and aligned.
        unsafe { all::<L, B, Stream>(blocks, out, Stream) };
    } else {
        let mut tile = Tile([0.0; 1024]);
        for (blocks, out) in blocks.chunks(tile.0.len() / B::ELEMENTS * B::BYTES).zip(out.chunks_mut(tile.0.len())) {
            let tile = &mut tile.0[..out.len()];
            // SAFETY: the caller's.
            unsafe {
                all::<L, B, Store>(blocks, tile, Store);
                stream_copy::<L>(tile, out);
            }
        }
    }
    // SAFETY: the caller's.
    unsafe { L::fence() };
}

/// Rows that are summed side by side, while the sum of a block stays in registers.
const ABREAST: usize = 4;

/// Adds the weights of rows, each times its number.
///
/// # Safety
///
/// The CPU has `L`.
#[inline(always)]
pub(super) unsafe fn accumulate<L: Lanes, B: Blocks>(rows: &[(&[u8], f32)], sum: &mut [f32]) {
    // A larger block has more weights than there are registers.
    let fits = const { B::ELEMENTS <= SINGLES } && sum.len().is_multiple_of(B::ELEMENTS);
    let abreast = if fits { rows.as_chunks::<ABREAST>().0 } else { &[] };
    for rows in abreast {
        // SAFETY: the caller's; a block fits the tile.
        unsafe {
            if rows.iter().all(|(_, weight)| *weight == 1.0) {
                side_by_side::<L, B, _>(rows, sum, |_| Plus);
            } else {
                side_by_side::<L, B, _>(rows, sum, Add);
            }
        }
    }
    for (row, weight) in &rows[abreast.len() * ABREAST..] {
        // SAFETY: the caller's.
        unsafe { all::<L, B, _>(row, sum, Add(*weight)) };
    }
}

/// # Safety
///
/// The CPU has `L`; a unit is of at most `SINGLES` weights.
#[inline(always)]
unsafe fn side_by_side<L: Lanes, B: Blocks, S: Sink<L>>(
    rows: &[(&[u8], f32); ABREAST],
    sum: &mut [f32],
    sink: impl Fn(f32) -> S,
) {
    let whole = sum.len() / B::ELEMENTS;
    assert!(rows.iter().all(|(row, _)| row.len() / B::BYTES >= whole));
    for i in 0..whole {
        // SAFETY: the sum and each row hold `whole` of their units.
        unsafe {
            let mut tile = MaybeUninit::<Tile<SINGLES>>::uninit();
            let (tile, sum) = (tile.as_mut_ptr().cast::<f32>(), sum.as_mut_ptr().add(i * B::ELEMENTS));
            for at in (0..B::ELEMENTS).step_by(16) {
                L::store(tile.add(at), L::from_f32(sum.add(at).cast()));
            }
            for (row, weight) in rows {
                let b = row.as_ptr().add(i * B::BYTES);
                B::decode::<L, S>(b, &B::head::<L>(b), tile, sink(*weight));
            }
            for at in (0..B::ELEMENTS).step_by(16) {
                L::store(sum.add(at), L::from_f32(tile.add(at).cast()));
            }
        }
    }
}

/// # Safety
///
/// The CPU has `L`.
#[inline(always)]
unsafe fn stream_copy<L: Lanes>(from: &[f32], to: &mut [f32]) {
    let head = to.as_ptr().align_offset(LINE).min(to.len());
    let lines = (to.len() - head) / 16;
    let tail = head + lines * 16;
    to[..head].copy_from_slice(&from[..head]);
    for i in (head..tail).step_by(16) {
        // SAFETY: sixteen numbers are left in both, and `head` made the target aligned.
        unsafe { L::stream(to.as_mut_ptr().add(i), L::from_f32(from.as_ptr().add(i).cast())) };
    }
    to[tail..].copy_from_slice(&from[tail..]);
}

/// # Safety
///
/// The CPU has `L`.
#[inline(always)]
pub(super) unsafe fn narrow_f16<L: Lanes>(from: &[f32], to: &mut [f16]) {
    assert_eq!(from.len(), to.len());
    let whole = from.len() / 16 * 16;
    for i in (0..whole).step_by(16) {
        // SAFETY: sixteen numbers are left in both.
        unsafe { L::store_f16(to.as_mut_ptr().add(i).cast(), L::from_f32(from.as_ptr().add(i).cast())) };
    }
    from[whole..].iter().zip(&mut to[whole..]).for_each(|(x, y)| *y = f16::from_f32(*x));
}

/// # Safety
///
/// The CPU has `L`.
#[inline(always)]
pub(super) unsafe fn narrow_bf16<L: Lanes>(from: &[f32], to: &mut [bf16]) {
    assert_eq!(from.len(), to.len());
    let whole = from.len() / 16 * 16;
    for i in (0..whole).step_by(16) {
        // SAFETY: sixteen numbers are left in both.
        unsafe { L::store_bf16(to.as_mut_ptr().add(i).cast(), L::from_f32(from.as_ptr().add(i).cast())) };
    }
    from[whole..].iter().zip(&mut to[whole..]).for_each(|(x, y)| *y = bf16::from_f32(*x));
}

/// # Safety
///
/// The CPU has `L`.
#[inline(always)]
pub(super) unsafe fn dot_q8_0<L: Lanes>(row: &[u8], query: &Query) -> f32 {
    // SAFETY: the caller's; a block is the scale and 32 bytes.
    unsafe {
        let mut lanes = L::no_sums();
        for (block, (scale, codes)) in row.as_chunks::<{ block::q8_0::BYTES }>().0.iter().zip(query.blocks()) {
            let b = block.as_ptr();
            lanes = L::add_products(lanes, L::half(b) * scale, L::codes(b.add(block::q8_0::QS)), codes.as_ptr());
        }
        sum_lanes(L::eight(lanes))
    }
}

/// # Safety
///
/// The CPU has `L`.
#[inline(always)]
pub(super) unsafe fn dot_q4_0<L: Lanes>(row: &[u8], query: &Query) -> f32 {
    // SAFETY: the caller's; a block is the scale and 16 bytes.
    unsafe {
        let mut lanes = L::no_sums();
        for (block, (scale, codes)) in row.as_chunks::<{ block::q4_0::BYTES }>().0.iter().zip(query.blocks()) {
            let b = block.as_ptr();
            lanes = L::add_products(lanes, L::half(b) * scale, L::nibble_codes(b.add(block::q4_0::QS)), codes.as_ptr());
        }
        sum_lanes(L::eight(lanes))
    }
}

/// # Safety
///
/// The CPU has `L`.
#[inline(always)]
pub(super) unsafe fn affine_bytes<L: Lanes>(codes: &[u8], flip: u8, zero: f32, scale: f32, out: &mut [f32]) {
    assert_eq!(codes.len(), out.len());
    let whole = out.len() / 16 * 16;
    for i in (0..whole).step_by(16) {
        // SAFETY: sixteen codes and numbers are left.
        unsafe {
            let codes = L::flip(L::bytes(codes.as_ptr().add(i)), flip);
            L::store(out.as_mut_ptr().add(i), L::times(L::minus(L::floats(codes), L::splat(zero)), L::splat(scale)));
        }
    }
    let rest = codes[whole..].iter().zip(&mut out[whole..]);
    rest.for_each(|(code, y)| *y = (f32::from((code ^ flip) as i8) - zero) * scale);
}

/// # Safety
///
/// The CPU has `L`.
#[inline(always)]
pub(super) unsafe fn affine_nibbles<L: Lanes>(codes: &[u8], flip: u8, zero: f32, scale: f32, out: &mut [f32]) {
    assert_eq!(codes.len(), out.len().div_ceil(2));
    let whole = out.len() / 16 * 16;
    for i in (0..whole).step_by(16) {
        // SAFETY: eight bytes and sixteen numbers are left.
        unsafe {
            let codes = L::flip(L::nibbles(codes.as_ptr().add(i / 2)), flip);
            L::store(out.as_mut_ptr().add(i), L::times(L::minus(L::floats(codes), L::splat(zero)), L::splat(scale)));
        }
    }
    let nibble = |i: usize| codes[i / 2] >> (4 * (i % 2)) & 15 ^ flip;
    (whole..out.len()).for_each(|i| out[i] = (f32::from(nibble(i)) - zero) * scale);
}
