//! What the allocator has given out.

#![cfg_attr(target_env = "gnu", expect(unsafe_code, reason = "asks glibc's allocator"))]

/// Bytes allocated and not freed, by all threads and by native code; in pages that are in use, where the allocator says no more.
pub(crate) fn allocated() -> u64 {
    #[cfg(target_env = "gnu")]
    {
        // SAFETY: glibc's own function; it may be called at any time.
        let info = unsafe { libc::mallinfo2() };
        (info.uordblks + info.hblkhd) as u64
    }
    #[cfg(not(target_env = "gnu"))]
    crate::memory::resident()
}
