//! x86-64 with AVX2, F16C and FMA: sixteen lanes are two vectors of eight.
#![expect(unsafe_code, reason = "vector instructions")]
#![expect(unsafe_op_in_unsafe_fn, reason = "each operation needs what its function needs: see `Lanes`")]

use std::arch::asm;
use std::arch::x86_64::*;

use super::generic::kernels;
use super::lanes::{Affine, Lanes};
use super::table::{Isa, Table};

/// The kernels, if the CPU can run them.
pub(super) fn table() -> Option<Table> {
    (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("f16c") && is_x86_feature_detected!("fma"))
        .then(|| kernels!(Isa::Avx2, Avx2, "avx2,f16c,fma"))
}

#[derive(Clone, Copy)]
pub(super) struct Avx2;

impl Lanes for Avx2 {
    type Bytes = __m128i;
    type Wide = [__m256i; 2];
    type Floats = [__m256; 2];
    type Eight = __m256;
    type Codes = __m256i;

    #[inline(always)]
    unsafe fn bytes(from: *const u8) -> __m128i {
        _mm_loadu_si128(from.cast())
    }

    #[inline(always)]
    unsafe fn sixteens(bits: u16) -> __m128i {
        let halves = _mm_shuffle_epi8(_mm_cvtsi32_si128(bits.into()), _mm_set_epi64x(0x0101_0101_0101_0101, 0));
        let bit = _mm_set1_epi64x(0x8040_2010_0804_0201_u64 as i64);
        _mm_and_si128(_mm_cmpeq_epi8(_mm_and_si128(halves, bit), bit), _mm_set1_epi8(16))
    }

    #[inline(always)]
    unsafe fn bits<const SHIFT: i32>(bytes: __m128i, mask: u8) -> __m128i {
        _mm_and_si128(_mm_srli_epi16::<SHIFT>(bytes), _mm_set1_epi8(mask as i8))
    }

    #[inline(always)]
    unsafe fn left<const SHIFT: i32>(bytes: __m128i) -> __m128i {
        _mm_slli_epi16::<SHIFT>(bytes)
    }

    #[inline(always)]
    unsafe fn or(a: __m128i, b: __m128i) -> __m128i {
        _mm_or_si128(a, b)
    }

    #[inline(always)]
    unsafe fn nibbles(from: *const u8) -> __m128i {
        let bytes = _mm_loadl_epi64(from.cast());
        _mm_unpacklo_epi8(Self::bits::<0>(bytes, 15), Self::bits::<4>(bytes, 15))
    }

    #[inline(always)]
    unsafe fn pick(bytes: __m128i, from: &[u8; 16]) -> __m128i {
        _mm_shuffle_epi8(bytes, Self::bytes(from.as_ptr()))
    }

    #[inline(always)]
    unsafe fn mask(bytes: __m128i, mask: &[u8; 16]) -> __m128i {
        _mm_and_si128(bytes, Self::bytes(mask.as_ptr()))
    }

    #[inline(always)]
    unsafe fn flip(bytes: __m128i, bits: u8) -> __m128i {
        _mm_xor_si128(bytes, _mm_set1_epi8(bits as i8))
    }

    #[inline(always)]
    unsafe fn less(bytes: __m128i, number: i8) -> __m128i {
        _mm_sub_epi8(bytes, _mm_set1_epi8(number))
    }

    #[inline(always)]
    unsafe fn wide(from: *const u8) -> [__m256i; 2] {
        [_mm256_loadu_si256(from.cast()), _mm256_loadu_si256(from.add(32).cast())]
    }

    #[inline(always)]
    unsafe fn twice<const SHIFT: i32>(from: *const u8) -> [__m256i; 2] {
        let bytes = _mm256_loadu_si256(from.cast());
        [bytes, _mm256_srli_epi16::<SHIFT>(bytes)]
    }

    #[inline(always)]
    unsafe fn wide_bits<const SHIFT: i32>(bytes: [__m256i; 2], mask: u8) -> [__m256i; 2] {
        let mask = _mm256_set1_epi8(mask as i8);
        [
            _mm256_and_si256(_mm256_srli_epi16::<SHIFT>(bytes[0]), mask),
            _mm256_and_si256(_mm256_srli_epi16::<SHIFT>(bytes[1]), mask),
        ]
    }

    #[inline(always)]
    unsafe fn wide_left<const SHIFT: i32>(bytes: [__m256i; 2]) -> [__m256i; 2] {
        [_mm256_slli_epi16::<SHIFT>(bytes[0]), _mm256_slli_epi16::<SHIFT>(bytes[1])]
    }

    #[inline(always)]
    unsafe fn wide_or(a: [__m256i; 2], b: [__m256i; 2]) -> [__m256i; 2] {
        [_mm256_or_si256(a[0], b[0]), _mm256_or_si256(a[1], b[1])]
    }

    #[inline(always)]
    unsafe fn wide_less(bytes: [__m256i; 2], number: i8) -> [__m256i; 2] {
        let number = _mm256_set1_epi8(number);
        [_mm256_sub_epi8(bytes[0], number), _mm256_sub_epi8(bytes[1], number)]
    }

    #[inline(always)]
    unsafe fn split(bytes: [__m256i; 2]) -> [__m128i; 4] {
        [
            _mm256_castsi256_si128(bytes[0]),
            _mm256_extracti128_si256::<1>(bytes[0]),
            _mm256_castsi256_si128(bytes[1]),
            _mm256_extracti128_si256::<1>(bytes[1]),
        ]
    }

    #[inline(always)]
    unsafe fn floats(bytes: __m128i) -> [__m256; 2] {
        let upper = _mm_srli_si128::<8>(bytes);
        [_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)), _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(upper))]
    }

    #[inline(always)]
    unsafe fn low<A: Affine<Self>>(levels: &[i8; 16], bytes: __m128i, then: A) -> [__m256; 2] {
        let levels = _mm_loadu_si128(levels.as_ptr().cast());
        then.of(Self::floats(_mm_shuffle_epi8(levels, Self::bits::<0>(bytes, 15))))
    }

    #[inline(always)]
    unsafe fn high<A: Affine<Self>>(levels: &[i8; 16], bytes: __m128i, then: A) -> [__m256; 2] {
        let levels = _mm_loadu_si128(levels.as_ptr().cast());
        then.of(Self::floats(_mm_shuffle_epi8(levels, Self::bits::<4>(bytes, 15))))
    }

    #[inline(always)]
    unsafe fn half(from: *const u8) -> f32 {
        _mm_cvtss_f32(_mm_cvtph_ps(_mm256_castsi256_si128(broadcast_16(from))))
    }

    #[inline(always)]
    unsafe fn halves(from: *const u8) -> [__m256; 2] {
        [_mm256_cvtph_ps(_mm256_castsi256_si128(broadcast_16(from))); 2]
    }

    #[inline(always)]
    unsafe fn two_halves(from: *const u8) -> [__m256; 2] {
        [from, from.add(2)].map(|from| _mm256_cvtph_ps(_mm256_castsi256_si128(broadcast_16(from))))
    }

    #[inline(always)]
    unsafe fn splat(number: f32) -> [__m256; 2] {
        [_mm256_set1_ps(number); 2]
    }

    #[inline(always)]
    unsafe fn load_splat(from: *const f32) -> [__m256; 2] {
        [broadcast_32(from); 2]
    }

    #[inline(always)]
    unsafe fn from_f32(from: *const u8) -> [__m256; 2] {
        [_mm256_loadu_ps(from.cast()), _mm256_loadu_ps(from.add(32).cast())]
    }

    #[inline(always)]
    unsafe fn from_f16(from: *const u8) -> [__m256; 2] {
        [_mm256_cvtph_ps(_mm_loadu_si128(from.cast())), _mm256_cvtph_ps(_mm_loadu_si128(from.add(16).cast()))]
    }

    #[inline(always)]
    unsafe fn from_bf16(from: *const u8) -> [__m256; 2] {
        let widen = |from: *const u8| {
            _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(_mm_loadu_si128(from.cast()))))
        };
        [widen(from), widen(from.add(16))]
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, floats: [__m256; 2]) {
        _mm256_storeu_ps(to, floats[0]);
        _mm256_storeu_ps(to.add(8), floats[1]);
    }

    #[inline(always)]
    unsafe fn stream(to: *mut f32, floats: [__m256; 2]) {
        _mm256_stream_ps(to, floats[0]);
        _mm256_stream_ps(to.add(8), floats[1]);
    }

    #[inline(always)]
    unsafe fn fence() {
        _mm_sfence();
    }

    #[inline(always)]
    unsafe fn store_f16(to: *mut u8, floats: [__m256; 2]) {
        _mm_storeu_si128(to.cast(), _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(floats[0]));
        _mm_storeu_si128(to.add(16).cast(), _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(floats[1]));
    }

    #[inline(always)]
    unsafe fn store_bf16(to: *mut u8, floats: [__m256; 2]) {
        let (a, b) = (round_to_bf16(floats[0]), round_to_bf16(floats[1]));
        let packed = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packus_epi32(a, b));
        _mm256_storeu_si256(to.cast(), packed);
    }

    #[inline(always)]
    unsafe fn times(a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])]
    }

    #[inline(always)]
    unsafe fn plus(a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])]
    }

    #[inline(always)]
    unsafe fn minus(a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        [_mm256_sub_ps(a[0], b[0]), _mm256_sub_ps(a[1], b[1])]
    }

    #[inline(always)]
    unsafe fn exact_times_plus(a: [__m256; 2], b: [__m256; 2], c: [__m256; 2]) -> [__m256; 2] {
        [_mm256_fmadd_ps(a[0], b[0], c[0]), _mm256_fmadd_ps(a[1], b[1], c[1])]
    }

    #[inline(always)]
    unsafe fn exact_times_minus(a: [__m256; 2], b: [__m256; 2], c: [__m256; 2]) -> [__m256; 2] {
        [_mm256_fmsub_ps(a[0], b[0], c[0]), _mm256_fmsub_ps(a[1], b[1], c[1])]
    }

    #[inline(always)]
    unsafe fn no_sums() -> __m256 {
        _mm256_setzero_ps()
    }

    #[inline(always)]
    unsafe fn eight(lanes: __m256) -> [f32; 8] {
        let mut eight = [0.0; 8];
        _mm256_storeu_ps(eight.as_mut_ptr(), lanes);
        eight
    }

    #[inline(always)]
    unsafe fn codes(from: *const u8) -> __m256i {
        _mm256_loadu_si256(from.cast())
    }

    #[inline(always)]
    unsafe fn nibble_codes(from: *const u8) -> __m256i {
        let bytes = Self::bytes(from);
        let nibbles = _mm256_set_m128i(Self::bits::<4>(bytes, 15), Self::bits::<0>(bytes, 15));
        _mm256_sub_epi8(nibbles, _mm256_set1_epi8(8))
    }

    #[inline(always)]
    unsafe fn add_products(lanes: __m256, scale: f32, codes: __m256i, query: *const i8) -> __m256 {
        // The instruction multiplies unsigned by signed: the sign moves from one factor to the other. A query has no
        // -128, so no pair of products is beyond 2 * 128 * 127, which fits 16 bits.
        let query = _mm256_sign_epi8(_mm256_loadu_si256(query.cast()), codes);
        let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(codes), query);
        let fours = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
        _mm256_add_ps(lanes, _mm256_mul_ps(_mm256_cvtepi32_ps(fours), _mm256_set1_ps(scale)))
    }
}

/// The upper halves, rounded to nearest, ties to even, in the lower halves of 32-bit lanes; NaNs stay and become quiet.
#[inline(always)]
unsafe fn round_to_bf16(x: __m256) -> __m256i {
    let bits = _mm256_castps_si256(x);
    let odd = _mm256_and_si256(_mm256_srli_epi32::<16>(bits), _mm256_set1_epi32(1));
    let rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    let quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x0040_0000));
    let nan = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_UNORD_Q>(x, x));
    _mm256_srli_epi32::<16>(_mm256_blendv_epi8(rounded, quiet, nan))
}

/// Two bytes in all lanes. Spelled out, since the compiler would insert them into one lane where one is enough, and an
/// insertion waits for whatever the register held before.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn broadcast_16(from: *const u8) -> __m256i {
    let all: __m256i;
    asm!(
        "vpbroadcastw {all}, word ptr [{from}]",
        all = lateout(ymm_reg) all,
        from = in(reg) from,
        options(pure, readonly, nostack, preserves_flags)
    );
    all
}

/// Four bytes in all lanes.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn broadcast_32(from: *const f32) -> __m256 {
    let all: __m256;
    asm!(
        "vbroadcastss {all}, dword ptr [{from}]",
        all = lateout(ymm_reg) all,
        from = in(reg) from,
        options(pure, readonly, nostack, preserves_flags)
    );
    all
}
