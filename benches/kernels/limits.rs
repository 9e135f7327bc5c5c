//! Limits of the machine: streams of stores, and nothing else.
#![cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "vector stores"))]

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

/// Fills through the caches, and reads `input` at the same pace: the traffic of a kernel, without its work.
pub(crate) fn traffic(input: &[u8], out: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: the CPU has it.
        return unsafe { x86::traffic_512(input, out) };
    }
    let step = input.len().div_ceil(out.len() / 16).max(1);
    for (line, bytes) in out.chunks_mut(16).zip(input.chunks(step)) {
        line.fill(f32::from(bytes[0]));
    }
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

    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn traffic_512(input: &[u8], out: &mut [f32]) {
        assert!(out.as_ptr().addr().is_multiple_of(64));
        let one = _mm512_set1_ps(std::hint::black_box(1.0));
        let (mut read, mut seen) = (input.as_chunks::<64>().0.iter(), _mm512_setzero_si512());
        // So many bytes of input per 64 of output, in 64ths.
        let (pace, mut due) = (input.len() * 64 / size_of_val(out), 0);
        for line in out.as_chunks_mut::<16>().0 {
            due += pace;
            if due >= 64 {
                due -= 64;
                if let Some(bytes) = read.next() {
                    // SAFETY: 64 bytes.
                    seen = _mm512_or_si512(seen, unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) });
                }
            }
            // SAFETY: sixteen numbers.
            unsafe { _mm512_storeu_ps(line.as_mut_ptr(), one) };
        }
        std::hint::black_box(seen);
    }

    fill!(plain_256, "avx", 8, _mm256_set1_ps, _mm256_storeu_ps);
    fill!(plain_512, "avx512f", 16, _mm512_set1_ps, _mm512_storeu_ps);
    fill!(streamed_256, "avx", 8, _mm256_set1_ps, _mm256_stream_ps);
    fill!(streamed_512, "avx512f", 16, _mm512_set1_ps, _mm512_stream_ps);
}
