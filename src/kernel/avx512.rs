//! x86-64 with AVX-512: sixteen lanes are one vector, and a nibble picks its finished weight from sixteen in a register.
//! What is narrower is as with AVX2.
#![expect(unsafe_code, reason = "vector instructions")]
#![expect(unsafe_op_in_unsafe_fn, reason = "each operation needs what its function needs: see `Lanes`")]

use std::arch::asm;
use std::arch::x86_64::*;

use super::avx2::{Avx2, broadcast_16};
use super::generic::kernels;
use super::lanes::{Affine, Lanes};
use super::table::{Isa, Table};

/// The kernels, if the CPU can run them.
pub(super) fn table() -> Option<Table> {
    let has = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vnni")
        && is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("f16c")
        && is_x86_feature_detected!("fma");
    has.then(|| kernels!(Isa::Avx512, Avx512, "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,f16c,fma"))
}

#[derive(Clone, Copy)]
struct Avx512;

impl Lanes for Avx512 {
    type Bytes = __m128i;
    type Wide = __m512i;
    type Floats = __m512;
    type Eight = __m256;
    type Codes = __m256i;

    #[inline(always)]
    unsafe fn bytes(from: *const u8) -> __m128i {
        Avx2::bytes(from)
    }

    #[inline(always)]
    unsafe fn sixteens(bits: u16) -> __m128i {
        _mm_maskz_set1_epi8(bits, 16)
    }

    #[inline(always)]
    unsafe fn bits<const SHIFT: i32>(bytes: __m128i, mask: u8) -> __m128i {
        Avx2::bits::<SHIFT>(bytes, mask)
    }

    #[inline(always)]
    unsafe fn left<const SHIFT: i32>(bytes: __m128i) -> __m128i {
        Avx2::left::<SHIFT>(bytes)
    }

    #[inline(always)]
    unsafe fn or(a: __m128i, b: __m128i) -> __m128i {
        Avx2::or(a, b)
    }

    #[inline(always)]
    unsafe fn nibbles(from: *const u8) -> __m128i {
        Avx2::nibbles(from)
    }

    #[inline(always)]
    unsafe fn pick(bytes: __m128i, from: &[u8; 16]) -> __m128i {
        Avx2::pick(bytes, from)
    }

    #[inline(always)]
    unsafe fn mask(bytes: __m128i, mask: &[u8; 16]) -> __m128i {
        Avx2::mask(bytes, mask)
    }

    #[inline(always)]
    unsafe fn flip(bytes: __m128i, bits: u8) -> __m128i {
        Avx2::flip(bytes, bits)
    }

    #[inline(always)]
    unsafe fn less(bytes: __m128i, number: i8) -> __m128i {
        Avx2::less(bytes, number)
    }

    #[inline(always)]
    unsafe fn wide(from: *const u8) -> __m512i {
        _mm512_loadu_si512(from.cast())
    }

    #[inline(always)]
    unsafe fn twice<const SHIFT: i32>(from: *const u8) -> __m512i {
        let twice = _mm512_broadcast_i64x4(_mm256_loadu_si256(from.cast()));
        let shift = i64::from(SHIFT);
        _mm512_srlv_epi64(twice, _mm512_setr_epi64(0, 0, 0, 0, shift, shift, shift, shift))
    }

    #[inline(always)]
    unsafe fn wide_bits<const SHIFT: i32>(bytes: __m512i, mask: u8) -> __m512i {
        let shifted = if SHIFT == 0 { bytes } else { _mm512_srl_epi16(bytes, _mm_cvtsi32_si128(SHIFT)) };
        _mm512_and_si512(shifted, _mm512_set1_epi8(mask as i8))
    }

    #[inline(always)]
    unsafe fn wide_left<const SHIFT: i32>(bytes: __m512i) -> __m512i {
        _mm512_sll_epi16(bytes, _mm_cvtsi32_si128(SHIFT))
    }

    #[inline(always)]
    unsafe fn wide_or(a: __m512i, b: __m512i) -> __m512i {
        _mm512_or_si512(a, b)
    }

    #[inline(always)]
    unsafe fn wide_less(bytes: __m512i, number: i8) -> __m512i {
        _mm512_sub_epi8(bytes, _mm512_set1_epi8(number))
    }

    #[inline(always)]
    unsafe fn split(bytes: __m512i) -> [__m128i; 4] {
        [
            _mm512_castsi512_si128(bytes),
            _mm512_extracti32x4_epi32::<1>(bytes),
            _mm512_extracti32x4_epi32::<2>(bytes),
            _mm512_extracti32x4_epi32::<3>(bytes),
        ]
    }

    #[inline(always)]
    unsafe fn floats(bytes: __m128i) -> __m512 {
        _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes))
    }

    #[inline(always)]
    unsafe fn low<A: Affine<Self>>(levels: &[i8; 16], bytes: __m128i, then: A) -> __m512 {
        let finished = then.of(Self::floats(Self::bytes(levels.as_ptr().cast())));
        // Only the lower four bits of an index count.
        _mm512_permutexvar_ps(_mm512_cvtepu8_epi32(bytes), finished)
    }

    #[inline(always)]
    unsafe fn high<A: Affine<Self>>(levels: &[i8; 16], bytes: __m128i, then: A) -> __m512 {
        let finished = then.of(Self::floats(Self::bytes(levels.as_ptr().cast())));
        _mm512_permutexvar_ps(_mm512_srli_epi32::<4>(_mm512_cvtepu8_epi32(bytes)), finished)
    }

    #[inline(always)]
    unsafe fn half(from: *const u8) -> f32 {
        Avx2::half(from)
    }

    #[inline(always)]
    unsafe fn halves(from: *const u8) -> __m512 {
        _mm512_cvtph_ps(broadcast_16(from))
    }

    #[inline(always)]
    unsafe fn two_halves(from: *const u8) -> __m512 {
        let two = _mm512_castps128_ps512(_mm_cvtph_ps(_mm_loadu_si32(from)));
        _mm512_permutexvar_ps(_mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1), two)
    }

    #[inline(always)]
    unsafe fn splat(number: f32) -> __m512 {
        _mm512_set1_ps(number)
    }

    #[inline(always)]
    unsafe fn load_splat(from: *const f32) -> __m512 {
        broadcast_32(from)
    }

    #[inline(always)]
    unsafe fn from_f32(from: *const u8) -> __m512 {
        _mm512_loadu_ps(from.cast())
    }

    #[inline(always)]
    unsafe fn from_f16(from: *const u8) -> __m512 {
        _mm512_cvtph_ps(_mm256_loadu_si256(from.cast()))
    }

    #[inline(always)]
    unsafe fn from_bf16(from: *const u8) -> __m512 {
        let wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.cast()));
        _mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide))
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, floats: __m512) {
        _mm512_storeu_ps(to, floats);
    }

    #[inline(always)]
    unsafe fn stream(to: *mut f32, floats: __m512) {
        _mm512_stream_ps(to, floats);
    }

    #[inline(always)]
    unsafe fn fence() {
        _mm_sfence();
    }

    #[inline(always)]
    unsafe fn store_f16(to: *mut u8, floats: __m512) {
        _mm256_storeu_si256(to.cast(), _mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(floats));
    }

    #[inline(always)]
    unsafe fn store_bf16(to: *mut u8, floats: __m512) {
        let bits = _mm512_castps_si512(floats);
        let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
        let rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
        let quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x0040_0000));
        let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(floats, floats);
        let upper = _mm512_srli_epi32::<16>(_mm512_mask_blend_epi32(nan, rounded, quiet));
        _mm256_storeu_si256(to.cast(), _mm512_cvtepi32_epi16(upper));
    }

    #[inline(always)]
    unsafe fn times(a: __m512, b: __m512) -> __m512 {
        _mm512_mul_ps(a, b)
    }

    #[inline(always)]
    unsafe fn plus(a: __m512, b: __m512) -> __m512 {
        _mm512_add_ps(a, b)
    }

    #[inline(always)]
    unsafe fn minus(a: __m512, b: __m512) -> __m512 {
        _mm512_sub_ps(a, b)
    }

    #[inline(always)]
    unsafe fn exact_times_plus(a: __m512, b: __m512, c: __m512) -> __m512 {
        _mm512_fmadd_ps(a, b, c)
    }

    #[inline(always)]
    unsafe fn exact_times_minus(a: __m512, b: __m512, c: __m512) -> __m512 {
        _mm512_fmsub_ps(a, b, c)
    }

    #[inline(always)]
    unsafe fn no_sums() -> __m256 {
        Avx2::no_sums()
    }

    #[inline(always)]
    unsafe fn eight(lanes: __m256) -> [f32; 8] {
        Avx2::eight(lanes)
    }

    #[inline(always)]
    unsafe fn codes(from: *const u8) -> __m256i {
        Avx2::codes(from)
    }

    #[inline(always)]
    unsafe fn nibble_codes(from: *const u8) -> __m256i {
        Avx2::nibble_codes(from)
    }

    #[inline(always)]
    unsafe fn add_products(lanes: __m256, scale: f32, codes: __m256i, query: *const i8) -> __m256 {
        // The instruction multiplies unsigned by signed: the sign moves from one factor to the other.
        let query = _mm256_sign_epi8(_mm256_loadu_si256(query.cast()), codes);
        let fours = _mm256_dpbusd_epi32(_mm256_setzero_si256(), _mm256_abs_epi8(codes), query);
        _mm256_add_ps(lanes, _mm256_mul_ps(_mm256_cvtepi32_ps(fours), _mm256_set1_ps(scale)))
    }
}

/// Four bytes in all lanes.
#[inline]
#[target_feature(enable = "avx512f,avx2")]
unsafe fn broadcast_32(from: *const f32) -> __m512 {
    let all: __m512;
    asm!(
        "vbroadcastss {all}, dword ptr [{from}]",
        all = lateout(zmm_reg) all,
        from = in(reg) from,
        options(pure, readonly, nostack, preserves_flags)
    );
    all
}
