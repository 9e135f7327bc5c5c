//! Forks of the process, noticed: a forked child is refused, for it has neither the workers nor the open locks.

#![cfg_attr(unix, expect(unsafe_code, reason = "registers a fork handler with libc"))]

use std::sync::atomic::{AtomicU8, Ordering};

/// Whether this process is the child of a fork that came after the first use of the library: its locks
/// may be held, and its workers gone, for ever. One load per call; `getpid` would be a system call.
pub(crate) fn forked() -> bool {
    match PROCESS.load(Ordering::Acquire) {
        WATCHED => false,
        FORKED => true,
        _ => {
            watch();
            false
        }
    }
}

static PROCESS: AtomicU8 = AtomicU8::new(FRESH);
const FRESH: u8 = 0;
const WATCHED: u8 = 1;
const FORKED: u8 = 2;

#[cold]
fn watch() {
    // Two threads may both get here; a second handler does no harm.
    #[cfg(unix)]
    {
        unsafe extern "C" fn child() {
            PROCESS.store(FORKED, Ordering::Release);
        }
        // SAFETY: the handler stores to an atomic and does nothing else. Should the registration fail for
        // want of memory, forks go unnoticed and nothing else changes.
        unsafe { libc::pthread_atfork(None, None, Some(child)) };
    }
    PROCESS.store(WATCHED, Ordering::Release);
}
