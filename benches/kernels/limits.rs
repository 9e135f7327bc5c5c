//! What the machine can do at best: streams of stores, and nothing else.
#![expect(unsafe_code, reason = "vector stores")]

/// Fills through the caches.
pub(crate) fn plain(out: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: the CPU has it.
        return unsafe { x86::plain_512(out) };
    } else if is_x86_feature_detected!("avx") {
        // SAFETY: the CPU has it.
        return unsafe { x86::plain_256(out) };
    }
    out.fill(std::hint::black_box(1.0));
}

/// Fills past the caches, where the instruction set can.
pub(crate) fn streamed(out: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: the CPU has it.
        return unsafe { x86::streamed_512(out) };
    } else if is_x86_feature_detected!("avx") {
        // SAFETY: the CPU has it.
        return unsafe { x86::streamed_256(out) };
    }
    plain(out);
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    /// Four stores at once, into whole groups of them; the buffers here are aligned.
    macro_rules! fill {
        ($name:ident, $features:literal, $lanes:literal, $splat:ident, $store:ident) => {
            #[target_feature(enable = $features)]
            pub(super) unsafe fn $name(out: &mut [f32]) {
                assert!(out.as_ptr().addr().is_multiple_of(64));
                let one = $splat(std::hint::black_box(1.0));
                for four in out.chunks_exact_mut(4 * $lanes) {
                    let to = four.as_mut_ptr();
                    for i in 0..4 {
                        // SAFETY: the group holds four vectors.
                        unsafe { $store(to.add($lanes * i), one) };
                    }
                }
                _mm_sfence();
            }
        };
    }

    fill!(plain_256, "avx", 8, _mm256_set1_ps, _mm256_storeu_ps);
    fill!(plain_512, "avx512f", 16, _mm512_set1_ps, _mm512_storeu_ps);
    fill!(streamed_256, "avx", 8, _mm256_set1_ps, _mm256_stream_ps);
    fill!(streamed_512, "avx512f", 16, _mm512_set1_ps, _mm512_stream_ps);
}
