//! Prefetch of rows into the caches of the CPU.
#![cfg_attr(
    any(target_arch = "x86_64", target_arch = "aarch64"),
    expect(unsafe_code, reason = "an instruction, by an intrinsic or as assembly")
)]

/// Bytes of a cache line.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
const LINE: usize = 64;

/// Asks the CPU to bring a row into its caches, for one that is read soon: while summing rows of a gather, ask for those
/// some KiB ahead, as many as the memory answers at a time. Costs nothing where the CPU cannot.
#[inline]
pub fn prefetch(row: &[u8]) {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    lines(row);
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = row;
}

/// Every CPU with kernels has had an instruction for it from the beginning.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[inline]
fn lines(row: &[u8]) {
    // From the beginning of its first line, so that the last is among them wherever the row lies.
    let before = row.as_ptr().addr() % LINE;
    for at in (0..before + row.len()).step_by(LINE) {
        let line = row.as_ptr().wrapping_sub(before).wrapping_add(at);
        // SAFETY: a hint: no address does harm.
        #[cfg(target_arch = "x86_64")]
        unsafe {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T0>(line.cast());
        }
        // SAFETY: as above.
        #[cfg(target_arch = "aarch64")]
        unsafe {
            std::arch::asm!("prfm pldl1keep, [{line}]", line = in(reg) line, options(nostack, preserves_flags, readonly));
        }
    }
}
