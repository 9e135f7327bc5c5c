//! Decoders, one for each format in the lanes of any instruction set.
#![expect(unsafe_code, reason = "blocks are read through raw pointers, by vector instructions")]

use super::block::{self, E2M1_DOUBLED, IQ4_LEVELS, LARGE, NIBBLES, NIBBLES_LESS_8, SMALL};
use super::format::BlockFormat;
use super::lanes::{Affine, Lanes, Sink, Times, TimesMinus, TimesPlus};

/// Weights decoded at once where each is a block of its own.
pub(super) const SINGLES: usize = 64;

/// How a format is decoded.
pub(super) trait Blocks {
    /// The weights decoded at once, and their bytes: a block, or some of a format whose blocks are single weights.
    const ELEMENTS: usize;
    const BYTES: usize;
    /// What is known of the block before its weights: the scales of its groups, where it has groups. They go through
    /// memory, as a vector and then one by one, so they are worked out some blocks ahead.
    type Head: Copy;
    /// # Safety
    ///
    /// The CPU has `L`; `BYTES` at `b` may be read.
    unsafe fn head<L: Lanes>(b: *const u8) -> Self::Head;
    /// # Safety
    ///
    /// The CPU has `L`; `BYTES` at `b` may be read, and `ELEMENTS` at `y` be given to the sink.
    unsafe fn decode<L: Lanes, S: Sink<L>>(b: *const u8, head: &Self::Head, y: *mut f32, sink: S);
}

/// The kernels of one instruction set by [`BlockFormat`], from a function that is generic over [`Blocks`].
macro_rules! by_format {
    ($kernel:ident) => {{
        use crate::kernel::decode::{
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

/// Declares a format: its unit, and how that is decoded. Inside, `L` are the lanes, `b` the block, `y` the output,
/// `put` takes sixteen weights from a position. A format of groups first says what its scales are.
macro_rules! format {
    ($name:ident, $elements:expr, $bytes:expr, |$b:ident, $put:ident| $body:block) => {
        format!(@ $name, $elements, $bytes, |$b, _none, $put| $body,
            type Head = ();
            unsafe fn head<L: Lanes>(_: *const u8) {}
        );
    };
    ($name:ident, $elements:expr, $bytes:expr, $head:ty: |$b:ident| $scales:block, |$s:ident, $put:ident| $body:block) => {
        format!(@ $name, $elements, $bytes, |$b, $s, $put| $body,
            type Head = $head;
            #[inline(always)]
            unsafe fn head<L: Lanes>($b: *const u8) -> $head {
                // SAFETY: the caller's; all offsets lie within the layout of the block.
                unsafe { $scales }
            }
        );
    };
    (@ $name:ident, $elements:expr, $bytes:expr, |$b:ident, $s:ident, $put:ident| $body:block, $($head:tt)*) => {
        pub(super) struct $name;
        impl Blocks for $name {
            const ELEMENTS: usize = $elements;
            const BYTES: usize = $bytes;
            $($head)*
            #[inline(always)]
            unsafe fn decode<L: Lanes, S: Sink<L>>($b: *const u8, $s: &Self::Head, y: *mut f32, sink: S) {
                const {
                    let (elements, bytes) = (BlockFormat::$name.block_elements(), BlockFormat::$name.block_bytes());
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
    let (d, q) = (Times(L::halves(b.add(block::q4_0::D))), L::bytes(b.add(block::q4_0::QS)));
    put!(0, L::low(&NIBBLES_LESS_8, q, d));
    put!(16, L::high(&NIBBLES_LESS_8, q, d));
});

format!(Q4_1, SMALL, block::q4_1::BYTES, |b, put| {
    let d = TimesPlus(L::halves(b.add(block::q4_1::D)), L::halves(b.add(block::q4_1::M)));
    let q = L::bytes(b.add(block::q4_1::QS));
    put!(0, L::low(&NIBBLES, q, d));
    put!(16, L::high(&NIBBLES, q, d));
});

format!(Q5_0, SMALL, block::q5_0::BYTES, |b, put| {
    let d = Times(L::halves(b.add(block::q5_0::D)));
    let [low, high] = five_bits::<L>(b.add(block::q5_0::QH), b.add(block::q5_0::QS));
    put!(0, d.of_bytes::<L>(L::less(low, 16)));
    put!(16, d.of_bytes::<L>(L::less(high, 16)));
});

format!(Q5_1, SMALL, block::q5_1::BYTES, |b, put| {
    let d = TimesPlus(L::halves(b.add(block::q5_1::D)), L::halves(b.add(block::q5_1::M)));
    let [low, high] = five_bits::<L>(b.add(block::q5_1::QH), b.add(block::q5_1::QS));
    put!(0, d.of_bytes::<L>(low));
    put!(16, d.of_bytes::<L>(high));
});

format!(Q8_0, SMALL, block::q8_0::BYTES, |b, put| {
    let (d, q) = (Times(L::halves(b.add(block::q8_0::D))), b.add(block::q8_0::QS));
    put!(0, d.of_bytes::<L>(L::bytes(q)));
    put!(16, d.of_bytes::<L>(L::bytes(q.add(16))));
});

/// Does something for 0, 1, 2 and 3 as constants.
macro_rules! four_times {
    (|$n:ident| $body:block) => {{
        four_times!($n, 0, $body);
        four_times!($n, 1, $body);
        four_times!($n, 2, $body);
        four_times!($n, 3, $body);
    }};
    ($n:ident, $value:literal, $body:block) => {{
        const $n: i32 = $value;
        $body
    }};
}

format!(Q2K, LARGE, block::q2_k::BYTES, [Scales; 2]: |b| {
    let s = L::bytes(b.add(block::q2_k::SCALES));
    let d = Scales::new::<L>(L::bits::<0>(s, 15), L::halves(b.add(block::q2_k::D)));
    [d, Scales::new::<L>(L::bits::<4>(s, 15), L::halves(b.add(block::q2_k::DMIN)))]
}, |s, put| {
    let qs = L::wide(b.add(block::q2_k::QS));
    four_times!(|N| {
        // Two groups of each half.
        for (i, q) in L::split(L::wide_bits::<{ 2 * N }>(qs, 3)).into_iter().enumerate() {
            let g = i / 2 * 8 + 2 * N as usize + i % 2;
            put!(16 * g, TimesMinus(s[0].at::<L>(g), s[1].at::<L>(g)).of_bytes::<L>(q));
        }
    });
});

format!(Q3K, LARGE, block::q3_k::BYTES, Scales: |b| {
    let s = L::less(q3_k_scales::<L>(b.add(block::q3_k::SCALES)), 32);
    Scales::new::<L>(s, L::halves(b.add(block::q3_k::D)))
}, |s, put| {
    let (qs, kept) = (L::wide(b.add(block::q3_k::QS)), L::twice::<4>(b.add(block::q3_k::HMASK)));
    four_times!(|N| {
        let kept = L::wide_left::<2>(L::wide_bits::<N>(kept, 1));
        let q = L::wide_less(L::wide_or(L::wide_bits::<{ 2 * N }>(qs, 3), kept), 4);
        for (i, q) in L::split(q).into_iter().enumerate() {
            let g = i / 2 * 8 + 2 * N as usize + i % 2;
            put!(16 * g, Times(s.at::<L>(g)).of_bytes::<L>(q));
        }
    });
});

format!(Q4K, LARGE, block::q4_k::BYTES, Scales: |b| {
    let s = scales_and_minima(b.add(block::q4_k::SCALES).cast());
    Scales::new::<L>(L::bytes(s.as_ptr().cast()), L::two_halves(b.add(block::q4_k::D)))
}, |s, put| {
    for j in 0..4 {
        let low = TimesMinus(s.at::<L>(2 * j), s.at::<L>(8 + 2 * j));
        let high = TimesMinus(s.at::<L>(2 * j + 1), s.at::<L>(8 + 2 * j + 1));
        let q = [L::bytes(b.add(block::q4_k::QS + 32 * j)), L::bytes(b.add(block::q4_k::QS + 32 * j + 16))];
        put!(64 * j, L::low(&NIBBLES, q[0], low));
        put!(64 * j + 16, L::low(&NIBBLES, q[1], low));
        put!(64 * j + 32, L::high(&NIBBLES, q[0], high));
        put!(64 * j + 48, L::high(&NIBBLES, q[1], high));
    }
});

format!(Q5K, LARGE, block::q5_k::BYTES, Scales: |b| {
    let s = scales_and_minima(b.add(block::q5_k::SCALES).cast());
    Scales::new::<L>(L::bytes(s.as_ptr().cast()), L::two_halves(b.add(block::q5_k::D)))
}, |s, put| {
    let fifth = L::twice::<2>(b.add(block::q5_k::QH));
    macro_rules! half {
        ($half:literal) => {
            let qs = L::wide(b.add(block::q5_k::QS + 64 * $half));
            let low = L::wide_left::<4>(L::wide_bits::<{ 4 * $half }>(fifth, 1));
            let low = L::split(L::wide_or(L::wide_bits::<0>(qs, 15), low));
            let high = L::wide_left::<4>(L::wide_bits::<{ 4 * $half + 1 }>(fifth, 1));
            let high = L::split(L::wide_or(L::wide_bits::<4>(qs, 15), high));
            for i in 0..4 {
                let j = 4 * $half + i / 2 * 2;
                let at = 32 * j + i % 2 * 16;
                put!(at, TimesMinus(s.at::<L>(j), s.at::<L>(8 + j)).of_bytes::<L>(low[i]));
                put!(at + 32, TimesMinus(s.at::<L>(j + 1), s.at::<L>(9 + j)).of_bytes::<L>(high[i]));
            }
        };
    }
    half!(0);
    half!(1);
});

format!(Q6K, LARGE, block::q6_k::BYTES, Scales: |b| {
    Scales::new::<L>(L::bytes(b.add(block::q6_k::SCALES)), L::halves(b.add(block::q6_k::D)))
}, |s, put| {
    for half in 0..2 {
        let ql = L::wide(b.add(block::q6_k::QL + 64 * half));
        let qh = L::twice::<2>(b.add(block::q6_k::QH + 32 * half));
        let low = L::wide_or(L::wide_bits::<0>(ql, 15), L::wide_left::<4>(L::wide_bits::<0>(qh, 3)));
        let high = L::wide_or(L::wide_bits::<4>(ql, 15), L::wide_bits::<0>(qh, 0x30));
        for (i, q) in L::split(L::wide_less(low, 32)).into_iter().enumerate() {
            put!(128 * half + 16 * i, Times(s.at::<L>(8 * half + i)).of_bytes::<L>(q));
        }
        for (i, q) in L::split(L::wide_less(high, 32)).into_iter().enumerate() {
            put!(128 * half + 64 + 16 * i, Times(s.at::<L>(8 * half + 4 + i)).of_bytes::<L>(q));
        }
    }
});

format!(Iq4Nl, SMALL, block::iq4_nl::BYTES, |b, put| {
    let (d, q) = (Times(L::halves(b.add(block::iq4_nl::D))), L::bytes(b.add(block::iq4_nl::QS)));
    put!(0, L::low(&IQ4_LEVELS, q, d));
    put!(16, L::high(&IQ4_LEVELS, q, d));
});

format!(Iq4Xs, LARGE, block::iq4_xs::BYTES, Scales: |b| {
    let high = u16::from_le_bytes(b.add(block::iq4_xs::SCALES_H).cast::<[u8; 2]>().read());
    let low = u32::from_le_bytes(b.add(block::iq4_xs::SCALES_L).cast::<[u8; 4]>().read());
    let s = [(spread_nibbles(low) | spread_pairs(high) << 4).to_le_bytes(); 2];
    Scales::new::<L>(L::less(L::bytes(s.as_ptr().cast()), 32), L::halves(b.add(block::iq4_xs::D)))
}, |s, put| {
    for j in 0..8 {
        let (d, q) = (Times(s.at::<L>(j)), L::bytes(b.add(block::iq4_xs::QS + 16 * j)));
        put!(32 * j, L::low(&IQ4_LEVELS, q, d));
        put!(32 * j + 16, L::high(&IQ4_LEVELS, q, d));
    }
});

format!(Mxfp4, SMALL, block::mxfp4::BYTES, |b, put| {
    let d = Times(L::splat(block::half_power(b.add(block::mxfp4::E).read())));
    let q = L::bytes(b.add(block::mxfp4::QS));
    put!(0, L::low(&E2M1_DOUBLED, q, d));
    put!(16, L::high(&E2M1_DOUBLED, q, d));
});

/// Applies to signed bytes.
trait OfBytes {
    /// # Safety
    ///
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

/// The scales of a block's groups.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(super) struct Scales([f32; 16]);

impl Scales {
    /// Sixteen signed bytes times `d`.
    ///
    /// # Safety
    ///
    /// The CPU has `L`.
    #[inline(always)]
    unsafe fn new<L: Lanes>(bytes: L::Bytes, d: L::Floats) -> Self {
        let mut scales = Self([0.0; 16]);
        // SAFETY: the caller's.
        unsafe { L::store(scales.0.as_mut_ptr(), L::times(L::floats(bytes), d)) };
        scales
    }

    /// One of them in all lanes.
    ///
    /// # Safety
    ///
    /// The CPU has `L`.
    #[inline(always)]
    unsafe fn at<L: Lanes>(&self, group: usize) -> L::Floats {
        // SAFETY: the caller's.
        unsafe { L::load_splat(&raw const self.0[group]) }
    }
}

/// The 32 weights of Q5_0 or Q5_1, unsigned.
///
/// # Safety
///
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

/// The eight scales of Q4_K and Q5_K, then the eight minima: bytes, worked out where the CPU has nothing else to do.
///
/// # Safety
///
/// The 12 bytes may be read.
#[inline(always)]
unsafe fn scales_and_minima(from: *const [u8; 4]) -> [[u8; 8]; 2] {
    // SAFETY: the caller's.
    let [a, b, c] = unsafe { [from.read(), from.add(1).read(), from.add(2).read()] }.map(u32::from_le_bytes);
    // Six bits for the first four of each kind, four for the others, whose upper two are on top of the first.
    let eight = |first: u32, nibbles: u32| {
        let last = nibbles & 0x0f0f_0f0f | (first >> 6 & 0x0303_0303) << 4;
        (u64::from(first & 0x3f3f_3f3f) | u64::from(last) << 32).to_le_bytes()
    };
    [eight(a, c), eight(b, c >> 4)]
}

/// The sixteen scales of Q3_K, 32 not yet subtracted.
///
/// # Safety
///
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
