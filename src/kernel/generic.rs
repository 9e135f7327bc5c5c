//! Every format once, in the lanes of any instruction set; the files of the instruction sets only instantiate it.
#![expect(unsafe_code, reason = "blocks are read through raw pointers, by vector instructions")]

use half::{bf16, f16};

use super::Format;
use super::block::{self, E2M1_DOUBLED, IQ4_LEVELS, LARGE, NIBBLES, NIBBLES_LESS_8, SMALL};
use super::lanes::{Affine, Lanes, Sink, Spill, Store, Stream, Times, TimesMinus, TimesPlus};
use super::row::{Query, sum_lanes};

/// How a format is decoded.
pub(super) trait Blocks {
    /// The weights decoded at once, and their bytes: a block, or some of a format whose blocks are single weights.
    const ELEMENTS: usize;
    const BYTES: usize;
    /// # Safety
    /// The CPU has `L`; `BYTES` at `b` may be read, and `ELEMENTS` at `y` be given to the sink.
    unsafe fn decode<L: Lanes, S: Sink<L>>(b: *const u8, y: *mut f32, sink: S);
}

/// The kernels of one instruction set by [`Format`], from a function that is generic over [`Blocks`].
macro_rules! by_format {
    ($kernel:ident) => {{
        use crate::kernel::generic::{
            Bf16, F16, F32, Iq4Nl, Iq4Xs, Mxfp4, Q2K, Q3K, Q4_0, Q4_1, Q4K, Q5_0, Q5_1, Q5K, Q6K, Q8_0,
        };
        [
            $kernel::<F32>,
            $kernel::<F16>,
            $kernel::<Bf16>,
            $kernel::<Q4_0>,
            $kernel::<Q4_1>,
            $kernel::<Q5_0>,
            $kernel::<Q5_1>,
            $kernel::<Q8_0>,
            $kernel::<Q2K>,
            $kernel::<Q3K>,
            $kernel::<Q4K>,
            $kernel::<Q5K>,
            $kernel::<Q6K>,
            $kernel::<Iq4Nl>,
            $kernel::<Iq4Xs>,
            $kernel::<Mxfp4>,
        ]
    }};
}
pub(super) use by_format;

const LINE: usize = 64;
/// Weights decoded at once where each is a block of its own.
const SINGLES: usize = 64;

/// Weights decoded on the stack before they go to where they do not fit: behind the end, or unaligned.
#[repr(align(64))]
struct Tile<const N: usize>([f32; N]);

/// Decodes all blocks into the sink.
///
/// # Safety
/// The CPU has `L`. For [`Stream`] `out` is aligned to 64.
#[inline(always)]
pub(super) unsafe fn all<L: Lanes, B: Blocks, S: Sink<L>>(blocks: &[u8], out: &mut [f32], sink: S) {
    let whole = out.len() / B::ELEMENTS;
    assert!(blocks.len() / B::BYTES >= whole);
    for i in 0..whole {
        // SAFETY: both slices hold `whole` of their units.
        unsafe { B::decode::<L, S>(blocks.as_ptr().add(i * B::BYTES), out.as_mut_ptr().add(i * B::ELEMENTS), sink) };
    }
    if const { B::ELEMENTS == SINGLES } {
        let (blocks, out) = (&blocks[whole * B::BYTES..], &mut out[whole * B::ELEMENTS..]);
        if !out.is_empty() {
            let (mut padded, mut tile) = ([0; SINGLES * 4], Tile([0.0; SINGLES]));
            padded[..blocks.len()].copy_from_slice(blocks);
            tile.0[..out.len()].copy_from_slice(out);
            // SAFETY: so many weights, and no single weight has more than four bytes.
            unsafe { B::decode::<L, S>(padded.as_ptr(), tile.0.as_mut_ptr(), sink) };
            out.copy_from_slice(&tile.0[..out.len()]);
        }
    }
}

/// Decodes all blocks, past the caches.
///
/// # Safety
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

/// # Safety
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
/// The CPU has `L`.
#[inline(always)]
pub(super) unsafe fn affine_bytes<L: Lanes>(codes: &[u8], flip: u8, zero: f32, scale: f32, out: &mut [f32]) {
    assert_eq!(codes.len(), out.len());
    let whole = out.len() / 16 * 16;
    for i in (0..whole).step_by(16) {
        // SAFETY: sixteen codes and numbers are left.
        unsafe {
            let codes = L::flip(L::bytes(codes.as_ptr().add(i)), flip);
            L::store(out.as_mut_ptr().add(i), L::times(L::minus(L::floats(codes), zero), scale));
        }
    }
    let rest = codes[whole..].iter().zip(&mut out[whole..]);
    rest.for_each(|(code, y)| *y = (f32::from((code ^ flip) as i8) - zero) * scale);
}

/// # Safety
/// The CPU has `L`.
#[inline(always)]
pub(super) unsafe fn affine_nibbles<L: Lanes>(codes: &[u8], flip: u8, zero: f32, scale: f32, out: &mut [f32]) {
    assert_eq!(codes.len(), out.len().div_ceil(2));
    let whole = out.len() / 16 * 16;
    for i in (0..whole).step_by(16) {
        // SAFETY: eight bytes and sixteen numbers are left.
        unsafe {
            let codes = L::flip(L::nibbles(codes.as_ptr().add(i / 2)), flip);
            L::store(out.as_mut_ptr().add(i), L::times(L::minus(L::floats(codes), zero), scale));
        }
    }
    let nibble = |i: usize| codes[i / 2] >> (4 * (i % 2)) & 15 ^ flip;
    (whole..out.len()).for_each(|i| out[i] = (f32::from(nibble(i)) - zero) * scale);
}

/// # Safety
/// The CPU has `L`.
#[inline(always)]
pub(super) unsafe fn prefetch<L: Lanes>(row: &[u8]) {
    for line in row.chunks(LINE) {
        // SAFETY: an address of the row, and none would do harm.
        unsafe { L::prefetch(line.as_ptr()) };
    }
}

/// Declares a format: its unit, and how that is decoded. Inside, `L` are the lanes, `b` the block, `y` the output,
/// `put` takes sixteen weights from a position.
macro_rules! format {
    ($name:ident, $elements:expr, $bytes:expr, |$b:ident, $put:ident| $body:block) => {
        pub(super) struct $name;
        impl Blocks for $name {
            const ELEMENTS: usize = $elements;
            const BYTES: usize = $bytes;
            #[inline(always)]
            unsafe fn decode<L: Lanes, S: Sink<L>>($b: *const u8, y: *mut f32, sink: S) {
                const {
                    let (elements, bytes) = (Format::$name.block_elements(), Format::$name.block_bytes());
                    assert!(Self::ELEMENTS % elements == 0 && Self::ELEMENTS / elements * bytes == Self::BYTES);
                }
                macro_rules! $put {
                    ($at:expr, $floats:expr) => {{
                        debug_assert!($at + 16 <= Self::ELEMENTS);
                        sink.put(y.add($at), $floats)
                    }};
                }
                // SAFETY: the caller's; all offsets lie within the layout of the block.
                unsafe { $body }
            }
        }
    };
}

format!(F32, SINGLES, SINGLES * 4, |b, put| {
    for i in 0..SINGLES / 16 {
        put!(16 * i, L::from_f32(b.add(64 * i)));
    }
});

format!(F16, SINGLES, SINGLES * 2, |b, put| {
    for i in 0..SINGLES / 16 {
        put!(16 * i, L::from_f16(b.add(32 * i)));
    }
});

format!(Bf16, SINGLES, SINGLES * 2, |b, put| {
    for i in 0..SINGLES / 16 {
        put!(16 * i, L::from_bf16(b.add(32 * i)));
    }
});

format!(Q4_0, SMALL, block::q4_0::BYTES, |b, put| {
    let (d, q) = (Times(L::half(b.add(block::q4_0::D))), L::bytes(b.add(block::q4_0::QS)));
    put!(0, L::low(&NIBBLES_LESS_8, q, d));
    put!(16, L::high(&NIBBLES_LESS_8, q, d));
});

format!(Q4_1, SMALL, block::q4_1::BYTES, |b, put| {
    let d = TimesPlus(L::half(b.add(block::q4_1::D)), L::half(b.add(block::q4_1::M)));
    let q = L::bytes(b.add(block::q4_1::QS));
    put!(0, L::low(&NIBBLES, q, d));
    put!(16, L::high(&NIBBLES, q, d));
});

format!(Q5_0, SMALL, block::q5_0::BYTES, |b, put| {
    let d = Times(L::half(b.add(block::q5_0::D)));
    let [low, high] = five_bits::<L>(b.add(block::q5_0::QH), b.add(block::q5_0::QS));
    put!(0, d.of_bytes::<L>(L::less(low, 16)));
    put!(16, d.of_bytes::<L>(L::less(high, 16)));
});

format!(Q5_1, SMALL, block::q5_1::BYTES, |b, put| {
    let d = TimesPlus(L::half(b.add(block::q5_1::D)), L::half(b.add(block::q5_1::M)));
    let [low, high] = five_bits::<L>(b.add(block::q5_1::QH), b.add(block::q5_1::QS));
    put!(0, d.of_bytes::<L>(low));
    put!(16, d.of_bytes::<L>(high));
});

format!(Q8_0, SMALL, block::q8_0::BYTES, |b, put| {
    let (d, q) = (Times(L::half(b.add(block::q8_0::D))), b.add(block::q8_0::QS));
    put!(0, d.of_bytes::<L>(L::bytes(q)));
    put!(16, d.of_bytes::<L>(L::bytes(q.add(16))));
});

format!(Q2K, LARGE, block::q2_k::BYTES, |b, put| {
    let s = L::bytes(b.add(block::q2_k::SCALES));
    let d = scales::<L>(L::bits::<0>(s, 15), L::half(b.add(block::q2_k::D)));
    let m = scales::<L>(L::bits::<4>(s, 15), L::half(b.add(block::q2_k::DMIN)));
    // Sixteen bytes hold four groups of sixteen weights, 32 apart.
    for i in 0..4 {
        let q = L::bytes(b.add(block::q2_k::QS + 16 * i));
        let group = i / 2 * 8 + i % 2;
        macro_rules! quarter {
            ($n:literal) => {{
                let g = group + 2 * $n;
                put!(16 * g, TimesMinus(d[g], m[g]).of_bytes::<L>(L::bits::<{ 2 * $n }>(q, 3)))
            }};
        }
        quarter!(0);
        quarter!(1);
        quarter!(2);
        quarter!(3);
    }
});

format!(Q3K, LARGE, block::q3_k::BYTES, |b, put| {
    let s = q3_k_scales::<L>(b.add(block::q3_k::SCALES));
    let d = scales::<L>(L::less(s, 32), L::half(b.add(block::q3_k::D)));
    let hmask = [L::bytes(b.add(block::q3_k::HMASK)), L::bytes(b.add(block::q3_k::HMASK + 16))];
    macro_rules! part {
        ($half:literal, $n:literal) => {
            for i in 0..2 {
                let g = 8 * $half + 2 * $n + i;
                let q = L::bits::<{ 2 * $n }>(L::bytes(b.add(block::q3_k::QS + 32 * $half + 16 * i)), 3);
                let kept = L::left::<2>(L::bits::<{ 4 * $half + $n }>(hmask[i], 1));
                put!(16 * g, Times(d[g]).of_bytes::<L>(L::less(L::or(q, kept), 4)));
            }
        };
    }
    part!(0, 0);
    part!(0, 1);
    part!(0, 2);
    part!(0, 3);
    part!(1, 0);
    part!(1, 1);
    part!(1, 2);
    part!(1, 3);
});

format!(Q4K, LARGE, block::q4_k::BYTES, |b, put| {
    let s = scales_and_minima::<L>(b.add(block::q4_k::SCALES));
    let d = scales::<L>(s, L::half(b.add(block::q4_k::D)));
    let m = scales::<L>(s, L::half(b.add(block::q4_k::DMIN)));
    for j in 0..4 {
        let low = TimesMinus(d[2 * j], m[8 + 2 * j]);
        let high = TimesMinus(d[2 * j + 1], m[8 + 2 * j + 1]);
        let q = [L::bytes(b.add(block::q4_k::QS + 32 * j)), L::bytes(b.add(block::q4_k::QS + 32 * j + 16))];
        put!(64 * j, L::low(&NIBBLES, q[0], low));
        put!(64 * j + 16, L::low(&NIBBLES, q[1], low));
        put!(64 * j + 32, L::high(&NIBBLES, q[0], high));
        put!(64 * j + 48, L::high(&NIBBLES, q[1], high));
    }
});

format!(Q5K, LARGE, block::q5_k::BYTES, |b, put| {
    let s = scales_and_minima::<L>(b.add(block::q5_k::SCALES));
    let d = scales::<L>(s, L::half(b.add(block::q5_k::D)));
    let m = scales::<L>(s, L::half(b.add(block::q5_k::DMIN)));
    let qh = [L::bytes(b.add(block::q5_k::QH)), L::bytes(b.add(block::q5_k::QH + 16))];
    macro_rules! sixty_four {
        ($j:literal) => {
            let low = TimesMinus(d[2 * $j], m[8 + 2 * $j]);
            let high = TimesMinus(d[2 * $j + 1], m[8 + 2 * $j + 1]);
            for i in 0..2 {
                let q = L::bytes(b.add(block::q5_k::QS + 32 * $j + 16 * i));
                let fifth = L::left::<4>(L::bits::<{ 2 * $j }>(qh[i], 1));
                put!(64 * $j + 16 * i, low.of_bytes::<L>(L::or(L::bits::<0>(q, 15), fifth)));
                let fifth = L::left::<4>(L::bits::<{ 2 * $j + 1 }>(qh[i], 1));
                put!(64 * $j + 32 + 16 * i, high.of_bytes::<L>(L::or(L::bits::<4>(q, 15), fifth)));
            }
        };
    }
    sixty_four!(0);
    sixty_four!(1);
    sixty_four!(2);
    sixty_four!(3);
});

format!(Q6K, LARGE, block::q6_k::BYTES, |b, put| {
    let d = scales::<L>(L::bytes(b.add(block::q6_k::SCALES)), L::half(b.add(block::q6_k::D)));
    for half in 0..2 {
        for i in 0..2 {
            let (ql, qh) = (b.add(block::q6_k::QL + 64 * half + 16 * i), b.add(block::q6_k::QH + 32 * half + 16 * i));
            let (even, odd, qh) = (L::bytes(ql), L::bytes(ql.add(32)), L::bytes(qh));
            macro_rules! quarter {
                ($n:literal, $low:expr) => {{
                    let g = 8 * half + 2 * $n + i;
                    let q = L::or($low, L::left::<4>(L::bits::<{ 2 * $n }>(qh, 3)));
                    put!(16 * g, Times(d[g]).of_bytes::<L>(L::less(q, 32)))
                }};
            }
            quarter!(0, L::bits::<0>(even, 15));
            quarter!(1, L::bits::<0>(odd, 15));
            quarter!(2, L::bits::<4>(even, 15));
            quarter!(3, L::bits::<4>(odd, 15));
        }
    }
});

format!(Iq4Nl, SMALL, block::iq4_nl::BYTES, |b, put| {
    let (d, q) = (Times(L::half(b.add(block::iq4_nl::D))), L::bytes(b.add(block::iq4_nl::QS)));
    put!(0, L::low(&IQ4_LEVELS, q, d));
    put!(16, L::high(&IQ4_LEVELS, q, d));
});

format!(Iq4Xs, LARGE, block::iq4_xs::BYTES, |b, put| {
    let high = u16::from_le_bytes(b.add(block::iq4_xs::SCALES_H).cast::<[u8; 2]>().read());
    let low = u32::from_le_bytes(b.add(block::iq4_xs::SCALES_L).cast::<[u8; 4]>().read());
    let s = [(spread_nibbles(low) | spread_pairs(high) << 4).to_le_bytes(); 2];
    let d = scales::<L>(L::less(L::bytes(s.as_ptr().cast()), 32), L::half(b.add(block::iq4_xs::D)));
    for j in 0..8 {
        let q = L::bytes(b.add(block::iq4_xs::QS + 16 * j));
        put!(32 * j, L::low(&IQ4_LEVELS, q, Times(d[j])));
        put!(32 * j + 16, L::high(&IQ4_LEVELS, q, Times(d[j])));
    }
});

format!(Mxfp4, SMALL, block::mxfp4::BYTES, |b, put| {
    let d = Times(block::half_power(b.add(block::mxfp4::E).read()));
    let q = L::bytes(b.add(block::mxfp4::QS));
    put!(0, L::low(&E2M1_DOUBLED, q, d));
    put!(16, L::high(&E2M1_DOUBLED, q, d));
});

/// Applies to signed bytes.
trait OfBytes {
    /// # Safety
    /// The CPU has `L`.
    unsafe fn of_bytes<L: Lanes>(self, bytes: L::Bytes) -> L::Floats
    where
        Self: Affine<L>;
}

impl<A> OfBytes for A {
    #[inline(always)]
    unsafe fn of_bytes<L: Lanes>(self, bytes: L::Bytes) -> L::Floats
    where
        Self: Affine<L>,
    {
        // SAFETY: the caller's.
        unsafe { self.of(L::floats(bytes)) }
    }
}

/// Sixteen signed bytes times a scale.
///
/// # Safety
/// The CPU has `L`.
#[inline(always)]
unsafe fn scales<L: Lanes>(bytes: L::Bytes, d: f32) -> [f32; 16] {
    let mut scales = Spill([0.0; 16]);
    // SAFETY: the caller's.
    unsafe { L::spill(L::times(L::floats(bytes), d), &raw mut scales) };
    scales.0
}

/// The 32 weights of Q5_0 or Q5_1, unsigned.
///
/// # Safety
/// The CPU has `L`; 4 bytes at `qh` and 16 at `qs` may be read.
#[inline(always)]
unsafe fn five_bits<L: Lanes>(qh: *const u8, qs: *const u8) -> [L::Bytes; 2] {
    // SAFETY: the caller's.
    unsafe {
        let (qh, qs) = (u32::from_le_bytes(qh.cast::<[u8; 4]>().read()), L::bytes(qs));
        let low = L::or(L::bits::<0>(qs, 15), L::sixteens(qh as u16));
        let high = L::or(L::bits::<4>(qs, 15), L::sixteens((qh >> 16) as u16));
        [low, high]
    }
}

/// The eight scales of Q4_K and Q5_K, then the eight minima.
///
/// # Safety
/// The CPU has `L`; 16 bytes may be read, of which 12 are used.
#[inline(always)]
unsafe fn scales_and_minima<L: Lanes>(from: *const u8) -> L::Bytes {
    const NONE: u8 = 255;
    // SAFETY: the caller's.
    unsafe {
        let s = L::bytes(from);
        // Six bits for the first four of each kind, four for the others, whose upper two are on top of the first.
        let low = L::pick(s, &[0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, NONE, NONE, NONE, NONE]);
        let low = L::mask(low, &[63, 63, 63, 63, 15, 15, 15, 15, 63, 63, 63, 63, 0, 0, 0, 0]);
        let last = L::bits::<4>(
            L::pick(s, &[NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, 8, 9, 10, 11]),
            15,
        );
        let top = L::pick(s, &[NONE, NONE, NONE, NONE, 0, 1, 2, 3, NONE, NONE, NONE, NONE, 4, 5, 6, 7]);
        L::or(L::or(low, last), L::bits::<2>(top, 0x30))
    }
}

/// The sixteen scales of Q3_K, 32 not yet subtracted.
///
/// # Safety
/// The CPU has `L`; the 12 bytes and the 4 before them may be read.
#[inline(always)]
unsafe fn q3_k_scales<L: Lanes>(from: *const u8) -> L::Bytes {
    const NONE: u8 = 255;
    // SAFETY: the caller's; 16 bytes that end with the block's scales.
    unsafe {
        let s = L::bytes(from.sub(4));
        let low = L::pick(s, &[4, 5, 6, 7, 8, 9, 10, 11, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE]);
        let high = L::pick(s, &[NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, 4, 5, 6, 7, 8, 9, 10, 11]);
        let nibbles = L::or(L::bits::<0>(low, 15), L::bits::<4>(high, 15));
        let tops = L::pick(s, &[12, 13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15]);
        let first = L::left::<4>(L::mask(tops, &[3, 3, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
        let second = L::left::<2>(L::mask(tops, &[0, 0, 0, 0, 12, 12, 12, 12, 0, 0, 0, 0, 0, 0, 0, 0]));
        let third = L::mask(tops, &[0, 0, 0, 0, 0, 0, 0, 0, 0x30, 0x30, 0x30, 0x30, 0, 0, 0, 0]);
        let fourth = L::bits::<2>(L::mask(tops, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xc0, 0xc0, 0xc0, 0xc0]), 0x30);
        L::or(nibbles, L::or(L::or(first, second), L::or(third, fourth)))
    }
}

/// Eight nibbles, lowest first, to eight bytes.
#[inline(always)]
fn spread_nibbles(nibbles: u32) -> u64 {
    let x = u64::from(nibbles);
    let x = (x | x << 16) & 0x0000_ffff_0000_ffff;
    let x = (x | x << 8) & 0x00ff_00ff_00ff_00ff;
    (x | x << 4) & 0x0f0f_0f0f_0f0f_0f0f
}

/// Eight pairs of bits, lowest first, to eight bytes.
#[inline(always)]
fn spread_pairs(pairs: u16) -> u64 {
    let x = u64::from(pairs);
    let x = (x | x << 24) & 0x0000_00ff_0000_00ff;
    let x = (x | x << 12) & 0x000f_000f_000f_000f;
    (x | x << 6) & 0x0303_0303_0303_0303
}
