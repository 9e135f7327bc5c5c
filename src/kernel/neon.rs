//! 64-bit Arm: sixteen lanes are four vectors of four. NEON is part of the baseline, so there is nothing to detect.
#![expect(unsafe_code, reason = "vector instructions")]
#![expect(unsafe_op_in_unsafe_fn, reason = "each operation needs what its function needs: see `Lanes`")]

use std::arch::aarch64::*;
use std::arch::asm;

use super::generic::kernels;
use super::lanes::{Affine, Lanes};
use super::table::{Isa, Table};

/// The kernels, if the CPU can run them: it can.
pub(super) fn table() -> Option<Table> {
    Some(kernels!(Isa::Neon, Neon, "neon"))
}

#[derive(Clone, Copy)]
struct Neon;

impl Lanes for Neon {
    type Bytes = uint8x16_t;
    type Wide = [uint8x16_t; 4];
    type Floats = [float32x4_t; 4];
    type Eight = [float32x4_t; 2];
    type Codes = [int8x16_t; 2];

    #[inline(always)]
    unsafe fn bytes(from: *const u8) -> uint8x16_t {
        vld1q_u8(from)
    }

    #[inline(always)]
    unsafe fn sixteens(bits: u16) -> uint8x16_t {
        let [low, high] = bits.to_le_bytes();
        let bit = vreinterpretq_u8_u64(vdupq_n_u64(0x8040_2010_0804_0201));
        vandq_u8(vtstq_u8(vcombine_u8(vdup_n_u8(low), vdup_n_u8(high)), bit), vdupq_n_u8(16))
    }

    #[inline(always)]
    unsafe fn bits<const SHIFT: i32>(bytes: uint8x16_t, mask: u8) -> uint8x16_t {
        vandq_u8(vshlq_u8(bytes, vdupq_n_s8(-SHIFT as i8)), vdupq_n_u8(mask))
    }

    #[inline(always)]
    unsafe fn left<const SHIFT: i32>(bytes: uint8x16_t) -> uint8x16_t {
        vshlq_u8(bytes, vdupq_n_s8(SHIFT as i8))
    }

    #[inline(always)]
    unsafe fn or(a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
        vorrq_u8(a, b)
    }

    #[inline(always)]
    unsafe fn nibbles(from: *const u8) -> uint8x16_t {
        let bytes = vcombine_u8(vld1_u8(from), vdup_n_u8(0));
        vzip1q_u8(Self::bits::<0>(bytes, 15), Self::bits::<4>(bytes, 15))
    }

    #[inline(always)]
    unsafe fn pick(bytes: uint8x16_t, from: &[u8; 16]) -> uint8x16_t {
        vqtbl1q_u8(bytes, vld1q_u8(from.as_ptr()))
    }

    #[inline(always)]
    unsafe fn mask(bytes: uint8x16_t, mask: &[u8; 16]) -> uint8x16_t {
        vandq_u8(bytes, vld1q_u8(mask.as_ptr()))
    }

    #[inline(always)]
    unsafe fn flip(bytes: uint8x16_t, bits: u8) -> uint8x16_t {
        veorq_u8(bytes, vdupq_n_u8(bits))
    }

    #[inline(always)]
    unsafe fn less(bytes: uint8x16_t, number: i8) -> uint8x16_t {
        vsubq_u8(bytes, vdupq_n_u8(number as u8))
    }

    #[inline(always)]
    unsafe fn wide(from: *const u8) -> [uint8x16_t; 4] {
        [vld1q_u8(from), vld1q_u8(from.add(16)), vld1q_u8(from.add(32)), vld1q_u8(from.add(48))]
    }

    #[inline(always)]
    unsafe fn twice<const SHIFT: i32>(from: *const u8) -> [uint8x16_t; 4] {
        let (low, high) = (vld1q_u8(from), vld1q_u8(from.add(16)));
        [low, high, Self::bits::<SHIFT>(low, 255), Self::bits::<SHIFT>(high, 255)]
    }

    #[inline(always)]
    unsafe fn wide_bits<const SHIFT: i32>([a, b, c, d]: [uint8x16_t; 4], mask: u8) -> [uint8x16_t; 4] {
        let bits = Self::bits::<SHIFT>;
        [bits(a, mask), bits(b, mask), bits(c, mask), bits(d, mask)]
    }

    #[inline(always)]
    unsafe fn wide_left<const SHIFT: i32>([a, b, c, d]: [uint8x16_t; 4]) -> [uint8x16_t; 4] {
        let left = Self::left::<SHIFT>;
        [left(a), left(b), left(c), left(d)]
    }

    #[inline(always)]
    unsafe fn wide_or(a: [uint8x16_t; 4], b: [uint8x16_t; 4]) -> [uint8x16_t; 4] {
        [vorrq_u8(a[0], b[0]), vorrq_u8(a[1], b[1]), vorrq_u8(a[2], b[2]), vorrq_u8(a[3], b[3])]
    }

    #[inline(always)]
    unsafe fn wide_less([a, b, c, d]: [uint8x16_t; 4], number: i8) -> [uint8x16_t; 4] {
        let less = Self::less;
        [less(a, number), less(b, number), less(c, number), less(d, number)]
    }

    #[inline(always)]
    unsafe fn split(bytes: [uint8x16_t; 4]) -> [uint8x16_t; 4] {
        bytes
    }

    #[inline(always)]
    unsafe fn floats(bytes: uint8x16_t) -> [float32x4_t; 4] {
        let bytes = vreinterpretq_s8_u8(bytes);
        let (low, high) = (vmovl_s8(vget_low_s8(bytes)), vmovl_high_s8(bytes));
        [
            vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))),
            vcvtq_f32_s32(vmovl_high_s16(low)),
            vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))),
            vcvtq_f32_s32(vmovl_high_s16(high)),
        ]
    }

    #[inline(always)]
    unsafe fn low<A: Affine<Self>>(levels: &[i8; 16], bytes: uint8x16_t, then: A) -> [float32x4_t; 4] {
        let levels = vreinterpretq_u8_s8(vld1q_s8(levels.as_ptr()));
        then.of(Self::floats(vqtbl1q_u8(levels, Self::bits::<0>(bytes, 15))))
    }

    #[inline(always)]
    unsafe fn high<A: Affine<Self>>(levels: &[i8; 16], bytes: uint8x16_t, then: A) -> [float32x4_t; 4] {
        let levels = vreinterpretq_u8_s8(vld1q_s8(levels.as_ptr()));
        then.of(Self::floats(vqtbl1q_u8(levels, Self::bits::<4>(bytes, 15))))
    }

    #[inline(always)]
    unsafe fn half(from: *const u8) -> f32 {
        let wide: f32;
        asm!(
            "fcvt {wide:s}, {half:h}",
            wide = lateout(vreg) wide,
            half = in(vreg) from.cast::<u16>().read_unaligned(),
            options(pure, nomem, nostack, preserves_flags)
        );
        wide
    }

    #[inline(always)]
    unsafe fn halves(from: *const u8) -> [float32x4_t; 4] {
        Self::splat(Self::half(from))
    }

    #[inline(always)]
    unsafe fn two_halves(from: *const u8) -> [float32x4_t; 4] {
        let (first, second) = (vdupq_n_f32(Self::half(from)), vdupq_n_f32(Self::half(from.add(2))));
        [first, first, second, second]
    }

    #[inline(always)]
    unsafe fn splat(number: f32) -> [float32x4_t; 4] {
        [vdupq_n_f32(number); 4]
    }

    #[inline(always)]
    unsafe fn load_splat(from: *const f32) -> [float32x4_t; 4] {
        [vld1q_dup_f32(from); 4]
    }

    #[inline(always)]
    unsafe fn from_f32(from: *const u8) -> [float32x4_t; 4] {
        [0, 16, 32, 48].map(|at| vreinterpretq_f32_u8(vld1q_u8(from.add(at))))
    }

    #[inline(always)]
    unsafe fn from_f16(from: *const u8) -> [float32x4_t; 4] {
        let (low, high) = (widen(vld1q_u8(from)), widen(vld1q_u8(from.add(16))));
        [low[0], low[1], high[0], high[1]]
    }

    #[inline(always)]
    unsafe fn from_bf16(from: *const u8) -> [float32x4_t; 4] {
        let (low, high) = (vreinterpretq_u16_u8(vld1q_u8(from)), vreinterpretq_u16_u8(vld1q_u8(from.add(16))));
        [
            vreinterpretq_f32_u32(vshll_n_u16::<16>(vget_low_u16(low))),
            vreinterpretq_f32_u32(vshll_high_n_u16::<16>(low)),
            vreinterpretq_f32_u32(vshll_n_u16::<16>(vget_low_u16(high))),
            vreinterpretq_f32_u32(vshll_high_n_u16::<16>(high)),
        ]
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, floats: [float32x4_t; 4]) {
        for (i, four) in floats.into_iter().enumerate() {
            vst1q_f32(to.add(4 * i), four);
        }
    }

    #[inline(always)]
    unsafe fn stream(to: *mut f32, floats: [float32x4_t; 4]) {
        let [a, b, c, d] = floats;
        asm!(
            "stnp {a:q}, {b:q}, [{to}]",
            "stnp {c:q}, {d:q}, [{to}, #32]",
            a = in(vreg) a,
            b = in(vreg) b,
            c = in(vreg) c,
            d = in(vreg) d,
            to = in(reg) to,
            options(nostack, preserves_flags)
        );
    }

    #[inline(always)]
    unsafe fn fence() {
        // These stores are ordered as any others.
    }

    #[inline(always)]
    unsafe fn store_f16(to: *mut u8, floats: [float32x4_t; 4]) {
        let [a, b, c, d] = floats;
        vst1q_u8(to, narrow(a, b));
        vst1q_u8(to.add(16), narrow(c, d));
    }

    #[inline(always)]
    unsafe fn store_bf16(to: *mut u8, floats: [float32x4_t; 4]) {
        let [a, b, c, d] = floats.map(|x| round_to_bf16(x));
        vst1q_u8(to, vreinterpretq_u8_u16(vcombine_u16(a, b)));
        vst1q_u8(to.add(16), vreinterpretq_u8_u16(vcombine_u16(c, d)));
    }

    #[inline(always)]
    unsafe fn times(a: [float32x4_t; 4], b: [float32x4_t; 4]) -> [float32x4_t; 4] {
        std::array::from_fn(|i| vmulq_f32(a[i], b[i]))
    }

    #[inline(always)]
    unsafe fn plus(a: [float32x4_t; 4], b: [float32x4_t; 4]) -> [float32x4_t; 4] {
        std::array::from_fn(|i| vaddq_f32(a[i], b[i]))
    }

    #[inline(always)]
    unsafe fn minus(a: [float32x4_t; 4], b: [float32x4_t; 4]) -> [float32x4_t; 4] {
        std::array::from_fn(|i| vsubq_f32(a[i], b[i]))
    }

    #[inline(always)]
    unsafe fn exact_times_plus(a: [float32x4_t; 4], b: [float32x4_t; 4], c: [float32x4_t; 4]) -> [float32x4_t; 4] {
        std::array::from_fn(|i| vfmaq_f32(c[i], a[i], b[i]))
    }

    #[inline(always)]
    unsafe fn exact_times_minus(a: [float32x4_t; 4], b: [float32x4_t; 4], c: [float32x4_t; 4]) -> [float32x4_t; 4] {
        // The instruction for a difference negates the other way round.
        std::array::from_fn(|i| vsubq_f32(vmulq_f32(a[i], b[i]), c[i]))
    }

    #[inline(always)]
    unsafe fn no_sums() -> [float32x4_t; 2] {
        [vdupq_n_f32(0.0); 2]
    }

    #[inline(always)]
    unsafe fn eight(lanes: [float32x4_t; 2]) -> [f32; 8] {
        let mut eight = [0.0; 8];
        vst1q_f32(eight.as_mut_ptr(), lanes[0]);
        vst1q_f32(eight.as_mut_ptr().add(4), lanes[1]);
        eight
    }

    #[inline(always)]
    unsafe fn codes(from: *const u8) -> [int8x16_t; 2] {
        [vld1q_s8(from.cast()), vld1q_s8(from.add(16).cast())]
    }

    #[inline(always)]
    unsafe fn nibble_codes(from: *const u8) -> [int8x16_t; 2] {
        let bytes = vld1q_u8(from);
        [Self::bits::<0>(bytes, 15), Self::bits::<4>(bytes, 15)].map(|n| vreinterpretq_s8_u8(Self::less(n, 8)))
    }

    #[inline(always)]
    unsafe fn add_products(
        lanes: [float32x4_t; 2],
        scale: f32,
        codes: [int8x16_t; 2],
        query: *const i8,
    ) -> [float32x4_t; 2] {
        let fours = [sum_fours(codes[0], vld1q_s8(query)), sum_fours(codes[1], vld1q_s8(query.add(16)))];
        std::array::from_fn(|i| vaddq_f32(lanes[i], vmulq_n_f32(vcvtq_f32_s32(fours[i]), scale)))
    }
}

/// The sums of each four products of sixteen.
#[inline(always)]
unsafe fn sum_fours(a: int8x16_t, b: int8x16_t) -> int32x4_t {
    let (low, high) = (vmull_s8(vget_low_s8(a), vget_low_s8(b)), vmull_high_s8(a, b));
    vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high))
}

/// Eight binary16 to binary32.
#[inline(always)]
unsafe fn widen(halves: uint8x16_t) -> [float32x4_t; 2] {
    let (low, high): (float32x4_t, float32x4_t);
    asm!(
        "fcvtl {low:v}.4s, {halves:v}.4h",
        "fcvtl2 {high:v}.4s, {halves:v}.8h",
        low = out(vreg) low,
        high = lateout(vreg) high,
        halves = in(vreg) halves,
        options(pure, nomem, nostack, preserves_flags)
    );
    [low, high]
}

/// Eight binary32 to binary16.
#[inline(always)]
unsafe fn narrow(low: float32x4_t, high: float32x4_t) -> uint8x16_t {
    let halves: uint8x16_t;
    asm!(
        "fcvtn {halves:v}.4h, {low:v}.4s",
        "fcvtn2 {halves:v}.8h, {high:v}.4s",
        halves = out(vreg) halves,
        low = in(vreg) low,
        high = in(vreg) high,
        options(pure, nomem, nostack, preserves_flags)
    );
    halves
}

/// Rounded to nearest, ties to even; NaNs stay and become quiet.
#[inline(always)]
unsafe fn round_to_bf16(x: float32x4_t) -> uint16x4_t {
    let bits = vreinterpretq_u32_f32(x);
    let odd = vandq_u32(vshrq_n_u32::<16>(bits), vdupq_n_u32(1));
    let rounded = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
    let quiet = vorrq_u32(bits, vdupq_n_u32(0x0040_0000));
    vshrn_n_u32::<16>(vbslq_u32(vceqq_f32(x, x), rounded, quiet))
}
